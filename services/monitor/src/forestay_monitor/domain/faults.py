"""What counts as a fault, how grave it is, and what ends it. Tables, not code.

A fault is described by the :class:`AlarmRaised` that it leads to. It is *about* one thing that can be well or not: an operation
occurrence, a VIM, what a comparison of a VIM with the log has found (:mod:`drift`).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from forestay_events.commit import Commit
from forestay_sol.streams import lcm, vim
from forestay_sol.streams.alarm import AlarmRaised, PerceivedSeverity

#: How grave it is that an operation stands in FAILED_TEMP. MAJOR where the VNF goes on to serve, or is not wanted any more.
SEVERITIES: Mapping[str, PerceivedSeverity] = {
    "INSTANTIATE": "CRITICAL",
    "HEAL": "CRITICAL",
    "OPERATE": "CRITICAL",
    "CHANGE_FLAVOUR": "CRITICAL",
    "CHANGE_VNFPKG": "CRITICAL",
    "CHANGE_EXT_CONN": "CRITICAL",
    "REVERT_TO_SNAPSHOT": "CRITICAL",
    "SCALE": "MAJOR",
    "SCALE_TO_LEVEL": "MAJOR",
    "TERMINATE": "MAJOR",
    "MODIFY_INFO": "MAJOR",
    "CREATE_SNAPSHOT": "MAJOR",
}

#: Why an operation's fault is over once this has happened to the operation.
OPERATION_CLEARED: Mapping[type[lcm.LcmFact], str] = {
    lcm.OperationProcessing: "the operation is tried again",
    lcm.OperationCompleted: "the operation has completed",
    lcm.OperationRollingBack: "the operation is being rolled back",
    lcm.OperationRolledBack: "the operation was rolled back",
    lcm.OperationFailed: "the operation was given up",
}

#: After which the operation will not be heard of again.
OPERATION_ENDS = frozenset({lcm.OperationCompleted, lcm.OperationRolledBack, lcm.OperationFailed})

#: What each status means for the fault of a VIM: why it is over, ``None`` if it is there.
VIM_CLEARED: Mapping[str, str | None] = {"UNREACHABLE": None, "ACTIVE": "the VIM answers again"}
VIM_DELETED = "the VIM is not registered any more"


def operation_failed(operation: str, fact: lcm.OperationFailedTemp, commit: Commit) -> AlarmRaised:
    """The alarm about an operation that has come to FAILED_TEMP.

    :param operation: kind of the operation, ``INSTANTIATE``.
    """
    error = {name: value for name, value in fact.error.items() if isinstance(value, str | int)}
    details = {"operation": operation, "lcmOpOccId": fact.op_id} | error
    return AlarmRaised(
        cause=place(commit),
        managed_object_kind="VNF",
        managed_object_id=commit.aggregate_id,
        op_id=fact.op_id,
        event_type="PROCESSING_ERROR_ALARM",
        perceived_severity=SEVERITIES.get(operation, "MAJOR"),
        probable_cause=str(error.get("title") or "Operation failed"),
        fault_type="VNF_LCM_OPERATION",
        fault_details=tuple(f"{name}: {value}" for name, value in details.items()),
        raised_at=commit.at,
    )


def vim_unreachable(fact: vim.VimStatusChanged, commit: Commit) -> AlarmRaised:
    """The alarm about a VIM that does not answer."""
    return AlarmRaised(
        cause=place(commit),
        managed_object_kind="VIM",
        managed_object_id=commit.aggregate_id,
        event_type="COMMUNICATIONS_ALARM",
        perceived_severity="CRITICAL",
        probable_cause="VIM unreachable",
        fault_type="VIM_CONNECTION",
        fault_details=(f"detail: {fact.reason}",) if fact.reason else (),
        raised_at=commit.at,
    )


def place(commit: Commit) -> str:
    """Where in the log a commit is, as :attr:`AlarmRaised.cause` has it."""
    return f"{commit.subject}@{commit.version}"


encode_fault = msgspec.json.Encoder().encode
decode_fault = msgspec.json.Decoder(AlarmRaised).decode
