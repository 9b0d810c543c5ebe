"""Where a content may be fetched (SSRF): public addresses, and the networks that the operator allows besides.

A package's address is chosen by whoever may create one, and what comes back can be downloaded again. So everything that is
not public is denied unless it is allowed by name of its network: private, loopback, link-local and metadata addresses,
multicast, and addresses that hold such a one in them (IPv4-mapped, 6to4, NAT64).
"""

from __future__ import annotations

from forestay_sol.egress import Address, Egress


class FetchEgress(Egress, frozen=True, kw_only=True):
    """The policy; ``allowed`` are networks besides the public addresses, ``denied`` those that are never reached."""

    def admits(self, address: Address) -> bool:
        return any(address in network for network in self.allowed) or (address.is_global and not address.is_multicast)
