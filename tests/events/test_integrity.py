"""A log that was tampered with: the damaged aggregate stops, nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.archive import Projector
from forestay_events.commit import Stored, encode
from forestay_events.connection import Nats
from forestay_events.errors import LogIntegrityBroken
from forestay_events.jetstream import JetStreamEventStore
from forestay_events.positions import Positions
from forestay_events.tasks import stop

from .samples import NOON, TALLY, Counting, commit, fill, until


@pytest_asyncio.fixture
async def projector(pool: asyncpg.Pool, log: JetStreamEventStore, database: str) -> AsyncIterator[Projector]:
    """A running projector whose log has two commits of aggregate ``a``."""
    mine = Projector(pool, log, Positions(database), "lcm", "LCM", [Counting()])
    await mine.create_tables()
    task = asyncio.create_task(mine.run())
    await fill(log, "a", 2)
    yield mine
    await stop([task])


def forged(kind: str, last: Stored) -> bytes:
    """A message as the next of aggregate ``a`` that none of our writers would write."""
    good = commit("a", 3, last)
    return {
        "a gap in the versions": encode(commit("a", 4, last)),
        "a fork": encode(commit("a", 2, last, command="fork")),
        "a changed past": encode(msgspec.structs.replace(good, prev_hash="0" * 64)),
        "another aggregate's commit": encode(commit("b")),
        "another aggregate's name": encode(msgspec.structs.replace(good, aggregate_id="*")),
        "no commit": b'{"hello": "world"}',
        "no JSON": b"\xff\xfe\x00",
    }[kind]


KINDS = (
    "a gap in the versions",
    "a fork",
    "a changed past",
    "another aggregate's commit",
    "another aggregate's name",
    "no commit",
    "no JSON",
)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_damaged_aggregate_is_read_only_and_others_go_on(
    kind: str, projector: Projector, log: JetStreamEventStore, nats: Nats, pool: asyncpg.Pool
) -> None:
    tallies = Aggregates(log, TALLY, lambda: NOON, broken=projector.broken.get)
    last = (await tallies.load("a")).seq
    stored = await log.last("lcm.vnf.a")
    assert stored is not None
    await nats.js.publish("lcm.vnf.a", forged(kind, stored))
    await until(lambda: projector.broken)

    with pytest.raises(LogIntegrityBroken, match=r"vnf a is read-only|does not follow"):
        await tallies.execute("a", 1, Origin("after the damage", "project", "tester"))
    with pytest.raises(LogIntegrityBroken, match="1 aggregates are read-only"):
        await projector.check()

    written = await tallies.execute("b", 1, Origin("elsewhere", "project", "tester"))
    await projector.positions.wait("lcm", "LCM", written.seq, timeout=60)
    assert projector.stopped is None
    assert await pool.fetchval("SELECT array_agg(seq ORDER BY seq) FROM lcm.commit") == [1, last, 4]
    refused = await pool.fetchrow("SELECT * FROM lcm.refused")
    assert refused is not None
    assert (refused["seq"], refused["subject"], refused["body"]) == (3, "lcm.vnf.a", forged(kind, stored))
    assert await pool.fetchval("SELECT commits FROM lcm.tally WHERE aggregate = 'a'") == 2


async def test_what_follows_a_refused_commit_is_refused_too_and_remembered(
    projector: Projector, log: JetStreamEventStore, nats: Nats, pool: asyncpg.Pool, database: str
) -> None:
    stored = await log.last("lcm.vnf.a")
    assert stored is not None
    await nats.js.publish("lcm.vnf.a", forged("no commit", stored))
    await nats.js.publish("lcm.vnf.a", encode(commit("a", 3, stored)))
    await until(lambda: projector.positions.reached("lcm", "LCM") == 4)
    assert await pool.fetchval("SELECT count(*) FROM lcm.refused") == 2
    standby = Projector(pool, log, Positions(database), "lcm", "LCM", [Counting()])
    task = asyncio.create_task(standby.run())
    await until(lambda: standby.broken)
    assert standby.broken == projector.broken
    assert "is no commit" in standby.broken["lcm.vnf.a"]
    assert not standby.active
    task.cancel()
