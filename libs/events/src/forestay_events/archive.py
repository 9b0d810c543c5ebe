"""The verified copy of the log in PostgreSQL, and the read models that are made in the same transaction.

A projector follows one stream for one schema. Per batch, in one transaction: commit rows (own stream only), read-model rows,
outbox rows, the checkpoint. The checkpoint row in PostgreSQL is the only truth about how far it has come; the server keeps
no consumer state. One process at a time projects a (schema, stream), held by an advisory lock and, against a process that
only thinks it still holds it, by the checkpoint row itself.

A commit that does not continue its aggregate's chain is refused, which makes the aggregate read-only; its bytes are kept as
evidence, and so that the stream can be restored as it was. A commit that a projection cannot digest stops that projector,
loudly, and nothing is skipped. Both are in the database, so that every replica knows; whoever leads next tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

import asyncpg
import structlog

from forestay_events.commit import Stored
from forestay_events.database import LOST_CONNECTION, Connection, answering, own_connection
from forestay_events.errors import LogIntegrityBroken, Permanent, Rejected, Unavailable
from forestay_events.failpoints import failpoint
from forestay_events.metrics import METRICS
from forestay_events.positions import CHANNEL, Positions
from forestay_events.store import EventStore

__all__ = ["ARCHIVE_TABLES", "LOST_CONNECTION", "Connection", "Projection", "Projector", "chain_flaw"]

log = structlog.get_logger(__name__)

ARCHIVE_TABLES = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.checkpoint (stream text PRIMARY KEY, position bigint NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.commit (
    seq bigint PRIMARY KEY, subject text NOT NULL, version integer NOT NULL, id text NOT NULL,
    at timestamptz NOT NULL, prev_hash text NOT NULL, hash text NOT NULL, body bytea NOT NULL,
    UNIQUE (subject, version));
CREATE TABLE IF NOT EXISTS {schema}.head (
    subject text PRIMARY KEY, version integer NOT NULL, hash text NOT NULL, seq bigint NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.refused (
    seq bigint PRIMARY KEY, subject text NOT NULL, reason text NOT NULL, body bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS {schema}.stopped (stream text PRIMARY KEY, reason text NOT NULL);
"""

#: Key of the advisory lock ($1: the projector's name), held by the one process that projects.
LEAD = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
_STAND_BY = 0.5


class Projection(Protocol):
    """Turns commits into read-model rows. Must depend on nothing but the commits and its own rows."""

    #: DDL that creates the projection's tables if they are missing; ``{schema}`` stands for the schema's name.
    tables: str

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        """Write the rows that follow from a batch of commits, inside the projector's transaction."""
        ...


@dataclass
class Projector:
    """Follows ``stream`` into ``schema``.

    :ivar archive: also keep the verified copy (the stream's owner does; who follows another's stream does not).
    :ivar stopped: why it does not go on, for the operator; ``None`` while it runs.
    :ivar active: this process is the one that projects.
    :ivar broken: why an aggregate is read-only, by subject.
    :ivar batch_applied: set after each transaction.
    """

    pool: asyncpg.Pool
    store: EventStore
    positions: Positions
    schema: str
    stream: str
    projections: Sequence[Projection]
    archive: bool = True
    stopped: str | None = None
    active: bool = False
    broken: dict[str, str] = field(default_factory=dict[str, str])
    batch_applied: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return f"{self.schema}<-{self.stream}"

    @property
    def lock(self) -> str:
        return f"projector {self.name}"

    async def create_tables(self) -> None:
        """Create what is missing of the schema. :raises Unavailable: PostgreSQL does not answer."""
        with answering():
            async with self.pool.acquire() as connection:
                # Two processes that start together would trip over each other's CREATE ... IF NOT EXISTS. This lock goes
                # when the connection is given back.
                await connection.execute("SELECT pg_advisory_lock(hashtextextended('forestay ddl', 0))")
                for ddl in (ARCHIVE_TABLES, *(projection.tables for projection in self.projections)):
                    # Each statement alone: whoever holds one table and wants another may deadlock with a projector at work.
                    for statement in ddl.replace("{schema}", self.schema).strip().rstrip(";").split(";"):
                        await connection.execute(statement)
                checkpoint = f"INSERT INTO {self.schema}.checkpoint VALUES ($1, 0) ON CONFLICT DO NOTHING"
                await connection.execute(checkpoint, self.stream)

    async def prepare(self) -> None:
        """What a service does first: create what is missing, and look whether the log still has what the schema has.

        :raises LogIntegrityBroken: it has not; nothing must be appended before it is restored.
        :raises Unavailable: PostgreSQL or the log does not answer.
        """
        await self.create_tables()
        with answering():
            position = await self.position()
            await self._load_flaws()
        if (head := await self.store.head(self.stream)) < position:
            raise LogIntegrityBroken(
                f"Stream {self.stream} ends at {head} but {self.schema} has it up to {position}: the log was lost. "
                "Stop Forestay and run `forestay log restore`."
            )

    def read_only(self, subject: str) -> str | None:
        """Why nothing may be appended to an aggregate: its chain is broken, or what is appended would not be copied."""
        return self.stopped or self.broken.get(subject)

    async def check(self) -> None:
        """Health. :raises LogIntegrityBroken: it stopped, or aggregates are read-only."""
        if self.stopped or self.broken:
            raise LogIntegrityBroken(
                self.stopped or f"{len(self.broken)} aggregates are read-only: {sorted(self.broken)[:3]}"
            )

    async def run(self) -> None:
        """Project until cancelled or stopped by a poison commit or a broken log."""
        METRICS.projection_stopped.labels(self.name).set(0)
        while True:
            try:
                with answering():
                    async with own_connection(self.positions.dsn) as guard:
                        await self._lead(guard)
                        await self._project()
            except Unavailable as error:
                log.warning("projector.waiting", projector=self.name, reason=str(error))
            except Exception as error:
                log.error("projector.stopped", projector=self.name, reason=str(error), exc_info=True)
                await self._stop(str(error))
                return
            finally:
                self.active = False
            await asyncio.sleep(0.3)

    async def _lead(self, guard: Connection) -> None:
        """Wait until no other process projects this; the lock goes with the connection."""
        while not await guard.fetchval(LEAD, self.lock):
            await self._load_flaws()
            await asyncio.sleep(_STAND_BY)
        self.active = True

    async def _stop(self, reason: str) -> None:
        reached = self.positions.reached(self.schema, self.stream)
        self.stopped = f"projector {self.name} stopped behind {reached}: {reason}"
        METRICS.projection_stopped.labels(self.name).set(1)
        try:
            with answering():
                await self.pool.execute(
                    f"INSERT INTO {self.schema}.stopped VALUES ($1, $2)"
                    " ON CONFLICT (stream) DO UPDATE SET reason = excluded.reason",
                    self.stream, self.stopped.replace("\0", "\N{REPLACEMENT CHARACTER}"),
                )  # fmt: skip
        except (Unavailable, asyncpg.PostgresError) as untold:
            log.warning("projector.stopped_untold", projector=self.name, reason=str(untold))

    async def _project(self) -> None:
        position = await self.position()
        await self.positions.advance(self.schema, self.stream, position, rewound=True)
        METRICS.projection_position.labels(self.name).set(position)
        METRICS.projection_lag.labels(self.name).set(0)
        await self.pool.execute(f"DELETE FROM {self.schema}.stopped WHERE stream = $1", self.stream)
        await self._load_flaws()
        async with aclosing(self.store.follow(self.stream, after=position)) as batches:
            async for batch in batches:
                position = await self.apply(batch, position)

    async def position(self) -> int:
        """The checkpoint: the last sequence that is applied."""
        return await self.pool.fetchval(
            f"SELECT position FROM {self.schema}.checkpoint WHERE stream = $1",
            self.stream,
        )

    async def apply(self, batch: Sequence[Stored], position: int) -> int:
        """Apply a batch that follows ``position``; returns the new position.

        :raises Permanent: a projection cannot digest a commit; all that came before it is applied.
        :raises Unavailable: PostgreSQL does not answer, or another process projects.
        """
        try:
            return await self._apply(batch, position)
        except Unavailable:
            raise
        except Exception as error:
            if len(batch) == 1:
                where = f"sequence {batch[0].seq} ({batch[0].subject})"
                raise Permanent(f"{where} cannot be applied: {str(error) or type(error).__name__}") from error
        for stored in batch:
            position = await self.apply([stored], position)
        return position

    async def _apply(self, batch: Sequence[Stored], position: int) -> int:
        reached = batch[-1].seq
        failpoint("copy.before")
        with answering():
            async with self.pool.acquire() as connection, connection.transaction():
                moved = await connection.execute(
                    f"UPDATE {self.schema}.checkpoint SET position = $1 WHERE stream = $2 AND position = $3",
                    reached, self.stream, position,
                )  # fmt: skip
                if moved != "UPDATE 1":
                    raise Unavailable(f"another process has taken over {self.name}")
                sound, flaws = await self._archive(connection, batch) if self.archive else (batch, {})
                for projection in self.projections:
                    await projection.apply(connection, self.schema, sound)
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, f"{self.schema}/{self.stream}/{reached}")
        self.broken.update(flaws)
        await self.positions.advance(self.schema, self.stream, reached)
        METRICS.projection_position.labels(self.name).set(reached)
        METRICS.projection_lag.labels(self.name).set(batch[-1].pending)
        self.batch_applied.set()
        return reached

    async def _archive(self, connection: Connection, batch: Sequence[Stored]) -> tuple[list[Stored], dict[str, str]]:
        """Check every commit against its aggregate's chain, copy the sound ones, keep the others as refused."""
        rows = await connection.fetch(
            f"SELECT subject, version, hash FROM {self.schema}.head WHERE subject = ANY($1)",
            list({stored.subject for stored in batch}),
        )
        heads: dict[str, tuple[int, str]] = {row["subject"]: (row["version"], row["hash"]) for row in rows}
        sound: list[Stored] = []
        flaws: dict[str, str] = {}
        for stored in batch:
            subject = stored.subject
            flaw = chain_flaw(stored, heads.get(subject, (0, "")))
            if flaw is None and (subject in self.broken or subject in flaws):
                flaw = "an earlier commit was refused"
            if flaw is None:
                heads[subject] = (stored.commit.version, stored.hash)
                sound.append(stored)
            else:
                flaws.setdefault(subject, flaw)
                await self._refuse(connection, stored, flaw)
        await self._copy(connection, sound)
        return sound, {subject: flaw for subject, flaw in flaws.items() if subject not in self.broken}

    async def _copy(self, connection: Connection, sound: Iterable[Stored]) -> None:
        rows = [(s.seq, s.subject, s.commit.version, s.commit.id, s.commit.at, s.commit.prev_hash, s.hash, s.body)
                for s in sound]  # fmt: skip
        await connection.executemany(
            f"INSERT INTO {self.schema}.commit VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            rows,
        )
        latest = {row[1]: (row[1], row[2], row[6], row[0]) for row in rows}
        await connection.executemany(
            f"INSERT INTO {self.schema}.head VALUES ($1, $2, $3, $4) ON CONFLICT (subject) DO UPDATE"
            " SET version = excluded.version, hash = excluded.hash, seq = excluded.seq",
            list(latest.values()),
        )

    async def _refuse(self, connection: Connection, stored: Stored, flaw: str) -> None:
        log.error("log.integrity_broken", subject=stored.subject, seq=stored.seq, flaw=flaw)
        await connection.execute(
            f"INSERT INTO {self.schema}.refused VALUES ($1, $2, $3, $4)",
            stored.seq, stored.subject, flaw, stored.body,
        )  # fmt: skip

    async def _load_flaws(self) -> None:
        """What whoever leads has found."""
        self.stopped = await self.pool.fetchval(
            f"SELECT reason FROM {self.schema}.stopped WHERE stream = $1", self.stream
        )
        rows = await self.pool.fetch(f"SELECT subject, reason FROM {self.schema}.refused ORDER BY seq DESC")
        self.broken.clear()
        self.broken.update((row["subject"], row["reason"]) for row in rows)


def chain_flaw(stored: Stored, head: tuple[int, str]) -> str | None:
    """What is wrong with a commit as the next one behind ``head`` (version, hash), ``None`` if nothing."""
    version, digest = head
    try:
        commit, own_subject = stored.commit, stored.commit.subject
    except (Permanent, Rejected) as error:
        return str(error)
    if own_subject != stored.subject:
        return f"sequence {stored.seq} holds a commit of {own_subject}"
    if commit.version != version + 1:
        return f"version {commit.version} at sequence {stored.seq} follows version {version}: a gap or a fork"
    if commit.prev_hash != digest:
        return (
            f"version {version} has hash {digest[:12]}, version {commit.version} was decided on {commit.prev_hash[:12]}"
        )
    return None
