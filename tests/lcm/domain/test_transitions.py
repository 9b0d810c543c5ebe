"""Every event in every state: the table allows it, or folding it raises."""

from __future__ import annotations

from typing import Any, get_args

import pytest
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
    StepUnknown,
    VnfCreated,
    VnfDeleted,
    VnfEvent,
)
from forestay_lcm.domain.plan import PLANS, STEPS, kind_of, plan, steps
from forestay_lcm.domain.state import Vnf
from forestay_lcm.domain.transitions import OPERATION, STEP, IllegalTransition, StepStatus
from forestay_sol.vnflcm import LcmOperationState

from tests.lcm.domain.story import Story, told
from tests.lcm.samples import CONNECTIONS, confirmed, create, failed, handle, instantiate, unknown

PROCESSING = (create(), instantiate(), confirmed)
IN_STATE: dict[LcmOperationState, Story] = {
    "STARTING": told(create(), instantiate()),
    "PROCESSING": told(*PROCESSING),
    "FAILED_TEMP": told(*PROCESSING, failed),
    "ROLLING_BACK": told(*PROCESSING, failed, handle("rollback")),
    "COMPLETED": told(*PROCESSING, confirmed, confirmed, confirmed),
    "FAILED": told(*PROCESSING, failed, handle("fail")),
    "ROLLED_BACK": told(create(), instantiate(), failed),
}
OPERATION_EVENTS: dict[type[OperationEvent], dict[str, Any]] = {
    OperationProcessing: {},
    OperationCompleted: {"instantiation_state": "INSTANTIATED"},
    OperationFailedTemp: {"error": {}},
    OperationRollingBack: {"steps": steps(["delete-stack"])},
    OperationRolledBack: {},
    OperationFailed: {},
    CancellationRequested: {"mode": "GRACEFUL"},
}
IN_STATUS: dict[StepStatus, tuple[Story, str]] = {
    "PLANNED": (told(*PROCESSING), "await-stack"),
    "INTENDED": (told(*PROCESSING), "create-stack"),
    "UNKNOWN": (told(*PROCESSING, unknown), "create-stack"),
    "CONFIRMED": (told(*PROCESSING), "grant"),
    "FAILED": (told(*PROCESSING, failed), "create-stack"),
}
STEP_EVENTS: dict[type[StepEvent], dict[str, Any]] = {
    StepIntended: {}, StepConfirmed: {}, StepFailed: {"error": {}}, StepUnknown: {"reason": ""},
}  # fmt: skip
ENDED = ("COMPLETED", "FAILED", "ROLLED_BACK")


def after(story: Story, event: VnfEvent) -> Vnf:
    """The state after an event, with the story left as it was."""
    copy = Story()
    copy.state, copy.commits = story.state, [*story.commits]
    copy.happen(event)
    return copy.vnf


def test_the_stories_stand_in_the_states_that_they_are_filed_under() -> None:
    assert {state: story.operation.state for state, story in IN_STATE.items()} == {state: state for state in IN_STATE}
    assert set(IN_STATE) == set(get_args(LcmOperationState))
    for status, (story, step) in IN_STATUS.items():
        assert next(run.status for run in story.operation.plan if run.step.name == step) == status
    assert set(IN_STATUS) == set(get_args(StepStatus)) == set(STEP)


@pytest.mark.parametrize("state", IN_STATE)
@pytest.mark.parametrize("kind", OPERATION_EVENTS, ids=lambda kind: kind.__name__)
def test_operation_event(state: LcmOperationState, kind: type[OperationEvent]) -> None:
    story = IN_STATE[state]
    event: Any = kind(op_id=story.operation.id, **OPERATION_EVENTS[kind])
    allowed = OPERATION.get(state, {}).get(kind)
    if allowed is None:
        with pytest.raises(IllegalTransition, match=f"operation in {state} cannot see {kind.__name__}"):
            after(story, event)
    else:
        operation = after(story, event).operation
        assert operation is not None
        assert operation.state == allowed
        same = kind is CancellationRequested
        assert (operation.state_entered == story.operation.state_entered) == same, (
            "a cancellation is no change of state"
        )


@pytest.mark.parametrize("kind", [OperationStarted, ModificationStarted])
@pytest.mark.parametrize("state", IN_STATE)
def test_an_operation_starts_only_when_none_is_open(state: LcmOperationState, kind: type[OperationStarted]) -> None:
    story = IN_STATE[state]
    started = kind(
        op_id="next", operation="INSTANTIATE", params={}, steps=plan("openstack", "INSTANTIATE"), lane="vim",
        vim_connections=CONNECTIONS,
    )  # fmt: skip
    if state in ENDED:
        operation = after(story, started).operation
        assert operation is not None
        assert (operation.id, operation.state) == ("next", OPERATION[None][kind])
    else:
        with pytest.raises(IllegalTransition):
            after(story, started)


@pytest.mark.parametrize("status", IN_STATUS)
@pytest.mark.parametrize("kind", STEP_EVENTS, ids=lambda kind: kind.__name__)
def test_step_event(status: StepStatus, kind: type[StepEvent]) -> None:
    story, step = IN_STATUS[status]
    event: Any = kind(op_id=story.operation.id, step=step, attempt=2, **STEP_EVENTS[kind])
    allowed = STEP[status].get(kind)
    if allowed is None:
        with pytest.raises(IllegalTransition, match=f"step {step} in {status} cannot see {kind.__name__}"):
            after(story, event)
    else:
        operation = after(story, event).operation
        assert operation is not None
        run = next(run for run in operation.plan if run.step.name == step)
        assert (run.status, run.attempt) == (allowed, 2)


@pytest.mark.parametrize(
    ("story", "event"),
    [
        (told(), VnfDeleted()),
        (told(create(), instantiate()), OperationProcessing(op_id="older")),
        (told(create()), StepIntended(op_id="none", step="grant", attempt=1)),
        (told(*PROCESSING), StepIntended(op_id=told(*PROCESSING).operation.id, step="scale-stack", attempt=1)),
        (told(create()), VnfCreated(vnfd_id="", provider="", product_name="", software_version="", vnfd_version="")),
    ],
    ids=["deleted before created", "another operation", "no operation", "no such step", "created twice"],
)
def test_what_cannot_have_happened(story: Story, event: VnfEvent) -> None:
    with pytest.raises(IllegalTransition):
        after(story, event)


def test_nothing_happens_to_a_deleted_instance() -> None:
    story = told(create())
    story.happen(VnfDeleted())
    with pytest.raises(IllegalTransition, match="does not exist"):
        after(story, VnfDeleted())


def test_tables_name_only_states_that_can_be_reached_and_left() -> None:
    reached = {state for row in OPERATION.values() for state in row.values()}
    assert reached == set(get_args(LcmOperationState))
    assert {state for state in OPERATION if state is not None} == reached - set(ENDED)


def test_every_step_of_every_plan_is_known_and_retries_and_compensates_with_known_steps() -> None:
    for names in PLANS.values():
        assert {kind_of(name) for name in names} <= set(STEPS)
    for kind in STEPS.values():
        assert {kind_of(name) for name in (*kind.undo, kind.retry_from or "grant")} <= set(STEPS)
