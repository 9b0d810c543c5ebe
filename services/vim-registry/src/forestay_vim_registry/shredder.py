"""Destroys the data keys of deleted VIMs when the request that deleted them did not come to it.

The projection writes a VIM into ``vim.shredding`` in the transaction that copies its ``VimDeleted``; a row leaves only after the
key is gone. Shredding twice is harmless, so every replica may run this, and a rebuilt read model may repeat it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog
from forestay_events.archive import Projector
from forestay_events.database import answering
from forestay_events.errors import Unavailable
from forestay_events.platform import Platform

log = structlog.get_logger(__name__)

_PERIOD = 2.0
_BATCH = 100


class Shredder:
    """Empties table ``vim.shredding``."""

    def __init__(self, platform: Platform, projector: Projector) -> None:
        self._platform = platform
        self._projector = projector

    async def run(self) -> None:
        """Shred until cancelled."""
        applied = self._projector.batch_applied
        while True:
            try:
                with answering():
                    done = await self._shred()
            except Unavailable as error:
                log.warning("shredder.waiting", reason=str(error))
                done = 0
            if done < _BATCH:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PERIOD):
                        await applied.wait()
                    applied.clear()

    async def _shred(self) -> int:
        async with self._platform.pool.acquire() as connection, connection.transaction():
            due = await connection.fetch(
                "DELETE FROM vim.shredding WHERE id IN"
                " (SELECT id FROM vim.shredding LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING id",
                _BATCH,
            )
            for row in due:
                await self._platform.vault.shred(row["id"])
        return len(due)
