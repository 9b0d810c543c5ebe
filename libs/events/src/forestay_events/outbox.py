"""Sends what a projection has decided to send, once the intent lies in both stores (design section 3.5).

A projection writes work into ``outbox`` inside the projector's transaction; the outbox puts it on the work queue and then
deletes the rows. A crash between the two puts the work twice, which the queue's one-per-subject rule absorbs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import asyncpg
import msgspec
import structlog

from forestay_events.archive import Projector
from forestay_events.commit import Stored
from forestay_events.database import Connection, answering
from forestay_events.errors import Unavailable
from forestay_events.failpoints import failpoint
from forestay_events.work import TRACE, Work, WorkQueue, subject_of

log = structlog.get_logger(__name__)

OUTBOX_TABLE = """
CREATE TABLE IF NOT EXISTS {schema}.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, executor text NOT NULL, lane text NOT NULL, key text NOT NULL,
    body bytea NOT NULL, delay double precision NOT NULL DEFAULT 0, trace text);
"""


async def post(
    connection: Connection,
    schema: str,
    work: Iterable[tuple[Work, float]],
    *,
    causes: Mapping[str, Stored] | None = None,
) -> None:
    """Write work (with its delay in seconds) into the outbox, inside the caller's transaction.

    :param causes: the commit that work follows from, by the work's key: its trace goes on in the work.
    """
    traces = {key: stored.headers.get(TRACE) for key, stored in (causes or {}).items()}
    await connection.executemany(
        f"INSERT INTO {schema}.outbox (executor, lane, key, body, delay, trace) VALUES ($1, $2, $3, $4, $5, $6)",
        [(item.executor, item.lane, item.key, bytes(item.body), delay, traces.get(item.key)) for item, delay in work],
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
                with answering():
                    sent = await self._send()
            except Unavailable as error:
                log.warning("outbox.waiting", schema=self._projector.schema, error=str(error))
                await asyncio.sleep(0.3)
                continue
            if not sent:
                await self._wait()

    async def _wait(self) -> None:
        applied = self._projector.batch_applied
        try:
            # Another process may hold the projector; its rows are found by the clock. (wait_for of Python 3.11 loses a
            # cancellation that comes together with what it waits for.)
            async with asyncio.timeout(1.0):
                await applied.wait()
        except TimeoutError:
            return
        applied.clear()

    async def _send(self) -> int:
        schema = self._projector.schema
        pool: asyncpg.Pool = self._projector.pool
        async with pool.acquire() as connection, connection.transaction():
            # No SKIP LOCKED: a second sender waits for the first, or older work could overtake newer work of its subject.
            rows = await connection.fetch(
                f"DELETE FROM {schema}.outbox WHERE id IN (SELECT id FROM {schema}.outbox ORDER BY id LIMIT 200) RETURNING *"
            )
            pending = [(_work(row), row["delay"], row["trace"]) for row in sorted(rows, key=lambda row: row["id"])]
            newest = {subject_of(work, delay): (work, delay, trace) for work, delay, trace in pending}
            if newest:
                failpoint("outbox.before")
            # Inside the transaction: rows whose work was not acknowledged stay.
            await asyncio.gather(
                *(self._queue.put(work, delay=delay, trace=trace) for work, delay, trace in newest.values())
            )
            if newest:
                failpoint("outbox.put")
        return len(rows)


def _work(row: asyncpg.Record) -> Work:
    return Work(executor=row["executor"], lane=row["lane"], key=row["key"], body=msgspec.Raw(row["body"]))
