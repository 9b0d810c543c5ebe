"""The port of the append-only log. Implementations: :mod:`.memory`, :mod:`.jetstream`; one contract suite for both."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from forestay_events.commit import Commit, Stored


class EventStore(Protocol):
    """An append-only log of commits, in streams, with optimistic concurrency per aggregate."""

    async def append(self, commit: Commit, *, after: int) -> Stored:
        """Append a commit to its aggregate.

        :param after: stream sequence of the aggregate's last commit that the decision was based on, 0 for none.
        :returns: the commit as stored; durable once this returns. If a commit with this id already follows ``after``, that
            one, whose bytes may differ.
        :raises Conflict: another commit came first.
        :raises Unavailable: the log did not answer and, as far as could be seen, did not store it.
        :raises Permanent: the commit is larger than the log takes.
        """
        ...

    async def load(self, subject: str, *, after: int = 0) -> Sequence[Stored]:
        """All commits of one aggregate behind sequence ``after``, oldest first."""
        ...

    async def last(self, subject: str) -> Stored | None:
        """The newest commit of one aggregate, never stale."""
        ...

    async def head(self, stream: str) -> int:
        """The newest sequence of a stream, 0 when it is empty.

        :raises LogIntegrityBroken: the stream has lost some of its commits.
        """
        ...

    def follow(self, stream: str, *, after: int) -> AsyncGenerator[Sequence[Stored]]:
        """Batches of all commits behind ``after`` in order, without gap or repeat, then live; never ends by itself.

        :raises LogIntegrityBroken: a sequence is missing in the stream, or all behind ``after`` and ``after`` itself.
        """
        ...


async def read(store: EventStore, stream: str, *, after: int = 0) -> AsyncGenerator[Stored]:
    """The commits behind ``after`` up to the head of the stream as it is now."""
    head = await store.head(stream)
    if head <= after:
        return
    async with aclosing(store.follow(stream, after=after)) as batches:
        async for batch in batches:
            for stored in batch:
                if stored.seq <= head:
                    yield stored
            if batch[-1].seq >= head:
                return
