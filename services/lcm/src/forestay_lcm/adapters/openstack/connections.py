"""Which of its VIM connections a VNF lives in. One stack is in one cloud, so there is one for all resources of a VNF.

Rules of this module: pure. What exists says where it is; else the grant decides, else the links that the requester wants to
be connected to, else it is the first. A link in another cloud cannot be connected to: that is said before anything is made,
and before the operation begins if it does not take a grant to know it (:mod:`forestay_lcm.domain.connections`).
SOL003 clauses 4.4.1.6 (vimConnectionInfo is a map by vimConnectionId) and 9.5.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from forestay_events.errors import Permanent

from forestay_lcm.domain.connections import linked, present
from forestay_lcm.domain.state import Operation, Vnf


def connection_of(vnf: Vnf, operation: Operation) -> str:
    """The key of the VIM connection that an operation works on.

    :raises Permanent: 422, a vimConnectionId is not the VNF's, or there are several.
    """
    known = vnf.vim_connections
    granted: Mapping[str, Any] = operation.results.get("grant", {}).get("grant") or {}
    there, added = set(present(known, vnf.instantiated_vnf_info)), set(_added(granted))
    links = {key for members in (operation.params, granted) for _, key in linked(members)}
    named = there or added or links
    everything = there | added | links
    if unknown := sorted(everything - known.keys()):
        have = ", ".join(sorted(known))
        raise _refused(f"vimConnectionId {', '.join(unknown)} is not in the VNF's vimConnectionInfo, which has {have}.")
    if len(everything) > 1:
        raise _refused(
            f"One stack cannot be in several clouds, but the resources and links are in {', '.join(sorted(everything))}."
        )
    return next(iter(named), None) or next(iter(known))


def living_in(vnf: Vnf) -> str:
    """The key of the VIM connection that an instantiated VNF lives in."""
    return next(present(vnf.vim_connections, vnf.instantiated_vnf_info), None) or next(iter(vnf.vim_connections), "")


def _added(granted: Mapping[str, Any]) -> Iterator[str]:
    zones: Mapping[str, Any] = {zone["id"]: zone for zone in granted.get("zones") or ()}
    for info in granted.get("addResources") or ():
        yield from _keys((info, zones.get(info.get("zoneId"), {})))


def _keys(items: Any) -> Iterator[str]:
    yield from (item["vimConnectionId"] for item in items or () if item.get("vimConnectionId"))


def _refused(detail: str) -> Permanent:
    return Permanent(detail, status=422, title="VIM connection cannot be used")
