"""CHANGE_VNFPKG (SOL003 5.4.11a, wire section 3.10): the VNF gets the VNFD of another package, VNFC by VNFC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from forestay_events.aggregate import Context, Decision
from forestay_events.errors import Rejected
from forestay_lcm.domain.commands import ChangeVnfPkg
from forestay_lcm.domain.decisions.guards import instantiated
from forestay_lcm.domain.decisions.requested import feasible
from forestay_lcm.domain.decisions.resource import described_by
from forestay_lcm.domain.decisions.starting import Accepted, start
from forestay_lcm.domain.events import VnfEvent, VnfInfoModified
from forestay_lcm.domain.state import Vnf
from forestay_lcm.domain.vdu_params import COORDINATION, VduParams, vdu_params, vnfcs_in_turn
from forestay_sol.faults import pointer
from forestay_sol.vnfd import Flavour, Vnfd

ROLLING_UPDATE = "RollingUpdate"


def change_vnfpkg(vnf: Vnf, command: ChangeVnfPkg, ctx: Context) -> Decision[VnfEvent]:
    """The VNFD of another package, with the same flavour. :raises Rejected: 409, 422 or 400, the pointer says of what."""
    info = instantiated(vnf, command.vnfd)
    request, coming = command.request, command.coming
    if info.flavour_id not in coming.flavours:
        known = ", ".join(sorted(coming.flavours))
        detail = f"VNFD {coming.vnfd_id} has {known}, but not the VNF's flavour '{info.flavour_id}'."
        raise Rejected(422, detail, pointer="/vnfdId")
    flavour = coming.flavours[info.flavour_id]
    feasible(vnf, command, coming, flavour, "vnfdId")
    params: Mapping[str, Any] = request.additional_params or {}
    if params.get("upgrade_type", ROLLING_UPDATE) != ROLLING_UPDATE:
        where = pointer(["additionalParams", "upgrade_type"])
        raise Rejected(
            400, f"not support upgrade_type {params['upgrade_type']}: it is {ROLLING_UPDATE}.", pointer=where
        )
    chosen = vdu_params(params, info)
    _check(chosen, flavour, params)
    accepted = Accepted(
        operation="CHANGE_VNFPKG",
        request=request,
        reason=f"VNFD {coming.vnfd_id} ({coming.software_version}) in place of {vnf.vnfd_id} requested",
        flavour=flavour,
        back=command.vnfd.flavours.get(info.flavour_id),
        connections=command.vim_connections,
        nfvo=command.nfvo,
        without=frozenset(step for step, name in COORDINATION.items() if name not in params),
        count=len(vnfcs_in_turn(chosen, info)),
        modification=_modification(vnf, coming),
    )
    return start(vnf, ctx, accepted)


def _check(chosen: tuple[VduParams, ...], flavour: Flavour, params: Mapping[str, Any]) -> None:
    """:raises Rejected: 400, a VDU is not in the new VNFD, or lacks what a coordination script logs in with."""
    for at, item in enumerate(chosen):
        where = ["additionalParams", "vdu_params", at]
        if item.vdu_id not in flavour.vdus:
            detail = f"The new VNFD has no VDU '{item.vdu_id}': it has {', '.join(sorted(flavour.vdus))}."
            raise Rejected(400, detail, pointer=pointer([*where, "vdu_id"]))
        for script, param, given in (
            ("coordinate-new", "new_vnfc_param", item.new_vnfc_param),
            ("coordinate-old", "old_vnfc_param", item.old_vnfc_param),
        ):
            if COORDINATION[script] not in params:
                continue
            if missing := [name for name in ("cp_name", "username", "password") if name not in (given or {})]:
                detail = f"'{COORDINATION[script]}' needs {', '.join(missing)} in '{param}' of VDU '{item.vdu_id}'."
                raise Rejected(400, detail, pointer=pointer([*where, param]))


def _modification(vnf: Vnf, coming: Vnfd) -> VnfInfoModified:
    """The instance's information afterwards: the VNFD's id always, else what is different."""
    present = msgspec.structs.asdict(vnf)
    told: dict[str, Any] = {
        **described_by(coming),
        "extensions": _defaults(vnf.extensions, coming.extensions),
        "configurable_properties": _defaults(vnf.configurable_properties, coming.configurable_properties),
    }
    changed: dict[str, Any] = {name: value for name, value in told.items() if value != present[name]}
    changed["vnfd_id"] = coming.vnfd_id
    return VnfInfoModified(**changed)


def _defaults(present: Mapping[str, Any], declared_: Mapping[str, Any]) -> dict[str, Any]:
    """A VNFD that declares any knows no others: what it does not know goes, what is new has its default."""
    if not declared_:
        return dict(present)
    return {name: present.get(name, default) for name, default in declared_.items()}
