"""Where Forestay may connect to because a user says so: callbacks, token endpoints, VIMs (SSRF).

Rules: every address that a name resolves to is checked at the moment of the connection, so a name that changes its mind later
gains nothing. Link-local and metadata addresses of clouds, multicast and the unspecified address are denied unless they are
allowed by name of their network; loopback is for each use to say. With a list of allowed networks, nothing else is allowed. An
IPv6 address that leads to an IPv4 address counts as that. Servers can be closed, whatever is allowed.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from forestay_events.errors import Permanent, Rejected
from yarl import URL

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
AddrInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]
"""As of :func:`socket.getaddrinfo`."""

_NEVER_BY_ITSELF = (
    "169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32", "192.0.0.192/32",
    "0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8", "255.255.255.255/32",
)  # fmt: skip
_NAT64, _COMPATIBLE = ip_network("64:ff9b::/96"), ip_network("::/96")
_NUMBER = re.compile(r"(.*\.)?([0-9]+|0[xX][0-9a-fA-F]*)\.?")
"""A host that systems take for an IPv4 address (a name does not end like that), in whatever way it is written."""


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read networks such as ``10.0.0.0/8``. :raises Permanent: one cannot be read."""
    try:
        return tuple(ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise Permanent(f"This is no network: {error}.") from error


def innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 address leads to (mapped, compatible, 6to4, Teredo, NAT64), if it is such a one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None) or address


def place(host: str) -> str:
    """A host as it is compared: this machine has many loopback addresses, and the unspecified one leads to it, too."""
    try:
        address = innermost(ip_address(host.partition("%")[0]))
    except ValueError:
        return host.lower().rstrip(".")
    return "127.0.0.1" if address.is_loopback or address.is_unspecified else str(address)


class Egress(msgspec.Struct, frozen=True, kw_only=True):
    """The policy.

    :ivar allowed: if there are any, the only networks that may be reached.
    :ivar denied: never, even if they are part of an allowed one.
    :ivar closed: servers that are not connected to, each by its :func:`place` and port.
    """

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()
    loopback: bool = False
    closed: frozenset[tuple[str, int]] = frozenset()

    def permits(self, text: str, port: int = 0) -> bool:
        """Say whether an IP address may be connected to, at this port."""
        address = ip_address(text.partition("%")[0])
        reached = innermost(address)
        if any(each in network for network in self.denied for each in (address, reached)):
            return False
        return (place(text), port) not in self.closed and self.admits(reached)

    def admits(self, address: Address) -> bool:
        """Say whether an address that is not denied may be connected to."""
        if self.allowed:
            return any(address in network for network in self.allowed)
        if address.is_loopback:
            return self.loopback
        return not any(address in network for network in _DENIED_BY_DEFAULT)

    def check(self, uri: str, member: str) -> URL:
        """Give a URI that a user named as URL.

        :param member: JSON pointer of the member that holds it.
        :raises Rejected: 400, it is no http(s) URI, holds a password, or an IPv4 address in another form than four numbers; 422,
            its host or address is denied.
        """
        try:
            url = URL(uri)
            host, port = url.host, url.port
        except ValueError as error:
            raise Rejected(400, f"This is no URI: {error}.", pointer=member) from None
        if url.scheme not in ("http", "https") or not host or url.user is not None or url.password is not None:
            raise Rejected(400, "An http or https URI without user information is needed.", pointer=member)
        if not (is_address := _is_address(host)) and _NUMBER.fullmatch(host):
            raise Rejected(400, f"{host} is no IPv4 address of four numbers.", pointer=member)
        if (place(host), port) in self.closed or (is_address and not self.permits(host, port or 0)):
            raise Rejected(
                422, f"The egress policy of Forestay denies connections to {host}, port {port}.", pointer=member
            )
        return url

    def open_socket(self, info: AddrInfo) -> socket.socket:
        """A socket to connect to an address with; as aiohttp's ``socket_factory`` it is asked about those of redirects, too.

        :raises Denied: the policy does not permit it.
        """
        family, kind, protocol, _, (host, port, *_) = info
        if not self.permits(str(host), port):
            raise Denied(None, f"the egress policy denies connections to {host}, port {port}")
        return socket.socket(family, kind, protocol)


_DENIED_BY_DEFAULT = networks(_NEVER_BY_ITSELF)


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
        permitted = [result for result in found if self._egress.permits(result["host"], port)]
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
