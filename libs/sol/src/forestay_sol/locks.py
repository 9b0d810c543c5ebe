"""Locks between processes that end with their holder: advisory locks of PostgreSQL, all of a process on one session.

A session that was lost has lost its locks, and its holders do not hear of it: they must do nothing that only the lock keeps
from being done twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from uuid import UUID
from weakref import WeakValueDictionary

import asyncpg
from forestay_events.database import answering, own_connection
from forestay_events.errors import Unavailable

#: Seconds to wait for another process, and between two looks at it.
PATIENCE, PAUSE = 30.0, 0.05
_DEADLINE = 5.0


class StillHeld(Exception):
    """Another process keeps the lock for longer than one waits."""


class SessionLocks:
    """The locks of a process; to be made by :func:`session_locks`."""

    def __init__(self, dsn: str, sessions: AsyncExitStack) -> None:
        self._dsn = dsn
        self._sessions = sessions
        self._session: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()
        # A session may take its own lock again, so those of one process wait here.
        self._here: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def held(self, id_: UUID) -> AsyncGenerator[None]:
        """Hold a lock while the block runs.

        :raises StillHeld: another process keeps it.
        :raises Unavailable: PostgreSQL does not answer.
        """
        number = int.from_bytes(id_.bytes[:8], signed=True)
        async with self._here.setdefault(id_, asyncio.Lock()):
            deadline = time.monotonic() + PATIENCE
            while not await self._ask("SELECT pg_try_advisory_lock($1)", number):
                if time.monotonic() > deadline:
                    raise StillHeld
                await asyncio.sleep(PAUSE)
            try:
                yield
            finally:
                with suppress(Unavailable):
                    await self._ask("SELECT pg_advisory_unlock($1)", number)

    async def _ask(self, query: str, number: int) -> bool:
        with answering():
            async with self._turn:
                if self._session is None or self._session.is_closed():
                    self._session = await self._sessions.enter_async_context(own_connection(self._dsn))
                return await self._session.fetchval(query, number, timeout=_DEADLINE)


@asynccontextmanager
async def session_locks(dsn: str) -> AsyncGenerator[SessionLocks]:
    """Locks for as long as the block runs."""
    async with AsyncExitStack() as sessions:
        yield SessionLocks(dsn, sessions)
