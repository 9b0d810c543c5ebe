"""Work leaves only when what it follows from lies in both stores, newest last, and at least once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import msgspec
import pytest
from forestay_events.archive import Connection, Projector
from forestay_events.commit import Stored
from forestay_events.connection import Nats
from forestay_events.jetstream import JetStreamEventStore
from forestay_events.outbox import OUTBOX_TABLE, Outbox, post
from forestay_events.positions import Positions
from forestay_events.tasks import stop
from forestay_events.work import Work, WorkQueue
from forestay_standalone.embedded import EmbeddedNats

from .samples import fill, until


class Dispatching:
    """One piece of work per commit, named by the aggregate, with the version in its body."""

    tables = OUTBOX_TABLE

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        await post(connection, schema, [(work(stored), 0.0) for stored in commits])
        self.begun.set()
        await self.gate.wait()


def work(stored: Stored) -> Work:
    body = msgspec.Raw(str(stored.commit.version).encode())
    return Work(executor="heat", lane="vim", key=stored.commit.aggregate_id, body=body)


@asynccontextmanager
async def dispatching(
    pool: asyncpg.Pool, log: JetStreamEventStore, queue: WorkQueue, dsn: str, projection: Dispatching, outboxes: int = 1
) -> AsyncGenerator[Projector]:
    projector = Projector(pool, log, Positions(dsn), "lcm", "LCM", [projection])
    await projector.create_tables()
    senders = [Outbox(projector, queue) for _ in range(outboxes)]
    tasks = [asyncio.create_task(run()) for run in (projector.run, *(sender.run for sender in senders))]
    try:
        yield projector
    finally:
        await stop(tasks)


async def waiting(nats: Nats) -> dict[str, str]:
    """Subject and body of all work in the queue."""
    info = await nats.js.stream_info("WORK", subjects_filter=">")
    messages = {subject: await nats.js.get_last_msg("WORK", subject) for subject in info.state.subjects or {}}
    return {
        subject: bytes(msgspec.json.decode(message.data or b"", type=Work).body).decode()
        for subject, message in messages.items()
    }


async def emptied(pool: asyncpg.Pool) -> None:
    """Wait until nothing is left in the outbox."""
    async with asyncio.timeout(60):
        while await pool.fetchval("SELECT count(*) FROM lcm.outbox"):
            await asyncio.sleep(0.02)


async def test_work_leaves_only_behind_the_projectors_transaction(
    pool: asyncpg.Pool, log: JetStreamEventStore, queue: WorkQueue, nats: Nats, database: str
) -> None:
    projection = Dispatching()
    async with dispatching(pool, log, queue, database, projection) as projector:
        projection.gate.clear()
        await fill(log, "a", 1)
        await projection.begun.wait()
        await asyncio.sleep(0.2)
        assert await waiting(nats) == {}
        projection.gate.set()
        await projector.positions.wait("lcm", "LCM", 1, timeout=60)
        async with asyncio.timeout(60):
            while not await waiting(nats):
                await asyncio.sleep(0.01)
        assert await waiting(nats) == {"cmd.heat.vim.a.now": "1"}
        await emptied(pool)


@pytest.mark.parametrize("outboxes", [1, 3])
async def test_the_newest_work_of_each_subject_is_what_waits_in_the_end(
    pool: asyncpg.Pool, log: JetStreamEventStore, queue: WorkQueue, nats: Nats, database: str, outboxes: int
) -> None:
    async with dispatching(pool, log, queue, database, Dispatching(), outboxes) as projector:
        await asyncio.gather(*(fill(log, name, 300) for name in "abc"))
        await projector.positions.wait("lcm", "LCM", 900, timeout=60)
        await emptied(pool)
    assert await waiting(nats) == {f"cmd.heat.vim.{name}.now": "300" for name in "abc"}


async def test_work_waits_in_the_outbox_while_nats_is_away(
    pool: asyncpg.Pool,
    log: JetStreamEventStore,
    queue: WorkQueue,
    nats: Nats,
    nats_server: EmbeddedNats,
    database: str,
) -> None:
    projection = Dispatching()
    async with dispatching(pool, log, queue, database, projection) as projector:
        projection.gate.clear()
        await fill(log, "a", 1)
        await projection.begun.wait()
        await nats_server.kill()
        projection.gate.set()
        await projector.positions.wait("lcm", "LCM", 1, timeout=60)
        await asyncio.sleep(0.1)
        assert await pool.fetchval("SELECT count(*) FROM lcm.outbox") == 1
        await nats_server.restart()
        await until(lambda: nats.connected)
        async with asyncio.timeout(60):
            while not await waiting(nats):
                await asyncio.sleep(0.02)
        assert await waiting(nats) == {"cmd.heat.vim.a.now": "1"}


async def test_delayed_work_and_work_for_now_do_not_replace_each_other(
    pool: asyncpg.Pool, log: JetStreamEventStore, queue: WorkQueue, nats: Nats, database: str
) -> None:
    async with dispatching(pool, log, queue, database, Dispatching()) as projector:
        item = Work(executor="heat", lane="vim", key="a", body=msgspec.Raw(b"1"))
        async with pool.acquire() as connection:
            await post(connection, "lcm", [(item, 0.0), (item, 60.0)])
        projector.batch_applied.set()
        async with asyncio.timeout(60):
            while len(await waiting(nats)) < 2:
                await asyncio.sleep(0.02)
    assert {subject.partition(".")[0] for subject in await waiting(nats)} == {"cmd", "later"}
