"""What can be done about an operation occurrence: retry, roll back, fail (SOL003 5.4.14 to 5.4.16), cancel (5.4.17)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from forestay_events.aggregate import Context, Decision
from forestay_events.errors import Rejected
from forestay_lcm.domain.commands import Cancel, Handle
from forestay_lcm.domain.decisions.guards import naming
from forestay_lcm.domain.events import (
    CancellationRequested,
    OperationFailed,
    OperationFailedTemp,
    OperationProcessing,
    OperationRolledBack,
    OperationRollingBack,
    ProblemDict,
    StepFailed,
    StepIntended,
    VnfEvent,
)
from forestay_lcm.domain.plan import ENGINE, HOOKS, around, compensations, steps
from forestay_lcm.domain.state import Operation, StepRun, Vnf
from forestay_sol.vnflcm import LcmOperationState

Decided = Decision[VnfEvent]

CANCELLED: ProblemDict = {"title": "Cancelled", "status": 409, "detail": "The operation was cancelled on request."}

CANCELLABLE: tuple[LcmOperationState, ...] = ("STARTING", "PROCESSING", "ROLLING_BACK")


def handle(vnf: Vnf, command: Handle, ctx: Context) -> Decided:
    """Retry, roll back or fail. :raises Rejected: 409, the operation is not FAILED_TEMP, or cannot be rolled back."""
    operation = _in_state(vnf, command.op_id, ("FAILED_TEMP",), "not FAILED_TEMP")
    return replace(_HANDLINGS[command.how](operation), correlation_id=operation.id)


def cancel(vnf: Vnf, command: Cancel, ctx: Context) -> Decided:
    """GRACEFUL: when the present step is done; FORCEFUL, or while nothing outside is under way: now."""
    operation = _in_state(vnf, command.op_id, CANCELLABLE, "is in no state that can be cancelled")
    requested = CancellationRequested(op_id=operation.id, mode=command.mode)
    run = operation.current
    at_once = run is not None and (command.mode == "FORCEFUL" or run.step.executor == ENGINE)
    if run is None or not at_once:
        again = operation.cancel_mode == command.mode
        return Decided([] if again else [requested], f"{command.mode.lower()} cancellation requested")
    error = CANCELLED | _advice(run)
    stopped = StepFailed(op_id=operation.id, step=run.step.name, attempt=run.attempt, error=error)
    return Decided(
        [requested, stopped, ended_by(operation, error | {"step": run.step.name})],
        f"{command.mode.lower()} cancellation: {run.step.name} is left as it is",
    )


def _advice(run: StepRun) -> ProblemDict:
    """What a requester should know of a step that is left as it is: an NFVO that was asked may grant all the same."""
    if run.step.kind != "grant" or not any(run.result.values()):
        return {}
    return {"detail": f"{CANCELLED['detail']} The NFVO was asked already: look there for a grant to release."}


def _in_state(vnf: Vnf, op_id: str, states: Collection[LcmOperationState], fault: str) -> Operation:
    """The operation that a command is about. :raises Rejected: 409, it is in another state, or over for long."""
    operation = vnf.operation
    if operation is None or operation.id != op_id:
        raise Rejected(409, f"LCM operation {op_id} {fault}.")
    if operation.state not in states:
        raise Rejected(409, f"LCM operation {op_id} {fault}.", extra=naming(operation))
    return operation


def ended_by(operation: Operation, error: ProblemDict) -> VnfEvent:
    """How an operation ends for now when it cannot go on."""
    if operation.state == "STARTING":
        return OperationRolledBack(op_id=operation.id, error=error)
    return OperationFailedTemp(op_id=operation.id, error=error)


def _retry(operation: Operation) -> Decided:
    """Go on where it failed; or, if its rollback failed, at the first step that may have been undone by then."""
    undone = {run.step.name for run in operation.rollback if run.attempt}
    due = next(run for run in operation.plan if run.status != "CONFIRMED" or not undone.isdisjoint(run.step.undo))
    # One that was cancelled before it was begun needs nothing done anew.
    step = (due.step.retry_from if due.status == "FAILED" else None) or due.step.name
    again = StepIntended(op_id=operation.id, step=step, attempt=operation.tried(step) + 1)
    return Decided(
        [OperationProcessing(op_id=operation.id), again],
        f"retry at step {step} requested",
    )


def _rollback(operation: Operation) -> Decided:
    begun = [run.step for run in operation.plan if run.attempt]
    if gone := next((step for step in begun if step.final), None):
        raise Rejected(
            409,
            f"Rollback of {operation.operation} is not supported any more: what {gone.name} took away cannot be brought back.",
            extra=naming(operation),
        )
    # A step whose outcome is a failure may have made something all the same: its compensation looks for it.
    undone = steps(around(compensations(begun), f"{HOOKS[operation.operation]}_rollback", operation.hooks))
    events: list[VnfEvent] = [OperationRollingBack(op_id=operation.id, steps=undone)]
    if undone:
        first = undone[0].name
        events.append(StepIntended(op_id=operation.id, step=first, attempt=operation.tried(first) + 1))
    else:
        events.append(OperationRolledBack(op_id=operation.id))
    return Decided(events, "rollback requested")


def _fail(operation: Operation) -> Decided:
    return Decided([OperationFailed(op_id=operation.id)], "given up on request")


_HANDLINGS: Mapping[str, Callable[[Operation], Decided]] = {"retry": _retry, "rollback": _rollback, "fail": _fail}
