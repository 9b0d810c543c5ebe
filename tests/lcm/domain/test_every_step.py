"""Every operation, stopped at every step: by a failure, by a cancellation; then retried, rolled back or given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
import pytest
from forestay_lcm.domain.commands import Cancel, ReportStep, VnfCommand
from forestay_lcm.domain.plan import ENGINE, STEPS
from forestay_lcm.domain.state import Operation, Vnf

from tests.lcm.domain.story import Story, kinds, refusal, told
from tests.lcm.domain.test_operations import INSTANTIATED, OPERATIONS
from tests.lcm.samples import (
    cancel,
    confirmed,
    create,
    failed,
    handle,
    instantiate,
    modify,
    present,
    terminate,
    unknown,
)

BEGUN: dict[str, tuple[VnfCommand | Callable[[Vnf | None], VnfCommand], ...]] = {
    "INSTANTIATE": (create(), instantiate()),
    **{name: (*INSTANTIATED, command) for name, command in OPERATIONS.items()},
}
STEPS_OF = {name: tuple(run.step.name for run in told(*begun).operation.plan) for name, begun in BEGUN.items()}
PLACES = [(name, step) for name, steps in STEPS_OF.items() for step in steps]
GRANTED = [(name, step) for name, step in PLACES if step != "grant"]
UNDOABLE = [
    (name, step)
    for name, step in GRANTED
    if not any(STEPS[begun].final for begun in STEPS_OF[name][: STEPS_OF[name].index(step) + 1])
]
FINAL = [(name, step) for name, step in GRANTED if (name, step) not in UNDOABLE]
OF_A_VIM = [(name, step) for name, step in GRANTED if STEPS[step].executor != ENGINE]


def at(operation: str, step: str) -> Story:
    """The operation with this step in hand."""
    story = told(*BEGUN[operation]).until(step, confirmed)
    assert present(story.vnf)[0] == step
    return story


def instance(vnf: Vnf) -> Vnf:
    return msgspec.structs.replace(vnf, operation=None)


def before(operation: str) -> Vnf:
    return instance(told(*BEGUN[operation][:-1]).vnf)


def completed(operation: str) -> Vnf:
    return instance(told(*BEGUN[operation]).until("", confirmed).vnf)


def attempts(operation: Operation) -> dict[str, int]:
    return {run.step.name: run.attempt for run in operation.plan}


def test_the_places_are_all_there_are() -> None:
    assert len(PLACES) > 30
    assert ("TERMINATE", "graceful-wait") in UNDOABLE
    assert [
        ("TERMINATE", "delete-stack"), ("TERMINATE", "await-deleted"),
        *(("REVERT_TO_SNAPSHOT", step) for step in ("revert-snapshot", "read-back", "release-snapshot")),
    ] == FINAL  # fmt: skip


class TestFailure:
    @pytest.mark.parametrize("operation", BEGUN)
    def test_of_the_grant_ends_it_where_it_began(self, operation: str) -> None:
        story = at(operation, "grant")
        assert kinds(story.do(failed)) == ["StepFailed", "OperationRolledBack"]
        assert story.operation.error == {
            "title": "Step failed", "status": 422, "detail": "No valid host was found.", "step": "grant",
        }  # fmt: skip
        assert instance(story.vnf) == before(operation)

    @pytest.mark.parametrize(("operation", "step"), GRANTED)
    @pytest.mark.parametrize("first", [(), (unknown,)], ids=["known", "unknown first"])
    def test_leads_to_failed_temp_with_a_record_of_what_exists(
        self, operation: str, step: str, first: tuple[Callable[[Vnf | None], ReportStep], ...]
    ) -> None:
        story = at(operation, step)
        for report in (*first, failed):
            events = story.do(report)
        assert kinds(events) == ["StepFailed", "OperationFailedTemp"]  # pyright: ignore[reportPossiblyUnboundVariable]
        assert story.operation.error is not None
        assert (story.operation.error["step"], story.operation.error["detail"]) == (step, "No valid host was found.")
        steps = STEPS_OF[operation]
        done = {*steps[: steps.index(step)]}
        assert {run.step.name for run in story.operation.plan if run.status == "CONFIRMED"} == done
        assert story.operation.results.keys() == done
        assert story.vnf.instantiated_vnf_info == before(operation).instantiated_vnf_info

    @pytest.mark.parametrize(("operation", "step"), GRANTED)
    def test_then_retry_goes_on_and_completes(self, operation: str, step: str) -> None:
        story = at(operation, step)
        story.do(failed)
        story.do(handle("retry"))
        continues = STEPS[step].retry_from or step
        assert present(story.vnf)[:2] == (continues, 2)
        story.until("", confirmed)
        assert (story.operation.state, story.operation.error) == ("COMPLETED", None)
        assert instance(story.vnf) == completed(operation)
        steps = STEPS_OF[operation]
        again = steps[steps.index(continues) : steps.index(step) + 1]
        assert attempts(story.operation) == {name: 2 if name in again else 1 for name in steps}

    @pytest.mark.parametrize(("operation", "step"), UNDOABLE)
    def test_then_rollback_undoes_what_was_begun(self, operation: str, step: str) -> None:
        story = at(operation, step)
        story.do(failed)
        error = story.operation.error
        story.do(handle("rollback"))
        steps = STEPS_OF[operation]
        begun = steps[: steps.index(step) + 1]
        undo = [name for done in reversed(begun) for name in STEPS[done].undo]
        assert [run.step.name for run in story.operation.rollback] == undo
        story.until("", confirmed)
        assert (story.operation.state, story.operation.error) == ("ROLLED_BACK", error)
        assert instance(story.vnf) == before(operation)

    @pytest.mark.parametrize(("operation", "step"), FINAL)
    def test_then_rollback_is_refused_when_what_is_gone_cannot_come_back(self, operation: str, step: str) -> None:
        story = at(operation, step)
        story.do(failed)
        error = refusal(story, handle("rollback"))
        assert error.status == 409
        assert error.detail.startswith(f"Rollback of {operation} is not supported")
        assert error.extra["lcmOpOcc"]["operationState"] == "FAILED_TEMP"
        story.do(handle("retry"))
        assert story.until("", confirmed).operation.state == "COMPLETED"

    @pytest.mark.parametrize(("operation", "step"), GRANTED)
    def test_then_fail_leaves_the_instance_as_it_was_and_free(self, operation: str, step: str) -> None:
        story = at(operation, step)
        story.do(failed)
        results = story.operation.results
        assert kinds(story.do(handle("fail"))) == ["OperationFailed"]
        assert instance(story.vnf) == before(operation)
        assert story.operation.results == results, "what exists stays on record"
        assert kinds(story.do(modify(vnfInstanceName="next")))[-1] == "OperationCompleted"

    @pytest.mark.parametrize(("operation", "step"), UNDOABLE)
    def test_of_a_rollback_can_be_rolled_back_again_or_given_up(self, operation: str, step: str) -> None:
        story = at(operation, step)
        for move in (failed, handle("rollback")):
            story.do(move)
        compensations = [run.step.name for run in story.operation.rollback]
        for name in compensations:
            story.until(name, confirmed)
            story.do(failed)
            assert (story.operation.state, refusal(story, handle("retry")).status) == ("FAILED_TEMP", 409)
            story.do(handle("rollback"))
        assert story.until("", confirmed).operation.state == "ROLLED_BACK"
        assert instance(story.vnf) == before(operation)


class TestCancellation:
    @pytest.mark.parametrize(
        ("operation", "step", "first"),
        [
            *((*place, first) for place in PLACES for first in ((), (unknown,))),
            *((*place, (cancel("GRACEFUL"),)) for place in OF_A_VIM),
        ],
    )
    def test_forceful_is_at_once(
        self, operation: str, step: str, first: tuple[Callable[[Vnf | None], VnfCommand], ...]
    ) -> None:
        story = at(operation, step)
        late = confirmed(story.vnf)
        for command in (*first, cancel("FORCEFUL")):
            story.do(command)
        ends = "ROLLED_BACK" if step == "grant" else "FAILED_TEMP"
        assert (story.operation.state, story.operation.current, story.operation.cancel_mode) == (ends, None, None)
        assert story.operation.error == {
            "title": "Cancelled", "status": 409, "detail": "The operation was cancelled on request.", "step": step,
        }  # fmt: skip
        assert story.do(late) == [], "what the worker says now is too late"
        assert instance(story.vnf).instantiated_vnf_info == before(operation).instantiated_vnf_info

    @pytest.mark.parametrize(("operation", "step"), OF_A_VIM)
    def test_graceful_lets_the_step_end_and_begins_no_other(self, operation: str, step: str) -> None:
        story = at(operation, step)
        assert kinds(story.do(cancel("GRACEFUL"))) == ["CancellationRequested"]
        assert (story.operation.state, story.operation.cancel_mode) == ("PROCESSING", "GRACEFUL")
        assert present(story.vnf)[0] == step
        assert story.do(cancel("GRACEFUL")) == [], "said already"
        last = step == STEPS_OF[operation][-1]
        story.do(confirmed)
        assert (story.operation.state, story.operation.cancel_mode) == ("COMPLETED" if last else "FAILED_TEMP", None)
        if not last:
            assert story.operation.error is not None
            assert story.operation.error["title"] == "Cancelled"
            story.do(handle("retry"))
            assert story.until("", confirmed).operation.state == "COMPLETED"
            assert set(attempts(story.operation).values()) == {1}, "nothing was done twice"
            assert instance(story.vnf) == completed(operation)

    @pytest.mark.parametrize(("operation", "step"), OF_A_VIM)
    def test_graceful_of_a_step_that_fails_has_its_error(self, operation: str, step: str) -> None:
        story = at(operation, step)
        story.do(cancel("GRACEFUL"))
        story.do(failed)
        assert (story.operation.state, story.operation.cancel_mode) == ("FAILED_TEMP", None)
        assert story.operation.error is not None
        assert story.operation.error["title"] == "Step failed"

    @pytest.mark.parametrize(
        ("operation", "step"), [(name, step) for name, step in PLACES if STEPS[step].executor == ENGINE]
    )
    def test_graceful_is_at_once_while_nothing_outside_is_under_way(self, operation: str, step: str) -> None:
        story = at(operation, step)
        story.do(cancel("GRACEFUL"))
        ends = "ROLLED_BACK" if step == "grant" else "FAILED_TEMP"
        assert (story.operation.state, story.operation.cancel_mode) == (ends, None)

    @pytest.mark.parametrize("mode", ["GRACEFUL", "FORCEFUL"])
    @pytest.mark.parametrize(("operation", "step"), UNDOABLE)
    def test_of_a_rollback(self, operation: str, step: str, mode: Literal["GRACEFUL", "FORCEFUL"]) -> None:
        story = at(operation, step)
        for move in (failed, handle("rollback")):
            story.do(move)
        if story.operation.current is None:
            assert refusal(story, cancel(mode)).status == 409
            return
        awaited = mode == "GRACEFUL" and story.operation.current.step.executor != ENGINE
        story.do(cancel(mode))
        last = len(story.operation.rollback) == 1
        if awaited:
            story.do(confirmed)
        assert story.operation.state == ("ROLLED_BACK" if last and awaited else "FAILED_TEMP")
        assert story.operation.cancel_mode is None
        if story.operation.state == "FAILED_TEMP":
            story.do(handle("rollback"))
            assert story.until("", confirmed).operation.state == "ROLLED_BACK"
        assert instance(story.vnf) == before(operation)

    @pytest.mark.parametrize("mode", ["GRACEFUL", "FORCEFUL"])
    @pytest.mark.parametrize(
        "done",
        [
            INSTANTIATED,
            (create(), instantiate(), confirmed, failed),
            (create(), instantiate(), failed),
            (create(), instantiate(), confirmed, failed, handle("fail")),
            (create(), modify(vnfInstanceName="x")),
        ],
        ids=["COMPLETED", "FAILED_TEMP", "ROLLED_BACK", "FAILED", "modified"],
    )
    def test_of_what_is_not_under_way_is_refused(
        self, done: tuple[VnfCommand, ...], mode: Literal["GRACEFUL", "FORCEFUL"]
    ) -> None:
        story = told(*done)
        error = refusal(story, cancel(mode))
        assert error.status == 409
        assert error.detail == f"LCM operation {story.operation.id} is in no state that can be cancelled."
        assert error.extra["lcmOpOcc"]["operationState"] == story.operation.state
        assert refusal(story, Cancel("older", mode)).status == 409
        assert refusal(story, cancel(mode), project="other").status == 404


def test_cancelled_while_it_is_done_again_goes_on_behind_what_is_done() -> None:
    """The failure of the first try is past: the step that it went back to has been done."""
    story = at("INSTANTIATE", "await-stack")
    for move in (failed, handle("retry"), cancel("GRACEFUL"), confirmed, handle("retry")):
        story.do(move)
    assert present(story.vnf)[:2] == ("await-stack", 2)


class TestLateReports:
    @pytest.mark.parametrize(("operation", "step"), UNDOABLE)
    def test_of_the_plan_are_no_reports_of_the_rollback(self, operation: str, step: str) -> None:
        """``read-back`` is a step of both: what a worker that slept saw before must not be taken for what is now."""
        story = at(operation, step)
        late = [confirmed(story.vnf), failed(story.vnf), unknown(story.vnf)]
        story.do(failed)
        story.do(handle("rollback"))
        while story.operation.current is not None:
            assert [story.do(report) for report in late] == [[], [], []]
            story.do(confirmed)
        assert instance(story.vnf) == before(operation)

    def test_of_another_operation(self) -> None:
        story = at("SCALE", "update-stack")
        late = confirmed(story.vnf)
        for move in (failed, handle("fail"), terminate(), confirmed):
            story.do(move)
        assert story.do(late) == []
