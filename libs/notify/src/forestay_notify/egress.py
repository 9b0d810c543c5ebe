"""Where Forestay may connect to because a user says so: callbacks and token endpoints (SSRF).

Rules: every address that a name resolves to is checked at the moment of the connection, so a name that changes its mind later
gains nothing. Link-local and metadata addresses of clouds, multicast and the unspecified address are denied unless they are
allowed by name of their network; loopback is allowed only while authentication is off, since then everybody on this machine
may ask for anything anyhow. With a list of allowed networks, nothing else is allowed.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from forestay_events.errors import Permanent, Rejected
from yarl import URL

Network = IPv4Network | IPv6Network

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
    """

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()
    loopback: bool = False

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
        :raises Rejected: 400, it is no http(s) URI or holds a password; 422, its address is denied.
        """
        try:
            url = URL(uri)
            host = url.host
        except ValueError as error:
            raise Rejected(400, f"This is no URI: {error}.", pointer=member) from None
        if url.scheme not in ("http", "https") or not host or url.user is not None or url.password is not None:
            raise Rejected(400, "An http or https URI without user information is needed.", pointer=member)
        if _is_address(host) and not self.permits(host):
            raise Rejected(422, f"The egress policy of Forestay denies connections to {host}.", pointer=member)
        return url


_DENIED_BY_DEFAULT = networks(_NEVER_BY_ITSELF)


class EgressResolver(AbstractResolver):
    """Resolves names to those of their addresses that the policy permits."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._names = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        permitted = [result for result in found if self._egress.permits(result["host"])]
        if not permitted:
            raise OSError(None, f"the egress policy denies the addresses of {host}")
        return permitted

    async def close(self) -> None:
        await self._names.close()


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
