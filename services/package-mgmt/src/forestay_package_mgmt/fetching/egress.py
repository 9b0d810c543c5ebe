"""Where a content may be fetched (SSRF): public addresses, and the networks that the operator allows besides.

A package's address is chosen by whoever may create one, and what comes back can be downloaded again. So everything that is
not public is denied unless it is allowed by name of its network: private, loopback, link-local and metadata addresses,
multicast, and addresses that hold such a one in them (IPv4-mapped, 6to4, NAT64).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from forestay_sol.egress import Egress

_NAT64 = ip_network("64:ff9b::/96")


class FetchEgress(Egress, frozen=True, kw_only=True):
    """The policy; ``allowed`` are networks besides the public addresses, ``denied`` those that are never reached."""

    def permits(self, text: str) -> bool:
        """Say whether an IP address may be connected to."""
        address = _innermost(ip_address(text.partition("%")[0]))
        if any(address in network for network in self.denied):
            return False
        if any(address in network for network in self.allowed):
            return True
        return address.is_global and not address.is_multicast


def _innermost(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address leads to, if it is such a one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None) or address
