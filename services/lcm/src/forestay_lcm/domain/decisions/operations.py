"""The operations that touch a VIM: each is checked against state and VNFD, then begins with its plan.

What can be found wrong is found here, before the 202: flavour, level, aspect, VNFC ids, whether the driver can do it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from forestay_events.aggregate import Context, Decision
from forestay_events.errors import Rejected
from forestay_lcm.domain.commands import (
    ChangeExtConn,
    ChangeFlavour,
    Heal,
    Instantiate,
    Operate,
    Scale,
    ScaleToLevel,
    Terminate,
)
from forestay_lcm.domain.decisions.guards import instantiated, is_in, lane_of, not_busy
from forestay_lcm.domain.events import OperationStarted, StepIntended, VnfEvent
from forestay_lcm.domain.plan import driver_of, plan
from forestay_lcm.domain.state import Vnf
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo, LcmOperation, ScaleInfo, VimConnectionInfo

Decided = Decision[VnfEvent]

#: Additional parameter of HEAL by which not only servers are made anew (wire section 3.8).
ALL = "all"


def instantiate(vnf: Vnf, command: Instantiate, ctx: Context) -> Decided:
    not_busy(vnf)
    is_in(vnf, "NOT_INSTANTIATED")
    request = command.request
    flavour = command.vnfd.flavour(request.flavour_id)
    level = flavour.level(request.instantiation_level_id)
    return _start(
        vnf,
        ctx,
        "INSTANTIATE",
        request,
        f"instantiate flavour {flavour.id} at level {level.id} requested",
        connections=command.vim_connections,
    )


def terminate(vnf: Vnf, command: Terminate, ctx: Context) -> Decided:
    instantiated(vnf)
    request = command.request
    graceful = request.termination_type == "GRACEFUL"
    reason = f"{request.termination_type.lower()} termination requested"
    return _start(vnf, ctx, "TERMINATE", request, reason, without=_waiting(graceful))


def scale(vnf: Vnf, command: Scale, ctx: Context) -> Decided:
    """By aspect, a number of steps (SOL003 5.4.5)."""
    info = instantiated(vnf)
    request = command.request
    levels = {item.aspect_id: item.scale_level for item in info.scale_status}
    if request.aspect_id not in levels:
        known = ", ".join(sorted(levels)) or "none"
        raise Rejected(400, f"Invalid aspectId '{request.aspect_id}': the VNF has {known}.", pointer="/aspectId")
    steps = (request.number_of_steps or 1) * (1 if request.type == "SCALE_OUT" else -1)
    level = levels[request.aspect_id]
    _flavour(command.flavours, info).scale_counts(request.aspect_id, level=level, steps=steps)
    after = _scaled(info, {request.aspect_id: level + steps})
    reason = f"{request.aspect_id} from scale level {level} to {level + steps} requested"
    return _start(vnf, ctx, "SCALE", request, reason, scale_status=after)


def scale_to_level(vnf: Vnf, command: ScaleToLevel, ctx: Context) -> Decided:
    """To an instantiation level, or to a scale level per aspect (SOL003 5.4.6)."""
    info = instantiated(vnf)
    request = command.request
    flavour = _flavour(command.flavours, info)
    if request.instantiation_level_id is not None:
        targets = dict(flavour.level(request.instantiation_level_id).scale_info)
    else:
        targets = {item.aspect_id: item.scale_level for item in request.scale_info or ()}
    for at, (aspect_id, level) in enumerate(targets.items()):
        aspect = flavour.aspect(aspect_id)
        if level > aspect.max_scale_level:
            raise Rejected(
                400,
                f"Aspect {aspect_id!r} has scale levels 0 to {aspect.max_scale_level}, not {level}.",
                pointer=f"/scaleInfo/{at}/scaleLevel",
            )
    wanted = ", ".join(f"{aspect} {level}" for aspect, level in targets.items())
    return _start(
        vnf, ctx, "SCALE_TO_LEVEL", request, f"scale levels {wanted} requested", scale_status=_scaled(info, targets)
    )


def heal(vnf: Vnf, command: Heal, ctx: Context) -> Decided:
    """Chosen VNFCs (SOL002) or all of them (SOL003); wire section 3.8."""
    info = instantiated(vnf)
    request = command.request
    known = {vnfc.id for vnfc in info.vnfc_info}
    for at, vnfc in enumerate(request.vnfc_instance_id):
        if vnfc not in known:
            names = ", ".join(sorted(known)) or "none"
            raise Rejected(
                400, f"vnfcInstanceId {vnfc} is unknown; the VNF has {names}.", pointer=f"/vnfcInstanceId/{at}"
            )
    everything = (request.additional_params or {}).get(ALL, False)
    if not isinstance(everything, bool):
        raise Rejected(400, "additionalParams 'all' is true or false.", pointer="/additionalParams/all")
    which = f"{len(request.vnfc_instance_id)} VNFCs" if request.vnfc_instance_id else "all VNFCs"
    because = f" because of {request.cause}" if request.cause else ""
    return _start(vnf, ctx, "HEAL", request, f"healing of {which} requested{because}")


def change_ext_conn(vnf: Vnf, command: ChangeExtConn, ctx: Context) -> Decided:
    """Other external virtual links or addresses for external CPs (SOL003 5.4.11)."""
    info = instantiated(vnf)
    flavour = _flavour(command.flavours, info)
    known = {*flavour.external_cps(), *flavour.ext_cps}
    for link_at, link in enumerate(command.request.ext_virtual_links):
        for cp_at, cp in enumerate(link.ext_cps):
            if cp.cpd_id not in known:
                raise Rejected(
                    400,
                    f"cpdId {cp.cpd_id} is no external CP of the flavour: {', '.join(sorted(known)) or 'it has none'}.",
                    pointer=f"/extVirtualLinks/{link_at}/extCps/{cp_at}/cpdId",
                )
    links = ", ".join(link.id for link in command.request.ext_virtual_links)
    return _start(vnf, ctx, "CHANGE_EXT_CONN", command.request, f"change of external connectivity to {links} requested")


def change_flavour(vnf: Vnf, command: ChangeFlavour, ctx: Context) -> Decided:
    """Another deployment flavour (SOL003 5.4.7)."""
    info = instantiated(vnf)
    request = command.request
    flavour = command.vnfd.flavour(request.new_flavour_id)
    if flavour.id == info.flavour_id:
        raise Rejected(400, f"The VNF has flavour {flavour.id} already.", pointer="/newFlavourId")
    level = flavour.level(request.instantiation_level_id)
    after = tuple(ScaleInfo(aspect_id=aspect, scale_level=scale) for aspect, scale in level.scale_info.items())
    reason = f"flavour {flavour.id} at level {level.id} in place of {info.flavour_id} requested"
    return _start(vnf, ctx, "CHANGE_FLAVOUR", request, reason, scale_status=after)


def operate(vnf: Vnf, command: Operate, ctx: Context) -> Decided:
    """Start or stop the VNF, or single VNFCs of it (SOL003 5.4.10, SOL002)."""
    info = instantiated(vnf)
    request = command.request
    known = {vnfc.id: vnfc.vnfc_state for vnfc in info.vnfc_info}
    for at, vnfc in enumerate(request.vnfc_instance_id):
        if vnfc not in known:
            raise Rejected(400, f"vnfcInstanceId {vnfc} is unknown.", pointer=f"/vnfcInstanceId/{at}")
    if request.change_state_to == "STARTED" and request.stop_type is not None:
        raise Rejected(400, "stopType goes with changeStateTo STOPPED only.", pointer="/stopType")
    chosen = request.vnfc_instance_id or tuple(known)
    if chosen and all(known[vnfc] == request.change_state_to for vnfc in chosen):
        raise Rejected(409, f"What is to be {request.change_state_to} is {request.change_state_to} already.")
    graceful = request.change_state_to == "STOPPED" and request.stop_type == "GRACEFUL"
    reason = f"change of state to {request.change_state_to} requested"
    return _start(vnf, ctx, "OPERATE", request, reason, without=_waiting(graceful))


def _start(
    vnf: Vnf,
    ctx: Context,
    operation: LcmOperation,
    request: msgspec.Struct,
    reason: str,
    *,
    connections: Mapping[str, VimConnectionInfo] | None = None,
    scale_status: tuple[ScaleInfo, ...] = (),
    without: frozenset[str] = frozenset(),
) -> Decided:
    where = connections or vnf.vim_connections
    driver = driver_of(next(iter(where.values())).vim_type)
    started = OperationStarted(
        op_id=ctx.new_id("operation"),
        operation=operation,
        params=msgspec.to_builtins(request),
        steps=plan(driver, operation, without=without),
        lane=lane_of(where),
        vim_connections=dict(connections or {}),
        scale_status=scale_status,
    )
    first = StepIntended(op_id=started.op_id, step=started.steps[0].name, attempt=1)
    return Decided([started, first], reason)


def _waiting(graceful: bool) -> frozenset[str]:
    return frozenset() if graceful else frozenset({"graceful-wait"})


def _flavour(flavours: Mapping[str, Flavour], info: InstantiatedVnfInfo) -> Flavour:
    return flavours[info.flavour_id]


def _scaled(info: InstantiatedVnfInfo, levels: Mapping[str, int]) -> tuple[ScaleInfo, ...]:
    return tuple(
        msgspec.structs.replace(item, scale_level=levels.get(item.aspect_id, item.scale_level))
        for item in info.scale_status
    )
