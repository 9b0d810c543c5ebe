"""Repairs by the clock what no message repairs: work that was lost with the queue, and blobs nobody needs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from forestay_events.errors import Unavailable
from forestay_events.work import WorkQueue

from forestay_package_mgmt.onboarding.contents import Contents
from forestay_package_mgmt.projections.packages import due_for
from forestay_package_mgmt.projections.reads import PackageReads

log = structlog.get_logger(__name__)

_SWEEP_EVERY = 600.0
_RESUME_EVERY = 30.0
_OVERDUE = timedelta(seconds=60)


class Upkeep:
    """The two jobs, each to be run for as long as the process.

    :param orphan_age: seconds after which a blob that nobody needs is deleted.
    """

    def __init__(self, reads: PackageReads, contents: Contents, queue: WorkQueue, *, orphan_age: float) -> None:
        self._reads = reads
        self._contents = contents
        self._queue = queue
        self._orphan_age = orphan_age

    async def sweep(self) -> None:
        """Sweep orphaned contents until cancelled."""
        await _every(_SWEEP_EVERY, lambda: self._contents.sweep(self._orphan_age))

    async def resume(self) -> None:
        """Put back lost work until cancelled."""
        await _every(_RESUME_EVERY, self._resume)

    async def _resume(self) -> None:
        for package in await self._reads.overdue(_OVERDUE):
            work = due_for(package)
            if work is not None and not await self._queue.pending(work):
                log.warning("package.resumed", package=package.id, executor=work.executor)
                await self._queue.put(work)


async def _every(seconds: float, job: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await job()
        except Unavailable as error:
            log.warning("upkeep.waiting", error=str(error))
        await asyncio.sleep(seconds)
