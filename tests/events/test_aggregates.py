"""Commands against aggregates: decided on the newest state, once each."""

from __future__ import annotations

import asyncio
import dataclasses

import msgspec
import pytest
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.commit import Commit, Stored, refuse_nul
from forestay_events.errors import Conflict, LogIntegrityBroken, Rejected
from forestay_events.memory import MemoryEventStore

from .samples import NOON, TALLY, Added, Tally, commit


def tallies(store: MemoryEventStore, *, cached: int = 100) -> Aggregates[Tally, int, Added]:
    return Aggregates(store, TALLY, lambda: NOON, cached=cached)


def by(command: str) -> Origin:
    return Origin(command, "project", "tester")


async def test_commands_fold_into_the_state() -> None:
    store = MemoryEventStore()
    mine = tallies(store)
    await mine.execute("a", 2, by("one"))
    loaded = await mine.execute("a", 3, by("two"))
    assert (loaded.state, loaded.version, loaded.seq) == (Tally(5), 2, 2)
    assert await tallies(store).load("a") == loaded
    history = await store.load("lcm.vnf.a")
    assert [stored.commit.prev_hash for stored in history] == ["", history[0].hash]
    assert history[1].commit.reason == "somebody counted"


async def test_racing_commands_of_two_processes_all_count() -> None:
    store = MemoryEventStore()
    first, second = tallies(store), tallies(store)
    await asyncio.gather(
        *(process.execute("a", 1, by(f"{number} {id(process)}")) for number in range(50) for process in (first, second))
    )
    assert (await first.load("a")).state == Tally(100)
    assert (await second.load("a")).version == 100


async def test_a_refusal_rests_on_the_newest_state() -> None:
    """Another process has changed the aggregate since we last looked: its state is the one to judge."""
    store = MemoryEventStore()
    stale, other = tallies(store), tallies(store)
    await stale.execute("a", 1, by("one"))
    await other.execute("a", 41, by("two"))
    with pytest.raises(Rejected, match="42"):
        await stale.execute("a", -1, by("three"))


async def test_nothing_to_do_is_said_of_the_newest_state() -> None:
    store = MemoryEventStore()
    stale, other = tallies(store), tallies(store)
    await stale.execute("a", 1, by("one"))
    await other.execute("a", 41, by("two"))
    assert (await stale.execute("a", 0, by("three"))).state == Tally(42)
    assert await store.head("LCM") == 2


async def test_who_never_wins_is_told() -> None:
    class Restless(MemoryEventStore):
        """Somebody else is always faster."""

        async def append(self, commit: Commit, *, after: int) -> Stored:
            raise Conflict("somebody else was faster")

    with pytest.raises(Conflict, match="try again"):
        await tallies(Restless()).execute("a", 1, by("one"))


async def test_memory_of_aggregates_is_bounded_and_only_memory() -> None:
    mine = tallies(MemoryEventStore(), cached=2)
    for name in ("a", "b", "c", "a"):
        await mine.execute(name, 1, by(f"first {name}"))
    assert (await mine.load("b")).state == Tally(1)
    assert (await mine.load("a")).version == 2


async def test_a_repeated_command_gives_what_it_made_the_first_time() -> None:
    store = MemoryEventStore()
    first, second = tallies(store), tallies(store)
    made = await first.execute("a", 2, by("one"))
    await first.execute("a", 40, by("two"))
    again = dataclasses.replace(by("one"), repeated=True)
    assert await second.execute("a", 2, again) == made
    assert await first.execute("a", 2, again) == made
    assert (await first.load("a")).state == Tally(42)
    assert (await second.execute("a", 3, dataclasses.replace(by("three"), repeated=True))).state == Tally(45)


async def test_a_repeated_command_finds_what_another_process_made_meanwhile() -> None:
    class Late(MemoryEventStore):
        """Somebody appends the same command between our load and our append."""

        async def append(self, commit: Commit, *, after: int) -> Stored:
            if not self.beaten:
                self.beaten = True
                await tallies(self).execute("a", 2, by("one"))
                await tallies(self).execute("a", 40, by("two"))
            return await super().append(commit, after=after)

        beaten = False

    store = Late()
    made = await tallies(store).execute("a", 2, dataclasses.replace(by("one"), repeated=True))
    assert (made.state, made.version) == (Tally(2), 1)
    assert (await tallies(store).load("a")).state == Tally(42)


async def test_a_command_for_another_version_changes_nothing() -> None:
    store = MemoryEventStore()
    mine, other = tallies(store), tallies(store)
    await mine.execute("a", 1, by("one"))
    await other.execute("a", 1, by("two"))  # mine still remembers version 1
    for expected in (frozenset({1}), frozenset[int]()):
        with pytest.raises(Rejected) as refused:
            await mine.execute("a", 1, dataclasses.replace(by("three"), expected=expected))
        assert refused.value.status == 412
    with pytest.raises(Rejected, match="2"):  # what is not possible at all is said first
        await mine.execute("a", -5, dataclasses.replace(by("four"), expected=frozenset({1})))
    assert (await mine.execute("a", 1, dataclasses.replace(by("five"), expected=frozenset({1, 2})))).version == 3


async def test_of_those_who_expect_the_same_version_one_wins() -> None:
    store = MemoryEventStore()
    await tallies(store).execute("a", 1, by("first"))
    racing = [dataclasses.replace(by(f"{number}"), expected=frozenset({1})) for number in range(8)]
    came = await asyncio.gather(*(tallies(store).execute("a", 1, each) for each in racing), return_exceptions=True)
    assert sum(not isinstance(each, Rejected) for each in came) == 1
    assert (await tallies(store).load("a")).state == Tally(2)


async def test_a_history_that_does_not_fit_together_cannot_be_loaded() -> None:
    store = MemoryEventStore()
    first = await store.append(commit("a"), after=0)
    await store.append(commit("a", 3, first), after=first.seq)
    with pytest.raises(LogIntegrityBroken, match="version 3"):
        await tallies(store).load("a")


async def test_what_postgresql_cannot_hold_is_refused_before_it_is_appended() -> None:
    store = MemoryEventStore()
    mine = tallies(store)
    with pytest.raises(Rejected, match=r"'actor' has the character U\+0000") as refused:
        await mine.execute("a", 1, Origin("one", "project", "tes\0ter"))
    assert refused.value.status == 400
    assert await store.load("lcm.vnf.a") == []
    assert (await mine.execute("a", 1, Origin("two", "project", "tester"))).version == 1


@pytest.mark.parametrize(
    ("event", "member"),
    [
        ({"name": "a\0b"}, "name"),
        ({"deep": [{"inner": ["fine", "\0"]}]}, "inner"),
        ({"k\0": 1}, "k\0"),
        ({"name": "\\\0"}, "name"),
        ({"name": "\\u0000 is how JSON writes it"}, None),
    ],
)
def test_the_member_with_u0000_is_named_and_text_that_looks_like_it_is_not_refused(
    event: dict[str, object], member: str | None
) -> None:
    bad = msgspec.structs.replace(commit("a"), events=(msgspec.Raw(msgspec.json.encode(event)),))
    if member is None:
        refuse_nul(bad)
    else:
        with pytest.raises(Rejected, match="U\\+0000") as refused:
            refuse_nul(bad)
        assert repr(member) in refused.value.detail
