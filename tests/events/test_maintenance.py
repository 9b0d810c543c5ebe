"""Either of the log and its copy can be made from the other, and both can be checked."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
import msgspec
import pytest
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.archive import Projector
from forestay_events.commit import encode
from forestay_events.connection import Nats
from forestay_events.errors import LogIntegrityBroken, Rejected
from forestay_events.jetstream import JetStreamEventStore
from forestay_events.maintenance import Finding, rebuild, restore, state_hash, verify
from forestay_events.outbox import OUTBOX_TABLE, post
from forestay_events.platform import ensure_streams
from forestay_events.positions import Positions
from forestay_events.tasks import stop
from forestay_events.work import Work
from forestay_standalone.embedded import EmbeddedNats

from .samples import NOON, TALLY, Counting, commit, fill, until

COPY = ("commit", "head", "tally", "checkpoint")


@pytest.fixture
def projector(pool: asyncpg.Pool, log: JetStreamEventStore, database: str) -> Projector:
    return Projector(pool, log, Positions(database), "lcm", "LCM", [Counting()])


@asynccontextmanager
async def running(projector: Projector) -> AsyncGenerator[None]:
    await projector.create_tables()
    task = asyncio.create_task(projector.run())
    try:
        yield
    finally:
        await stop([task])


async def findings(log: JetStreamEventStore, pool: asyncpg.Pool) -> list[Finding]:
    return [finding async for finding in verify(log, pool, "lcm", "LCM")]


async def project(projector: Projector, log: JetStreamEventStore) -> None:
    """Fill the log with 620 commits of three aggregates, project them, and stop."""
    async with running(projector):
        await asyncio.gather(fill(log, "a", 600), fill(log, "b", 19), fill(log, "c", 1))
        await projector.positions.wait("lcm", "LCM", 620, timeout=60)


async def lose(nats_server: EmbeddedNats, nats: Nats) -> None:
    """The disk of NATS is lost; a new server starts with nothing."""
    await nats_server.kill()
    shutil.rmtree(nats_server.directory / "jetstream")
    await nats_server.restart()
    await until(lambda: nats.connected)
    await ensure_streams(nats)


async def test_a_sound_log_and_its_copy_agree(
    projector: Projector, log: JetStreamEventStore, pool: asyncpg.Pool
) -> None:
    await project(projector, log)
    await fill(log, "d", 3)  # not yet copied, which is nothing wrong
    assert await findings(log, pool) == []


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE lcm.commit SET body = 'x' WHERE seq = 7", [(7, "has other bytes in the log than in the copy")]),
        ("UPDATE lcm.commit SET hash = 'x' WHERE seq = 7", [(7, "has another hash in the copy than its bytes have")]),
        ("DELETE FROM lcm.commit WHERE seq IN (7, 620)", [(n, "is in the log but not in the copy") for n in (7, 620)]),
        (
            "WITH c AS (UPDATE lcm.checkpoint SET position = 621)"
            " INSERT INTO lcm.commit VALUES (621, 'lcm.vnf.a', 601, '', now(), '', '', 'x')",
            [(621, "is in the copy but not in the log")],
        ),
    ],
)
async def test_a_damaged_copy_is_found(
    projector: Projector, log: JetStreamEventStore, pool: asyncpg.Pool, damage: str, found: list[tuple[int, str]]
) -> None:
    await project(projector, log)
    await pool.execute(damage)
    assert [(finding.seq, finding.problem) for finding in await findings(log, pool)] == found


async def test_a_damaged_log_is_found(
    projector: Projector, log: JetStreamEventStore, nats: Nats, pool: asyncpg.Pool
) -> None:
    await project(projector, log)
    last = await log.last("lcm.vnf.c")
    assert last is not None
    fork = encode(commit("c", 1, command="fork"))
    await nats.js.publish("lcm.vnf.c", fork)
    (finding,) = await findings(log, pool)
    assert (finding.seq, finding.subject) == (621, "lcm.vnf.c")
    assert "a gap or a fork" in finding.problem


async def test_a_dropped_schema_is_rebuilt(projector: Projector, log: JetStreamEventStore, pool: asyncpg.Pool) -> None:
    await project(projector, log)
    before = await state_hash(pool, "lcm", COPY)
    await pool.execute("DROP SCHEMA lcm CASCADE")
    assert await rebuild(projector) == 620
    assert await state_hash(pool, "lcm", COPY) == before
    assert await findings(log, pool) == []
    assert await pool.fetchval("SELECT to_regnamespace('lcm_rebuild')") is None


async def test_wrong_rows_are_rebuilt_beside_a_projector_that_runs(
    projector: Projector, log: JetStreamEventStore, pool: asyncpg.Pool, database: str
) -> None:
    listening = asyncio.create_task(projector.positions.run())
    async with running(projector):
        last = await fill(log, "a", 700)
        await projector.positions.wait("lcm", "LCM", 700, timeout=60)
        await pool.execute("UPDATE lcm.tally SET commits = 0")
        writing = asyncio.create_task(fill(log, "a", 300, last))
        again = Projector(pool, log, Positions(database), "lcm", "LCM", [Counting()])
        assert 700 <= await rebuild(again) <= 1000
        await writing
        await until(lambda: projector.positions.reached("lcm", "LCM") == 1000)
        assert await pool.fetchval("SELECT commits FROM lcm.tally") == 1000
        assert projector.stopped is None
    assert await findings(log, pool) == []
    listening.cancel()


async def test_work_that_has_not_left_survives_a_rebuild(
    projector: Projector, log: JetStreamEventStore, pool: asyncpg.Pool
) -> None:
    class CountingWithOutbox(Counting):
        tables = Counting.tables + OUTBOX_TABLE

    projector.projections = [CountingWithOutbox()]
    await project(projector, log)
    async with pool.acquire() as connection:
        await post(connection, "lcm", [(Work(executor="heat", lane="vim", key="a", body=msgspec.Raw(b"1")), 5.0)])
    before = await state_hash(pool, "lcm", ("outbox", *COPY))
    await rebuild(projector)
    assert await state_hash(pool, "lcm", ("outbox", *COPY)) == before


async def test_a_rebuild_that_fails_leaves_the_old_rows(
    projector: Projector, log: JetStreamEventStore, nats: Nats, nats_server: EmbeddedNats, pool: asyncpg.Pool
) -> None:
    await project(projector, log)
    before = await state_hash(pool, "lcm", COPY)
    await lose(nats_server, nats)
    with pytest.raises(Rejected, match="forestay log restore"):
        await rebuild(projector)
    assert await state_hash(pool, "lcm", COPY) == before


async def test_a_lost_log_is_refused_and_then_restored(
    projector: Projector, log: JetStreamEventStore, nats: Nats, nats_server: EmbeddedNats, pool: asyncpg.Pool
) -> None:
    await project(projector, log)
    rows = await state_hash(pool, "lcm", COPY)
    history = [(stored.seq, stored.hash, stored.commit.id) for stored in await log.load("lcm.vnf.a")]
    await lose(nats_server, nats)

    with pytest.raises(LogIntegrityBroken, match="forestay log restore"):
        await projector.prepare()
    assert len(await findings(log, pool)) == 620

    assert await restore(nats, pool, "lcm", "LCM") == 620
    assert await findings(log, pool) == []
    assert [(stored.seq, stored.hash, stored.commit.id) for stored in await log.load("lcm.vnf.a")] == history
    await pool.execute("DROP SCHEMA lcm CASCADE")
    await rebuild(projector)
    assert await state_hash(pool, "lcm", COPY) == rows

    async with running(projector):
        tallies = Aggregates(log, TALLY, lambda: NOON)
        written = await tallies.execute("a", 1, Origin("after", "project", "tester"))
        assert (written.version, written.seq) == (601, 621)
        await projector.positions.wait("lcm", "LCM", 621, timeout=60)


async def test_refused_messages_keep_their_place_when_the_log_is_restored(
    projector: Projector, log: JetStreamEventStore, nats: Nats, nats_server: EmbeddedNats, pool: asyncpg.Pool
) -> None:
    async with running(projector):
        await fill(log, "a", 2)
        await nats.js.publish("lcm.vnf.a", b"garbage")
        await fill(log, "b", 2)
        await projector.positions.wait("lcm", "LCM", 5, timeout=60)
    before = await findings(log, pool)
    assert [finding.seq for finding in before] == [3]
    await lose(nats_server, nats)
    assert await restore(nats, pool, "lcm", "LCM") == 5
    assert await findings(log, pool) == before


async def test_only_a_lost_stream_is_restored(
    projector: Projector, log: JetStreamEventStore, nats: Nats, nats_server: EmbeddedNats, pool: asyncpg.Pool
) -> None:
    await project(projector, log)
    await fill(log, "d", 1)
    with pytest.raises(Rejected, match="not empty"):
        await restore(nats, pool, "lcm", "LCM")
    await lose(nats_server, nats)
    await fill(log, "new", 2)
    with pytest.raises(Rejected, match="not empty"):
        await restore(nats, pool, "lcm", "LCM")
    assert await log.head("LCM") == 2


async def test_a_restore_that_broke_off_goes_on(
    projector: Projector, log: JetStreamEventStore, nats: Nats, nats_server: EmbeddedNats, pool: asyncpg.Pool
) -> None:
    await project(projector, log)
    copies = await pool.fetch("SELECT subject, body FROM lcm.commit ORDER BY seq LIMIT 77")
    await lose(nats_server, nats)
    for copy in copies:
        await nats.js.publish(copy["subject"], copy["body"])
    assert await restore(nats, pool, "lcm", "LCM") == 620 - 77
    assert await findings(log, pool) == []
    assert await restore(nats, pool, "lcm", "LCM") == 0


async def test_the_hash_of_a_state_depends_on_rows_only(pool: asyncpg.Pool) -> None:
    await pool.execute("CREATE TABLE one (k int PRIMARY KEY, at timestamptz, doc jsonb)")
    await pool.execute("CREATE TABLE two (k int PRIMARY KEY, at timestamptz, doc jsonb)")
    rows = [(number, NOON, f'{{"b": {number}, "a": 1}}') for number in range(1200)]
    await pool.executemany("INSERT INTO one VALUES ($1, $2, $3)", rows)
    before = await state_hash(pool, "public", ["one"])
    await pool.execute("INSERT INTO two SELECT * FROM one ORDER BY k DESC")
    await pool.execute("DROP TABLE one")
    await pool.execute("ALTER TABLE two RENAME TO one")
    assert await state_hash(pool, "public", ["one"]) == before
    await pool.execute("UPDATE one SET k = -1 WHERE k = 700")
    assert await state_hash(pool, "public", ["one"]) != before
