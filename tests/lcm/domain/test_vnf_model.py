"""Random commands in every state, against the log in memory: what must hold whatever is asked in whatever order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any, Literal, TypeVar

import msgspec
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.errors import Rejected
from forestay_events.memory import MemoryEventStore
from forestay_lcm.domain.commands import DeleteVnf, Handle, ReportStep, VnfCommand
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.state import Operation, Vnf
from forestay_lcm.domain.transitions import OPERATION
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.lcm.samples import PROJECT, confirmed, create, failed, instantiate, terminate, unknown

T = TypeVar("T")
ID = "vnf-1"
ENDED = ("COMPLETED", "FAILED", "ROLLED_BACK")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


COMMANDS: list[VnfCommand] = [
    create(), instantiate(), instantiate(), instantiate(), terminate(), terminate("GRACEFUL"), DeleteVnf(),
]  # fmt: skip


@dataclass(frozen=True)
class Move:
    """What is done next: a report if a step is in hand, else a handling."""

    report: Callable[[Vnf | None], ReportStep]
    how: Literal["retry", "rollback", "fail"]


MOVES = [
    Move(confirmed, "retry"), Move(confirmed, "retry"), Move(confirmed, "rollback"), Move(failed, "rollback"),
    Move(unknown, "fail"),
]  # fmt: skip


class VnfModel(RuleBasedStateMachine):
    """Two processes write one instance; the second's cache is often old."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = MemoryEventStore()
        self.numbers = count(1)
        self.processes = [Aggregates(self.store, VNF, self.clock) for _ in range(2)]
        self.state: Vnf | None = None
        self.ended: dict[str, Operation] = {}
        self.reports: list[ReportStep] = []

    def teardown(self) -> None:
        self.loop.close()

    def clock(self) -> datetime:
        return EPOCH + timedelta(seconds=next(self.numbers))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def execute(self, command: VnfCommand, process: int, *, project: str = PROJECT) -> None:
        origin = Origin(f"command-{next(self.numbers)}", project, "tester")
        try:
            self.state = self.wait(self.processes[process].execute(ID, command, origin)).state
        except Rejected:
            self.state = self.wait(self.processes[process].load(ID)).state

    @initialize()
    def create(self) -> None:
        self.execute(create(), 0)

    @rule(command=st.sampled_from(COMMANDS), process=st.integers(0, 1))
    def command(self, command: VnfCommand, process: int) -> None:
        self.execute(command, process)

    @rule(command=st.sampled_from(COMMANDS))
    def command_of_another_project(self, command: VnfCommand) -> None:
        before = self.state
        self.execute(command, 0, project="other")
        assert self.state == before

    @rule(moves=st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 1)), min_size=1, max_size=8))
    def go_on(self, moves: list[tuple[Move, int]]) -> None:
        """Report, or handle, whatever the operation waits for."""
        for move, process in moves:
            operation = self.state.operation if self.state else None
            if operation is None:
                return
            if operation.current is None:
                self.execute(Handle(operation.id, move.how), process)
            else:
                self.reports.append(move.report(self.state))
                self.execute(self.reports[-1], process)

    @precondition(lambda self: self.reports)
    @rule(data=st.data(), process=st.integers(0, 1))
    def repeat_a_report(self, data: st.DataObject, process: int) -> None:
        before = self.state
        report = data.draw(st.sampled_from(self.reports))
        due = before.operation.current if before and before.operation else None
        self.execute(report, process)
        if due is None or (report.op_id, report.step, report.attempt) != self.key(before):
            assert self.state == before, "a report of anything but the present attempt of the present step"

    @staticmethod
    def key(vnf: Vnf | None) -> tuple[str, str, int]:
        assert vnf is not None
        assert vnf.operation is not None
        assert vnf.operation.current is not None
        run = vnf.operation.current
        return vnf.operation.id, run.step.name, run.attempt

    @invariant()
    def the_fold_of_the_log_is_the_state(self) -> None:
        state: Vnf | None = None
        states: list[Vnf | None] = [state]
        for stored in self.wait(self.store.load(VNF.subject(ID))):
            state = VNF.fold(state, stored.commit)
            states.append(state)
        assert state == self.state
        for before, after in pairwise(states):
            self.follows_the_table(before, after)
        if state is not None:
            assert msgspec.json.decode(msgspec.json.encode(state), type=Vnf) == state

    def follows_the_table(self, before: Vnf | None, after: Vnf | None) -> None:
        """One commit may take an operation several transitions on, each of them in the table."""
        assert after is not None
        old, new = before.operation if before else None, after.operation
        if new is None:
            return
        if old is not None and old.id != new.id:
            assert old.state in ENDED, "an operation began while another was open"
            old = None
        assert new.state in reachable(old.state if old else None)

    @invariant()
    def at_most_one_step_is_in_hand(self) -> None:
        operation = self.state.operation if self.state else None
        if operation is None:
            return
        in_hand = [run for run in operation.runs if run.status in ("INTENDED", "UNKNOWN")]
        works = operation.state in ("STARTING", "PROCESSING", "ROLLING_BACK")
        assert len(in_hand) == works
        assert (self.state is not None and self.state.open_operation is not None) == (operation.state not in ENDED)

    @invariant()
    def what_has_ended_never_changes(self) -> None:
        operation = self.state.operation if self.state else None
        if operation is not None and operation.state in ENDED:
            assert self.ended.setdefault(operation.id, operation) == operation

    @invariant()
    def resources_are_shown_only_while_instantiated(self) -> None:
        if self.state is None:
            return
        info = self.state.instantiated_vnf_info
        has_resources = info is not None and bool(info.vnfc_resource_info)
        assert has_resources == (self.state.instantiation_state == "INSTANTIATED")
        if self.state.open_operation is None:
            assert bool(self.state.vim_connections) == has_resources


def reachable(state: Any) -> set[Any]:
    """The state itself and what at most two transitions lead to."""
    near: set[Any] = {state, *OPERATION.get(state, {}).values()}
    return near | {after for before in near for after in OPERATION.get(before, {}).values()}


TestVnfModel = VnfModel.TestCase
TestVnfModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
