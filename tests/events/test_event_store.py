"""One contract for every event store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from forestay_events.commit import Stored, encode
from forestay_events.connection import connect
from forestay_events.errors import Conflict, LogIntegrityBroken, Permanent, Rejected, Unavailable
from forestay_events.jetstream import JetStreamEventStore
from forestay_events.memory import MemoryEventStore
from forestay_events.platform import ensure_streams
from forestay_events.store import EventStore, read
from forestay_standalone.embedded import EmbeddedNats

from .samples import commit, fill


@pytest_asyncio.fixture(params=["memory", "jetstream"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventStore]:
    if request.param == "memory":
        yield MemoryEventStore()
        return
    async with EmbeddedNats(tmp_path, durable=False) as server, connect(server.url, name="test") as nats:
        await ensure_streams(nats)
        yield JetStreamEventStore(nats, patience=1.0)


async def take(store: EventStore, count: int, *, after: int = 0) -> list[Stored]:
    """The next ``count`` commits of the stream, waiting for them."""
    taken: list[Stored] = []
    async with asyncio.timeout(60), aclosing(store.follow("LCM", after=after)) as batches:
        async for batch in batches:
            taken += batch
            if len(taken) >= count:
                return taken
    raise AssertionError("follow ended by itself")


async def test_a_commit_comes_back_as_the_bytes_that_were_appended(store: EventStore) -> None:
    first = commit("a")
    stored = await store.append(first, after=0)
    assert (stored.seq, stored.commit, stored.body) == (1, first, encode(first))
    assert [again.body for again in await store.load("lcm.vnf.a")] == [stored.body]
    last = await store.last("lcm.vnf.a")
    assert last is not None
    assert (last.seq, last.body, last.subject) == (1, stored.body, "lcm.vnf.a")


async def test_an_aggregate_that_was_never_written_is_empty(store: EventStore) -> None:
    await fill(store, "other", 1)
    assert list(await store.load("lcm.vnf.a")) == []
    assert await store.last("lcm.vnf.a") is None


async def test_who_decided_on_an_old_state_gets_a_conflict(store: EventStore) -> None:
    first = await store.append(commit("a"), after=0)
    await store.append(commit("a", 2, first, command="winner"), after=first.seq)
    with pytest.raises(Conflict):
        await store.append(commit("a", 2, first, command="loser"), after=first.seq)
    with pytest.raises(Conflict):
        await store.append(commit("a", 1, command="late creator"), after=0)
    assert await store.head("LCM") == 2


async def test_a_repeated_append_returns_what_is_stored_even_if_others_went_on(store: EventStore) -> None:
    first = await store.append(commit("a"), after=0)
    second = await store.append(commit("a", 2, first), after=first.seq)
    later = commit("a", 1)
    repeated = await store.append(msgspec.structs.replace(later, reason="decided again"), after=0)
    assert (repeated.seq, repeated.body) == (first.seq, first.body)
    assert (await store.append(commit("a", 2, first), after=first.seq)).seq == second.seq
    assert await store.head("LCM") == 2


async def test_an_append_behind_what_the_log_never_had_is_not_taken(store: EventStore) -> None:
    await fill(store, "a", 1)
    with pytest.raises(Unavailable):
        await store.append(commit("a", 2), after=9)
    assert await store.head("LCM") == 1


async def test_load_gives_only_what_is_behind_a_sequence(store: EventStore) -> None:
    first = await fill(store, "a", 3)
    await fill(store, "b", 2)
    await fill(store, "a", 2, first)
    assert [stored.commit.version for stored in await store.load("lcm.vnf.a")] == [1, 2, 3, 4, 5]
    assert [stored.commit.version for stored in await store.load("lcm.vnf.a", after=2)] == [3, 4, 5]
    assert list(await store.load("lcm.vnf.a", after=7)) == []


async def test_load_of_a_long_history(store: EventStore) -> None:
    last = await fill(store, "a", 2300)
    loaded = await store.load("lcm.vnf.a")
    assert [stored.seq for stored in loaded] == list(range(1, last.seq + 1))


async def test_following_brings_everything_in_order_and_then_what_is_new(store: EventStore) -> None:
    assert await store.head("LCM") == 0
    last = await fill(store, "a", 600)
    following = asyncio.create_task(take(store, 700))
    await asyncio.sleep(0.05)
    await fill(store, "a", 100, last)
    assert [stored.seq for stored in await following] == list(range(1, 701))
    assert [stored.seq for stored in await take(store, 3, after=697)] == [698, 699, 700]
    assert await store.head("LCM") == 700


async def test_following_an_empty_stream_waits(store: EventStore) -> None:
    following = asyncio.create_task(take(store, 1))
    await asyncio.sleep(0.05)
    stored = await fill(store, "a", 1)
    assert [found.body for found in await following] == [stored.body]


async def test_following_from_behind_the_end_tells_that_the_log_was_lost(store: EventStore) -> None:
    await fill(store, "a", 2)
    with pytest.raises(LogIntegrityBroken, match="forestay log restore"):
        await take(store, 1, after=3)


async def test_reading_ends_at_the_head(store: EventStore) -> None:
    assert [stored async for stored in read(store, "LCM")] == []
    await fill(store, "a", 700)
    assert [stored.seq async for stored in read(store, "LCM", after=600)] == list(range(601, 701))


@pytest.mark.parametrize("name", ["*", ">", "a.b", "", "a b", "a\n", "é", "x" * 129])
async def test_an_id_that_means_something_to_nats_is_refused(store: EventStore, name: str) -> None:
    with pytest.raises(Rejected) as refusal:
        await store.append(commit(name), after=0)
    assert refusal.value.status == 404
    assert await store.head("LCM") == 0


async def test_of_racing_writers_one_wins_each_version(store: EventStore) -> None:
    async def write(writer: int, version: int, previous: Stored | None) -> Stored | None:
        mine = commit("a", version, previous, command=f"writer {writer}")
        try:
            return await store.append(mine, after=previous.seq if previous else 0)
        except Conflict:
            return None

    previous: Stored | None = None
    for version in range(1, 11):
        outcomes = await asyncio.gather(*(write(writer, version, previous) for writer in range(50)))
        (previous,) = [stored for stored in outcomes if stored is not None]
    assert [stored.commit.version for stored in await store.load("lcm.vnf.a")] == list(range(1, 11))
    assert await store.head("LCM") == 10


async def test_a_commit_larger_than_the_server_takes(tmp_path: Path) -> None:
    async with EmbeddedNats(tmp_path, durable=False) as server, connect(server.url, name="test") as nats:
        await ensure_streams(nats)
        store = JetStreamEventStore(nats)
        huge = msgspec.structs.replace(commit("a"), reason="x" * 9_000_000)
        with pytest.raises(Permanent) as refusal:
            await store.append(huge, after=0)
        assert refusal.value.status == 413


async def test_a_missing_stream_is_not_an_empty_aggregate(nats_server: EmbeddedNats) -> None:
    async with connect(nats_server.url, name="test") as nats:
        store = JetStreamEventStore(nats, patience=0.2)
        for request in (store.load("lcm.vnf.a"), store.last("lcm.vnf.a"), store.append(commit("a"), after=0)):
            with pytest.raises(Unavailable):
                await request
