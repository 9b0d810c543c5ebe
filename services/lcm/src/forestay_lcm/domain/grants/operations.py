"""The grant request of an operation as it stands in the log: which builder, which flavour, from which request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec
from forestay_events.errors import Permanent
from forestay_lcm.domain.grants.definitions import Asking
from forestay_lcm.domain.grants.requests import (
    change_ext_conn_grant_request,
    change_vnfpkg_grant_request,
    create_snapshot_grant_request,
    heal_grant_request,
    instantiate_grant_request,
    operate_grant_request,
    revert_to_snapshot_grant_request,
    terminate_grant_request,
)
from forestay_lcm.domain.grants.sizes import (
    change_flavour_grant_request,
    scale_grant_request,
    scale_to_level_grant_request,
)
from forestay_lcm.domain.state import Operation, Vnf
from forestay_lcm.domain.vdu_params import vdu_params
from forestay_sol.vnfd import Flavour, Vnfd
from forestay_sol.vnflcm import (
    ChangeExtVnfConnectivityRequest,
    ChangeVnfFlavourRequest,
    CreateVnfSnapshotRequest,
    GrantRequest,
    HealVnfRequest,
    InstantiatedVnfInfo,
    InstantiateVnfRequest,
    LcmOperation,
    OperateVnfRequest,
    RevertToVnfSnapshotRequest,
    ScaleVnfRequest,
    ScaleVnfToLevelRequest,
)
from msgspec import UNSET

T = TypeVar("T", bound=msgspec.Struct)

_PARAMS = "additionalParams"


class Asked(NamedTuple):
    """A grant request, with the flavour that what is added comes from (``None``: nothing is)."""

    request: GrantRequest
    flavour: Flavour | None


def asked_for(vnf: Vnf, operation: Operation, vnfd: Vnfd | None, asking: Asking) -> Asked:
    """The grant request of an operation.

    :param vnfd: the one that the VNF is going to have (:func:`vnfd_after`); TERMINATE needs none.
    :raises Permanent: the operation needs no grant, or the VNF has nothing to ask for.
    """
    info = vnf.instantiated_vnf_info
    if operation.operation == "TERMINATE" and info is not None:
        return Asked(terminate_grant_request(asking, info=info), None)
    if vnfd is None:
        raise Permanent(f"The grant for {operation.operation} of VNF instance {vnf.id} needs its VNFD.")
    if operation.operation == "INSTANTIATE":
        request = _recorded(operation.params, InstantiateVnfRequest)
        flavour = vnfd.flavour(request.flavour_id)
        return Asked(instantiate_grant_request(asking, flavour=flavour, request=request), flavour)
    builder = _BUILDERS.get(operation.operation)
    if info is None or builder is None:
        raise Permanent(f"There is no grant to ask for {operation.operation} of VNF instance {vnf.id}.")
    return builder(operation, vnfd, info, asking)


def vnfd_after(vnf: Vnf, operation: Operation) -> str:
    """The id of the VNFD that an operation leads to."""
    change = operation.modification
    return vnf.vnfd_id if change is None or change.vnfd_id is UNSET else change.vnfd_id


def flavour_after(vnf: Vnf, operation: Operation) -> str | None:
    """The id of the deployment flavour that an operation leads to; ``None`` where the VNF is not instantiated."""
    return operation.params.get("newFlavourId") or operation.params.get("flavourId") or vnf.flavour_id


def _recorded(params: Mapping[str, Any], type_: type[T]) -> T:
    """A request from the log. What is sealed in its additionalParams may be longer than a client's strings."""
    given = {name: value for name, value in params.items() if name != _PARAMS}
    return msgspec.structs.replace(msgspec.convert(given, type_), additional_params=params.get(_PARAMS))


def _scale(operation: Operation, vnfd: Vnfd, info: InstantiatedVnfInfo, asking: Asking) -> Asked:
    flavour, request = vnfd.flavour(info.flavour_id), _recorded(operation.params, ScaleVnfRequest)
    return Asked(scale_grant_request(asking, flavour=flavour, info=info, request=request), flavour)


def _scale_to_level(operation: Operation, vnfd: Vnfd, info: InstantiatedVnfInfo, asking: Asking) -> Asked:
    flavour, request = vnfd.flavour(info.flavour_id), _recorded(operation.params, ScaleVnfToLevelRequest)
    return Asked(scale_to_level_grant_request(asking, flavour=flavour, info=info, request=request), flavour)


def _heal(operation: Operation, vnfd: Vnfd, info: InstantiatedVnfInfo, asking: Asking) -> Asked:
    flavour, request = vnfd.flavour(info.flavour_id), _recorded(operation.params, HealVnfRequest)
    return Asked(heal_grant_request(asking, flavour=flavour, info=info, request=request), flavour)


def _change_ext_conn(operation: Operation, vnfd: Vnfd, info: InstantiatedVnfInfo, asking: Asking) -> Asked:
    flavour, request = vnfd.flavour(info.flavour_id), _recorded(operation.params, ChangeExtVnfConnectivityRequest)
    return Asked(change_ext_conn_grant_request(asking, flavour=flavour, info=info, request=request), flavour)


def _change_flavour(operation: Operation, vnfd: Vnfd, info: InstantiatedVnfInfo, asking: Asking) -> Asked:
    request = _recorded(operation.params, ChangeVnfFlavourRequest)
    old, new = vnfd.flavour(info.flavour_id), vnfd.flavour(request.new_flavour_id)
    return Asked(change_flavour_grant_request(asking, old=old, new=new, info=info, request=request), new)


def _operate(operation: Operation, vnfd: Vnfd, info: InstantiatedVnfInfo, asking: Asking) -> Asked:
    request = _recorded(operation.params, OperateVnfRequest)
    return Asked(operate_grant_request(asking, info=info, request=request), vnfd.flavour(info.flavour_id))


def _change_vnfpkg(operation: Operation, vnfd: Vnfd, info: InstantiatedVnfInfo, asking: Asking) -> Asked:
    flavour = vnfd.flavour(info.flavour_id)
    chosen = [item.vdu_id for item in vdu_params(operation.params.get(_PARAMS) or {}, info)]
    request = change_vnfpkg_grant_request(asking, info=info, dst_vnfd_id=vnfd.vnfd_id, flavour=flavour, vdu_ids=chosen)
    return Asked(request, flavour)


def _create_snapshot(operation: Operation, vnfd: Vnfd, info: InstantiatedVnfInfo, asking: Asking) -> Asked:
    request = _recorded(operation.params, CreateVnfSnapshotRequest)
    return Asked(create_snapshot_grant_request(asking, info=info, request=request), vnfd.flavour(info.flavour_id))


def _revert_to_snapshot(operation: Operation, vnfd: Vnfd, info: InstantiatedVnfInfo, asking: Asking) -> Asked:
    request, parts = _recorded(operation.params, RevertToVnfSnapshotRequest), operation.vnfc_snapshots
    asked = revert_to_snapshot_grant_request(asking, info=info, request=request, parts=parts)
    return Asked(asked, vnfd.flavour(info.flavour_id))


_BUILDERS: Mapping[LcmOperation, Callable[[Operation, Vnfd, InstantiatedVnfInfo, Asking], Asked]] = {
    "SCALE": _scale,
    "SCALE_TO_LEVEL": _scale_to_level,
    "HEAL": _heal,
    "CHANGE_EXT_CONN": _change_ext_conn,
    "CHANGE_FLAVOUR": _change_flavour,
    "CHANGE_VNFPKG": _change_vnfpkg,
    "OPERATE": _operate,
    "CREATE_SNAPSHOT": _create_snapshot,
    "REVERT_TO_SNAPSHOT": _revert_to_snapshot,
}
