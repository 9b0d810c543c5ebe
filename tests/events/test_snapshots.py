"""A fold that begins at a snapshot ends where one from the first commit ends, or it does not begin there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from forestay_events.aggregate import Aggregates, Loaded, Origin
from forestay_events.commit import Stored
from forestay_events.errors import LogIntegrityBroken, Rejected
from forestay_events.memory import MemoryEventStore

from .samples import NOON, TALLY, Added, Tally, commit, fill

HISTORY = 10_000


class Reading(MemoryEventStore):
    """Counts the commits that are read."""

    commits = 0

    async def load(self, subject: str, *, after: int = 0) -> Any:
        loaded = await super().load(subject, after=after)
        self.commits += len(loaded)
        return loaded


class Kept:
    """The one snapshot that there is."""

    def __init__(self, loaded: Loaded[Tally] | None) -> None:
        self.loaded = loaded

    async def newest(self, aggregate_id: str) -> Loaded[Tally] | None:
        return self.loaded


def tallies(store: MemoryEventStore, snapshot: Loaded[Tally] | None) -> Aggregates[Tally, int, Added]:
    return Aggregates(store, TALLY, lambda: NOON, snapshots=Kept(snapshot))


def at(stored: Stored) -> Loaded[Tally]:
    """A true snapshot."""
    version = stored.commit.version
    return Loaded(Tally(version), version, stored.seq, stored.hash)


def by(command: str) -> Origin:
    return Origin(command, "project", "tester")


@pytest.mark.parametrize("behind", [0, 1, 7])
async def test_a_long_history_is_read_from_the_snapshot_on(behind: int) -> None:
    store = Reading()
    snapshot = at(await fill(store, "a", HISTORY - behind))
    if behind:
        await fill(store, "a", behind, (await store.load("lcm.vnf.a"))[-1])
    store.commits = 0
    mine = tallies(store, snapshot)
    loaded = await mine.load("a")
    assert (loaded.state, loaded.version, loaded.seq) == (Tally(HISTORY), HISTORY, HISTORY)
    assert store.commits == 1 + behind, "what the snapshot stands for, and what came after"
    assert (await mine.execute("a", 5, by("one"))).state == Tally(HISTORY + 5)


async def test_what_is_in_memory_needs_no_snapshot() -> None:
    store = Reading()
    mine = tallies(store, at(await fill(store, "a", 3)))
    await mine.load("a")
    store.commits = 0
    await mine.load("a")
    assert store.commits == 0


async def test_without_a_snapshot_the_whole_history_is_folded() -> None:
    store = MemoryEventStore()
    await fill(store, "a", 3)
    assert (await tallies(store, None).load("a")).state == Tally(3)
    assert (await tallies(store, None).load("b")).state is None


@pytest.mark.parametrize(
    "wrong",
    [{"hash": "f" * 64}, {"seq": 2}, {"seq": 5}, {"seq": 99}, {"version": 2}, {"version": 4}],
    ids=str,
)
async def test_a_snapshot_that_does_not_stand_in_the_log_is_left_aside(wrong: dict[str, Any]) -> None:
    """Its hash, place or version are not those of any commit: of another log, of a log that was lost, of a changed row."""
    store = MemoryEventStore()
    third = await fill(store, "a", 3)
    await fill(store, "b", 1)
    await fill(store, "a", 1, third)
    false = replace(at(third), state=Tally(1000), **wrong)
    mine = tallies(store, false)
    assert (await mine.load("a")).state == Tally(4)
    assert (await mine.execute("a", 1, by("one"))).version == 5


async def test_a_snapshot_of_another_aggregate_is_left_aside() -> None:
    store = MemoryEventStore()
    await fill(store, "a", 3)
    other = at(await fill(store, "b", 7))
    assert (await tallies(store, other).load("a")).state == Tally(3)


async def test_an_old_snapshot_leads_to_the_newest_verdict() -> None:
    store = MemoryEventStore()
    snapshot = at(await fill(store, "a", 3))
    await Aggregates(store, TALLY, lambda: NOON).execute("a", 39, by("somebody else"))
    with pytest.raises(Rejected, match="42"):
        await tallies(store, snapshot).execute("a", -1, by("one"))


async def test_a_process_that_began_at_an_old_snapshot_still_meets_the_other_writer() -> None:
    store = MemoryEventStore()
    snapshot = at(await fill(store, "a", 3))
    mine, other = tallies(store, snapshot), tallies(store, snapshot)
    await mine.load("a")
    await other.execute("a", 1, by("other"))
    assert (await mine.execute("a", 1, by("mine"))).state == Tally(5), "decided again"


async def test_a_history_that_breaks_behind_the_snapshot_cannot_be_loaded() -> None:
    store = MemoryEventStore()
    third = await fill(store, "a", 3)
    fork = msgspec.structs.replace(commit("a", 4, third), prev_hash="of another history")
    await store.append(fork, after=third.seq)
    with pytest.raises(LogIntegrityBroken, match="version 4"):
        await tallies(store, at(third)).load("a")


class TestPreview:
    async def test_says_what_would_be_and_leaves_no_trace(self) -> None:
        store = MemoryEventStore()
        mine = tallies(store, at(await fill(store, "a", 3)))
        decision, state = await mine.preview("a", 4, by("one"))
        assert ([*decision.events], state) == ([Added(4)], Tally(7))
        assert await store.head("LCM") == 3
        assert (await mine.load("a")).state == Tally(3)

    async def test_is_refused_as_the_command_would_be(self) -> None:
        store = MemoryEventStore()
        with pytest.raises(Rejected):
            await tallies(store, None).preview("a", -1, by("one"))

    async def test_of_what_leads_to_nothing(self) -> None:
        store = MemoryEventStore()
        decision, state = await tallies(store, at(await fill(store, "a", 3))).preview("a", 0, by("one"))
        assert ([*decision.events], state) == ([], Tally(3))
