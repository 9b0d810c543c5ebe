"""What a script of a package gets: the calling conventions of Tacker (wire sections 8.4, 8.5 and 12), from what the log says.

Hooks get the VIM connections with their credentials, since they configure what is in the VIM; user data gets none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from forestay_sol.vnflcm import InstantiatedVnfInfo, VnfcResourceInfo

from forestay_lcm.domain.images import grant_of
from forestay_lcm.domain.script_metadata import ERROR_DATA
from forestay_lcm.domain.seen import seen_last
from forestay_lcm.domain.state import Operation, Vnf, modified
from forestay_lcm.projections.representation import vnf_document

Json = dict[str, Any]


def hook_arguments(vnf: Vnf, operation: Operation, hook: str, connections: Json, endpoint: str) -> Json:
    """For ``script:<hook>``.

    :param operation: opened (:meth:`~forestay_lcm.secrets.Secrets.open_operation`).
    :param connections: ``vimConnectionInfo`` in the clear.
    :param endpoint: root of Forestay's API, for the links.
    """
    return {
        "operation": hook,
        "request": operation.params,
        "vnf_instance": instance_at(vnf, operation, hook) | ({"vimConnectionInfo": connections} if connections else {}),
        "grant_request": _grant_request(vnf, operation, endpoint),
        "grant_response": msgspec.to_builtins(grant_of(vnf, operation)),
        "user_script_err_handling_data": (operation.error or {}).get(ERROR_DATA, {}),
    }


def user_data_arguments(vnf: Vnf, operation: Operation, endpoint: str) -> Json:
    """For ``user-data``; parameters as of :func:`hook_arguments`."""
    return {
        "req": operation.params,
        "inst": instance_at(vnf, operation),
        "grant_req": _grant_request(vnf, operation, endpoint),
        "grant": msgspec.to_builtins(grant_of(vnf, operation)),
    }


def coordination_arguments(
    vnf: Vnf, operation: Operation, vnfc: VnfcResourceInfo, param: Mapping[str, Any], *, address: str, endpoint: str
) -> Json:
    """For ``coordinate-new`` and ``coordinate-old``.

    :param param: ``new_vnfc_param`` or ``old_vnfc_param`` of the VNFC's VDU.
    :param address: where the script reaches the VNFC.
    :param endpoint: root of Forestay's API, for the links.
    """
    info = vnf.instantiated_vnf_info
    named = (item.id for item in (info.vnfc_info if info else ()) if item.vnfc_resource_info_id == vnfc.id)
    return {
        **param,
        "ssh_ip": address,
        "is_rollback": bool(operation.rollback),
        "vnfc_info_id": next(named, vnfc.id),
        "inst": instance_at(vnf, operation),
        "LcmCoordRequest": {
            "vnfInstanceId": vnf.id,
            "vnfLcmOpOccId": operation.id,
            "lcmOperationType": operation.operation,
            "coordinationActionName": "prv.tacker_organization.coordination_test",
            "_links": _links(vnf, operation, endpoint),
        },
    }


def _grant_request(vnf: Vnf, operation: Operation, endpoint: str) -> Json | None:
    """GrantRequest (SOL003 clause 9.5.2.2); ``None``: no grant was asked for."""
    asked: Json | None = operation.results.get("grant", {}).get("grant_request")
    return asked and {"_links": _links(vnf, operation, endpoint), **asked}


def _links(vnf: Vnf, operation: Operation, endpoint: str) -> Json:
    lcm = f"{endpoint}/vnflcm/v2"
    return {
        "vnfLcmOpOcc": {"href": f"{lcm}/vnf_lcm_op_occs/{operation.id}"},
        "vnfInstance": {"href": f"{lcm}/vnf_instances/{vnf.id}"},
    }


def info_at(vnf: Vnf, operation: Operation) -> InstantiatedVnfInfo | None:
    """What there is of the VNF by now: as a step has seen it last, with what scripts have written."""
    return seen_last((run.result for run in operation.runs if run.status == "CONFIRMED"), vnf.instantiated_vnf_info)


def instance_at(vnf: Vnf, operation: Operation, hook: str = "") -> Json:
    """VnfInstance as it is by now; for the hook behind a modification, as that leaves it."""
    if operation.operation == "MODIFY_INFO" and operation.modification and hook.endswith("_end"):
        vnf = modified(vnf, operation.modification)
    present = msgspec.structs.replace(vnf, instantiated_vnf_info=info_at(vnf, operation), vim_connections={})
    return msgspec.json.decode(vnf_document(present))
