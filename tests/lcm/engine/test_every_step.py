"""Every operation on real servers, failed or left at every step; all instances at once, as they would be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.config import BaseConfig
from forestay_events.errors import Rejected
from forestay_lcm.domain.commands import Instantiate, VnfCommand
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.state import Operation, Vnf
from forestay_lcm.domain.vnf_snapshot import ClaimForFilling, CreateSnapshot, FillSnapshot, VnfSnapshot
from forestay_lcm.executor import Failed
from forestay_sol.vnflcm import InstantiatedVnfInfo

from tests.lcm.domain.test_every_step import BEGUN, FINAL, OUTSIDE, UNDOABLE, despite_images
from tests.lcm.domain.test_operations import OPERATIONS
from tests.lcm.engine.running import Lcm, onboard, registered, running
from tests.lcm.engine.scripted_vim import Hitch, Pause, ScriptedVim, Stack
from tests.lcm.samples import (
    COMING,
    PROJECT,
    SCRIPTED,
    change_vnfpkg,
    confirmed,
    failed,
    handle,
    heal,
    instantiate,
    modify,
    operate,
    place,
    revert_to,
    scale,
    snapshot_content,
    take_snapshot,
    terminate,
)

BROKEN = Failed("VIM says no", 422, "No valid host was found.")
WITHOUT_WAITING: Mapping[str, VnfCommand] = {"TERMINATE": terminate(), "OPERATE": operate("STOPPED")}
PLACES = [
    (name, step)
    for name, step in OUTSIDE
    if "scripts" not in name
    or name.partition(" ")[0] in ("INSTANTIATE", "MODIFY_INFO", "SCALE", "CHANGE_VNFPKG", "TERMINATE")
]
"""As in the domain's tests; of those with scripts enough to have every kind of step."""


@dataclass
class Case:
    """An instance whose operation does not get past one step."""

    lcm: Lcm
    vim: ScriptedVim
    operation: str
    step: str
    vnf_id: str = ""
    before: Vnf | None = None
    stack: Stack | None = None
    snapshot: VnfSnapshot | None = None

    @property
    def name(self) -> str:
        return f"{self.operation} at {self.step}"

    async def begin(self, *hitches: Hitch) -> None:
        """Start the operation; its step goes wrong."""
        *before, last = [command for command in BEGUN[self.operation] if not callable(command)]
        self.vnf_id = str(uuid4())
        for command in before:
            await self.lcm.ask(self.vnf_id, registered(command) if isinstance(command, Instantiate) else command)
            if isinstance(command, Instantiate):
                await self.until("COMPLETED")
        self.before = await self.instance()
        self.stack = self.copy()
        self.vim.next(f"{self.vnf_id}/{self.step}", *hitches)
        command = WITHOUT_WAITING.get(self.operation) or await self.of_snapshot() or last
        await self.lcm.ask(self.vnf_id, registered(command) if isinstance(command, Instantiate) else command)

    async def of_snapshot(self) -> VnfCommand | None:
        """The request of an operation for a VNF snapshot: that is to be in the log."""
        if self.operation == "CREATE_SNAPSHOT":
            self.snapshot = await self.lcm.snapshot(CreateSnapshot())
            return take_snapshot(self.snapshot)
        if self.operation == "REVERT_TO_SNAPSHOT":
            claim, fill = (
                ClaimForFilling("before", place(self.vnf_id)),
                FillSnapshot("before", snapshot_content(self.vnf_id)),
            )
            self.snapshot = await self.lcm.snapshot(CreateSnapshot(), claim, fill)
            return revert_to(self.snapshot)
        return None

    async def instance(self) -> Vnf:
        state = (await self.lcm.vnfs.load(self.vnf_id)).state
        assert state is not None
        return msgspec.structs.replace(state, operation=None)

    def copy(self) -> Stack | None:
        """What is in the VIM for the instance, whoever made it."""
        stack = self.vim.stacks.get(f"vnf-{self.vnf_id}")
        return stack and Stack(
            stack.id, ("", "", 0), msgspec.json.decode(msgspec.json.encode(stack.info)), stack.marked
        )

    def journal(self) -> list[str]:
        return [entry.partition(" ")[0] for entry in self.vim.journal if entry.endswith(self.vnf_id)]

    async def until(self, state: str) -> Operation:
        return await self.lcm.until(self.vnf_id, state)

    async def shown(self) -> None:
        """The instance shows what the VIM has; a VNF snapshot is free, and filled if the VIM has it."""
        if self.snapshot is not None:
            snapshot = await self.lcm.snapshot(snapshot_id=self.snapshot.id)
            ours = self.operation == "REVERT_TO_SNAPSHOT" or snapshot.id in self.vim.snapshots
            assert (snapshot.status, snapshot.claim) == ("FILLED" if ours else "EMPTY", None), self.name
        instance, stack = await self.instance(), self.copy()
        info = instance.instantiated_vnf_info
        assert (self.vnf_id in self.vim.images) == instance.has_images, self.name
        if instance.instantiation_state == "INSTANTIATED":
            assert stack is not None, self.name
            assert info == msgspec.convert(stack.info, InstantiatedVnfInfo), self.name
            assert not stack.marked, self.name
        else:
            assert stack is None, f"{self.name}: an orphan"


async def each(
    lcm: Lcm, vim: ScriptedVim, places: list[tuple[str, str]], check: Callable[[Case], Awaitable[None]]
) -> None:
    """Check all places at the same time."""
    await onboard(lcm.platform, COMING)
    await lcm.platform.positions.wait("lcm", "PKG", await lcm.platform.store.head("PKG"), timeout=60)
    await asyncio.gather(*(check(Case(lcm, vim, operation, step)) for operation, step in places))


async def failing(case: Case) -> Operation:
    """Begin it and let the step fail; there is a record of what exists."""
    await case.begin(Hitch(instead=BROKEN))
    operation = await case.until("FAILED_TEMP")
    assert operation.error == {
        "title": "VIM says no", "status": 422, "detail": "No valid host was found.", "step": case.step,
    }, case.name  # fmt: skip
    done = [run.step.name for run in operation.plan if run.status == "CONFIRMED"]
    assert done == [run.step.name for run in operation.plan][: len(done)], case.name
    assert operation.plan[len(done)].step.name == case.step
    assert list(operation.results) == done
    return operation


class TestFailureAtEveryStep:
    async def test_then_retry_completes(self, config: BaseConfig) -> None:
        async def check(case: Case) -> None:
            await failing(case)
            await case.lcm.handle(case.vnf_id, "retry")
            operation = await case.until("COMPLETED")
            failed_at = next(run.step for run in operation.plan if run.step.name == case.step)
            again = failed_at.retry_from or case.step
            assert next(run.attempt for run in operation.plan if run.step.name == again) == 2, case.name
            await case.shown()

        vim = ScriptedVim()
        async with running(config, vim) as lcm:
            await each(lcm, vim, PLACES, check)

    async def test_then_rollback_leaves_what_was_there(self, config: BaseConfig) -> None:
        async def check(case: Case) -> None:
            await failing(case)
            await case.lcm.handle(case.vnf_id, "rollback")
            await case.until("ROLLED_BACK")
            await case.shown()
            if case.operation != "OPERATE":  # its rollback says how it is, it starts no servers
                assert case.copy() == case.stack, f"{case.name}: {case.journal()}"
                assert await case.instance() == case.before, case.name

        vim = ScriptedVim()
        async with running(config, vim) as lcm:
            await each(lcm, vim, [place for place in UNDOABLE if place in PLACES], check)

    async def test_then_fail_ends_it_and_touches_nothing(self, config: BaseConfig) -> None:
        async def check(case: Case) -> None:
            operation = await failing(case)
            exists, journal = case.copy(), case.journal()
            await case.lcm.handle(case.vnf_id, "fail")
            ended = await case.until("FAILED")
            assert (ended.results, ended.error) == (operation.results, operation.error), case.name
            assert case.before is not None
            assert despite_images(await case.instance()) == despite_images(case.before), case.name
            await asyncio.sleep(0.3)
            assert (case.copy(), case.journal()) == (exists, journal), case.name

        vim = ScriptedVim()
        async with running(config, vim) as lcm:
            await each(lcm, vim, PLACES, check)

    async def test_rollback_of_what_is_gone_is_refused(self, config: BaseConfig) -> None:
        async def check(case: Case) -> None:
            await failing(case)
            version = (await case.lcm.vnfs.load(case.vnf_id)).version
            with pytest.raises(Rejected, match="not supported"):
                await case.lcm.handle(case.vnf_id, "rollback")
            assert (await case.lcm.vnfs.load(case.vnf_id)).version == version

        vim = ScriptedVim()
        async with running(config, vim) as lcm:
            await each(lcm, vim, [place for place in FINAL if place in PLACES], check)

    async def test_of_every_grant_ends_rolled_back(self, config: BaseConfig) -> None:
        async def check(case: Case) -> None:
            state = (await case.lcm.vnfs.load(case.vnf_id)).state
            await case.lcm.ask(case.vnf_id, failed(state))
            await case.until("ROLLED_BACK")
            assert await case.instance() == case.before, case.name
            assert case.copy() == case.stack, case.name

        vim = ScriptedVim()
        cases: list[Case] = []
        async with running(config, vim) as lcm:
            ids = await asyncio.gather(*(lcm.instantiated() for _ in OPERATIONS))
        async with running(config, vim, without=("engine", "sweeper")) as lcm:
            for operation, vnf_id in zip(OPERATIONS, ids, strict=True):
                case = Case(lcm, vim, operation, "grant", vnf_id)
                case.before, case.stack = await case.instance(), case.copy()
                await lcm.ask(vnf_id, await case.of_snapshot() or OPERATIONS[operation])
                cases.append(case)
            await asyncio.gather(*(check(case) for case in cases))


@pytest.mark.parametrize("when", ["before it acts", "after it has acted"])
async def test_a_worker_that_stops_at_any_step_leaves_it_to_another(config: BaseConfig, when: str) -> None:
    """All at once: each instance's operation stands at another step when the process ends."""
    vim, pauses = ScriptedVim(), [Pause() for _ in PLACES]
    cases = [Case(None, vim, operation, step) for operation, step in PLACES]  # type: ignore[arg-type]

    async def begin(case: Case, lcm: Lcm, pause: Pause) -> None:
        case.lcm = lcm
        await case.begin(Hitch(before=pause) if when == "before it acts" else Hitch(after=pause))
        await asyncio.wait_for(pause.reached.wait(), 60)

    async with running(config, vim) as lcm:
        await onboard(lcm.platform, COMING)
        await asyncio.gather(*(begin(case, lcm, pause) for case, pause in zip(cases, pauses, strict=True)))
    async with running(config, vim) as lcm:
        for case in cases:
            case.lcm = lcm
            operation = await case.until("COMPLETED")
            assert {run.attempt for run in operation.plan} == {1}, case.name
            await case.shown()
            acts = [entry for entry in case.journal() if entry not in ("create", "delete")]
            assert len(acts) == len(set(acts)), f"{case.name} was done twice: {case.journal()}"


CONTRADICTIONS: dict[str, tuple[VnfCommand | Callable[[Any], VnfCommand], VnfCommand | Callable[[Any], VnfCommand]]] = {
    "two scales": (scale(), scale(numberOfSteps=2)),
    "heal and terminate": (heal(), terminate()),
    "change of the package and VNF snapshot": (change_vnfpkg(), take_snapshot()),
    "modification with scripts and terminate": (modify(SCRIPTED, SCRIPTED, vnfInstanceName="x"), terminate()),
    "fail and rollback": (handle("fail"), handle("rollback")),
    "retry and rollback": (handle("retry"), handle("rollback")),
    "retry and fail": (handle("retry"), handle("fail")),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
async def test_of_two_contradictory_requests_one_is_accepted(config: BaseConfig, name: str) -> None:
    """At two replicas at the same time, again and again; the other is told which operation is in progress."""
    async with running(config, without=("engine", "sweeper")) as lcm:
        replicas = [Aggregates(lcm.platform.store, VNF, lcm.platform.clock) for _ in range(2)]
        for number in range(8):
            vnf_id = await lcm.create()
            history = (
                (instantiate(), confirmed, failed)
                if callable(CONTRADICTIONS[name][0])
                else (instantiate(), *[confirmed] * 4)
            )
            for step in history:
                state = (await lcm.vnfs.load(vnf_id)).state
                await lcm.ask(vnf_id, step(state) if callable(step) else step)
            state = (await lcm.vnfs.load(vnf_id)).state
            for replica in replicas:
                await replica.load(vnf_id)
            asked = [command(state) if callable(command) else command for command in CONTRADICTIONS[name]]
            pairs = list(zip(replicas, asked, strict=True))
            answers = await asyncio.gather(
                *(
                    replica.execute(vnf_id, command, Origin(f"{number}/{at}", PROJECT, "tester"))
                    for at, (replica, command) in (enumerate(pairs) if number % 2 else reversed([*enumerate(pairs)]))
                ),
                return_exceptions=True,
            )
            refused = [answer for answer in answers if isinstance(answer, Rejected)]
            assert len(refused) == 1, answers
            operation = await lcm.operation(vnf_id)
            assert refused[0].status == 409
            assert refused[0].extra["lcmOpOcc"] == {
                "id": operation.id, "operation": operation.operation, "operationState": operation.state,
            }  # fmt: skip
