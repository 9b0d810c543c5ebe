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


def hook_arguments(vnf: Vnf, operation: Operation, hook: str, connections: Json) -> Json:
    """For ``script:<hook>``.

    :param operation: its parameters in the clear.
    :param connections: ``vimConnectionInfo`` in the clear.
    """
    return {
        "operation": hook,
        "request": operation.params,
        "vnf_instance": instance_at(vnf, operation, hook) | ({"vimConnectionInfo": connections} if connections else {}),
        "grant_request": _grant_request(operation),
        "grant_response": msgspec.to_builtins(grant_of(vnf, operation)),
        "user_script_err_handling_data": (operation.error or {}).get(ERROR_DATA, {}),
    }


def user_data_arguments(vnf: Vnf, operation: Operation) -> Json:
    """For ``user-data``; the parameters of ``operation`` in the clear."""
    return {
        "req": operation.params,
        "inst": instance_at(vnf, operation),
        "grant_req": _grant_request(operation),
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
    lcm = f"{endpoint}/vnflcm/v2"
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
            "_links": {
                "vnfLcmOpOcc": {"href": f"{lcm}/vnf_lcm_op_occs/{operation.id}"},
                "vnfInstance": {"href": f"{lcm}/vnf_instances/{vnf.id}"},
            },
        },
    }


def _grant_request(operation: Operation) -> Json | None:
    """As the NFVO got it: the log has the requester's parameters in it sealed."""
    asked: Json | None = operation.results.get("grant", {}).get("grant_request")
    if asked is None or "additionalParams" not in asked:
        return asked
    return asked | {"additionalParams": operation.params.get("additionalParams")}


def info_at(vnf: Vnf, operation: Operation) -> InstantiatedVnfInfo | None:
    """What there is of the VNF by now: as a step has seen it last, with what scripts have written."""
    return seen_last((run.result for run in operation.runs if run.status == "CONFIRMED"), vnf.instantiated_vnf_info)


def instance_at(vnf: Vnf, operation: Operation, hook: str = "") -> Json:
    """VnfInstance as it is by now; for the hook behind a modification, as that leaves it."""
    if operation.operation == "MODIFY_INFO" and operation.modification and hook.endswith("_end"):
        vnf = modified(vnf, operation.modification)
    present = msgspec.structs.replace(vnf, instantiated_vnf_info=info_at(vnf, operation), vim_connections={})
    return msgspec.json.decode(vnf_document(present))
