"""A process that starts creates what is missing of a schema while another process projects into it."""

from __future__ import annotations

import asyncio

import asyncpg
from forestay_events.archive import Projector
from forestay_events.jetstream import JetStreamEventStore
from forestay_events.positions import Positions

from .samples import Counting


class Indexed(Counting):
    """With an index: creating one locks the table even when it is there already."""

    tables = Counting.tables + "CREATE INDEX IF NOT EXISTS tally_commits ON {schema}.tally (commits);"


async def test_a_start_does_not_deadlock_with_a_projector_at_work(
    pool: asyncpg.Pool, log: JetStreamEventStore, database: str
) -> None:
    starting = Projector(pool, log, Positions(database), "lcm", "LCM", [Indexed()])
    await starting.create_tables()
    async with pool.acquire() as projecting, projecting.transaction():
        await projecting.execute("UPDATE lcm.checkpoint SET position = 1")
        start = asyncio.create_task(starting.create_tables())
        await asyncio.sleep(0.2)
        await projecting.execute("INSERT INTO lcm.tally VALUES ('a', 1)")
    await start
