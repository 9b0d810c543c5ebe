"""Which of its VIM connections a VNF lives in. One VNF is in one cloud, so there is one for all of its resources.

Rules of this module: pure. What exists says where it is; else the links that the requester wants to be connected to, else it
is the first. A link in another cloud cannot be connected to. SOL003 clause 4.4.1.6 (vimConnectionInfo is a map by
vimConnectionId); what a grant says to it (clause 9.5.2.3) is known only to who works with the grant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from forestay_events.errors import Rejected
from forestay_lcm.domain.plan import DRIVERS
from forestay_sol.faults import pointer
from forestay_sol.vnflcm import InstantiatedVnfInfo, VimConnectionInfo, VimConnections

_LATER_NAMED = VimConnectionInfo(vim_type=next(iter(DRIVERS)))
"""In place of the VIM that only the grant is going to name; it has to be one of the same driver then."""

_LINKS = ("extVirtualLinks", "extManagedVirtualLinks")


def place_of(
    connections: VimConnections, info: InstantiatedVnfInfo | None, params: Mapping[str, Any], *, nfvo: bool
) -> VimConnectionInfo:
    """Where an operation works, as far as that is known before the grant.

    :param connections: the VNF's and the request's; none if it is all the NFVO's choice.
    :param params: the request.
    :param nfvo: an NFVO will be asked, whose grant may bring connections that are not known yet.
    :raises Rejected: 400, a link names a connection that there is not, or another cloud than the VNF or its other links.
    """
    home = next(present(connections, info), None)
    for where, key in linked(params):
        if key not in connections and not nfvo:
            known = ", ".join(sorted(connections))
            raise Rejected(
                400, f"Invalid vimConnectionId '{key}': the VNF's vimConnectionInfo has {known}.", pointer=where
            )
        if home is not None and key != home:
            raise Rejected(
                400, f"One VNF cannot be in several clouds, but {key} is another one than {home}.", pointer=where
            )
        home = key
    return connections.get(home or "") or next(iter(connections.values()), _LATER_NAMED)


def present(connections: VimConnections, info: InstantiatedVnfInfo | None) -> Iterator[str]:
    """The keys of the connections on which there are VNFCs."""
    keys = (vnfc.compute_resource.vim_connection_id for vnfc in (info.vnfc_resource_info if info else ()))
    yield from (key for key in keys if key in connections)


def linked(members: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The keys of the connections that links of a request or a grant name, each behind the JSON pointer to it."""
    for links in _LINKS:
        for at, link in enumerate(members.get(links) or ()):
            if key := link.get("vimConnectionId"):
                yield pointer([links, at, "vimConnectionId"]), key
