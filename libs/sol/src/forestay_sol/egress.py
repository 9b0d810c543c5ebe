"""Where Forestay may connect to because a user says so: callbacks, token endpoints, VIMs (SSRF).

Rules: every address that a name resolves to is checked at the moment of the connection, so a name that changes its mind later
gains nothing. Link-local and metadata addresses of clouds, multicast and the unspecified address are denied unless they are
allowed by name of their network; loopback is for each use to say. With a list of allowed networks, nothing else is allowed.

A VIM may be on loopback and in private networks, as clouds are; but never at a port of the NATS and PostgreSQL that Forestay
itself works with.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from forestay_events.config import BaseConfig, load
from forestay_events.errors import Permanent, Rejected
from msgspec import Meta
from yarl import URL

Network = IPv4Network | IPv6Network
AddrInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]
"""As of :func:`socket.getaddrinfo`."""

_NEVER_BY_ITSELF = (
    "169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32", "192.0.0.192/32",
    "0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8", "255.255.255.255/32",
)  # fmt: skip


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read networks such as ``10.0.0.0/8``. :raises Permanent: one cannot be read."""
    try:
        return tuple(ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise Permanent(f"This is no network: {error}.") from error


class Egress(msgspec.Struct, frozen=True, kw_only=True):
    """The policy.

    :ivar allowed: if there are any, the only networks that may be reached.
    :ivar denied: never, even if they are part of an allowed one.
    :ivar closed: ports that are not connected to, whatever the address.
    """

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()
    loopback: bool = False
    closed: frozenset[int] = frozenset()

    def permits(self, text: str) -> bool:
        """Say whether an IP address may be connected to."""
        address = ip_address(text.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address in network for network in self.denied):
            return False
        if self.allowed:
            return any(address in network for network in self.allowed)
        if address.is_loopback:
            return self.loopback
        return not any(address in network for network in _DENIED_BY_DEFAULT)

    def check(self, uri: str, member: str) -> URL:
        """Give a URI that a user named as URL.

        :param member: JSON pointer of the member that holds it.
        :raises Rejected: 400, it is no http(s) URI or holds a password; 422, its address or port is denied.
        """
        try:
            url = URL(uri)
            host, port = url.host, url.port
        except ValueError as error:
            raise Rejected(400, f"This is no URI: {error}.", pointer=member) from None
        if url.scheme not in ("http", "https") or not host or url.user is not None or url.password is not None:
            raise Rejected(400, "An http or https URI without user information is needed.", pointer=member)
        if port in self.closed or (_is_address(host) and not self.permits(host)):
            where = f"{host}, port {port}" if port in self.closed else host
            raise Rejected(422, f"The egress policy of Forestay denies connections to {where}.", pointer=member)
        return url

    def open_socket(self, info: AddrInfo) -> socket.socket:
        """A socket to connect to an address with; as aiohttp's ``socket_factory`` it is asked about those of redirects, too.

        :raises Denied: the policy does not permit it.
        """
        family, kind, protocol, _, (host, port, *_) = info
        if port in self.closed or not self.permits(str(host)):
            raise Denied(None, f"the egress policy denies connections to {host}, port {port}")
        return socket.socket(family, kind, protocol)


_DENIED_BY_DEFAULT = networks(_NEVER_BY_ITSELF)


class VimNetworks(msgspec.Struct, frozen=True, kw_only=True):
    """Where an operator lets VIMs be: environment variables ``FORESTAY_VIM_ALLOW`` and ``FORESTAY_VIM_DENY``."""

    vim_allow: Annotated[list[str], Meta(description="networks that VIMs may be in; all if empty")] = []
    vim_deny: Annotated[list[str], Meta(description="networks that VIMs must not be in")] = []


def vim_egress(config: BaseConfig, where: VimNetworks | None = None) -> Egress:
    """Where VIMs may be.

    :param where: from the environment if it is not given.
    :raises Permanent: a network cannot be read.
    """
    where = where or load(VimNetworks)
    own = (_ports(server, 4222) for server in config.nats_url.split(","))
    closed = _ports(config.database_url, 5432).union(*own)
    return Egress(allowed=networks(where.vim_allow), denied=networks(where.vim_deny), loopback=True, closed=closed)


def _ports(server: str, default: int) -> frozenset[int]:
    """The ports in the address of a server, which may name several hosts."""
    hosts = urlsplit(server.strip()).netloc.rpartition("@")[2].split(",")
    ports = (host.rpartition("]")[2].partition(":")[2] for host in hosts)
    return frozenset(int(port) if port.isdecimal() else default for port in ports)


class Denied(OSError):
    """The policy permits no address to connect to."""


class EgressResolver(AbstractResolver):
    """Resolves names to those of their addresses that the policy permits. :raises Denied: there are only others."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._names = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        permitted = [result for result in found if self._egress.permits(result["host"])]
        if not permitted:
            raise Denied(None, f"the egress policy denies the addresses of {host}")
        return permitted

    async def close(self) -> None:
        await self._names.close()


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
