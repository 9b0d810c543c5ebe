"""Decides what a command leads to. Pure: state and command in, events out, a sentence that says why.

A request that the state does not allow is ``Rejected`` with the status and the words that Tacker's clients know. A report
about a step that is not the present one (a worker that was paused, a repeated delivery) leads to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from forestay_events.aggregate import Context, Decision, Definition
from forestay_events.errors import Rejected
from forestay_lcm.domain.commands import (
    CreateVnf,
    DeleteVnf,
    Handle,
    Instantiate,
    ReportStep,
    Terminate,
    VnfCommand,
)
from forestay_lcm.domain.events import (
    CODEC,
    OperationCompleted,
    OperationFailed,
    OperationFailedTemp,
    OperationProcessing,
    OperationRolledBack,
    OperationRollingBack,
    OperationStarted,
    StepConfirmed,
    StepFailed,
    StepIntended,
    StepUnknown,
    VnfCreated,
    VnfDeleted,
    VnfEvent,
)
from forestay_lcm.domain.plan import compensations, driver_of, plan
from forestay_lcm.domain.resource_changes import resource_changes
from forestay_lcm.domain.state import InstantiationState, Operation, StepRun, Vnf, evolve
from forestay_sol.vnflcm import InstantiatedVnfInfo, VimConnectionInfo

Decided = Decision[VnfEvent]

VNFC_MAPPING = "VDU_VNFc_mapping"
"""Member of ``metadata`` by which a requester names the VNFCs (wire section 3.1)."""


def decide(vnf: Vnf | None, command: VnfCommand, ctx: Context) -> Decided:
    """:raises Rejected: the command is not possible now."""
    if isinstance(command, CreateVnf):
        return _create(vnf, command)
    if vnf is None or vnf.deleted or vnf.project != ctx.origin.project:
        raise Rejected(404, "VnfInstance not found.")
    return _DECISIONS[type(command)](vnf, command, ctx)


def _create(vnf: Vnf | None, command: CreateVnf) -> Decided:
    if vnf is not None:
        return Decided([])
    request, vnfd = command.request, command.vnfd
    _check_vnfc_mapping((request.metadata or {}).get(VNFC_MAPPING))
    created = VnfCreated(
        vnfd_id=vnfd.vnfd_id,
        provider=vnfd.provider,
        product_name=vnfd.product_name,
        software_version=vnfd.software_version,
        vnfd_version=vnfd.vnfd_version,
        name=request.vnf_instance_name,
        description=request.vnf_instance_description,
        metadata=vnfd.metadata | (request.metadata or {}),
        extensions=vnfd.extensions,
        configurable_properties=vnfd.configurable_properties,
    )
    return Decided([created], f"{vnfd.product_name} {vnfd.software_version} of {vnfd.provider} requested")


def _check_vnfc_mapping(mapping: Any) -> None:
    """The ids that the requester wants VNFCs to have, by VDU: each id names one VNFC."""
    if mapping is None:
        return
    where = f"/metadata/{VNFC_MAPPING}"
    try:
        ids = [vnfc for vnfcs in msgspec.convert(mapping, dict[str, tuple[str, ...]]).values() for vnfc in vnfcs]
    except msgspec.ValidationError:
        raise Rejected(400, f"{VNFC_MAPPING} shall map each VDU id to a list of VNFC ids.", pointer=where) from None
    if twice := sorted({vnfc for vnfc in ids if ids.count(vnfc) > 1}):
        raise Rejected(400, f"{VNFC_MAPPING} names {', '.join(twice)} more than once.", pointer=where)


def _delete(vnf: Vnf, command: DeleteVnf, ctx: Context) -> Decided:
    _not_busy(vnf)
    _is(vnf, "NOT_INSTANTIATED")
    return Decided([VnfDeleted()], "deletion requested")


def _instantiate(vnf: Vnf, command: Instantiate, ctx: Context) -> Decided:
    _not_busy(vnf)
    _is(vnf, "NOT_INSTANTIATED")
    request = command.request
    flavour = command.vnfd.flavour(request.flavour_id)
    level = flavour.level(request.instantiation_level_id)
    connection = next(iter(command.vim_connections.values()))
    return _start(
        ctx,
        OperationStarted(
            op_id=ctx.new_id("operation"),
            operation="INSTANTIATE",
            params=msgspec.to_builtins(request),
            steps=plan(driver_of(connection.vim_type), "INSTANTIATE"),
            lane=lane_of(command.vim_connections),
            vim_connections=command.vim_connections,
        ),
        f"instantiate flavour {flavour.id} at level {level.id} requested",
    )


def _terminate(vnf: Vnf, command: Terminate, ctx: Context) -> Decided:
    _not_busy(vnf)
    _is(vnf, "INSTANTIATED")
    request = command.request
    connection = next(iter(vnf.vim_connections.values()))
    unwanted = frozenset() if request.termination_type == "GRACEFUL" else frozenset({"graceful-wait"})
    return _start(
        ctx,
        OperationStarted(
            op_id=ctx.new_id("operation"),
            operation="TERMINATE",
            params=msgspec.to_builtins(request),
            steps=plan(driver_of(connection.vim_type), "TERMINATE", without=unwanted),
            lane=lane_of(vnf.vim_connections),
        ),
        f"{request.termination_type.lower()} termination requested",
    )


def _start(ctx: Context, started: OperationStarted, reason: str) -> Decided:
    first = StepIntended(op_id=started.op_id, step=started.steps[0].name, attempt=1)
    return Decided([started, first], reason)


def _handle(vnf: Vnf, command: Handle, ctx: Context) -> Decided:
    operation = vnf.operation
    if operation is None or operation.id != command.op_id or operation.state != "FAILED_TEMP":
        raise Rejected(409, f"LCM operation {command.op_id} not FAILED_TEMP.")
    return _HANDLINGS[command.how](operation)


def _retry(operation: Operation) -> Decided:
    if operation.rollback:
        raise Rejected(409, f"Rollback of LCM operation {operation.id} has begun: roll back again, or fail it.")
    failed = next(run for run in operation.plan if run.status == "FAILED")
    step = failed.step.retry_from or failed.step.name
    attempt = next(run for run in operation.plan if run.step.name == step).attempt + 1
    return Decided(
        [
            OperationProcessing(op_id=operation.id),
            StepIntended(op_id=operation.id, step=step, attempt=attempt),
        ],
        f"retry at step {step} requested",
    )


def _rollback(operation: Operation) -> Decided:
    if operation.operation == "TERMINATE":
        raise Rejected(409, "Rollback of TERMINATE is not supported: what was deleted cannot be brought back.")
    # A step whose outcome is a failure may have made something all the same: its compensation looks for it.
    undone = compensations(run.step for run in operation.plan if run.status != "PLANNED")
    events: list[VnfEvent] = [OperationRollingBack(op_id=operation.id, steps=undone)]
    if undone:
        tried = {run.step.name: run.attempt for run in operation.rollback}
        first = undone[0].name
        events.append(StepIntended(op_id=operation.id, step=first, attempt=tried.get(first, 0) + 1))
    else:
        events.append(OperationRolledBack(op_id=operation.id))
    return Decided(events, "rollback requested")


def _fail(operation: Operation) -> Decided:
    return Decided([OperationFailed(op_id=operation.id)], "given up on request")


_HANDLINGS: Mapping[str, Callable[[Operation], Decided]] = {"retry": _retry, "rollback": _rollback, "fail": _fail}


def _report(vnf: Vnf, command: ReportStep, ctx: Context) -> Decided:
    operation = vnf.operation
    run = operation.current if operation and operation.id == command.op_id else None
    if operation is None or run is None or (run.step.name, run.attempt) != (command.step, command.attempt):
        return Decided([])
    if command.outcome == "UNKNOWN":
        if run.status == "UNKNOWN":
            return Decided([])
        reason = str(command.error.get("detail", ""))
        return Decided(
            [StepUnknown(op_id=operation.id, step=command.step, attempt=command.attempt, reason=reason)],
            f"{command.step}: outcome unknown, looking",
        )
    outcome = _step_confirmed if command.outcome == "CONFIRMED" else _step_failed
    return outcome(vnf, operation, run, command)


def _step_failed(vnf: Vnf, operation: Operation, run: StepRun, command: ReportStep) -> Decided:
    failed = StepFailed(op_id=operation.id, step=command.step, attempt=command.attempt, error=command.error)
    error = command.error | {"step": command.step}
    ended: VnfEvent = (
        OperationRolledBack(op_id=operation.id, error=error)
        if operation.state == "STARTING"
        else OperationFailedTemp(op_id=operation.id, error=error)
    )
    return Decided([failed, ended], f"{command.step} failed: {command.error.get('detail', '')}"[:500])


def _step_confirmed(vnf: Vnf, operation: Operation, run: StepRun, command: ReportStep) -> Decided:
    events: list[VnfEvent] = [
        StepConfirmed(op_id=operation.id, step=command.step, attempt=command.attempt, result=command.result)
    ]
    if operation.state == "STARTING":
        events.append(OperationProcessing(op_id=operation.id))
    runs = operation.runs
    following = runs[runs.index(run) + 1 :]
    if following:
        after = following[0]
        events.append(StepIntended(op_id=operation.id, step=after.step.name, attempt=after.attempt + 1))
        return Decided(events, f"{command.step} done, next is {after.step.name}")
    events.append(_ended(vnf, operation, command.result))
    return Decided(events, f"{command.step} done, all steps done")


def _ended(vnf: Vnf, operation: Operation, result: dict[str, Any]) -> VnfEvent:
    if operation.state == "ROLLING_BACK":
        return OperationRolledBack(op_id=operation.id)
    state, after = _COMPLETIONS[operation.operation](vnf, result)
    return OperationCompleted(
        op_id=operation.id,
        instantiation_state=state,
        instantiated_vnf_info=after,
        resource_changes=resource_changes(vnf.instantiated_vnf_info, after),
        extensions=operation.params.get("extensions") or {},
        configurable_properties=operation.params.get("vnfConfigurableProperties") or {},
    )


def _instantiated(vnf: Vnf, result: dict[str, Any]) -> tuple[InstantiationState, InstantiatedVnfInfo]:
    return "INSTANTIATED", msgspec.convert(result["instantiated_vnf_info"], InstantiatedVnfInfo)


def _terminated(vnf: Vnf, result: dict[str, Any]) -> tuple[InstantiationState, InstantiatedVnfInfo]:
    before = vnf.instantiated_vnf_info
    return "NOT_INSTANTIATED", InstantiatedVnfInfo(flavour_id=before.flavour_id if before else "", vnf_state="STOPPED")


_COMPLETIONS: Mapping[str, Callable[[Vnf, dict[str, Any]], tuple[InstantiationState, InstantiatedVnfInfo]]] = {
    "INSTANTIATE": _instantiated,
    "TERMINATE": _terminated,
}

_DECISIONS: Mapping[type[VnfCommand], Callable[[Vnf, Any, Context], Decided]] = {
    DeleteVnf: _delete,
    Instantiate: _instantiate,
    Terminate: _terminate,
    Handle: _handle,
    ReportStep: _report,
}


def lane_of(connections: Mapping[str, VimConnectionInfo]) -> str:
    """The lane of work on a VIM: made from its id when it is registered, else from its endpoint; letters, digits, ``-``."""
    connection = next(iter(connections.values()))
    name = connection.vim_id or str((connection.interface_info or {}).get("endpoint", "unregistered"))
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in name)[:100]


def _is(vnf: Vnf, state: InstantiationState) -> None:
    if vnf.instantiation_state != state:
        words = {"INSTANTIATED": "instantiated", "NOT_INSTANTIATED": "not instantiated"}
        raise Rejected(409, f"VnfInstance {vnf.id} is {words[vnf.instantiation_state]}.")


def _not_busy(vnf: Vnf) -> None:
    operation = vnf.open_operation
    if operation is not None:
        raise Rejected(
            409,
            f"Other LCM operation of vnfInstance {vnf.id} is in progress.",
            extra={
                "lcmOpOcc": {"id": operation.id, "operation": operation.operation, "operationState": operation.state}
            },
        )


VNF: Definition[Vnf, VnfCommand, VnfEvent] = Definition("LCM", "vnf", CODEC, decide, evolve)
