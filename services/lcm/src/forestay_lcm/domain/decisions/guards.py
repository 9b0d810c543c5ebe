"""What a command may ask of the state before it is decided; refusals in the words that Tacker's clients know."""

from __future__ import annotations

from typing import Any

from forestay_events.errors import Rejected
from forestay_lcm.domain.state import InstantiationState, Operation, Vnf
from forestay_sol.vnfd import Vnfd
from forestay_sol.vnflcm import InstantiatedVnfInfo, VimConnectionInfo

_WORDS: dict[InstantiationState, str] = {"INSTANTIATED": "instantiated", "NOT_INSTANTIATED": "not instantiated"}


def not_busy(vnf: Vnf) -> None:
    """:raises Rejected: 409, an operation is open; the answer names it."""
    operation = vnf.open_operation
    if operation is not None:
        raise Rejected(409, f"Other LCM operation of vnfInstance {vnf.id} is in progress.", extra=naming(operation))


def naming(operation: Operation) -> dict[str, Any]:
    """Members of a ProblemDetails that say which operation is in the way, and how it stands."""
    return {"lcmOpOcc": {"id": operation.id, "operation": operation.operation, "operationState": operation.state}}


def is_in(vnf: Vnf, state: InstantiationState) -> None:
    """:raises Rejected: 409, the instance is in the other state."""
    if vnf.instantiation_state != state:
        raise Rejected(409, f"VnfInstance {vnf.id} is {_WORDS[vnf.instantiation_state]}.")


def instantiated(vnf: Vnf, vnfd: Vnfd) -> InstantiatedVnfInfo:
    """What there is of an instance. :raises Rejected: 409, it is busy, not instantiated, or has got another VNFD."""
    not_busy(vnf)
    is_in(vnf, "INSTANTIATED")
    has(vnf, vnfd)
    assert vnf.instantiated_vnf_info is not None, "an instantiated VNF has it"  # noqa: S101
    return vnf.instantiated_vnf_info


def has(vnf: Vnf, vnfd: Vnfd) -> None:
    """:raises Rejected: 409, somebody has given the instance another VNFD since the command was prepared."""
    if vnf.vnfd_id != vnfd.vnfd_id:
        raise Rejected(409, f"VnfInstance {vnf.id} has got VNFD {vnf.vnfd_id} meanwhile: try again.")


def lane_of(connection: VimConnectionInfo) -> str:
    """The lane of work on a VIM: made from its id when it is registered, else from its endpoint; letters, digits, ``-``."""
    name = connection.vim_id or str((connection.interface_info or {}).get("endpoint", "unregistered"))
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in name)[:100]
