"""The log in memory: for the pure tests of decisions and processes, with the same contract as JetStream's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from forestay_events.commit import Commit, Stored, encode
from forestay_events.errors import Conflict, LogIntegrityBroken, Unavailable

_BATCH = 500


class MemoryEventStore:
    """:class:`~forestay_events.store.EventStore` of one process, gone with it."""

    def __init__(self) -> None:
        self._streams: dict[str, list[Stored]] = {}
        self._subjects: dict[str, list[Stored]] = {}
        self._appended = asyncio.Condition()

    async def append(self, commit: Commit, *, after: int) -> Stored:
        history = self._subjects.setdefault(commit.subject, [])
        follower = next((stored for stored in history if stored.seq > after), None)
        if follower is not None and follower.commit.id == commit.id:
            return follower
        if follower is not None:
            raise Conflict(f"{commit.subject} has changed since sequence {after}")
        if after != (history[-1].seq if history else 0):
            raise Unavailable(f"the log did not take {commit.subject} behind sequence {after}", delay=1)
        stream = self._streams.setdefault(commit.stream, [])
        stored = Stored(len(stream) + 1, encode(commit))
        stream.append(stored)
        history.append(stored)
        async with self._appended:
            self._appended.notify_all()
        return stored

    async def load(self, subject: str, *, after: int = 0) -> Sequence[Stored]:
        return [stored for stored in self._subjects.get(subject, []) if stored.seq > after]

    async def last(self, subject: str) -> Stored | None:
        history = self._subjects.get(subject)
        return history[-1] if history else None

    async def head(self, stream: str) -> int:
        return len(self._streams.get(stream, []))

    async def follow(self, stream: str, *, after: int) -> AsyncGenerator[Sequence[Stored]]:
        if after > await self.head(stream):
            raise LogIntegrityBroken(f"stream {stream} ends before sequence {after}; run `forestay log restore`")
        while True:
            async with self._appended:
                while not (batch := self._streams.get(stream, [])[after : after + _BATCH]):
                    await self._appended.wait()
            after = batch[-1].seq
            yield batch
