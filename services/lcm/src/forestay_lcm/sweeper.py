"""Puts work back that got lost: an open operation that nothing moves and for which no work is pending.

The queue loses nothing by itself; this is for the case that the queue itself was lost (restored from the copy), or that a
process died between a commit and its outbox. Putting work that was not needed is harmless.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from forestay_events.archive import LOST_CONNECTION
from forestay_events.errors import Unavailable
from forestay_events.platform import Platform

from forestay_lcm.projections.instances import step_work

log = structlog.get_logger(__name__)

_QUIET = timedelta(seconds=8)
_PERIOD = 4.0


class Sweeper:
    """Runs in every replica of the API; they may do the same twice."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self._sweep()
            except (*LOST_CONNECTION, Unavailable) as error:
                log.warning("sweeper.waiting", reason=str(error) or type(error).__name__)
            await asyncio.sleep(_PERIOD)

    async def _sweep(self) -> None:
        rows = await self._platform.pool.fetch(
            "SELECT vnf_id, work_executor, work_lane FROM lcm.op_occ"
            " WHERE work_executor IS NOT NULL AND touched < $1 ORDER BY touched LIMIT 1000",
            self._platform.clock() - _QUIET,
        )
        for row in rows:
            work = step_work(row["work_executor"], row["work_lane"], row["vnf_id"])
            if not await self._platform.queue.pending(work):
                log.warning("sweeper.work_was_lost", vnf=work.key, executor=work.executor)
                await self._platform.queue.put(work)
