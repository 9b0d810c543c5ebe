"""Repairs by the clock what no message repairs: work that was lost with the queue, blobs nobody needs, and uploads whose
receiver died.

Of a receiver it is only known that his beats do not come any more: not by anybody's clock, but while this process looked and
the database answered. One who was only slow finds that the package does not wait for his content.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from forestay_events.errors import Rejected, Unavailable
from forestay_events.work import WorkQueue

from forestay_package_mgmt.onboarding.contents import Contents
from forestay_package_mgmt.onboarding.reports import Reports
from forestay_package_mgmt.projections.packages import due_for
from forestay_package_mgmt.projections.reads import PackageReads

log = structlog.get_logger(__name__)

_SWEEP_EVERY = 600.0
_RESUME_EVERY = 30.0
_OVERDUE = timedelta(seconds=60)
_LOOK_EVERY = 1.0
_SILENCE = 5.0

LOST = Rejected(
    500,
    "The server that received the content died before it had all of it. Upload the content again.",
    title="Upload failed",
    extra={"rule": "upload-lost"},
)


class Upkeep:
    """The four jobs, each to be run for as long as the process.

    :param orphan_age: seconds after which a blob that nobody needs is deleted.
    """

    def __init__(
        self, reports: Reports, reads: PackageReads, contents: Contents, queue: WorkQueue, *, orphan_age: float
    ) -> None:
        self._reports = reports
        self._reads = reads
        self._contents = contents
        self._queue = queue
        self._orphan_age = orphan_age
        self._heard: dict[tuple[str, int | None, int], float] = {}

    async def sweep(self) -> None:
        """Sweep orphaned contents until cancelled."""
        await _every(_SWEEP_EVERY, lambda: self._contents.sweep(self._orphan_age))

    async def release(self) -> None:
        """Delete contents that could not be deleted at once until cancelled."""
        await _every(_LOOK_EVERY, self._contents.release_left)

    async def resume(self) -> None:
        """Put back lost work until cancelled."""
        await _every(_RESUME_EVERY, self._resume)

    async def watch(self) -> None:
        """End uploads whose receiver died until cancelled."""
        await _every(_LOOK_EVERY, self._watch)

    async def _watch(self) -> None:
        before, self._heard = self._heard, {}
        now = time.monotonic()
        for package, beat in await self._reads.receiving():
            key = (package.id, package.receiving, beat)
            self._heard[key] = before.get(key, now)
            if now - self._heard[key] > _SILENCE and package.receiving is not None:
                log.warning("upload.lost", package=package.id)
                await self._reports.fail(package, package.receiving, LOST)

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
