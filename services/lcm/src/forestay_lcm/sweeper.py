"""Puts right what a lost queue or a process that died at the wrong moment has left: each thing is harmless to do twice.

* An operation, or the deletion of a VNF snapshot, that is open and for which no work is pending gets its work back. The queue
  loses nothing by itself; this is for the case that the queue itself was lost (restored from the copy), or its stream deleted.
* The data key of a deleted VNF instance or VNF snapshot is destroyed.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from forestay_events.database import answering
from forestay_events.errors import Unavailable
from forestay_events.platform import Platform

from forestay_lcm.projections.instances import OPEN_WORK, step_work

log = structlog.get_logger(__name__)

_QUIET = timedelta(seconds=8)
_PERIOD = 4.0
_AT_ONCE = 1000


class Sweeper:
    """Runs in every replica of the API."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._after = dict.fromkeys(OPEN_WORK, "")

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                with answering():
                    for table in OPEN_WORK:
                        await self._put_back_work(table)
                    await self._destroy_keys()
            except Unavailable as error:
                log.warning("sweeper.waiting", reason=str(error))
            await asyncio.sleep(_PERIOD)

    async def _put_back_work(self, table: str) -> None:
        """Look at the next rows, round and round, so that none is passed over however many are open."""
        rows = await self._platform.pool.fetch(
            f"SELECT id, {OPEN_WORK[table]} AS key, work_executor, work_lane FROM lcm.{table}"  # noqa: S608
            " WHERE work_executor IS NOT NULL AND touched < $1 AND id > $2 ORDER BY id LIMIT $3",
            self._platform.clock() - _QUIET, self._after[table], _AT_ONCE,
        )  # fmt: skip
        self._after[table] = rows[-1]["id"] if len(rows) == _AT_ONCE else ""
        queue = self._platform.queue
        pending = {name: await queue.all_pending(name) for name in {row["work_executor"] for row in rows}}
        for row in rows:
            work = step_work(row["work_executor"], row["work_lane"], row["key"])
            # Asked again: what was put meanwhile is not lost.
            if work.subject not in pending[work.executor] and not await queue.pending(work):
                log.warning("sweeper.work_was_lost", key=work.key, executor=work.executor)
                await queue.put(work)

    async def _destroy_keys(self) -> None:
        pool = self._platform.pool
        for row in await pool.fetch("SELECT vnf_id FROM lcm.shredding LIMIT $1", _AT_ONCE):
            await self._platform.vault.shred(row["vnf_id"])
            await pool.execute("DELETE FROM lcm.shredding WHERE vnf_id = $1", row["vnf_id"])
