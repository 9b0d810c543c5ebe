"""``vdu_params`` of a CHANGE_VNFPKG: which VDUs are updated, and how a coordination script reaches their VNFCs.

Wire sections 3.10 and 8.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from forestay_events.errors import Rejected
from forestay_sol.vnflcm import InstantiatedVnfInfo, VnfcResourceInfo

COORDINATION: Mapping[str, str] = {
    "coordinate-new": "lcm-operation-coordinate-new-vnf",
    "coordinate-old": "lcm-operation-coordinate-old-vnf",
}
"""The additional parameter that names the script, by kind of step."""


class VduParams(msgspec.Struct, frozen=True, kw_only=True):
    """One of the list. The parameters name a connection point, and a user and a password for it."""

    vdu_id: str
    new_vnfc_param: dict[str, Any] | None = None
    old_vnfc_param: dict[str, Any] | None = None


def vdu_params(params: Mapping[str, Any], info: InstantiatedVnfInfo) -> tuple[VduParams, ...]:
    """Those of a request; all VDUs of the VNF if it has none.

    :param params: its ``additionalParams``.
    :raises Rejected: 400, malformed, unknown or named twice.
    """
    known = list(dict.fromkeys(vnfc.vdu_id for vnfc in info.vnfc_resource_info))
    where = "/additionalParams/vdu_params"
    if "vdu_params" not in params:
        return tuple(VduParams(vdu_id=vdu_id) for vdu_id in known)
    try:
        given = msgspec.convert(params["vdu_params"], tuple[VduParams, ...])
    except msgspec.ValidationError as error:
        raise Rejected(400, f"vdu_params is a list of objects with a vdu_id: {error}", pointer=where) from error
    for at, item in enumerate(given):
        if item.vdu_id not in known:
            detail = f"Invalid vdu_id '{item.vdu_id}': the VNF has {', '.join(known) or 'none'}."
            raise Rejected(400, detail, pointer=f"{where}/{at}/vdu_id")
    if not given or _twice(item.vdu_id for item in given):
        raise Rejected(400, "vdu_params names each VDU once, and at least one.", pointer=where)
    return given


def vnfcs_in_turn(chosen: Iterable[VduParams], info: InstantiatedVnfInfo) -> list[VnfcResourceInfo]:
    """The VNFCs in the order in which they are updated: VDU by VDU, the numbers of ``update-vnfc`` count them."""
    return [vnfc for item in chosen for vnfc in info.vnfc_resource_info if vnfc.vdu_id == item.vdu_id]


def _twice(names: Iterable[str]) -> bool:
    given = list(names)
    return len(given) > len(set(given))
