"""The state of a VNF instance: what its events add up to.

One VNF instance and its LCM operation occurrences are one aggregate (design section 4), so "one operation at a time" and
"operation and instance change together" are facts of the log. Only the latest operation is kept here; those before it have
ended and are in the read model and the log.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec
from forestay_events.commit import Commit
from forestay_lcm.domain.events import (
    CancellationRequested,
    OperationCompleted,
    OperationEvent,
    OperationFailed,
    OperationFailedTemp,
    OperationProcessing,
    OperationRolledBack,
    OperationRollingBack,
    OperationStarted,
    ProblemDict,
    StepConfirmed,
    StepEvent,
    StepIntended,
    StepNoted,
    VnfCreated,
    VnfDeleted,
    VnfEvent,
    VnfInfoModified,
)
from forestay_lcm.domain.merge_patch import merge_patch
from forestay_lcm.domain.plan import Step, kind_of
from forestay_lcm.domain.script_metadata import ERROR_DATA
from forestay_lcm.domain.transitions import IllegalTransition, StepStatus, next_operation_state, next_step_status
from forestay_sol.vnflcm import (
    AffectedVipCp,
    ExtVirtualLinkInfo,
    InstantiatedVnfInfo,
    LcmOperation,
    LcmOperationState,
    ResourceChanges,
    ScaleInfo,
    VimConnectionInfo,
)
from msgspec import UNSET

InstantiationState = Literal["NOT_INSTANTIATED", "INSTANTIATED"]


class StepRun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step of the plan and how far it is. ``since`` is when its present attempt was intended; ``result`` what it came to,
    or what was noted of it by now."""

    step: Step
    status: StepStatus = "PLANNED"
    attempt: int = 0
    since: datetime | None = None
    result: dict[str, Any] = {}


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An LCM operation occurrence.

    :ivar rollback: the compensating steps, while it is rolled back.
    :ivar tries: the highest attempt of each step of a rollback that was given up for a retry.
    :ivar former_connections: the instance's VIM connections before, which it has again if the operation comes to nothing.
    :ivar vnfc_snapshots: as of :class:`OperationStarted`.
    :ivar modifications: what a change of the VNF package brought with it (SOL003 VnfInfoModifications).
    """

    id: str
    operation: LcmOperation
    state: LcmOperationState
    state_entered: datetime
    started: datetime
    params: dict[str, Any]
    lane: str
    plan: tuple[StepRun, ...]
    rollback: tuple[StepRun, ...] = ()
    tries: dict[str, int] = {}
    automatic: bool = False
    error: ProblemDict | None = None
    resource_changes: ResourceChanges | None = None
    scale_status: tuple[ScaleInfo, ...] = ()
    cancel_mode: Literal["GRACEFUL", "FORCEFUL"] | None = None
    changed_info: dict[str, Any] = {}
    affected_vip_cps: tuple[AffectedVipCp, ...] = ()
    changed_ext_connectivity: tuple[ExtVirtualLinkInfo, ...] = ()
    former_connections: dict[str, VimConnectionInfo] = {}
    hooks: tuple[str, ...] = ()
    modification: VnfInfoModified | None = None
    vnfc_snapshots: dict[str, str] = {}
    modifications: dict[str, Any] = {}

    @property
    def runs(self) -> tuple[StepRun, ...]:
        """The list of steps that is being worked on."""
        return self.rollback or self.plan

    @property
    def current(self) -> StepRun | None:
        """The step that was intended and whose outcome is not known, if there is one."""
        return next((run for run in self.runs if run.status in ("INTENDED", "UNKNOWN")), None)

    def tried(self, step: str) -> int:
        """The highest attempt of a step, be it of the plan or of a rollback: no two tries have the same number."""
        runs = (run.attempt for run in (*self.plan, *self.rollback) if run.step.name == step)
        return max(self.tries.get(step, 0), *runs, 0)

    def has_undone(self, step: str) -> bool:
        """Whether a step of the rollback is done: what is made from now on it does not find any more."""
        return any(run.step.name == step and run.status == "CONFIRMED" for run in self.rollback)

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """The results of the steps that are done, by name; of one that the rollback has, too, the rollback's."""
        return {run.step.name: run.result for run in (*self.plan, *self.rollback) if run.status == "CONFIRMED"}


class Vnf(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A VNF instance with its latest operation.

    :ivar has_images: images of its package were uploaded for it, or may have been: an upload was begun.
    :ivar images: those that it is made of: ids in the VIM, by software image id (node).
    :ivar images_outdated: a modification has given it another package since, whose images are not uploaded yet.
    """

    id: str
    project: str
    vnfd_id: str
    provider: str
    product_name: str
    software_version: str
    vnfd_version: str
    name: str | None = None
    description: str | None = None
    metadata: dict[str, Any] = {}
    extensions: dict[str, Any] = {}
    configurable_properties: dict[str, Any] = {}
    instantiation_state: InstantiationState = "NOT_INSTANTIATED"
    instantiated_vnf_info: InstantiatedVnfInfo | None = None
    vim_connections: dict[str, VimConnectionInfo] = {}
    operation: Operation | None = None
    has_images: bool = False
    images: dict[str, str] = {}
    images_outdated: bool = False
    deleted: bool = False

    @property
    def flavour_id(self) -> str | None:
        """The deployment flavour that it is instantiated with."""
        return self.instantiated_vnf_info.flavour_id if self.instantiated_vnf_info else None

    def due(self, executor: str) -> tuple[Operation, StepRun] | None:
        """The step that is next, with its operation, if it is one of this executor."""
        operation = self.operation
        run = operation.current if operation and not self.deleted else None
        return (operation, run) if operation and run and run.step.executor == executor else None

    @property
    def open_operation(self) -> Operation | None:
        """The operation that has not reached a final state, FAILED_TEMP included."""
        operation = self.operation
        return operation if operation and operation.state not in ("COMPLETED", "FAILED", "ROLLED_BACK") else None


RENEWING: frozenset[LcmOperation] = frozenset({"INSTANTIATE", "CHANGE_FLAVOUR", "CHANGE_VNFPKG"})
"""The operations that settle anew which images a VNF is made of."""


_UPLOADS = frozenset({"upload-images", "add-images"})
_LETTING_GO = frozenset({"delete-images", "drop-images"})


def uploaded_by(operation: Operation) -> dict[str, str]:
    """The ids of the images that an operation has uploaded, by node."""
    steps = (run for run in operation.plan if run.step.kind in _UPLOADS)
    return next((run.result.get("images", {}) for run in steps), {})


def evolve(vnf: Vnf | None, event: VnfEvent, commit: Commit) -> Vnf:
    """The state after an event.

    :raises IllegalTransition: the event is impossible now, so it cannot have been decided.
    """
    what = type(event).__name__
    if isinstance(event, VnfCreated) and vnf is None:
        return Vnf(id=commit.aggregate_id, project=commit.project, **msgspec.structs.asdict(event))
    if vnf is None or vnf.deleted or isinstance(event, VnfCreated):
        exists = "exists" if vnf is not None and not vnf.deleted else "does not exist"
        raise IllegalTransition(f"{what} happened to VNF instance {commit.aggregate_id}, which {exists}")
    if isinstance(event, VnfDeleted):
        return msgspec.structs.replace(vnf, deleted=True)
    if isinstance(event, VnfInfoModified):
        return modified(vnf, event)
    if isinstance(event, OperationStarted):
        return _started(vnf, event, commit)
    operation = vnf.operation
    if operation is None or operation.id != event.op_id:
        raise IllegalTransition(f"{what} happened to operation {event.op_id}, which is not the latest")
    if isinstance(event, StepEvent):
        moved = _step_moved(operation, event, commit)
        return msgspec.structs.replace(vnf, operation=moved, has_images=_has_images(vnf, event))
    return _operation_moved(vnf, operation, event, commit)


def modified(vnf: Vnf, event: VnfInfoModified) -> Vnf:
    """The instance with other information."""
    given = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not UNSET}
    renewed = vnf.instantiation_state == "INSTANTIATED" and event.vnfd_id not in (UNSET, vnf.vnfd_id)
    return msgspec.structs.replace(vnf, **given, images_outdated=vnf.images_outdated or renewed)


def _started(vnf: Vnf, event: OperationStarted, commit: Commit) -> Vnf:
    unfinished = vnf.open_operation
    operation = Operation(
        id=event.op_id,
        operation=event.operation,
        state=next_operation_state(unfinished.state if unfinished else None, event),
        state_entered=commit.at,
        started=commit.at,
        params=event.params,
        lane=event.lane,
        plan=tuple(StepRun(step=step) for step in event.steps),
        automatic=event.automatic,
        scale_status=event.scale_status,
        former_connections=vnf.vim_connections,
        hooks=event.hooks,
        modification=event.modification,
        vnfc_snapshots=event.vnfc_snapshots,
    )
    return msgspec.structs.replace(
        vnf,
        operation=operation,
        vim_connections=event.vim_connections or vnf.vim_connections,
    )


def _has_images(vnf: Vnf, event: StepEvent) -> bool:
    kind = kind_of(event.step)
    if isinstance(event, StepIntended):
        # Of several images some may be there though the step fails.
        return vnf.has_images or kind in _UPLOADS
    if isinstance(event, StepConfirmed) and kind in _LETTING_GO:
        return vnf.has_images and bool(event.result.get("kept"))
    return vnf.has_images


def _operation_moved(vnf: Vnf, operation: Operation, event: OperationEvent, commit: Commit) -> Vnf:
    moved = msgspec.structs.replace(
        operation,
        state=next_operation_state(operation.state, event),
        state_entered=operation.state_entered if isinstance(event, CancellationRequested) else commit.at,
        **_members(operation, event),
    )
    vnf = msgspec.structs.replace(vnf, operation=moved)
    if isinstance(event, OperationCompleted):
        instantiated = event.instantiation_state == "INSTANTIATED"
        renewing, uploaded = moved.operation in RENEWING, uploaded_by(moved)
        vnf = msgspec.structs.replace(
            vnf,
            instantiation_state=event.instantiation_state,
            instantiated_vnf_info=event.instantiated_vnf_info,
            vim_connections=vnf.vim_connections if instantiated else {},
            has_images=vnf.has_images and instantiated,
            images=uploaded if renewing else vnf.images | uploaded if instantiated else {},
            images_outdated=vnf.images_outdated and instantiated and not renewing and not uploaded,
            extensions=merge_patch(vnf.extensions, event.extensions),
            configurable_properties=merge_patch(vnf.configurable_properties, event.configurable_properties),
        )
    elif isinstance(event, OperationProcessing) and event.vim_connections:
        vnf = msgspec.structs.replace(vnf, vim_connections=event.vim_connections)
    elif isinstance(event, OperationRolledBack | OperationFailed):
        vnf = msgspec.structs.replace(vnf, vim_connections=operation.former_connections)
    if isinstance(event, OperationRolledBack) and event.instantiated_vnf_info is not None:
        vnf = msgspec.structs.replace(vnf, instantiated_vnf_info=event.instantiated_vnf_info)
    return vnf


def _members(operation: Operation, event: OperationEvent) -> dict[str, Any]:
    """What an event changes in the operation besides its state."""
    match event:
        case OperationCompleted():
            return {
                "error": None,
                "resource_changes": event.resource_changes,
                "changed_info": event.changed_info,
                "modifications": event.modifications,
                "affected_vip_cps": event.affected_vip_cps,
                "changed_ext_connectivity": event.changed_ext_connectivity,
                "cancel_mode": None,
            }
        case CancellationRequested():
            return {"cancel_mode": event.mode}
        case OperationFailedTemp():
            return {"error": event.error, "cancel_mode": None}
        case OperationProcessing():
            return {
                "rollback": (),
                "tries": {**operation.tries, **{run.step.name: run.attempt for run in operation.rollback}},
            }
        case OperationRollingBack():
            # Attempts go on counting, so that a late report of an earlier try is no report of this one.
            return {"rollback": tuple(StepRun(step=step, attempt=operation.tried(step.name)) for step in event.steps)}
        case OperationRolledBack():
            error = event.error or operation.error or {}
            kept = {name: value for name, value in error.items() if name != ERROR_DATA}
            return {"error": kept or None, "cancel_mode": None}
        case _:
            return {}


def _step_moved(operation: Operation, event: StepEvent, commit: Commit) -> Operation:
    at = next((at for at, run in enumerate(operation.runs) if run.step.name == event.step), None)
    if at is None:
        raise IllegalTransition(
            f"{type(event).__name__} happened to {event.step}, which operation {operation.id} lacks"
        )
    run = operation.runs[at]
    changes: dict[str, Any] = {"status": next_step_status(run.status, event), "attempt": event.attempt}
    if isinstance(event, StepIntended):
        changes |= {"since": commit.at, "result": {}}
    if isinstance(event, StepConfirmed | StepNoted):
        changes["result"] = event.result
    behind = operation.runs[at + 1 :]
    if isinstance(event, StepIntended):
        # What was done behind a step that is done again has to be done again.
        behind = tuple(msgspec.structs.replace(later, status="PLANNED", result={}) for later in behind)
    runs = (*operation.runs[:at], msgspec.structs.replace(run, **changes), *behind)
    return msgspec.structs.replace(operation, **{"rollback" if operation.rollback else "plan": runs})
