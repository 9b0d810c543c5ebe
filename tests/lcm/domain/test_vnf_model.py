"""Random commands in every state, against the log in memory: what must hold whatever is asked in whatever order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any, Literal, TypeVar
from uuid import uuid4

import msgspec
from forestay_events.aggregate import Aggregates, Loaded, Origin
from forestay_events.errors import Rejected
from forestay_events.memory import MemoryEventStore
from forestay_events.store import EventStore
from forestay_lcm.domain.commands import Cancel, DeleteVnf, Handle, ReportStep, VnfCommand
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.state import Operation, Vnf
from forestay_lcm.domain.transitions import OPERATION
from forestay_sol.vnfd import Vnfd
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import UNSET

from tests.lcm.samples import (
    ASPECT,
    COMING,
    CONNECTIONS,
    PROJECT,
    SCRIPTED,
    SCRIPTED_COMING,
    VNFD,
    WITH_USER_DATA,
    change_ext_conn,
    change_flavour,
    change_vnfpkg,
    confirmed,
    coordinated,
    create,
    failed,
    heal,
    instantiate,
    latest,
    modify,
    noted,
    operate,
    revert_to,
    scale,
    scale_to_level,
    snapshot_of,
    take_snapshot,
    terminate,
    unknown,
)

T = TypeVar("T")
OTHER_VIM = {"vim2": msgspec.structs.replace(CONNECTIONS["vim1"], vim_id="another")}
ENDED = ("COMPLETED", "FAILED", "ROLLED_BACK")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Known:
    """What a command is prepared with: the instance, its VNFD, and the other one that there is."""

    vnf: Vnf
    vnfd: Vnfd
    other: Vnfd


def known(vnf: Vnf, vnfds: tuple[Vnfd, Vnfd]) -> Known:
    """The instance, which has one of two VNFDs."""
    vnfd, other = vnfds if vnf.vnfd_id == vnfds[0].vnfd_id else reversed(vnfds)
    return Known(vnf, vnfd, other)


Command = Callable[[Known], VnfCommand]


def _instantiate(it: Known) -> VnfCommand:
    return instantiate(vnfd=it.vnfd)


ON_VIM: list[Command] = [
    lambda it: terminate(vnfd=it.vnfd), lambda it: terminate("GRACEFUL", it.vnfd), lambda it: scale(vnfd=it.vnfd),
    lambda it: scale(vnfd=it.vnfd, numberOfSteps=2, additionalParams=WITH_USER_DATA),
    lambda it: scale("SCALE_IN", it.vnfd), lambda it: scale_to_level("two", it.vnfd),
    lambda it: scale_to_level({ASPECT: 0}, it.vnfd), lambda it: scale_to_level({ASPECT: 3}, it.vnfd),
    lambda it: heal(it.vnfd), lambda it: heal(it.vnfd, vnfcInstanceId=["VDU1-server-1"]),
    lambda it: heal(it.vnfd, additionalParams={"all": True}), lambda it: change_ext_conn(vnfd=it.vnfd),
    lambda it: change_ext_conn(vnfd=it.vnfd, connections=OTHER_VIM), lambda it: change_flavour("large", it.vnfd),
    lambda it: change_flavour("simple", it.vnfd, instantiationLevelId="three"),
    lambda it: operate("STOPPED", it.vnfd), lambda it: operate("STARTED", it.vnfd),
    lambda it: operate("STOPPED", it.vnfd, vnfcInstanceId=["VDU1-server-2"], stopType="GRACEFUL"),
    lambda it: change_vnfpkg(it.other, it.vnfd), lambda it: coordinated(it.other, it.vnfd),
    lambda it: coordinated(it.other, it.vnfd, **WITH_USER_DATA), lambda it: take_snapshot(vnfd=it.vnfd),
    lambda it: revert_to(snapshot_of(it.vnf), it.vnfd),
]  # fmt: skip
"""Legal now and then, when the instance is instantiated."""

COMMANDS: list[Command] = [
    lambda it: create(it.vnfd), *[_instantiate] * 4,
    lambda it: instantiate(vnfd=it.vnfd, instantiationLevelId="three", additionalParams=WITH_USER_DATA),
    lambda it: DeleteVnf(), *ON_VIM, lambda it: modify(it.vnfd, it.vnfd, vnfInstanceName="edge"),
    lambda it: modify(it.vnfd, it.vnfd, vnfInstanceName=None, metadata={"a": {"b": None, "c": 1}}),
    lambda it: modify(it.vnfd, it.vnfd, vimConnectionInfo={"vim1": {"extra": {"a": 1}}}),
    lambda it: modify(it.vnfd, it.vnfd, extensions={"region": "south"}),
    lambda it: modify(it.other, it.vnfd, vnfdId=it.other.vnfd_id),
    lambda it: scale(vnfd=it.other),
]  # fmt: skip
"""The last one was prepared when the instance had another VNFD."""


@dataclass(frozen=True)
class Move:
    """What is done next: a report if a step is in hand, else a handling."""

    report: Callable[[Vnf | None], ReportStep]
    how: Literal["retry", "rollback", "fail"]


MOVES = [
    *[Move(confirmed, "retry")] * 6, Move(confirmed, "rollback"), Move(failed, "rollback"), Move(failed, "retry"),
    Move(unknown, "fail"), Move(noted, "rollback"),
]  # fmt: skip


class AnyVersion:
    """Snapshots of every version that there was; one is drawn each time."""

    def __init__(self) -> None:
        self.taken: list[Loaded[Vnf]] = []
        self.draw: Callable[[int], int] = lambda most: most - 1

    async def newest(self, aggregate_id: str) -> Loaded[Vnf] | None:
        return self.taken[self.draw(len(self.taken))] if self.taken else None


class VnfModel(RuleBasedStateMachine):
    """Two processes write one instance; the second's cache is often old."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.id = str(uuid4())
        self.numbers = count(1)
        self.store = self.open()
        self.processes = [Aggregates(self.store, VNF, self.clock) for _ in range(2)]
        self.state: Vnf | None = None
        self.vnfds = (VNFD, COMING)
        self.snapshots = AnyVersion()
        self.ended: dict[str, Operation] = {}
        self.reports: list[ReportStep] = []

    def open(self) -> EventStore:
        """The log to write to."""
        return MemoryEventStore()

    def teardown(self) -> None:
        self.loop.close()

    def clock(self) -> datetime:
        return EPOCH + timedelta(seconds=next(self.numbers))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def execute(self, command: VnfCommand, process: int, *, project: str = PROJECT) -> None:
        origin = Origin(f"{self.id}-{next(self.numbers)}", project, "tester")
        try:
            self.state = self.wait(self.processes[process].execute(self.id, command, origin)).state
        except Rejected:
            self.state = self.wait(self.processes[process].load(self.id)).state

    @initialize(settled=st.booleans(), scripts=st.booleans())
    def begin(self, settled: bool, scripts: bool) -> None:
        """:param scripts: the package has scripts around every operation, and an image."""
        self.vnfds = (SCRIPTED, SCRIPTED_COMING) if scripts else (VNFD, COMING)
        self.execute(create(self.vnfds[0]), 0)
        if settled:
            self.execute(instantiate(vnfd=self.vnfds[0]), 0)
            self.settle(0)

    def prepared(self, command: Command) -> VnfCommand:
        """As it is asked of the instance."""
        assert self.state is not None
        return command(known(self.state, self.vnfds))

    @rule(command=st.sampled_from(COMMANDS), process=st.integers(0, 1))
    def command(self, command: Command, process: int) -> None:
        self.execute(self.prepared(command), process)

    @precondition(lambda self: self.state and self.state.instantiation_state == "INSTANTIATED")
    @rule(command=st.sampled_from(ON_VIM), process=st.integers(0, 1))
    def operate(self, command: Command, process: int) -> None:
        self.execute(self.prepared(command), process)

    @precondition(lambda self: self.state and self.state.operation)
    @rule(mode=st.sampled_from(["GRACEFUL", "FORCEFUL"]), process=st.integers(0, 1))
    def cancel(self, mode: Literal["GRACEFUL", "FORCEFUL"], process: int) -> None:
        """It is over at once, or when the present step is done; never does another step begin."""
        before = latest(self.state)
        self.execute(Cancel(before.id, mode), process)
        after = latest(self.state)
        if before.state in ENDED or before.state == "FAILED_TEMP":
            assert after == before
        elif mode == "FORCEFUL":
            assert after.state in ("ROLLED_BACK", "FAILED_TEMP")
        else:
            assert after.cancel_mode is not None or after.current is None

    @rule(data=st.data())
    def begin_at_a_snapshot(self, data: st.DataObject) -> None:
        """A process that begins now, at the state of whatever version, comes to the same."""
        self.snapshots.draw = lambda most: data.draw(st.integers(0, most - 1))
        fresh = Aggregates(self.store, VNF, self.clock, snapshots=self.snapshots)
        assert self.wait(fresh.load(self.id)).state == self.state

    @rule(command=st.sampled_from(COMMANDS))
    def command_of_another_project(self, command: Command) -> None:
        before = self.state
        self.execute(self.prepared(command), 0, project="other")
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

    @rule(process=st.integers(0, 1))
    def settle(self, process: int) -> None:
        """All that is left goes well."""
        while self.state and self.state.operation and self.state.operation.current:
            self.execute(confirmed(self.state), process)

    @precondition(lambda self: self.reports)
    @rule(data=st.data(), process=st.integers(0, 1))
    def repeat_a_report(self, data: st.DataObject, process: int) -> None:
        before = self.state
        report = data.draw(st.sampled_from(self.reports))
        due = before.operation.current if before and before.operation else None
        self.execute(report, process)
        if due is None or (report.op_id, report.step, report.attempt) != self.key(before):
            assert self.state == before, "a report of anything but the present attempt of the present step"
        elif report.outcome == "NOTED" and report.seen != due.result:
            assert self.state == before, "a note of somebody who knew less than there was"

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
        snapshots: list[Loaded[Vnf]] = []
        for stored in self.wait(self.store.load(VNF.subject(self.id))):
            state = VNF.fold(state, stored.commit)
            states.append(state)
            snapshots.append(Loaded(state, stored.commit.version, stored.seq, stored.hash))
        self.snapshots.taken = snapshots
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
    def a_cancellation_is_pending_only_while_work_goes_on(self) -> None:
        operation = self.state.operation if self.state else None
        if operation is not None and operation.cancel_mode is not None:
            assert operation.current is not None

    @invariant()
    def scale_levels_are_within_their_limits(self) -> None:
        info = self.state.instantiated_vnf_info if self.state else None
        if info is None or not info.vnfc_resource_info:
            return
        flavour = VNFD.flavours[info.flavour_id]
        levels = {item.aspect_id: item.scale_level for item in info.scale_status}
        assert levels.keys() == flavour.scaling_aspects.keys()
        assert all(0 <= level <= flavour.aspect(aspect).max_scale_level for aspect, level in levels.items())
        assert len(info.vnfc_resource_info) == 1 + levels[ASPECT]

    @invariant()
    def no_two_tries_of_a_step_have_the_same_number(self) -> None:
        operation = self.state.operation if self.state else None
        for run in operation.rollback if operation else ():
            tries = [step.attempt for step in operation.plan if step.step.name == run.step.name] if operation else []
            assert run.status != "INTENDED" or run.attempt not in tries

    @invariant()
    def what_was_not_begun_has_no_result(self) -> None:
        operation = self.state.operation if self.state else None
        for run in operation.runs if operation else ():
            assert not (run.status == "PLANNED" and run.result), "what is done again begins from nothing"

    @invariant()
    def the_instance_has_the_vnfd_that_its_operations_brought(self) -> None:
        """A change of the VNF package counts when it is completed, with all that comes with the VNFD, and not before."""
        operation = self.state.operation if self.state else None
        if self.state is None or operation is None or operation.modification is None:
            return
        coming = operation.modification.vnfd_id
        if coming is not UNSET:
            assert (self.state.vnfd_id == coming) == (operation.state == "COMPLETED")
        vnfd = next(vnfd for vnfd in self.vnfds if vnfd.vnfd_id == self.state.vnfd_id)
        assert self.state.software_version == vnfd.software_version

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
TestVnfModel.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
