"""Stored package contents: how they come into the blob store and how they leave it.

Contents are shared: packages with equal bytes refer to one blob. A blob may be deleted when no package needs it, and none
will within the moment between "the blob is there" and "the log says so". That moment is guarded by an advisory lock in
PostgreSQL: whoever is in it holds the lock shared, whoever deletes holds it alone and asks the log's newest state. What a
crash leaves behind (a blob that no event names) the sweep finds by its age.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from forestay_events.blobs import Blob
from forestay_events.database import answering
from forestay_events.errors import Conflict, Rejected, Unavailable
from forestay_events.failpoints import failpoint
from forestay_events.platform import Platform

from forestay_package_mgmt.projections.reads import PackageReads

log = structlog.get_logger(__name__)

_SHARED = "SELECT pg_advisory_xact_lock_shared(hashtext('forestay package contents'))"
_ALONE = "SELECT pg_advisory_xact_lock(hashtext('forestay package contents'))"
_AT_ONCE = 4  # holders of a pool connection: the projector, whom a deletion waits for, needs one too
_ASKED_AT_ONCE = 500


class Contents:
    """The contents of VNF packages in the blob store."""

    def __init__(self, platform: Platform, reads: PackageReads) -> None:
        self._pool = platform.pool
        self._blobs = platform.blobs
        self._reads = reads
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._left: set[str] = set()

    async def store(self, chunks: AsyncIterator[bytes], limit: int, record: Callable[[Blob], Awaitable[None]]) -> None:
        """Store a content, in constant memory, and record it; if one of the two fails, nothing of it stays.

        :param limit: bytes that it may have.
        :param record: writes the event that refers to the blob.
        :raises Rejected: 413, or what ``record`` or ``chunks`` raises.
        :raises Unavailable: a store does not answer; a blob that could not be recorded is left for the sweep.
        """
        blob: Blob | None = None
        try:
            async with self._blobs.writer(limit=limit) as writer:
                async for chunk in chunks:
                    await writer.write(chunk)
                async with self._lock(_SHARED):
                    blob = await writer.commit()
                    failpoint("content.stored")
                    await record(blob)
        except (Rejected, Conflict):
            if blob is not None:
                await self.release(blob.digest)
            raise

    async def release(self, digest: str) -> None:
        """Delete a content unless a package needs it; if that cannot be done now, :meth:`release_left` will do it."""
        try:
            async with self._lock(_ALONE):
                if not await self._reads.used([digest]):
                    await self._blobs.delete(digest)
        except Unavailable as error:
            self._left.add(digest)
            log.warning("content.left", digest=digest, error=str(error))

    async def release_left(self) -> None:
        """Try again what :meth:`release` could not do; after a crash the sweep will."""
        left, self._left = self._left, set()
        for digest in left:
            await self.release(digest)

    async def sweep(self, older_than: float) -> None:
        """Delete the contents that are older than ``older_than`` seconds and that no package needs."""
        old = [blob.digest async for blob in self._blobs.list() if blob.age >= older_than]
        for start in range(0, len(old), _ASKED_AT_ONCE):
            asked = old[start : start + _ASKED_AT_ONCE]
            for digest in set(asked) - await self._reads.used(asked):
                log.info("content.orphan", digest=digest)
                await self.release(digest)

    @asynccontextmanager
    async def _lock(self, statement: str) -> AsyncGenerator[None]:
        with answering():
            async with self._slots, self._pool.acquire() as connection, connection.transaction():
                await connection.execute(statement)
                yield
