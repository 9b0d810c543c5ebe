"""Every operation, stopped at every step: by a failure, by a cancellation; then retried, rolled back or given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
import pytest
from forestay_lcm.domain.commands import Cancel, ReportStep, VnfCommand
from forestay_lcm.domain.plan import ENGINE, HOOKS, PLANS, STEPS, kind_of
from forestay_lcm.domain.state import Operation, Vnf

from tests.lcm.domain.story import VNF_ID, Story, kinds, refusal, told
from tests.lcm.domain.test_operations import INSTANTIATED, OPERATIONS
from tests.lcm.samples import (
    SCRIPTED,
    SCRIPTED_COMING,
    WITH_USER_DATA,
    cancel,
    change_ext_conn,
    change_flavour,
    confirmed,
    coordinated,
    create,
    failed,
    filled_snapshot,
    handle,
    heal,
    instantiate,
    modify,
    operate,
    present,
    revert_to,
    scale,
    scale_to_level,
    take_snapshot,
    terminate,
    unknown,
)

Move = VnfCommand | Callable[[Vnf | None], VnfCommand]

ALL_OF_IT = {"all": True}
IN_FULL = instantiate(vnfd=SCRIPTED, instantiationLevelId="two", additionalParams=WITH_USER_DATA)
SCRIPTED_VNF: tuple[Move, ...] = (create(SCRIPTED), IN_FULL, *[confirmed] * 8)
"""Instantiated of a package with scripts and an image, with two VNFCs."""

BEGUN: dict[str, tuple[Move, ...]] = {
    "INSTANTIATE": (create(), instantiate()),
    **{name: (*INSTANTIATED, command) for name, command in OPERATIONS.items()},
    "HEAL of all": (*INSTANTIATED, heal(additionalParams=ALL_OF_IT)),
    "MODIFY_INFO with scripts": (*SCRIPTED_VNF, modify(SCRIPTED, SCRIPTED, vnfInstanceName="x")),
    "INSTANTIATE with scripts": (create(SCRIPTED), IN_FULL),
    "CHANGE_VNFPKG with scripts": (*SCRIPTED_VNF, coordinated(SCRIPTED_COMING, SCRIPTED, **WITH_USER_DATA)),
    **{
        f"{name} with scripts": (*SCRIPTED_VNF, command)
        for name, command in {
            "TERMINATE": terminate("GRACEFUL", SCRIPTED, gracefulTerminationTimeout=1),
            "SCALE": scale(vnfd=SCRIPTED, additionalParams=WITH_USER_DATA),
            "SCALE_TO_LEVEL": scale_to_level("three", SCRIPTED),
            "HEAL": heal(SCRIPTED),
            "HEAL of all": heal(SCRIPTED, additionalParams=ALL_OF_IT),
            "CHANGE_EXT_CONN": change_ext_conn(vnfd=SCRIPTED),
            "CHANGE_FLAVOUR": change_flavour(vnfd=SCRIPTED),
            "OPERATE": operate("STOPPED", SCRIPTED),
            "CREATE_SNAPSHOT": take_snapshot(vnfd=SCRIPTED),
            "REVERT_TO_SNAPSHOT": revert_to(filled_snapshot(VNF_ID, "server-1", "server-2"), SCRIPTED),
        }.items()
    },
}
STEPS_OF = {name: tuple(run.step.name for run in told(*begun).operation.plan) for name, begun in BEGUN.items()}
WITH_GRANT = [name for name, steps in STEPS_OF.items() if steps[0] == "grant"]
PLACES = [(name, step) for name, steps in STEPS_OF.items() for step in steps]
OPTIONAL = [(name, step) for name, step in PLACES if STEPS[kind_of(step)].optional]
GRANTED = [(name, step) for name, step in PLACES if step != "grant" and (name, step) not in OPTIONAL]
UNDOABLE = [
    (name, step)
    for name, step in GRANTED
    if not any(STEPS[kind_of(begun)].final for begun in STEPS_OF[name][: STEPS_OF[name].index(step) + 1])
]
COMPENSATED = [
    (name, step)
    for name, step in UNDOABLE
    if any(STEPS[kind_of(begun)].undo for begun in STEPS_OF[name][: STEPS_OF[name].index(step) + 1])
]
FINAL = [(name, step) for name, step in GRANTED if (name, step) not in UNDOABLE]
OUTSIDE = [(name, step) for name, step in GRANTED if STEPS[kind_of(step)].executor != ENGINE]
"""The steps that a worker of its own does: of a VIM, or of scripts."""


def at(operation: str, step: str) -> Story:
    """The operation with this step in hand."""
    story = told(*BEGUN[operation]).until(step, confirmed)
    assert present(story.vnf)[0] == step
    return story


def instance(vnf: Vnf) -> Vnf:
    return msgspec.structs.replace(vnf, operation=None)


def despite_images(vnf: Vnf) -> Vnf:
    """An image that was uploaded stays on record until it is deleted, whatever becomes of the operation."""
    return msgspec.structs.replace(vnf, has_images=False)


def before(operation: str) -> Vnf:
    return instance(told(*BEGUN[operation][:-1]).vnf)


def completed(operation: str) -> Vnf:
    return instance(told(*BEGUN[operation]).until("", confirmed).vnf)


def attempts(operation: Operation) -> dict[str, int]:
    return {run.step.name: run.attempt for run in operation.plan}


def test_the_places_are_all_there_are() -> None:
    plans = [told(*begun).operation.plan for begun in BEGUN.values()]
    undo = {kind_of(name) for plan in plans for run in plan for name in run.step.undo}
    assert {kind_of(step) for _, step in PLACES} | undo == STEPS.keys(), "every kind of step is in a plan or undoes one"
    assert ("TERMINATE", "graceful-wait") in UNDOABLE
    assert {(name, kind_of(step)) for name, step in FINAL if "scripts" not in name} == {
        ("TERMINATE", "delete-stack"), ("TERMINATE", "await-deleted"),
        *(("HEAL of all", step) for step in STEPS_OF["HEAL of all"][2:]),
        *(("REVERT_TO_SNAPSHOT", step) for step in ("revert-snapshot", "read-back", "release-snapshot")),
    }  # fmt: skip


def test_what_is_optional_comes_last() -> None:
    """The end script of a package stands before it, so nothing else may stand behind it."""
    for names in PLANS.values():
        optional = [STEPS[kind_of(name)].optional for name in names]
        assert optional == sorted(optional)


class TestFailure:
    @pytest.mark.parametrize("operation", WITH_GRANT)
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
        continues = next(run.step.retry_from for run in story.operation.plan if run.step.name == step) or step
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
        begun = [run.step for run in story.operation.plan[: steps.index(step) + 1]]
        undo = [name for done in reversed(begun) for name in done.undo]
        scripts = [f"script:{HOOKS[story.operation.operation]}_rollback_{end}" for end in ("start", "end")]
        start, end = scripts if "scripts" in operation else ("", "")
        expected = [name for name in dict.fromkeys((start, *undo, end)) if name]
        assert [run.step.name for run in story.operation.rollback] == expected
        story.until("", confirmed)
        assert (story.operation.state, story.operation.error) == ("ROLLED_BACK", error)
        # Images that a change adds stay, since those of before may be the same.
        kept = despite_images if "add-images" in steps else instance
        assert kept(instance(story.vnf)) == kept(before(operation))

    @pytest.mark.parametrize(("operation", "step"), FINAL)
    def test_then_rollback_is_refused_when_what_is_gone_cannot_come_back(self, operation: str, step: str) -> None:
        story = at(operation, step)
        story.do(failed)
        error = refusal(story, handle("rollback"))
        assert error.status == 409
        assert error.detail.startswith(f"Rollback of {story.operation.operation} is not supported")
        assert error.extra["lcmOpOcc"]["operationState"] == "FAILED_TEMP"
        story.do(handle("retry"))
        assert story.until("", confirmed).operation.state == "COMPLETED"

    @pytest.mark.parametrize(("operation", "step"), GRANTED)
    def test_then_fail_leaves_the_instance_as_it_was_and_free(self, operation: str, step: str) -> None:
        story = at(operation, step)
        story.do(failed)
        results = story.operation.results
        assert kinds(story.do(handle("fail"))) == ["OperationFailed"]
        assert despite_images(instance(story.vnf)) == despite_images(before(operation))
        assert story.operation.results == results, "what exists stays on record"
        assert kinds(story.do(modify(vnfInstanceName="next")))[-1] == "OperationCompleted"

    @pytest.mark.parametrize(("operation", "step"), UNDOABLE)
    def test_of_a_rollback_can_be_rolled_back_again_or_given_up(self, operation: str, step: str) -> None:
        story = at(operation, step)
        for move in (failed, handle("rollback")):
            story.do(move)
        compensations = [run.step.name for run in story.operation.rollback if not run.step.optional]
        for name in compensations:
            story.until(name, confirmed)
            story.do(failed)
            assert story.operation.state == "FAILED_TEMP"
            story.do(handle("rollback"))
        assert story.until("", confirmed).operation.state == "ROLLED_BACK"
        assert instance(story.vnf) == before(operation)

    @pytest.mark.parametrize(("operation", "step"), OPTIONAL)
    def test_of_an_optional_step_is_passed_over(self, operation: str, step: str) -> None:
        story = at(operation, step)
        assert kinds(story.do(failed))[0] == "StepFailed"
        assert (story.operation.state, story.operation.error) == ("COMPLETED", None)
        assert instance(story.vnf) == completed(operation)

    @pytest.mark.parametrize(("operation", "step"), OPTIONAL)
    def test_of_an_optional_step_does_not_keep_a_rollback_from_its_end(self, operation: str, step: str) -> None:
        story = at(operation, "add-images")
        for move in (failed, handle("rollback")):
            story.do(move)
        story.until(step, confirmed).do(failed)
        assert story.until("", confirmed).operation.state == "ROLLED_BACK"
        assert instance(story.vnf) == before(operation)

    @pytest.mark.parametrize(("operation", "step"), COMPENSATED)
    def test_of_a_rollback_can_be_retried_from_what_may_be_undone(self, operation: str, step: str) -> None:
        story = at(operation, step)
        for move in (failed, handle("rollback")):
            story.do(move)
        for name in [run.step.name for run in story.operation.rollback if not run.step.optional]:
            story.until(name, confirmed)
            story.do(failed)
            begun = {run.step.name for run in story.operation.rollback if run.status != "PLANNED"}
            story.do(handle("retry"))
            done = [run.step for run in story.operation.plan if run.status == "CONFIRMED"]
            assert not any(begun & {*it.undo} for it in done), "nothing that was undone counts as done"
            story.do(failed)
            story.do(handle("rollback"))
        story.do(failed)
        story.do(handle("retry"))
        assert story.until("", confirmed).operation.state == "COMPLETED"


class TestCancellation:
    @pytest.mark.parametrize(
        ("operation", "step", "first"),
        [
            *((*place, first) for place in PLACES for first in ((), (unknown,))),
            *((*place, (cancel("GRACEFUL"),)) for place in OUTSIDE),
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

    @pytest.mark.parametrize(("operation", "step"), OUTSIDE)
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

    @pytest.mark.parametrize(("operation", "step"), OUTSIDE)
    def test_graceful_of_a_step_that_fails_has_its_error(self, operation: str, step: str) -> None:
        story = at(operation, step)
        story.do(cancel("GRACEFUL"))
        story.do(failed)
        assert (story.operation.state, story.operation.cancel_mode) == ("FAILED_TEMP", None)
        assert story.operation.error is not None
        assert story.operation.error["title"] == "Step failed"

    @pytest.mark.parametrize(
        ("operation", "step"), [(name, step) for name, step in PLACES if STEPS[kind_of(step)].executor == ENGINE]
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
