"""The transition tables of LCM operation occurrences (SOL003 clause 5.6.2) and of their steps.

A key that is missing is a transition that cannot happen. The diagrams in ``docs/`` are drawn from these tables.
"""

from __future__ import annotations

from typing import Literal

from forestay_lcm.domain.events import (
    CancellationRequested,
    ModificationStarted,
    OperationCompleted,
    OperationEvent,
    OperationFailed,
    OperationFailedTemp,
    OperationProcessing,
    OperationRolledBack,
    OperationRollingBack,
    OperationStarted,
    StepConfirmed,
    StepEvent,
    StepFailed,
    StepIntended,
    StepNoted,
    StepUnknown,
)
from forestay_sol.vnflcm import LcmOperationState

StepStatus = Literal["PLANNED", "INTENDED", "UNKNOWN", "CONFIRMED", "FAILED"]

OPERATION: dict[LcmOperationState | None, dict[type[OperationEvent], LcmOperationState]] = {
    None: {OperationStarted: "STARTING", ModificationStarted: "PROCESSING"},
    "STARTING": {
        CancellationRequested: "STARTING",
        OperationProcessing: "PROCESSING",
        OperationRolledBack: "ROLLED_BACK",
    },
    "PROCESSING": {
        CancellationRequested: "PROCESSING",
        OperationCompleted: "COMPLETED",
        OperationFailedTemp: "FAILED_TEMP",
    },
    "FAILED_TEMP": {
        OperationProcessing: "PROCESSING",
        OperationRollingBack: "ROLLING_BACK",
        OperationFailed: "FAILED",
    },
    "ROLLING_BACK": {
        CancellationRequested: "ROLLING_BACK",
        OperationRolledBack: "ROLLED_BACK",
        OperationFailedTemp: "FAILED_TEMP",
    },
}

STEP: dict[StepStatus, dict[type[StepEvent], StepStatus]] = {
    "PLANNED": {StepIntended: "INTENDED"},
    "INTENDED": {StepNoted: "INTENDED", StepConfirmed: "CONFIRMED", StepFailed: "FAILED", StepUnknown: "UNKNOWN"},
    "UNKNOWN": {StepNoted: "UNKNOWN", StepConfirmed: "CONFIRMED", StepFailed: "FAILED"},
    "FAILED": {StepIntended: "INTENDED"},
    "CONFIRMED": {StepIntended: "INTENDED"},
}


class IllegalTransition(ValueError):
    """An event that the table does not allow in this state: a defect, never a user's mistake."""


def next_operation_state(state: LcmOperationState | None, event: OperationEvent) -> LcmOperationState:
    """:raises IllegalTransition: the table has no such event in this state."""
    try:
        return OPERATION[state][type(event)]
    except KeyError:
        raise IllegalTransition(f"an operation in {state} cannot see {type(event).__name__}") from None


def next_step_status(status: StepStatus, event: StepEvent) -> StepStatus:
    """:raises IllegalTransition: the table has no such event in this status."""
    try:
        return STEP[status][type(event)]
    except KeyError:
        raise IllegalTransition(f"step {event.step} in {status} cannot see {type(event).__name__}") from None
