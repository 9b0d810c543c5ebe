"""SOL003 representations of VNF instances and operation occurrences, as JSON, without links and without secrets.

Links need the server's own address, which the edge knows; everything else is made here, once per change, and stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from forestay_events.sealing import is_secret_name
from forestay_lcm.domain.state import Operation, Vnf
from forestay_sol.types import rfc3339
from forestay_sol.vnflcm import VimConnectionInfo

Json = dict[str, Any]

SEALED = ("vimConnectionInfo", "additionalParams")
"""Members of a request whose secrets are sealed."""


def vnf_document(vnf: Vnf) -> str:
    """VnfInstance (SOL003 5.5.2.2) as JSON text."""
    return msgspec.json.encode(
        _present(
            id=vnf.id,
            vnfInstanceName=vnf.name,
            vnfInstanceDescription=vnf.description,
            vnfdId=vnf.vnfd_id,
            vnfProvider=vnf.provider,
            vnfProductName=vnf.product_name,
            vnfSoftwareVersion=vnf.software_version,
            vnfdVersion=vnf.vnfd_version,
            vnfConfigurableProperties=vnf.configurable_properties or None,
            vimConnectionInfo={key: shown_connection(info) for key, info in vnf.vim_connections.items()} or None,
            instantiationState=vnf.instantiation_state,
            instantiatedVnfInfo=without_secrets(msgspec.to_builtins(vnf.instantiated_vnf_info)),
            metadata=vnf.metadata or None,
            extensions=vnf.extensions or None,
        )
    ).decode()


def op_occ_document(vnf: Vnf, operation: Operation) -> str:
    """VnfLcmOpOcc (SOL003 5.5.2.13) as JSON text."""
    grant = operation.results.get("grant", {}).get("grant", {})
    return msgspec.json.encode(
        _present(
            id=operation.id,
            operationState=operation.state,
            stateEnteredTime=rfc3339(operation.state_entered),
            startTime=rfc3339(operation.started),
            vnfInstanceId=vnf.id,
            grantId=grant.get("id"),
            operation=operation.operation,
            isAutomaticInvocation=operation.automatic,
            operationParams=shown_params(operation.params),
            isCancelPending=operation.cancel_mode is not None,
            cancelMode=operation.cancel_mode,
            error=without_secrets(operation.error),
            resourceChanges=operation.resource_changes,
            changedInfo=shown_params(operation.changed_info) or None,
            affectedVipCps=operation.affected_vip_cps or None,
            changedExtConnectivity=operation.changed_ext_connectivity or None,
            modificationsTriggeredByVnfPkgChange=operation.modifications or None,
        )
    ).decode()


def shown_params(params: Json) -> Json:
    """Operation parameters, or what they changed, without the secrets that were sealed in them."""
    return params | {name: without_secrets(params[name]) for name in SEALED if name in params}


def shown_connection(info: VimConnectionInfo) -> Json:
    """A VIM connection without its secrets."""
    return without_secrets(msgspec.to_builtins(info))


def without_secrets(node: Any) -> Any:
    """A copy of a JSON tree without the members whose names say that they are secret, at any depth."""
    match node:
        case dict():
            members: Json = node
            return {name: without_secrets(value) for name, value in members.items() if not is_secret_name(name)}
        case list() | tuple():
            items: Sequence[Any] = node
            return [without_secrets(item) for item in items]
        case _:
            return node


def _present(**members: Any) -> Json:
    return {name: value for name, value in members.items() if value is not None}
