"""What the log, its copy and the work queue must be able to do, with an ample margin for a busy machine.

The measured figures are printed (``pytest -m perf -s``); appends depend on the disk, since each one is synced.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from forestay_events.archive import Connection, Projector
from forestay_events.commit import Commit, Stored, commit_id
from forestay_events.connection import Nats, connect
from forestay_events.database import open_pool
from forestay_events.jetstream import JetStreamEventStore
from forestay_events.maintenance import rebuild, verify
from forestay_events.platform import ensure_streams, utc_now
from forestay_events.positions import Positions
from forestay_events.tasks import stop
from forestay_events.work import Work, WorkQueue
from forestay_events.worker import Later, Worker
from forestay_standalone.embedded import EmbeddedNats

pytestmark = pytest.mark.perf
EVENT = msgspec.Raw(msgspec.json.encode({"type": "Changed", "filling": "x" * 600}))


class Documents:
    """One upsert per commit, as a read model of instances does."""

    tables = "CREATE TABLE IF NOT EXISTS {schema}.document (id text PRIMARY KEY, version int, doc jsonb NOT NULL);"

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        newest = {stored.commit.aggregate_id: stored.commit for stored in commits}
        await connection.executemany(
            f"INSERT INTO {schema}.document VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE"  # noqa: S608
            " SET version = excluded.version, doc = excluded.doc",
            [(id_, commit.version, bytes(commit.events[0]).decode()) for id_, commit in newest.items()],
        )


@pytest_asyncio.fixture(params=[True, False], ids=["synced", "unsynced"])
async def nats(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Nats]:
    async with EmbeddedNats(tmp_path, durable=request.param) as server, connect(server.url, name="perf") as connection:
        await ensure_streams(connection)
        yield connection


only_unsynced = pytest.mark.parametrize("nats", [False], indirect=True, ids=["unsynced"])


@pytest_asyncio.fixture
async def log(nats: Nats) -> JetStreamEventStore:
    return JetStreamEventStore(nats)


@pytest_asyncio.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(database) as opened:
        yield opened


async def fill(log: JetStreamEventStore, aggregate: str, count: int) -> list[float]:
    """Append commits of about 1 KiB to one aggregate; returns the seconds that each took."""
    took: list[float] = []
    previous: Stored | None = None
    for version in range(1, count + 1):
        commit = Commit(
            id=commit_id("perf", aggregate, version),
            stream="LCM",
            kind="vnf",
            aggregate_id=aggregate,
            version=version,
            at=datetime.now(UTC),
            project="project",
            actor="perf",
            reason="measured",
            prev_hash=previous.hash if previous else "",
            events=(EVENT,),
        )
        begin = time.perf_counter()
        previous = await log.append(commit, after=previous.seq if previous else 0)
        took.append(time.perf_counter() - begin)
    return took


def report(what: str, **figures: float) -> None:
    print(f"\n{what}: " + ", ".join(f"{name} {value:.3g}" for name, value in figures.items()), end="")  # noqa: T201


async def drained(nats: Nats, within: float) -> float:
    begin = time.monotonic()
    async with asyncio.timeout(within):
        while (await nats.js.stream_info("WORK")).state.messages:
            await asyncio.sleep(0.01)
    return time.monotonic() - begin


async def test_append(nats: Nats, log: JetStreamEventStore) -> None:
    await fill(log, "warm", 50)
    took = sorted(await fill(log, "a", 500))
    p50, p99 = statistics.median(took), took[int(len(took) * 0.99)]
    report("append", p50_ms=p50 * 1e3, p99_ms=p99 * 1e3)
    assert p50 < 0.01


async def test_append_together(nats: Nats, log: JetStreamEventStore) -> None:
    begin = time.monotonic()
    await asyncio.gather(*(fill(log, f"a{number}", 20) for number in range(100)))
    rate = 2000 / (time.monotonic() - begin)
    report("append by 100 writers", per_s=rate)
    assert rate > 300


@only_unsynced
async def test_load(nats: Nats, log: JetStreamEventStore) -> None:
    await asyncio.gather(*(fill(log, f"a{number}", 50) for number in range(200)))
    took: list[float] = []
    for number in range(50):
        begin = time.perf_counter()
        assert len(await log.load(f"lcm.vnf.a{number}")) == 50
        took.append(time.perf_counter() - begin)
    p50 = statistics.median(took)
    report("load 50 commits of one among 10000", p50_ms=p50 * 1e3)
    assert p50 < 0.1


@only_unsynced
async def test_projector_rebuild_and_verify(
    nats: Nats, log: JetStreamEventStore, pool: asyncpg.Pool, database: str
) -> None:
    count = 20_000
    await asyncio.gather(*(fill(log, f"a{number}", count // 200) for number in range(200)))
    projector = Projector(pool, log, Positions(database), "lcm", "LCM", [Documents()])
    await projector.create_tables()
    begin = time.monotonic()
    task = asyncio.create_task(projector.run())
    await projector.positions.wait("lcm", "LCM", count, timeout=60)
    projected = count / (time.monotonic() - begin)
    await stop([task])

    async def timed(run: Callable[[], Awaitable[object]]) -> float:
        begin = time.monotonic()
        await run()
        return count / (time.monotonic() - begin)

    async def check() -> None:
        assert [finding async for finding in verify(log, pool, "lcm", "LCM")] == []

    report("commits", projected_per_s=projected, verified_per_s=await timed(check))
    report("commits", rebuilt_per_s=await timed(lambda: rebuild(projector)))
    assert projected > 1500


async def test_work_queue(nats: Nats) -> None:
    queue = WorkQueue(nats, utc_now)
    done = 0

    async def handle(_: Work) -> Later | None:
        nonlocal done
        await asyncio.sleep(0.005)
        done += 1
        return None

    async def given_up(work: Work, reason: str) -> None:
        raise AssertionError(f"{work.key}: {reason}")

    def work(number: int) -> Work:
        return Work(executor="heat", lane=f"vim{number % 8}", key=f"{number}", body=msgspec.Raw(b"{}"))

    begin = time.monotonic()
    await asyncio.gather(*(queue.put(work(number)) for number in range(2000)))
    put = 2000 / (time.monotonic() - begin)
    worker = asyncio.create_task(Worker(nats, queue, "heat", handle, given_up=given_up).run())
    rate = 2000 / await drained(nats, 30)
    latencies: list[float] = []
    for number in range(50):
        before, begin = done, time.perf_counter()
        await queue.put(work(number))
        while done == before:
            await asyncio.sleep(0)
        latencies.append(time.perf_counter() - begin - 0.005)
    await stop([worker])
    report("work", put_per_s=put, done_per_s=rate, put_to_done_p50_ms=statistics.median(latencies) * 1e3)
    assert done == 2050
    assert rate > 200
