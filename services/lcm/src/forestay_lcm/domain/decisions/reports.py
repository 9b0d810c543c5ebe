"""A worker's report about a step: what comes next, and how an operation ends.

A report about a step that is not the present one (a worker that was paused, a repeated delivery) leads to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
from forestay_events.aggregate import Context, Decision
from forestay_lcm.domain.commands import ReportStep
from forestay_lcm.domain.decisions.handling import CANCELLED, ended_by
from forestay_lcm.domain.decisions.resource import completed_modification, modifications
from forestay_lcm.domain.events import (
    OperationCompleted,
    OperationProcessing,
    OperationRolledBack,
    StepConfirmed,
    StepFailed,
    StepIntended,
    StepNoted,
    StepUnknown,
    VnfEvent,
)
from forestay_lcm.domain.granted_changes import with_definitions
from forestay_lcm.domain.images import grant_of
from forestay_lcm.domain.resource_changes import (
    Vnfds,
    affected_vip_cps,
    changed_ext_connectivity,
    resource_changes,
    reverted,
)
from forestay_lcm.domain.seen import seen_last
from forestay_lcm.domain.state import InstantiationState, Operation, StepRun, Vnf
from forestay_sol.vnflcm import GrantRequest, InstantiatedVnfInfo, ResourceChanges, VimConnectionInfo

Decided = Decision[VnfEvent]

GRANTED_CONNECTIONS = "vim_connections"
"""Member of a grant's result: where the VNF lives according to it, secrets sealed."""

_RECONNECTING = ("CHANGE_EXT_CONN", "CHANGE_FLAVOUR", "CHANGE_VNFPKG")
"""Operations whose request may name other external virtual links."""


def report(vnf: Vnf, command: ReportStep, ctx: Context) -> Decided:
    """What a report about the present step leads to; about any other it leads to nothing."""
    operation = vnf.operation
    run = operation.current if operation and operation.id == command.op_id else None
    if operation is None or run is None or (run.step.name, run.attempt) != (command.step, command.attempt):
        return Decided([])
    if command.outcome == "UNKNOWN":
        return _unknown(operation, run, command)
    if command.outcome == "NOTED":
        return _noted(operation, run, command)
    if command.outcome == "FAILED":
        return _failed(vnf, operation, run, command)
    return _confirmed(vnf, operation, run, command)


def _unknown(operation: Operation, run: StepRun, command: ReportStep) -> Decided:
    if run.status == "UNKNOWN":
        return Decided([])
    reason = str(command.error.get("detail", ""))
    return Decided(
        [StepUnknown(op_id=operation.id, step=command.step, attempt=command.attempt, reason=reason)],
        f"{command.step}: outcome unknown, looking",
    )


def _noted(operation: Operation, run: StepRun, command: ReportStep) -> Decided:
    if run.result != command.seen:
        return Decided([])
    noted = StepNoted(op_id=operation.id, step=command.step, attempt=command.attempt, result=command.result)
    return Decided([noted], f"{command.step}: {', '.join(command.result)} noted")


def _failed(vnf: Vnf, operation: Operation, run: StepRun, command: ReportStep) -> Decided:
    failed = StepFailed(op_id=operation.id, step=command.step, attempt=command.attempt, error=command.error)
    reason = f"{command.step} failed: {command.error.get('detail', '')}"[:500]
    if run.step.optional:
        return replace(_gone_on(vnf, operation, run, command, failed), reason=reason)
    return Decided([failed, ended_by(operation, command.error | {"step": command.step})], reason)


def _confirmed(vnf: Vnf, operation: Operation, run: StepRun, command: ReportStep) -> Decided:
    confirmed = StepConfirmed(op_id=operation.id, step=command.step, attempt=command.attempt, result=command.result)
    return _gone_on(vnf, operation, run, command, confirmed)


def _gone_on(vnf: Vnf, operation: Operation, run: StepRun, command: ReportStep, outcome: VnfEvent) -> Decided:
    """The outcome of a step with what comes behind it: another step, or the operation's end."""
    events, runs = [outcome], operation.runs
    following = runs[runs.index(run) + 1 :]
    if following and operation.cancel_mode is not None:
        after = following[0].step.name
        events.append(ended_by(operation, CANCELLED | {"step": after}))
        return Decided(events, f"{command.step} done, {after} is not begun: cancelled")
    if operation.state == "STARTING":
        granted: dict[str, Any] = command.result.get(GRANTED_CONNECTIONS) or {}
        where = msgspec.convert(granted, dict[str, VimConnectionInfo])
        events.append(OperationProcessing(op_id=operation.id, vim_connections=where))
    if not following:
        events += _ended(vnf, operation, [*(done.result for done in runs), command.result])
        return Decided(events, f"{command.step} done, all steps done")
    after = following[0].step.name
    # No try of the plan has the number of one of the rollback: a late report of that is none of this.
    events.append(StepIntended(op_id=operation.id, step=after, attempt=operation.tried(after) + 1))
    return Decided(events, f"{command.step} done, next is {after}")


def _ended(vnf: Vnf, operation: Operation, results: Sequence[dict[str, Any]]) -> list[VnfEvent]:
    """:param results: of the steps, in their order: the last that looked says what there is now."""
    if operation.state == "ROLLING_BACK":
        return [OperationRolledBack(op_id=operation.id, instantiated_vnf_info=seen_last(results, None))]
    before, change = vnf.instantiated_vnf_info, operation.modification
    info = seen_last(results, before)
    if operation.operation == "MODIFY_INFO" and change is not None:
        return completed_modification(vnf, operation.id, operation.params, change, info)
    state, after = _end_state(operation, before, info)
    vnfds = Vnfds(vnf.vnfd_id, operation.params["vnfdId"]) if operation.operation == "CHANGE_VNFPKG" else None
    changes = (
        reverted(after)
        if operation.operation == "REVERT_TO_SNAPSHOT" and after
        else resource_changes(before, after, vnfds=vnfds)
    )
    completed = OperationCompleted(
        op_id=operation.id,
        instantiation_state=state,
        instantiated_vnf_info=after,
        resource_changes=_granted(vnf, operation, changes, after),
        extensions=operation.params.get("extensions") or {},
        configurable_properties=operation.params.get("vnfConfigurableProperties") or {},
        modifications=modifications(change) if change else {},
        affected_vip_cps=affected_vip_cps(before, after, vnfds=vnfds),
        changed_ext_connectivity=(
            changed_ext_connectivity(before, after) if operation.operation in _RECONNECTING else ()
        ),
    )
    return [change, completed] if change else [completed]


def _granted(
    vnf: Vnf, operation: Operation, changes: ResourceChanges, after: InstantiatedVnfInfo | None
) -> ResourceChanges:
    """The changes with what they were granted by."""
    asked = operation.results.get("grant", {}).get("grant_request")
    if not asked or (grant := grant_of(vnf, operation)) is None:
        return changes
    return with_definitions(changes, after, msgspec.convert(asked, GrantRequest), grant)


def _end_state(
    operation: Operation, before: InstantiatedVnfInfo | None, after: InstantiatedVnfInfo | None
) -> tuple[InstantiationState, InstantiatedVnfInfo | None]:
    """TERMINATE leaves nothing but the flavour's name; the others what was seen last."""
    if operation.operation == "TERMINATE":
        flavour_id = before.flavour_id if before else ""
        return "NOT_INSTANTIATED", InstantiatedVnfInfo(flavour_id=flavour_id, vnf_state="STOPPED")
    return "INSTANTIATED", after
