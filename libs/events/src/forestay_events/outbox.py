"""Sends what a projection has decided to send, once the intent lies in both stores (design section 3.5).

A projection writes work into ``outbox`` inside the projector's transaction; the outbox puts it on the work queue and then
deletes the rows. A crash between the two puts the work twice, which the queue's one-per-subject rule absorbs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import asyncpg
import msgspec
import structlog

from forestay_events.archive import LOST_CONNECTION, Connection, Projector
from forestay_events.errors import Unavailable
from forestay_events.work import Work, WorkQueue

log = structlog.get_logger(__name__)

OUTBOX_TABLE = """
CREATE TABLE IF NOT EXISTS {schema}.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, executor text NOT NULL, lane text NOT NULL, key text NOT NULL,
    body bytea NOT NULL, delay double precision NOT NULL DEFAULT 0);
"""


async def post(connection: Connection, schema: str, work: Iterable[tuple[Work, float]]) -> None:
    """Write work (with its delay in seconds) into the outbox, inside the caller's transaction."""
    await connection.executemany(
        f"INSERT INTO {schema}.outbox (executor, lane, key, body, delay) VALUES ($1, $2, $3, $4, $5)",
        [(item.executor, item.lane, item.key, bytes(item.body), delay) for item, delay in work],
    )


class Outbox:
    """Empties the outbox of one projector."""

    def __init__(self, projector: Projector, queue: WorkQueue) -> None:
        self._projector = projector
        self._queue = queue

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            try:
                sent = await self._send()
            except (*LOST_CONNECTION, Unavailable) as error:
                log.warning("outbox.waiting", schema=self._projector.schema, error=str(error) or type(error).__name__)
                await asyncio.sleep(0.3)
                continue
            if not sent:
                await self._wait()

    async def _wait(self) -> None:
        applied = self._projector.batch_applied
        try:
            # Another process may hold the projector; its rows are found by the clock.
            await asyncio.wait_for(applied.wait(), 1.0)
        except TimeoutError:
            return
        applied.clear()

    async def _send(self) -> int:
        schema = self._projector.schema
        pool: asyncpg.Pool = self._projector.pool
        async with pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(
                f"DELETE FROM {schema}.outbox WHERE id IN"
                f" (SELECT id FROM {schema}.outbox ORDER BY id LIMIT 200 FOR UPDATE SKIP LOCKED) RETURNING *"
            )
            newest = {
                (row["executor"], row["lane"], row["key"]): row for row in sorted(rows, key=lambda row: row["id"])
            }
            # Inside the transaction: rows whose work was not acknowledged stay.
            await asyncio.gather(*(self._put(row) for row in newest.values()))
        return len(rows)

    async def _put(self, row: asyncpg.Record) -> None:
        work = Work(executor=row["executor"], lane=row["lane"], key=row["key"], body=msgspec.Raw(row["body"]))
        await self._queue.put(work, delay=row["delay"])
