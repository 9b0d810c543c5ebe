"""The VNF instance as a resource: created, its information modified, deleted. Nothing of it touches a VIM."""

from __future__ import annotations

from typing import Any

import msgspec
from forestay_events.aggregate import Context, Decision
from forestay_events.errors import Rejected
from forestay_lcm.domain.commands import CreateVnf, DeleteVnf, Modify
from forestay_lcm.domain.connections import place_of
from forestay_lcm.domain.decisions.guards import has, is_in, lane_of, not_busy
from forestay_lcm.domain.decisions.requested import declared
from forestay_lcm.domain.events import (
    ModificationStarted,
    OperationCompleted,
    StepIntended,
    VnfCreated,
    VnfDeleted,
    VnfEvent,
    VnfInfoModified,
)
from forestay_lcm.domain.merge_patch import merge_patch
from forestay_lcm.domain.plan import HOOKS, ROLLBACK_HOOKS, around, driver_of, steps
from forestay_lcm.domain.state import Vnf
from forestay_sol.vnfd import Vnfd
from forestay_sol.vnflcm import InstantiatedVnfInfo, VimConnectionInfo, VnfInfoModificationRequest
from msgspec import UNSET

VNFC_MAPPING = "VDU_VNFc_mapping"
"""Member of ``metadata`` by which a requester names the VNFCs (wire section 3.1)."""

_NO_VIM = "unregistered"

_ROLLBACK_HOOKS = frozenset(HOOKS["MODIFY_INFO"] + end for end in ROLLBACK_HOOKS)


def create(vnf: Vnf | None, command: CreateVnf) -> Decision[VnfEvent]:
    """A new instance, with what the VNFD declares (SOL003 5.4.2.3.1); of one that is there already, nothing."""
    if vnf is not None:
        return Decision([])
    request, vnfd = command.request, command.vnfd
    _check_vnfc_mapping((request.metadata or {}).get(VNFC_MAPPING))
    created = VnfCreated(
        **described_by(vnfd),
        name=request.vnf_instance_name,
        description=request.vnf_instance_description,
        metadata=vnfd.metadata | (request.metadata or {}),
        extensions=vnfd.extensions,
        configurable_properties=vnfd.configurable_properties,
    )
    return Decision([created], f"{vnfd.product_name} {vnfd.software_version} of {vnfd.provider} requested")


def delete(vnf: Vnf, command: DeleteVnf, ctx: Context) -> Decision[VnfEvent]:
    """The end of the resource (SOL003 5.4.3.3.5). :raises Rejected: 409, it is busy or instantiated."""
    not_busy(vnf)
    is_in(vnf, "NOT_INSTANTIATED")
    return Decision([VnfDeleted()], "deletion requested")


def modify(vnf: Vnf, command: Modify, ctx: Context) -> Decision[VnfEvent]:
    """PATCH (SOL003 5.4.3.3.4): an RFC 7396 merge patch of what is the requester's to change."""
    not_busy(vnf)
    request = command.request
    _check_vnfd(vnf, command)
    declared(command.vnfd, extensions=request.extensions, properties=request.vnf_configurable_properties)
    if vnf.instantiation_state == "NOT_INSTANTIATED" and request.vim_connection_info is not UNSET:
        raise Rejected(
            400,
            "vimConnectionInfo can be changed only while the VNF is instantiated; INSTANTIATE names it.",
            pointer="/vimConnectionInfo",
        )
    _with_vnfc_properties(vnf, request)
    change = _modified(vnf, command)
    _check_vnfc_mapping(change.metadata.get(VNFC_MAPPING) if change.metadata is not UNSET else None)
    hooks = _hooks(vnf, command.present)
    steps_ = steps(around((), HOOKS["MODIFY_INFO"], hooks))
    started = ModificationStarted(
        op_id=ctx.new_id("operation"),
        operation="MODIFY_INFO",
        params=msgspec.to_builtins(request),
        steps=steps_,
        lane=_lane(vnf),
        hooks=tuple(sorted(hooks & _ROLLBACK_HOOKS)),
        modification=change,
    )
    events: list[VnfEvent] = [started]
    if steps_:
        events.append(StepIntended(op_id=started.op_id, step=steps_[0].name, attempt=1))
    else:
        events += completed_modification(vnf, started.op_id, started.params, change)
    return Decision(events, "modification requested", correlation_id=started.op_id)


def _lane(vnf: Vnf) -> str:
    if not vnf.vim_connections:
        return _NO_VIM
    return lane_of(place_of(vnf.vim_connections, vnf.instantiated_vnf_info, {}, nfvo=False))


def completed_modification(
    vnf: Vnf, op_id: str, params: dict[str, Any], change: VnfInfoModified, info: InstantiatedVnfInfo | None = None
) -> list[VnfEvent]:
    """How a MODIFY_INFO ends.

    :param params: its request, as it is recorded.
    :param info: the instance's, if a script has changed it.
    """
    request = msgspec.convert(params, VnfInfoModificationRequest)
    if info is not None:
        vnf = msgspec.structs.replace(vnf, instantiated_vnf_info=info)
    completed = OperationCompleted(
        op_id=op_id,
        instantiation_state=vnf.instantiation_state,
        instantiated_vnf_info=_with_vnfc_properties(vnf, request),
        changed_info=_changed_info(change, request),
    )
    return [change, completed]


def _hooks(vnf: Vnf, vnfd: Vnfd) -> frozenset[str]:
    """The hooks that the VNF's flavour has a script for; before it is instantiated, those of the VNFD's own choice."""
    flavour = vnfd.flavours.get(vnf.flavour_id or vnfd.chosen_flavour_id or "")
    return frozenset(flavour.lcm_scripts if flavour else ())


def _check_vnfd(vnf: Vnf, command: Modify) -> None:
    """:raises Rejected: 422, the VNFD to come lacks the flavour that is running; 409, it is another than was looked up."""
    wanted, info = command.request.vnfd_id, vnf.instantiated_vnf_info
    if wanted is UNSET:
        has(vnf, command.vnfd)
    elif vnf.instantiation_state == "INSTANTIATED" and info and info.flavour_id not in command.vnfd.flavours:
        detail = f"VNFD {wanted} has no flavour '{info.flavour_id}', which VnfInstance {vnf.id} is instantiated with."
        raise Rejected(422, detail, pointer="/vnfdId")


def _modified(vnf: Vnf, command: Modify) -> VnfInfoModified:
    request = command.request
    changes: dict[str, Any] = {}
    if request.vnf_instance_name is not UNSET:
        changes["name"] = request.vnf_instance_name
    if request.vnf_instance_description is not UNSET:
        changes["description"] = request.vnf_instance_description
    for name, patch, present in (
        ("metadata", request.metadata, vnf.metadata),
        ("extensions", request.extensions, vnf.extensions),
        ("configurable_properties", request.vnf_configurable_properties, vnf.configurable_properties),
    ):
        if patch is not UNSET:
            changes[name] = merge_patch(present, patch) if patch is not None else {}
    if request.vim_connection_info is not UNSET:
        merged = merge_patch(msgspec.to_builtins(vnf.vim_connections), request.vim_connection_info)
        changes["vim_connections"] = _connections(merged)
    if request.vnfd_id is not UNSET:
        changes |= described_by(command.vnfd)
    return VnfInfoModified(**changes)


def described_by(vnfd: Vnfd) -> dict[str, str]:
    """What a VNF instance says of its VNFD, by member of the events."""
    return {
        "vnfd_id": vnfd.vnfd_id,
        "provider": vnfd.provider,
        "product_name": vnfd.product_name,
        "software_version": vnfd.software_version,
        "vnfd_version": vnfd.vnfd_version,
    }


def _connections(merged: dict[str, Any]) -> dict[str, VimConnectionInfo]:
    if not merged:
        raise Rejected(400, "An instantiated VNF needs a VIM connection: not all can go.", pointer="/vimConnectionInfo")
    try:
        connections = msgspec.convert(merged, dict[str, VimConnectionInfo])
    except msgspec.ValidationError as error:
        raise Rejected(
            400, f"The merged vimConnectionInfo is not valid: {error}", pointer="/vimConnectionInfo"
        ) from error
    driver_of(next(iter(connections.values())).vim_type)
    return connections


def _with_vnfc_properties(vnf: Vnf, request: VnfInfoModificationRequest) -> InstantiatedVnfInfo | None:
    """SOL002: new configurable properties of single VNFCs."""
    info = vnf.instantiated_vnf_info
    if request.vnfc_info_modifications is UNSET or not request.vnfc_info_modifications:
        return info
    wanted = {item.id: item.vnfc_configurable_properties for item in request.vnfc_info_modifications}
    known = {vnfc.id: vnfc for vnfc in info.vnfc_info} if info else {}
    for at, item in enumerate(request.vnfc_info_modifications):
        if item.id not in known:
            pointer = f"/vnfcInfoModifications/{at}/id"
            raise Rejected(
                400, f"VnfcInfo {item.id} is unknown; known are: {', '.join(known) or 'none'}.", pointer=pointer
            )
    assert info is not None, "it has the VNFCs"  # noqa: S101
    vnfcs = tuple(
        msgspec.structs.replace(
            vnfc,
            vnfc_configurable_properties=merge_patch(vnfc.vnfc_configurable_properties or {}, wanted[vnfc.id]),
        )
        if vnfc.id in wanted
        else vnfc
        for vnfc in info.vnfc_info
    )
    return msgspec.structs.replace(info, vnfc_info=vnfcs)


_SOL_NAMES = {
    "name": "vnfInstanceName",
    "description": "vnfInstanceDescription",
    "vnfd_id": "vnfdId",
    "provider": "vnfProvider",
    "product_name": "vnfProductName",
    "software_version": "vnfSoftwareVersion",
    "vnfd_version": "vnfdVersion",
    "metadata": "metadata",
    "extensions": "extensions",
    "configurable_properties": "vnfConfigurableProperties",
    "vim_connections": "vimConnectionInfo",
}


def modifications(change: VnfInfoModified) -> dict[str, Any]:
    """VnfInfoModifications (SOL003 5.5.2.12a)."""
    return {
        _SOL_NAMES[name]: msgspec.to_builtins(value)
        for name, value in msgspec.structs.asdict(change).items()
        if value is not UNSET and value is not None
    }


def _changed_info(change: VnfInfoModified, request: VnfInfoModificationRequest) -> dict[str, Any]:
    values = modifications(change)
    if request.vnfc_info_modifications is not UNSET:
        values["vnfcInfoModifications"] = msgspec.to_builtins(request.vnfc_info_modifications)
    return values


def _check_vnfc_mapping(mapping: Any) -> None:
    """The ids that the requester wants VNFCs to have, by VDU: each id names one VNFC."""
    if mapping is None:
        return
    where = f"/metadata/{VNFC_MAPPING}"
    try:
        ids = [vnfc for vnfcs in msgspec.convert(mapping, dict[str, tuple[str, ...]]).values() for vnfc in vnfcs]
    except msgspec.ValidationError:
        raise Rejected(400, f"{VNFC_MAPPING} shall map each VDU id to a list of VNFC ids.", pointer=where) from None
    if twice := sorted({vnfc for vnfc in ids if ids.count(vnfc) > 1}):
        raise Rejected(400, f"{VNFC_MAPPING} names {', '.join(twice)} more than once.", pointer=where)
