"""Operations from the command to the end, on real servers, with a VIM that does what it is told."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest
from forestay_events.config import BaseConfig
from forestay_events.errors import Permanent, Retryable, UnknownOutcome
from forestay_lcm.domain.commands import Cancel
from forestay_lcm.domain.state import Operation, StepRun, Vnf
from forestay_lcm.domain.vnf_snapshot import (
    ClaimForFilling,
    CreateSnapshot,
    DeleteSnapshot,
    FillSnapshot,
    ReportDeletion,
)
from forestay_lcm.executor import Again, Failed, Outcome, Turn
from forestay_lcm.projections.instances import step_work

from tests.lcm.engine.running import Clock, running
from tests.lcm.engine.scripted_vim import Hitch, Pause, ScriptedVim, raising
from tests.lcm.samples import confirmed, latest, place, snapshot_content, take_snapshot


async def test_instantiate_and_terminate(config: BaseConfig) -> None:
    vim = ScriptedVim()
    async with running(config, vim) as lcm:
        vnf_id = await lcm.instantiated()
        assert vim.calls == ["create-stack/1", "await-stack/1", "read-back/1"]
        vnf = (await lcm.vnfs.load(vnf_id)).state
        assert vnf is not None
        assert vnf.instantiated_vnf_info is not None
        assert vnf.instantiated_vnf_info.vnfc_resource_info[0].compute_resource.resource_id == "server-1"
        await lcm.terminate(vnf_id)
        await lcm.until(vnf_id, "COMPLETED")
    assert vim.journal == [f"create vnf-{vnf_id}", f"delete vnf-{vnf_id}"]
    assert vim.stacks == {}


async def test_a_passing_fault_is_tried_again_later(config: BaseConfig) -> None:
    vim = ScriptedVim()
    vim.next("create-stack", *[Hitch(before=raising(Retryable("connection refused")))] * 2)
    async with running(config, vim) as lcm:
        started = time.monotonic()
        vnf_id = await lcm.instantiated()
        assert time.monotonic() - started > 0.6, "two pauses of 0.3 s at least"
    assert vim.calls.count("create-stack/1") == 3, "the same attempt"
    assert vim.journal == [f"create vnf-{vnf_id}"]


async def test_the_vim_says_itself_when_to_come_back(config: BaseConfig) -> None:
    vim = ScriptedVim()
    vim.next("create-stack", Hitch(before=raising(Retryable("429 Too Many Requests", delay=1.2))))
    async with running(config, vim) as lcm:
        started = time.monotonic()
        await lcm.instantiated()
    assert time.monotonic() - started > 1.2


async def test_an_unknown_outcome_leads_to_a_look_and_one_stack(config: BaseConfig) -> None:
    vim = ScriptedVim()
    unknown = raising(UnknownOutcome("no answer within 30 s"))
    vim.next("create-stack", Hitch(after=unknown), Hitch(after=unknown), Hitch(after=unknown))
    async with running(config, vim) as lcm:
        vnf_id = await lcm.instantiated()
        history = await lcm.platform.store.load(f"lcm.vnf.{vnf_id}")
        unknowns = [stored for stored in history if b"StepUnknown" in stored.body]
    assert vim.journal == [f"create vnf-{vnf_id}"]
    assert len(unknowns) == 1, "what is known to be unknown is not said again"


class Noting(ScriptedVim):
    """Notes something at each call for a stack."""

    async def run(self, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> Outcome:
        if run.step.name == "create-stack":
            await turn.note({"call": len(self.calls)})
        return await super().run(vnf, operation, run, turn)


async def test_what_was_noted_does_not_hide_that_the_outcome_is_still_unknown(config: BaseConfig) -> None:
    vim = Noting()
    vim.next("create-stack", *[Hitch(before=raising(UnknownOutcome("no answer within 30 s")))] * 3)
    async with running(config, vim, without=("sweeper",)) as lcm:
        await lcm.instantiated()
    assert vim.calls.count("create-stack/1") == 4


async def test_an_unknown_outcome_of_a_call_that_did_not_act(config: BaseConfig) -> None:
    vim = ScriptedVim()
    vim.next("create-stack", Hitch(before=raising(UnknownOutcome("connection reset"))))
    async with running(config, vim) as lcm:
        vnf_id = await lcm.instantiated()
    assert vim.journal == [f"create vnf-{vnf_id}"]


async def test_a_permanent_fault_fails_the_step_with_its_words(config: BaseConfig) -> None:
    vim = ScriptedVim()
    vim.next(
        "create-stack", Hitch(before=raising(Permanent("Quota exceeded for cores.", status=403, title="Forbidden")))
    )
    async with running(config, vim) as lcm:
        vnf_id = await lcm.instantiate()
        operation = await lcm.until(vnf_id, "FAILED_TEMP")
        assert operation.error == {
            "title": "Forbidden", "status": 403, "detail": "Quota exceeded for cores.", "step": "create-stack",
        }  # fmt: skip
        await lcm.handle(vnf_id, "retry")
        operation = await lcm.until(vnf_id, "COMPLETED")
    assert operation.error is None
    assert vim.calls.count("create-stack/2") == 1
    assert "grant/2" not in vim.calls


async def test_a_bug_in_a_handler_is_tried_some_times_and_told(config: BaseConfig) -> None:
    vim = ScriptedVim()
    vim.next("read-back", *[Hitch(before=raising(KeyError("ports")))] * 2)
    async with running(config, vim) as lcm:
        vnf_id = await lcm.instantiate()
        operation = await lcm.at(vnf_id, "read-back")
        await lcm.platform.queue.put_back(step_work("openstack", operation.lane, vnf_id), delay=0, tries=5)
        operation = await lcm.until(vnf_id, "FAILED_TEMP")
        assert operation.error is not None
        assert (operation.error["title"], operation.error["status"]) == ("Step given up", 500)
        dead = await lcm.platform.nats.js.stream_info("DEAD")
        assert dead.state.messages == 1, "the evidence"
        await lcm.handle(vnf_id, "retry")
        await lcm.until(vnf_id, "COMPLETED")


async def test_a_handler_that_does_not_come_back_is_left(config: BaseConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forestay_lcm.worker._PATIENCE", (0.1, 0.4))
    vim = ScriptedVim()
    vim.next("create-stack", Hitch(after=Pause()))
    async with running(config, vim) as lcm:
        vnf_id = await lcm.instantiated()
        bodies = [stored.body for stored in await lcm.platform.store.load(f"lcm.vnf.{vnf_id}")]
    assert any(b"create-stack did not come back" in body for body in bodies)
    assert vim.journal == [f"create vnf-{vnf_id}"]


async def test_a_stack_that_failed_is_made_anew_on_retry(config: BaseConfig) -> None:
    vim = ScriptedVim()
    vim.next("await-stack", Hitch(instead=Failed("Stack create failed", 422, "No valid host was found.")))
    async with running(config, vim) as lcm:
        vnf_id = await lcm.instantiate()
        operation = await lcm.until(vnf_id, "FAILED_TEMP")
        assert operation.error is not None
        assert operation.error["step"] == "await-stack"
        await lcm.handle(vnf_id, "retry")
        await lcm.until(vnf_id, "COMPLETED")
    name = f"vnf-{vnf_id}"
    assert vim.journal == [f"create {name}", f"delete {name}", f"create {name}"]
    assert vim.stacks[name].maker == (operation.id, "create-stack", 2)


async def test_rollback_leaves_nothing(config: BaseConfig) -> None:
    vim = ScriptedVim()
    vim.next("await-stack", Hitch(instead=Failed("Stack create failed", 422, "No valid host was found.")))
    vim.next("delete-stack", Hitch(before=raising(Permanent("Heat is read-only today."))))
    async with running(config, vim) as lcm:
        vnf_id = await lcm.instantiate()
        await lcm.until(vnf_id, "FAILED_TEMP")
        await lcm.handle(vnf_id, "rollback")
        await lcm.until(vnf_id, "FAILED_TEMP")
        await lcm.handle(vnf_id, "rollback")
        operation = await lcm.until(vnf_id, "ROLLED_BACK")
    assert vim.stacks == {}
    assert [call for call in vim.calls if call.startswith("delete")] == ["delete-stack/1", "delete-stack/2"]
    assert operation.error is not None


async def test_fail_ends_it_as_it_is(config: BaseConfig) -> None:
    vim = ScriptedVim()
    vim.next("await-stack", Hitch(instead=Failed("Stack create failed", 422, "No valid host was found.")))
    async with running(config, vim) as lcm:
        vnf_id = await lcm.instantiate()
        await lcm.until(vnf_id, "FAILED_TEMP")
        await lcm.handle(vnf_id, "fail")
        assert (await lcm.operation(vnf_id)).state == "FAILED"
        calls = len(vim.calls)
        await asyncio.sleep(0.5)
    assert len(vim.calls) == calls
    assert len(vim.stacks) == 1


async def test_an_operation_that_gets_no_grant_is_rolled_back(config: BaseConfig) -> None:
    """The VNFD is not in the log of packages: the embedded NFVO cannot grant."""
    vim = ScriptedVim()
    async with running(config, vim, without=("projector-PKG",)) as lcm:
        await lcm.platform.pool.execute("UPDATE lcm.checkpoint SET position = 1 WHERE stream = 'PKG'")
        await lcm.platform.positions.advance("lcm", "PKG", 1)
        vnf_id = await lcm.instantiate()
        operation = await lcm.until(vnf_id, "ROLLED_BACK")
    assert operation.error is not None
    assert (operation.error["title"], operation.error["step"]) == ("VNFD not found", "grant")
    assert vim.calls == []


async def test_a_step_ends_at_its_deadline(config: BaseConfig) -> None:
    clock, vim = Clock(), ScriptedVim()
    vim.next("create-stack", *[Hitch(before=raising(Retryable("connection refused")))] * 20)
    async with running(config, vim, clock=clock) as lcm:
        vnf_id = await lcm.instantiate()
        await lcm.at(vnf_id, "create-stack")
        clock.ahead += timedelta(seconds=601)
        operation = await lcm.until(vnf_id, "FAILED_TEMP")
    assert operation.error is not None
    assert (operation.error["title"], operation.error["status"]) == ("Time-out", 504)
    assert operation.error["detail"] == "create-stack is not done within 600 s: connection refused"


async def test_waiting_and_not_knowing_end_at_the_deadline_too(config: BaseConfig) -> None:
    clock, vim = Clock(), ScriptedVim()
    vim.next("create-stack", *[Hitch(before=raising(UnknownOutcome("no answer")))] * 20)
    vim.next("await-stack", *[Hitch(instead=Again(0.1, "stack is CREATE_IN_PROGRESS"))] * 200)
    async with running(config, vim, clock=clock) as lcm:
        vnf_id = await lcm.instantiate()
        await lcm.at(vnf_id, "create-stack", "UNKNOWN")
        clock.ahead += timedelta(seconds=601)
        operation = await lcm.until(vnf_id, "FAILED_TEMP")
        assert operation.error is not None
        assert operation.error["detail"].endswith("no answer")
        vim.hitches["create-stack"].clear()
        await lcm.handle(vnf_id, "retry")
        await lcm.at(vnf_id, "await-stack")
        clock.ahead += timedelta(seconds=1501)
        operation = await lcm.until(vnf_id, "FAILED_TEMP")
    assert operation.error is not None
    assert operation.error["detail"] == "await-stack is not done within 1500 s: stack is CREATE_IN_PROGRESS"


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_snapshot_that_was_filled_by_what_is_rolled_back(config: BaseConfig, deleted: bool) -> None:
    """That it was filled was not reported before the cancellation; meanwhile somebody may have deleted it."""
    vim = ScriptedVim()
    async with running(config, vim) as lcm:
        vnf_id, snapshot = await lcm.instantiated(), await lcm.snapshot(CreateSnapshot())
    async with running(config, vim, without=("engine", "sweeper")) as lcm:
        operation = latest(await lcm.ask(vnf_id, take_snapshot(snapshot)))
        await lcm.snapshot(ClaimForFilling(operation.id, place(vnf_id)), snapshot_id=snapshot.id)
        for _ in ("grant", "claim-snapshot"):
            await lcm.ask(vnf_id, confirmed((await lcm.vnfs.load(vnf_id)).state))
        await lcm.at(vnf_id, "fill-snapshot")
        await lcm.snapshot(FillSnapshot(operation.id, snapshot_content(vnf_id)), snapshot_id=snapshot.id)
        await lcm.ask(vnf_id, Cancel(operation.id, "FORCEFUL"))
        if deleted:
            await lcm.snapshot(DeleteSnapshot(), ReportDeletion(1), snapshot_id=snapshot.id)
    async with running(config, vim) as lcm:
        await lcm.handle(vnf_id, "rollback")
        await lcm.until(vnf_id, "ROLLED_BACK")
        assert (await lcm.snapshot(snapshot_id=snapshot.id)).status == ("DELETED" if deleted else "EMPTY")
