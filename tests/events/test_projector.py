"""The projector: every commit exactly once, over crashes of whatever it stands on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from forestay_events.archive import LEAD, Connection, Projector
from forestay_events.commit import Stored
from forestay_events.connection import Nats
from forestay_events.database import answering, open_pool, own_connection
from forestay_events.errors import LogIntegrityBroken, Unavailable
from forestay_events.jetstream import JetStreamEventStore
from forestay_events.metrics import METRICS
from forestay_events.positions import Positions
from forestay_events.tasks import stop
from forestay_standalone.embedded import EmbeddedNats, EmbeddedPostgres

from .samples import Counting, fill, until


def projector(pool: asyncpg.Pool, log: JetStreamEventStore, dsn: str, schema: str = "lcm") -> Projector:
    return Projector(pool, log, Positions(dsn), schema, "LCM", [Counting()])


@asynccontextmanager
async def running(*projectors: Projector) -> AsyncGenerator[None]:
    for each in projectors:
        await each.create_tables()
    tasks = [asyncio.create_task(each.run()) for each in projectors]
    try:
        yield
    finally:
        await stop(tasks)


def reached(each: Projector) -> int:
    return each.positions.reached(each.schema, each.stream)


async def check_rows(pool: asyncpg.Pool, commits: int, schema: str = "lcm") -> None:
    """The checkpoint, the copy and the non-idempotent read model agree on the number of commits."""
    assert await pool.fetchval(f"SELECT position FROM {schema}.checkpoint") == commits  # noqa: S608
    assert await pool.fetchval(f"SELECT count(*) FROM {schema}.commit") == commits  # noqa: S608
    assert await pool.fetchval(f"SELECT max(seq) FROM {schema}.commit") == commits  # noqa: S608
    assert await pool.fetchval(f"SELECT sum(commits) FROM {schema}.tally") == commits  # noqa: S608


async def test_commits_become_rows_and_wait_sees_them(
    pool: asyncpg.Pool, log: JetStreamEventStore, database: str
) -> None:
    await fill(log, "a", 700)
    mine = projector(pool, log, database)
    async with running(mine):
        await fill(log, "b", 3)
        await mine.positions.wait("lcm", "LCM", 703, timeout=60)
        await check_rows(pool, 703)
        await mine.check()
        with pytest.raises(Unavailable, match="is at 703"):
            await mine.positions.wait("lcm", "LCM", 704, timeout=0.05)
    row = await pool.fetchrow("SELECT * FROM lcm.head WHERE subject = 'lcm.vnf.b'")
    last = await log.last("lcm.vnf.b")
    assert row is not None
    assert last is not None
    assert (row["version"], row["seq"], row["hash"]) == (3, 703, last.hash)


async def test_a_projector_goes_on_at_once_after_nats_was_killed(
    pool: asyncpg.Pool,
    log: JetStreamEventStore,
    nats: Nats,
    nats_server: EmbeddedNats,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("forestay_events.jetstream.Feed._SILENCE", 600.0)  # only that the connection broke can tell
    mine = projector(pool, log, database)
    async with running(mine):
        last = await fill(log, "a", 50)
        await until(lambda: reached(mine) == 50)
        for commits in (60, 70, 80):
            await nats_server.kill()
            await asyncio.sleep(0.1)
            await nats_server.restart()
            await until(lambda: nats.connected)
            last = await fill(log, "a", 10, last)
            await mine.positions.wait("lcm", "LCM", commits, timeout=60)
        await check_rows(pool, 80)


async def test_nothing_is_lost_or_doubled_while_nats_is_killed_under_load(
    pool: asyncpg.Pool, log: JetStreamEventStore, nats: Nats, nats_server: EmbeddedNats, database: str
) -> None:
    mine = projector(pool, log, database)
    async with running(mine):
        writers = [asyncio.create_task(fill(log, f"a{number}", 150)) for number in range(6)]
        for _ in range(3):
            await asyncio.sleep(0.1)
            await nats_server.kill()
            await nats_server.restart()
            await until(lambda: nats.connected)
        await asyncio.gather(*writers)
        await mine.positions.wait("lcm", "LCM", 900, timeout=60)
        await check_rows(pool, 900)


async def test_checkpoint_and_rows_agree_over_kills_of_postgresql(log: JetStreamEventStore, tmp_data_dir: Path) -> None:
    """With asynchronous commits: each kill loses the newest transactions, and the projector has to notice."""
    async with EmbeddedPostgres(tmp_data_dir, durable=False) as server, open_pool(server.dsn) as pool:
        mine = projector(pool, log, server.dsn)
        await mine.create_tables()
        await pool.execute("CHECKPOINT")
        async with running(mine):
            writers = [asyncio.create_task(fill(log, f"a{number}", 300)) for number in range(4)]
            for _ in range(2):
                await asyncio.sleep(0.2)
                await server.kill()
                await server.restart()
            await asyncio.gather(*writers)
            await until(lambda: reached(mine) == 1200)
            await check_rows(pool, 1200)


async def test_one_leads_and_the_other_takes_over(pool: asyncpg.Pool, log: JetStreamEventStore, database: str) -> None:
    first, second = projector(pool, log, database), projector(pool, log, database)
    async with running(first):
        await until(lambda: first.active)
        async with running(second):
            last = await fill(log, "a", 20)
            await first.positions.wait("lcm", "LCM", 20, timeout=60)
            assert not second.active
            # The connection that holds the lock breaks, as when its process dies.
            await pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                " AND pid <> pg_backend_pid()"
            )
            await until(lambda: second.active)
            await fill(log, "a", 20, last)
            await asyncio.gather(*(each.positions.wait("lcm", "LCM", 40, timeout=60) for each in (second,)))
            await check_rows(pool, 40)


async def test_the_other_takes_over_when_the_first_ends(
    pool: asyncpg.Pool, log: JetStreamEventStore, database: str
) -> None:
    first, second = projector(pool, log, database), projector(pool, log, database)
    async with running(second):
        await until(lambda: second.active)
        async with running(first):
            await asyncio.sleep(0)
    async with running(first):
        await until(lambda: first.active)
        await fill(log, "a", 5)
        await first.positions.wait("lcm", "LCM", 5, timeout=60)
        await check_rows(pool, 5)


async def test_however_many_projectors_run_the_pool_is_left_to_who_asks(
    log: JetStreamEventStore, database: str
) -> None:
    async with open_pool(database, size=2, patience=0.3) as pool:
        several = [projector(pool, log, database, f"lcm{number}") for number in range(4)]
        async with running(*several):
            await fill(log, "a", 5)
            await asyncio.gather(*(each.positions.wait(each.schema, "LCM", 5, timeout=60) for each in several))
            for each in several:
                await check_rows(pool, 5, each.schema)
            async with pool.acquire(), pool.acquire():
                with pytest.raises(Unavailable, match="does not answer"), answering():
                    await pool.fetchval("SELECT 1")
            assert await pool.fetchval("SELECT 1") == 1


async def test_two_that_both_believe_to_lead_still_write_everything_once(
    pool: asyncpg.Pool, log: JetStreamEventStore, database: str
) -> None:
    """The checkpoint row decides, not the lock."""

    class Reckless(Projector):
        @property
        def lock(self) -> str:
            return f"{super().lock} {id(self)}"

    base = projector(pool, log, database)
    both = [Reckless(pool, log, Positions(database), "lcm", "LCM", base.projections) for _ in range(2)]
    async with running(*both):
        await asyncio.gather(*(fill(log, f"a{number}", 100) for number in range(4)))
        await until(lambda: max(map(reached, both)) == 400)
        await check_rows(pool, 400)
    assert all(each.stopped is None for each in both)


async def test_a_commit_that_cannot_be_digested_stops_the_projector_loudly(
    pool: asyncpg.Pool, log: JetStreamEventStore, database: str
) -> None:
    class Choking(Counting):
        async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
            await super().apply(connection, schema, commits)
            if any(stored.seq == 13 for stored in commits):
                raise ValueError("thirteen")

    last = await fill(log, "a", 20)
    mine = replace(projector(pool, log, database), projections=[Choking()])
    async with running(mine):
        await until(lambda: mine.stopped)
        assert (
            mine.stopped == "projector lcm<-LCM stopped behind 12: sequence 13 (lcm.vnf.a) cannot be applied: thirteen"
        )
        with pytest.raises(LogIntegrityBroken, match="thirteen"):
            await mine.check()
        assert METRICS.registry.get_sample_value("forestay_projection_stopped", {"projection": "lcm<-LCM"}) == 1
        await fill(log, "a", 2, last)
        await check_rows(pool, 12)
    fixed = projector(pool, log, database)
    async with running(fixed):
        await fixed.positions.wait("lcm", "LCM", 22, timeout=60)
        await fixed.check()
        await check_rows(pool, 22)
    assert METRICS.registry.get_sample_value("forestay_projection_stopped", {"projection": "lcm<-LCM"}) == 0


async def test_who_stands_by_knows_that_the_leader_has_stopped(
    pool: asyncpg.Pool, log: JetStreamEventStore, database: str
) -> None:
    class Choking(Counting):
        async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
            raise ValueError("no\0 more")

    await fill(log, "a", 3)
    mine = replace(projector(pool, log, database), projections=[Choking()])
    await mine.create_tables()
    await mine.run()
    assert mine.stopped
    standby = projector(pool, log, database)
    async with own_connection(database) as leader:
        assert await leader.fetchval(LEAD, standby.lock)
        async with running(standby):
            await until(lambda: standby.stopped)
            assert "no\N{REPLACEMENT CHARACTER} more" in str(standby.stopped)
            assert standby.read_only("lcm.vnf.a") == standby.stopped
            await leader.execute("SELECT pg_advisory_unlock_all()")
            await standby.positions.wait("lcm", "LCM", 3, timeout=60)
            await standby.check()
    assert await pool.fetchval("SELECT count(*) FROM lcm.stopped") == 0


async def test_a_mistake_in_a_query_is_a_poison_too_not_a_lost_connection(
    pool: asyncpg.Pool, log: JetStreamEventStore, database: str
) -> None:
    class Mistaken(Counting):
        async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
            await connection.execute("SELECT $1::int", 1, 2)

    await fill(log, "a", 1)
    mine = replace(projector(pool, log, database), projections=[Mistaken()])
    async with running(mine):
        await until(lambda: mine.stopped)


async def test_a_log_shorter_than_its_copy_is_refused(
    pool: asyncpg.Pool, log: JetStreamEventStore, nats: Nats, nats_server: EmbeddedNats, database: str
) -> None:
    mine = projector(pool, log, database)
    async with running(mine):
        await fill(log, "a", 3)
        await mine.positions.wait("lcm", "LCM", 3, timeout=60)
        await nats_server.kill()
        shutil.rmtree(nats_server.directory / "jetstream")
        await nats_server.restart()
        await until(lambda: mine.stopped)
        assert "ends at 0 but was followed to 3" in str(mine.stopped)
        assert "forestay log restore" in str(mine.stopped)
    with pytest.raises(LogIntegrityBroken, match="forestay log restore"):
        await projector(pool, log, database).prepare()


async def test_positions_follow_another_process(pool: asyncpg.Pool, log: JetStreamEventStore, database: str) -> None:
    await fill(log, "a", 2)
    mine, elsewhere = projector(pool, log, database), Positions(database)
    async with running(mine):
        await mine.positions.wait("lcm", "LCM", 2, timeout=60)
        listening = asyncio.create_task(elsewhere.run())
        await elsewhere.wait("lcm", "LCM", 2, timeout=60)
        await fill(log, "b", 1)
        await elsewhere.wait("lcm", "LCM", 3, timeout=60)
        await pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%checkpoint%'"
            " AND pid <> pg_backend_pid()"
        )
        await fill(log, "c", 1)
        await elsewhere.wait("lcm", "LCM", 4, timeout=60)
        await pool.execute("SELECT pg_notify('forestay_checkpoint', 'lcm/LCM/1/rewound')")
        await until(lambda: elsewhere.reached("lcm", "LCM") == 1)
        listening.cancel()
