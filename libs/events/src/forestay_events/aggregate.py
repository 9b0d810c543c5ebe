"""Runs commands against aggregates: load, decide, append, and decide again when somebody else was first.

The three functions of an aggregate are pure (design section 3.3). Time and ids come in through :class:`Context`; ids are
derived from the command's id, so a decision that is made again after a conflict names the same things.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID, uuid5
from weakref import WeakValueDictionary

import structlog

from forestay_events.commit import Commit, EventCodec, Stored, commit_id, refuse_nul, subject
from forestay_events.errors import Conflict, ForestayError, LogIntegrityBroken, Rejected
from forestay_events.failpoints import failpoint
from forestay_events.store import EventStore

log = structlog.get_logger(__name__)

S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E")

_ID_NAMESPACE = UUID("0d7f4a52-3d0c-5a3b-8a52-0c7f7d1f6f0a")
_ATTEMPTS = 12


@dataclass(frozen=True)
class Origin:
    """Who asks for something, for which project, and what caused it.

    :ivar command_id: the same id for the same request, however often it is sent: makes the decision idempotent.
    :ivar repeated: the command may have been executed before: then what came of it is looked for, and nothing decided anew.
    :ivar expected: versions of the aggregate that the command is meant for; ``None``: whatever it is.
    """

    command_id: str
    project: str
    actor: str
    correlation_id: str | None = None
    causation_id: str | None = None
    repeated: bool = False
    expected: frozenset[int] | None = None


@dataclass(frozen=True)
class Context:
    """What a decision may know of the world."""

    now: datetime
    origin: Origin

    def new_id(self, name: str) -> str:
        """A UUID for something that this decision names; the same for the same command and name."""
        return str(uuid5(_ID_NAMESPACE, f"{self.origin.command_id}/{name}"))


@dataclass(frozen=True)
class Decision(Generic[E]):
    """What a command led to: events (none: nothing to do) and a sentence that says why.

    :ivar correlation_id: what all commits of one undertaking share, where the decision knows it; else the origin's.
    """

    events: Sequence[E]
    reason: str = ""
    correlation_id: str | None = None


@dataclass(frozen=True)
class Definition(Generic[S, C, E]):
    """An aggregate's kind: where it lives and its pure functions.

    :ivar decide: raises :class:`~forestay_events.errors.Rejected` for a command that the state does not allow.
    :ivar evolve: state ``None`` is "does not exist yet".
    """

    stream: str
    kind: str
    codec: EventCodec[E]
    decide: Callable[[S | None, C, Context], Decision[E]]
    evolve: Callable[[S | None, E, Commit], S]

    def subject(self, aggregate_id: str) -> str:
        return subject(self.stream, self.kind, aggregate_id)

    def fold(self, state: S | None, commit: Commit) -> S | None:
        for event in self.codec.decode(commit):
            state = self.evolve(state, event, commit)
        return state


@dataclass(frozen=True)
class Loaded(Generic[S]):
    """An aggregate as of a place in the log. ``state`` is ``None`` when it does not exist."""

    state: S | None
    version: int = 0
    seq: int = 0
    hash: str = ""


class Snapshots(Protocol[S]):
    """Where a fold may begin instead of at an aggregate's first commit, so that a long history costs nothing.

    A snapshot saves reading, it never decides: :meth:`Aggregates.load` begins at it only if the log has, at its sequence, the
    commit of its version and hash, and reads everything behind it; else it folds the whole history. An old one is as good as
    a new one. What no check sees is a state that somebody changed and left beside the right hash: as with the rest of a read
    model, ``forestay log verify`` does not find that and ``forestay log rebuild`` puts it right.
    """

    async def newest(self, aggregate_id: str) -> Loaded[S] | None:
        """The newest snapshot of an aggregate, ``None`` if there is none or it cannot be had just now."""
        ...


class Aggregates(Generic[S, C, E]):
    """All aggregates of one kind.

    :param snapshots: where to begin the fold of an aggregate that is not in memory; without them at its first commit.
    :param broken: tells why an aggregate is read-only, ``None`` when it is sound (see :mod:`forestay_events.archive`).
    :param cached: how many aggregates stay in memory; no verdict is given on one without asking the log whether it is the newest.
    """

    def __init__(
        self,
        store: EventStore,
        definition: Definition[S, C, E],
        clock: Callable[[], datetime],
        *,
        snapshots: Snapshots[S] | None = None,
        broken: Callable[[str], str | None] = lambda _: None,
        cached: int = 4096,
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._definition = definition
        self._clock = clock
        self._broken = broken
        self._cached = cached
        #: Highest stream sequence that this process has written, for reads of one's own writes.
        self.written = 0
        self._cache: OrderedDict[str, Loaded[S]] = OrderedDict()
        # Commands of one process take turns: they would only make one another decide again.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def load(self, aggregate_id: str) -> Loaded[S]:
        """The aggregate as the log has it now.

        :raises Unavailable: the log does not answer.
        :raises LogIntegrityBroken: its history does not fit together.
        """
        known = self._cache.get(aggregate_id)
        loaded = await (self._behind(aggregate_id, known) if known else self._first_load(aggregate_id))
        self._remember(aggregate_id, loaded)
        return loaded

    async def _first_load(self, aggregate_id: str) -> Loaded[S]:
        """From the snapshot on, if there is one that stands in the log; else from the beginning."""
        snapshot = await self._snapshots.newest(aggregate_id) if self._snapshots else None
        if snapshot is None:
            return await self._behind(aggregate_id, Loaded[S](None))
        commits = await self._store.load(self._definition.subject(aggregate_id), after=snapshot.seq - 1)
        if commits and _place(commits[0]) == (snapshot.version, snapshot.seq, snapshot.hash):
            return self._fold(snapshot, commits[1:])
        log.warning("snapshot.not_in_the_log", aggregate=aggregate_id, version=snapshot.version, seq=snapshot.seq)
        return await self._behind(aggregate_id, Loaded[S](None))

    async def _behind(self, aggregate_id: str, known: Loaded[S]) -> Loaded[S]:
        return self._fold(known, await self._store.load(self._definition.subject(aggregate_id), after=known.seq))

    def _fold(self, loaded: Loaded[S], commits: Sequence[Stored]) -> Loaded[S]:
        for stored in commits:
            loaded = self._next(loaded, stored)
        return loaded

    async def execute(self, aggregate_id: str, command: C, origin: Origin) -> Loaded[S]:
        """Decide a command and append what it decides; returns the aggregate behind it.

        :raises Rejected: the state does not allow the command; 412, it is not one of the versions that are expected.
        :raises Conflict: others kept writing the aggregate.
        :raises LogIntegrityBroken: the aggregate is read-only.
        :raises Unavailable: the log does not answer.
        """
        async with self._turns.setdefault(aggregate_id, asyncio.Lock()):
            loaded = self._cache.get(aggregate_id) or await self.load(aggregate_id)
            for attempt in range(_ATTEMPTS):
                if origin.repeated and (made := await self.made(aggregate_id, origin)) is not None:
                    return made
                try:
                    return await self._attempt(aggregate_id, loaded, command, Context(self._clock(), origin))
                except Conflict:
                    await asyncio.sleep(random.uniform(0, 0.002 * attempt))  # noqa: S311 - spreads racing writers
                    loaded = await self.load(aggregate_id)
        raise Conflict(f"{self._definition.kind} {aggregate_id} is being changed by others; try again")

    async def made(self, aggregate_id: str, origin: Origin) -> Loaded[S] | None:
        """The aggregate right behind what a command of this origin has appended to it; ``None``: it has not.

        :raises Unavailable: the log does not answer.
        """
        loaded = Loaded[S](None)
        for stored in await self._store.load(self._definition.subject(aggregate_id)):
            loaded = self._next(loaded, stored)
            if stored.commit.id == commit_id(origin.command_id, aggregate_id, loaded.version):
                return loaded
        return None

    async def preview(self, aggregate_id: str, command: C, origin: Origin) -> tuple[Decision[E], S | None]:
        """What a command would decide now, and the state behind that; nothing is appended.

        :raises Rejected: the state does not allow the command.
        :raises Unavailable: the log does not answer.
        """
        loaded = await self.load(aggregate_id)
        context = Context(self._clock(), origin)
        decision = self._definition.decide(loaded.state, command, context)
        return decision, self._definition.fold(loaded.state, self._commit(aggregate_id, loaded, decision, context))

    async def _attempt(self, aggregate_id: str, loaded: Loaded[S], command: C, context: Context) -> Loaded[S]:
        """Decide once. An append is checked by the log; a verdict that appends nothing must not rest on an old state either."""
        try:
            decision = self._definition.decide(loaded.state, command, context)
            _check_expected(loaded.version, context.origin)
        except ForestayError:
            await self._check_newest(aggregate_id, loaded)
            raise
        if decision.events:
            return await self._append(aggregate_id, loaded, decision, context)
        await self._check_newest(aggregate_id, loaded)
        return loaded

    async def _check_newest(self, aggregate_id: str, loaded: Loaded[S]) -> None:
        """:raises Conflict: somebody else has written the aggregate since."""
        last = await self._store.last(self._definition.subject(aggregate_id))
        if (last.seq if last else 0) != loaded.seq:
            raise Conflict(f"{self._definition.kind} {aggregate_id} has changed since sequence {loaded.seq}")

    async def _append(self, aggregate_id: str, loaded: Loaded[S], decision: Decision[E], context: Context) -> Loaded[S]:
        definition = self._definition
        why = self._broken(definition.subject(aggregate_id))
        if why is not None:
            raise LogIntegrityBroken(f"{definition.kind} {aggregate_id} is read-only: {why}")
        commit = self._commit(aggregate_id, loaded, decision, context)
        refuse_nul(commit)
        failpoint("commit.before")
        stored = await self._store.append(commit, after=loaded.seq)
        failpoint("commit.after")
        self.written = max(self.written, stored.seq)
        written = self._next(loaded, stored)
        self._remember(aggregate_id, written)
        return written

    def _commit(self, aggregate_id: str, loaded: Loaded[S], decision: Decision[E], context: Context) -> Commit:
        definition, origin = self._definition, context.origin
        version = loaded.version + 1
        return Commit(
            id=commit_id(origin.command_id, aggregate_id, version),
            stream=definition.stream,
            kind=definition.kind,
            aggregate_id=aggregate_id,
            version=version,
            at=context.now,
            project=origin.project,
            actor=origin.actor,
            reason=decision.reason,
            causation_id=origin.causation_id,
            correlation_id=decision.correlation_id or origin.correlation_id,
            prev_hash=loaded.hash,
            events=definition.codec.encode(decision.events),
        )

    def _next(self, loaded: Loaded[S], stored: Stored) -> Loaded[S]:
        commit = stored.commit
        if commit.version != loaded.version + 1 or commit.prev_hash != loaded.hash:
            raise LogIntegrityBroken(
                f"{commit.subject}: version {commit.version} at sequence {stored.seq} does not follow "
                f"version {loaded.version} at sequence {loaded.seq}"
            )
        return Loaded(self._definition.fold(loaded.state, commit), commit.version, stored.seq, stored.hash)

    def _remember(self, aggregate_id: str, loaded: Loaded[S]) -> None:
        if not loaded.seq or loaded.seq < self._cache.get(aggregate_id, Loaded[S](None)).seq:
            return
        self._cache[aggregate_id] = loaded
        self._cache.move_to_end(aggregate_id)
        if len(self._cache) > self._cached:
            self._cache.popitem(last=False)


def _check_expected(version: int, origin: Origin) -> None:
    """Comes behind the decision: who may not do it at all learns that first (RFC 9110 13.2.1)."""
    if origin.expected is not None and version not in origin.expected:
        detail = "The resource is not as If-Match says: somebody has changed it. Read it again, then decide again."
        raise Rejected(412, detail)


def _place(stored: Stored) -> tuple[int, int, str]:
    return stored.commit.version, stored.seq, stored.hash
