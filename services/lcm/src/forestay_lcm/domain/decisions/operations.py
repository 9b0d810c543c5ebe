"""The operations that touch a VIM: each is checked against state and VNFD, then begins with its plan.

What can be found wrong is found here, before the 202: flavour, level, aspect, VNFC ids, whether the driver can do it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
from forestay_lcm.domain.decisions.guards import has, instantiated, is_in, not_busy
from forestay_lcm.domain.decisions.requested import external_links, feasible, new_flavour, vnfcs
from forestay_lcm.domain.decisions.starting import Accepted, start
from forestay_lcm.domain.events import VnfEvent
from forestay_lcm.domain.plan import RECREATE
from forestay_lcm.domain.state import Vnf
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo, ScaleInfo

Decided = Decision[VnfEvent]

#: Additional parameter of HEAL by which not only servers are made anew (wire section 3.8).
ALL = "all"


def instantiate(vnf: Vnf, command: Instantiate, ctx: Context) -> Decided:
    """A deployment flavour at one of its instantiation levels (SOL003 5.4.4)."""
    not_busy(vnf)
    is_in(vnf, "NOT_INSTANTIATED")
    has(vnf, command.vnfd)
    request = command.request
    flavour = command.vnfd.flavour(request.flavour_id)
    level = flavour.level(request.instantiation_level_id)
    feasible(vnf, command, command.vnfd, flavour, "flavourId")
    accepted = Accepted(
        operation="INSTANTIATE",
        request=request,
        reason=f"instantiate flavour {flavour.id} at level {level.id} requested",
        flavour=flavour,
        connections=command.vim_connections,
        scale_status=_status(level.scale_info),
        nfvo=command.nfvo,
    )
    return start(vnf, ctx, accepted)


def terminate(vnf: Vnf, command: Terminate, ctx: Context) -> Decided:
    """Nothing of the VNF is left in the VIM (SOL003 5.4.8)."""
    info, request = instantiated(vnf, command.vnfd), command.request
    accepted = Accepted(
        operation="TERMINATE",
        request=request,
        reason=f"{request.termination_type.lower()} termination requested",
        flavour=command.vnfd.flavours.get(info.flavour_id),
        without=_waiting(graceful=request.termination_type == "GRACEFUL"),
    )
    return start(vnf, ctx, accepted)


def scale(vnf: Vnf, command: Scale, ctx: Context) -> Decided:
    """By aspect, a number of steps (SOL003 5.4.5)."""
    info = instantiated(vnf, command.vnfd)
    request = msgspec.structs.replace(command.request, number_of_steps=command.request.number_of_steps or 1)
    level = _scale_level(info, request.aspect_id, "/aspectId")
    steps = (request.number_of_steps or 1) * (1 if request.type == "SCALE_OUT" else -1)
    flavour = command.vnfd.flavour(info.flavour_id)
    flavour.scale_counts(request.aspect_id, level=level, steps=steps)
    accepted = Accepted(
        operation="SCALE",
        request=request,
        reason=f"{request.aspect_id} from scale level {level} to {level + steps} requested",
        flavour=flavour,
        scale_status=_scaled(info, {request.aspect_id: level + steps}),
    )
    return start(vnf, ctx, accepted)


def scale_to_level(vnf: Vnf, command: ScaleToLevel, ctx: Context) -> Decided:
    """To an instantiation level, or to a scale level per aspect; an aspect that is not named stays (SOL003 5.4.6)."""
    info = instantiated(vnf, command.vnfd)
    request = command.request
    flavour = command.vnfd.flavour(info.flavour_id)
    if request.scale_info is None:
        targets = dict(flavour.level(request.instantiation_level_id).scale_info)
    else:
        targets = _wanted_levels(flavour, info, request.scale_info)
    levels = ", ".join(f"{aspect} {level}" for aspect, level in targets.items())
    accepted = Accepted(
        operation="SCALE_TO_LEVEL",
        request=request,
        reason=f"scale levels {levels} requested",
        flavour=flavour,
        scale_status=_scaled(info, targets),
    )
    return start(vnf, ctx, accepted)


def heal(vnf: Vnf, command: Heal, ctx: Context) -> Decided:
    """Chosen VNFCs (SOL002) or all of them (SOL003); wire section 3.8."""
    info, request = instantiated(vnf, command.vnfd), command.request
    vnfcs(request.vnfc_instance_id, {vnfc.id for vnfc in info.vnfc_info})
    if not isinstance((request.additional_params or {}).get(ALL, False), bool):
        raise Rejected(400, "additionalParams 'all' is true or false.", pointer="/additionalParams/all")
    which = f"{len(request.vnfc_instance_id)} VNFCs" if request.vnfc_instance_id else "all VNFCs"
    because = f" because of {request.cause}" if request.cause else ""
    accepted = Accepted(
        operation="HEAL",
        request=request,
        reason=f"healing of {which} requested{because}",
        flavour=command.vnfd.flavour(info.flavour_id),
        variant=RECREATE if request.all and not request.vnfc_instance_id else None,
        automatic=command.automatic,
    )
    return start(vnf, ctx, accepted)


def change_ext_conn(vnf: Vnf, command: ChangeExtConn, ctx: Context) -> Decided:
    """Other external virtual links or addresses for external CPs (SOL003 5.4.11)."""
    info, request = instantiated(vnf, command.vnfd), command.request
    flavour = command.vnfd.flavour(info.flavour_id)
    external_links(flavour, request.ext_virtual_links)
    accepted = Accepted(
        operation="CHANGE_EXT_CONN",
        request=request,
        reason=f"change of external connectivity to {', '.join(link.id for link in request.ext_virtual_links)} requested",
        flavour=flavour,
        connections=command.vim_connections,
        nfvo=command.nfvo,
    )
    return start(vnf, ctx, accepted)


def change_flavour(vnf: Vnf, command: ChangeFlavour, ctx: Context) -> Decided:
    """Another deployment flavour (SOL003 5.4.7)."""
    info, request = instantiated(vnf, command.vnfd), command.request
    flavour = new_flavour(command.vnfd, request.new_flavour_id, "newFlavourId")
    if flavour.id == info.flavour_id:
        raise Rejected(400, f"The VNF has flavour {flavour.id} already.", pointer="/newFlavourId")
    level = flavour.level(request.instantiation_level_id)
    feasible(vnf, command, command.vnfd, flavour, "newFlavourId")
    accepted = Accepted(
        operation="CHANGE_FLAVOUR",
        request=request,
        reason=f"flavour {flavour.id} at level {level.id} in place of {info.flavour_id} requested",
        flavour=flavour,
        connections=command.vim_connections,
        scale_status=_status(level.scale_info),
        nfvo=command.nfvo,
    )
    return start(vnf, ctx, accepted)


def operate(vnf: Vnf, command: Operate, ctx: Context) -> Decided:
    """Start or stop the VNF, or single VNFCs of it (SOL003 5.4.10, SOL002)."""
    info, request = instantiated(vnf, command.vnfd), command.request
    known = {vnfc.id: vnfc.vnfc_state for vnfc in info.vnfc_info}
    vnfcs(request.vnfc_instance_id, known)
    graceful = request.change_state_to == "STOPPED" and request.stop_type == "GRACEFUL"
    if request.change_state_to == "STARTED" and request.stop_type is not None:
        raise Rejected(400, "stopType goes with changeStateTo STOPPED only.", pointer="/stopType")
    if request.graceful_stop_timeout is not None and not graceful:
        raise Rejected(400, "gracefulStopTimeout goes with stopType GRACEFUL only.", pointer="/gracefulStopTimeout")
    now = {known[vnfc] for vnfc in request.vnfc_instance_id or known} or {info.vnf_state}
    if now == {request.change_state_to}:
        raise Rejected(409, f"What is to be {request.change_state_to} is {request.change_state_to} already.")
    which = f"{len(request.vnfc_instance_id)} VNFCs" if request.vnfc_instance_id else "the VNF"
    accepted = Accepted(
        operation="OPERATE",
        request=request,
        reason=f"{which} to be {request.change_state_to}",
        flavour=command.vnfd.flavour(info.flavour_id),
        without=_waiting(graceful=graceful),
    )
    return start(vnf, ctx, accepted)


def _wanted_levels(flavour: Flavour, info: InstantiatedVnfInfo, wanted: Iterable[ScaleInfo]) -> dict[str, int]:
    """:raises Rejected: 400, an aspect is unknown or named twice, or has no such scale level."""
    levels: dict[str, int] = {}
    for at, item in enumerate(wanted):
        here = f"/scaleInfo/{at}"
        _scale_level(info, item.aspect_id, f"{here}/aspectId")
        if item.aspect_id in levels:
            raise Rejected(400, f"Aspect '{item.aspect_id}' is named twice.", pointer=f"{here}/aspectId")
        most = flavour.aspect(item.aspect_id).max_scale_level
        if item.scale_level > most:
            detail = f"Invalid scaleLevel '{item.scale_level}': aspect {item.aspect_id!r} has 0 to {most}."
            raise Rejected(400, detail, pointer=f"{here}/scaleLevel")
        levels[item.aspect_id] = item.scale_level
    return levels


def _scale_level(info: InstantiatedVnfInfo, aspect_id: str, where: str) -> int:
    """The scale level that an aspect has now. :raises Rejected: 400, the VNF is not scaled by it."""
    levels = {item.aspect_id: item.scale_level for item in info.scale_status}
    if aspect_id not in levels:
        known = ", ".join(sorted(levels)) or "none"
        raise Rejected(400, f"Invalid aspectId '{aspect_id}': the VNF has {known}.", pointer=where)
    return levels[aspect_id]


def _waiting(*, graceful: bool) -> frozenset[str]:
    return frozenset() if graceful else frozenset({"graceful-wait"})


def _status(levels: Mapping[str, int]) -> tuple[ScaleInfo, ...]:
    return tuple(ScaleInfo(aspect_id=aspect, scale_level=level) for aspect, level in levels.items())


def _scaled(info: InstantiatedVnfInfo, levels: Mapping[str, int]) -> tuple[ScaleInfo, ...]:
    return tuple(
        msgspec.structs.replace(item, scale_level=levels.get(item.aspect_id, item.scale_level))
        for item in info.scale_status
    )
