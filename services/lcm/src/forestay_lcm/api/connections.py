"""Which VIMs a request means: those that it names, completed from the registry, or the project's default. Secrets sealed."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from forestay_events.errors import Rejected
from forestay_events.sealing import Vault
from forestay_lcm.catalogue import Catalogue, reference_to
from forestay_lcm.domain.vim_login import check_logins
from forestay_sol.faults import pointer as json_pointer
from forestay_sol.vnflcm import (
    ChangeCurrentVnfPkgRequest,
    ChangeExtVnfConnectivityRequest,
    ChangeVnfFlavourRequest,
    InstantiateVnfRequest,
    VimConnectionInfo,
    VimConnections,
)

R = TypeVar(
    "R",
    InstantiateVnfRequest,
    ChangeExtVnfConnectivityRequest,
    ChangeVnfFlavourRequest,
    ChangeCurrentVnfPkgRequest,
)
Patch = dict[str, dict[str, Any] | None]

DEFAULT_KEY = "default"


async def chosen_connections(
    catalogue: Catalogue, vault: Vault, project: str, vnf_id: str, given: VimConnections
) -> VimConnections:
    """Where an INSTANTIATE goes; nowhere yet, if an NFVO elsewhere can still choose.

    :raises Rejected: 404 unknown vimId; 400 nothing says which VIM, nor will.
    """
    if not given:
        known = await catalogue.default_vim(project)
        if known is None and catalogue.has_nfvo:
            return {}
        if known is None:
            raise Rejected(
                400,
                "No vimConnectionInfo is given and the project has no default VIM: name a VIM, or register one as default.",
                pointer="/vimConnectionInfo",
            )
        return {DEFAULT_KEY: reference_to(known)}
    return await named_connections(catalogue, vault, project, vnf_id, given)


async def named_connections(
    catalogue: Catalogue, vault: Vault, project: str, vnf_id: str, given: VimConnections
) -> VimConnections:
    """The connections to record; of a registered VIM no secret is copied (its id leads to them).

    :raises Rejected: 404 unknown vimId; 400 an entry says too little, or what cannot be; 422 no VIM may be there.
    """
    check_logins(msgspec.to_builtins(given), catalogue.egress)
    return {key: await _connection(catalogue, vault, project, vnf_id, key, info) for key, info in given.items()}


async def _connection(
    catalogue: Catalogue, vault: Vault, project: str, vnf_id: str, key: str, info: VimConnectionInfo
) -> VimConnectionInfo:
    if info.access_info is not None and info.interface_info is not None:
        path = f"/vimConnectionInfo/{key}/accessInfo"
        sealed = await vault.seal_members(vnf_id, info.access_info, path=path)
        return msgspec.structs.replace(info, access_info=sealed)
    if info.vim_id is None:
        raise Rejected(
            400,
            "A VIM connection needs the vimId of a registered VIM, or interfaceInfo and accessInfo.",
            pointer=json_pointer(["vimConnectionInfo", key]),
        )
    known = await catalogue.vim(project, info.vim_id)
    if known is None:
        pointer = json_pointer(["vimConnectionInfo", key, "vimId"])
        raise Rejected(404, f"VIM {info.vim_id} not found.", pointer=pointer)
    return reference_to(known)


async def patched_connections(catalogue: Catalogue, vault: Vault, project: str, vnf_id: str, patch: Patch) -> Patch:
    """A merge patch of connections.

    :raises Rejected: 404 unknown vimId; 400, 422 as of :func:`named_connections`.
    """
    check_logins(patch, catalogue.egress)
    for key, entry in patch.items():
        given = entry or {}
        vim_id, complete = given.get("vimId"), given.get("interfaceInfo") and given.get("accessInfo")
        if isinstance(vim_id, str) and not complete and await catalogue.vim(project, vim_id) is None:
            pointer = json_pointer(["vimConnectionInfo", key, "vimId"])
            raise Rejected(404, f"VIM {vim_id} not found.", pointer=pointer)
    return await vault.seal_members(vnf_id, patch, path="/vimConnectionInfo")


def recorded(request: R, connections: VimConnections) -> R:
    """The request for the log: as it came, but with the connections as they are recorded."""
    return msgspec.structs.replace(request, vim_connection_info=connections if request.vim_connection_info else {})
