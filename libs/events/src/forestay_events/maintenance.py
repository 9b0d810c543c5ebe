"""What an operator does to the log and its copy: check them against each other, and make either of them from the other.

* ``verify`` reads; it may run at any time.
* ``rebuild`` makes the read models of a schema anew beside the old ones and swaps them in one transaction, so that readers
  see the old or the new ones and a failure leaves the old ones. It stops where the old checkpoint stands: work that follows
  from later commits is then put by the projector, which goes on from there.
* ``restore`` writes the messages of a lost stream again, byte by byte and under their old sequences. The services that write
  the stream must not run meanwhile; every message is written on the condition that it is the next one, so if one does, the
  restore fails and not the log.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

import asyncpg
import msgspec
from nats.js.api import Header
from nats.js.errors import APIError

from forestay_events.archive import Projector, chain_flaw
from forestay_events.commit import Stored
from forestay_events.connection import SILENCE, Nats
from forestay_events.database import Connection, answering
from forestay_events.errors import LogIntegrityBroken, Rejected, Unavailable
from forestay_events.jetstream import ensure_stream, log_stream
from forestay_events.positions import CHANNEL
from forestay_events.store import EventStore, read

_PAGE = 500


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong at one place of the log or its copy.

    :ivar seq: stream sequence, 0 for the stream as a whole.
    """

    seq: int
    subject: str
    problem: str


async def verify(store: EventStore, pool: asyncpg.Pool, schema: str, stream: str) -> AsyncGenerator[Finding]:
    """Compare a stream with its copy and check every aggregate's chain of hashes; yields what is wrong, in order.

    Commits behind the checkpoint are checked too; that they have no copy yet is not a finding.

    :raises Unavailable: the log or PostgreSQL does not answer.
    """
    with answering():
        position: int = await pool.fetchval(f"SELECT position FROM {schema}.checkpoint WHERE stream = $1", stream) or 0
    heads: dict[str, tuple[int, str]] = {}
    seen = 0
    try:
        async with aclosing(_beside(store, pool, schema, stream, position)) as pairs:
            async for stored, copy in pairs:
                seen = stored.seq
                flaw = chain_flaw(stored, heads.get(stored.subject, (0, "")))
                if flaw is None:
                    heads[stored.subject] = (stored.commit.version, stored.hash)
                missing = "is in the log but not in the copy" if stored.seq <= position else None
                for problem in (flaw, _difference(stored, copy) if copy else missing):
                    if problem is not None:
                        yield Finding(seq=stored.seq, subject=stored.subject, problem=problem)
    except LogIntegrityBroken as error:
        yield Finding(seq=0, subject=stream.lower(), problem=str(error))
        return
    async with aclosing(_copies(pool, schema, seen, position)) as copies:
        async for copy in copies:
            yield Finding(seq=copy["seq"], subject=copy["subject"], problem="is in the copy but not in the log")


async def _beside(
    store: EventStore, pool: asyncpg.Pool, schema: str, stream: str, position: int
) -> AsyncGenerator[tuple[Stored, asyncpg.Record | None]]:
    """Every message of the log with its copy."""
    async with aclosing(_copies(pool, schema, 0, position)) as copies, aclosing(read(store, stream)) as log:
        copy = await anext(copies, None)
        async for stored in log:
            while copy is not None and copy["seq"] < stored.seq:
                copy = await anext(copies, None)
            yield stored, copy if copy is not None and copy["seq"] == stored.seq else None


async def _copies(pool: asyncpg.Pool, schema: str, after: int, until: int = 2**62) -> AsyncGenerator[asyncpg.Record]:
    """The messages in the copy from behind ``after`` to ``until``; those that were refused have neither id nor hash."""
    query = (
        f"SELECT seq, subject, id, hash, body FROM {schema}.commit WHERE seq > $1 AND seq <= $2 UNION ALL"
        f" SELECT seq, subject, NULL, NULL, body FROM {schema}.refused WHERE seq > $1 AND seq <= $2"
        f" ORDER BY seq LIMIT {_PAGE}"
    )
    while True:
        with answering():
            page = await pool.fetch(query, after, until)
        for row in page:
            yield row
        if len(page) < _PAGE:
            return
        after = page[-1]["seq"]


def _difference(stored: Stored, copy: asyncpg.Record) -> str | None:
    if copy["body"] != stored.body:
        return "has other bytes in the log than in the copy"
    if copy["hash"] not in (None, stored.hash):
        return "has another hash in the copy than its bytes have"
    return None


async def rebuild(projector: Projector, *others: Projector) -> int:
    """Make all read models of a schema anew from the log.

    :param projector: and ``others``: every projector of the schema, with projections that put no work.
    :returns: how many commits were applied.
    :raises Rejected: 409, the log is shorter than what the read models have seen: it has to be restored first.
    :raises Permanent: a projection cannot digest a commit.
    :raises Unavailable: the log or PostgreSQL does not answer.
    """
    old, new = projector.schema, f"{projector.schema}_rebuild"
    pool = projector.pool
    drafts = [replace(each, schema=new, broken=dict[str, str]()) for each in (projector, *others)]
    with answering():
        await pool.execute(f"DROP SCHEMA IF EXISTS {new} CASCADE")
    for draft in drafts:
        await draft.create_tables()
    applied = 0
    for draft in drafts:
        applied += await _project(draft, await _goal(pool, draft, old))
    with answering():
        async with pool.acquire() as connection, connection.transaction():
            exists = await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{old}.checkpoint")
            if exists:
                # From here on the projector that may be running waits for us, and then goes on where the new rows end.
                await connection.execute(f"LOCK TABLE {old}.checkpoint IN ACCESS EXCLUSIVE MODE")
                for draft in drafts:
                    applied += await _project(draft, await _goal(connection, draft, old))
                await _keep_outbox(connection, old, new)
            await connection.execute(f"DROP SCHEMA IF EXISTS {old} CASCADE")
            await connection.execute(f"ALTER SCHEMA {new} RENAME TO {old}")
            for draft in drafts:
                place = await connection.fetchval(
                    f"SELECT position FROM {old}.checkpoint WHERE stream = $1", draft.stream
                )
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, f"{old}/{draft.stream}/{place}/rewound")
    return applied


async def _goal(connection: Connection | asyncpg.Pool, draft: Projector, old: str) -> int:
    """How far to project: as far as the old read model is, or to the head of the stream if there is none."""
    with answering():
        exists = await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{old}.checkpoint")
        query = f"SELECT position FROM {old}.checkpoint WHERE stream = $1"
        position = await connection.fetchval(query, draft.stream) or 0 if exists else None
    # Only now: the log grows meanwhile, and what a projector has applied must not look like more than there is.
    head = await draft.store.head(draft.stream)
    if position is None:
        return head
    if position > head:
        raise Rejected(
            409,
            f"stream {draft.stream} ends at {head} but its copy at {position}: rebuilding would lose what only the copy "
            "has. Run `forestay log restore` first.",
        )
    return position


async def _project(draft: Projector, goal: int) -> int:
    position = begin = await draft.position()
    if position >= goal:
        return 0
    async with aclosing(draft.store.follow(draft.stream, after=position)) as batches:
        async for batch in batches:
            position = await draft.apply([stored for stored in batch if stored.seq <= goal], position)
            if position >= goal:
                break
    return position - begin


async def _keep_outbox(connection: Connection, old: str, new: str) -> None:
    """Work that has not left yet does not follow from the log a second time."""
    if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{old}.outbox"):
        columns = "executor, lane, key, body, delay"
        await connection.execute(f"INSERT INTO {new}.outbox ({columns}) SELECT {columns} FROM {old}.outbox ORDER BY id")


async def restore(nats: Nats, pool: asyncpg.Pool, schema: str, stream: str, *, replicas: int = 1) -> int:
    """Write a lost stream again from its copy: the same bytes, ids and sequences. Goes on where one that broke off ended.

    :returns: how many messages were written.
    :raises Rejected: 409, the stream holds something else than the beginning of its copy.
    :raises LogIntegrityBroken: the copy has a gap.
    :raises Unavailable: the log or PostgreSQL does not answer; it can be called again.
    """
    await ensure_stream(nats, log_stream(stream, replicas=replicas))
    begin = seq = await _restored(nats, pool, schema, stream)
    window: list[asyncpg.Record] = []
    async with aclosing(_copies(pool, schema, seq)) as copies:
        async for copy in copies:
            seq += 1
            if copy["seq"] != seq:
                raise LogIntegrityBroken(f"the copy of stream {stream} has no sequence {seq} but has {copy['seq']}")
            window.append(copy)
            if len(window) == _PAGE:
                await _write(nats, window)
                window.clear()
    await _write(nats, window)
    return seq - begin


async def _restored(nats: Nats, pool: asyncpg.Pool, schema: str, stream: str) -> int:
    """The sequence up to which the stream is the beginning of its copy already."""
    try:
        state = (await nats.js.stream_info(stream)).state
        last = await nats.js.get_msg(stream, state.last_seq) if state.messages else None
    except (*SILENCE, APIError) as error:
        raise Unavailable(f"the log cannot be read: {error or type(error).__name__}") from error
    if last is None and state.last_seq == 0:
        return 0
    async with aclosing(_copies(pool, schema, state.last_seq - 1)) as copies:
        copy = await anext(copies, None)
    if last is None or copy is None or copy["seq"] != state.last_seq or copy["body"] != (last.data or b""):
        raise Rejected(
            409,
            f"Stream {stream} is not empty: it ends at sequence {state.last_seq} and is not the beginning of its copy. "
            "Only a stream that was lost can be restored.",
        )
    return state.last_seq


async def _write(nats: Nats, window: Sequence[asyncpg.Record]) -> None:
    """All at once: the server takes them in the order in which they are sent, each only as the next one."""

    async def write(copy: asyncpg.Record) -> None:
        headers = {Header.EXPECTED_LAST_SEQUENCE.value: str(copy["seq"] - 1)}
        if copy["id"] is not None:
            headers[Header.MSG_ID.value] = copy["id"]
        await nats.js.publish(copy["subject"], copy["body"], timeout=30, headers=headers)

    try:
        await asyncio.gather(*map(write, window))
    except (*SILENCE, APIError) as error:
        raise Unavailable(f"the log did not take a message: {error or type(error).__name__}; try again") from error


async def state_hash(pool: asyncpg.Pool, schema: str, tables: Sequence[str]) -> str:
    """SHA-256 (hex) over all rows of the tables, in an order that depends on nothing but the rows.

    :raises Unavailable: PostgreSQL does not answer.
    """
    digest = hashlib.sha256()
    with answering():
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute("SET LOCAL timezone = 'UTC'")
            for table in tables:
                digest.update(f"{table}\n".encode())
                rows = f'SELECT line::text FROM {schema}."{table}" AS line ORDER BY line::text COLLATE "C"'
                async for (line,) in connection.cursor(rows, prefetch=_PAGE):
                    digest.update(f"{line}\n".encode())
    return digest.hexdigest()


__all__ = ["Finding", "rebuild", "restore", "state_hash", "verify"]
