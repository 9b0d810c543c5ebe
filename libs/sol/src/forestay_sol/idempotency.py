"""``Idempotency-Key``: a POST that is sent again gets the same answer, and nothing is done twice.

Rules: a request is known by project, method, path and key; the same key with another body or query is 422. One request at a
time is answered under a key, in all processes. What a handler answers is kept for a day, its refusals too; a passing fault
(503, 504) is not, so that the request can be sent again. If a process dies between the act and the kept answer, the request
is handled once more as the same command: what it makes has the same ids, and the log has what it has appended already.

Of the body only a digest is kept, made with the key, because a body may hold secrets.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid5

import asyncpg
import msgspec
import structlog
from aiohttp import hdrs, web
from forestay_events.database import answering
from forestay_events.errors import Rejected, Unavailable
from forestay_events.platform import Platform

from forestay_sol import body
from forestay_sol.caller import CALLER, caller
from forestay_sol.locks import SessionLocks, StillHeld, session_locks

HEADER = "Idempotency-Key"
#: Hours that an answer is kept.
RETENTION = 24

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_NAMESPACE = UUID("5a4d0f0e-94a7-5b0d-b0a1-8f6e2f7c8a3d")
_TABLES = (
    "CREATE SCHEMA IF NOT EXISTS http",
    "CREATE TABLE IF NOT EXISTS http.answer"
    " (id uuid PRIMARY KEY, digest bytea NOT NULL, at timestamptz NOT NULL DEFAULT now(), answer bytea)",
    "CREATE INDEX IF NOT EXISTS answer_at ON http.answer (at)",
)
_log = structlog.stdlib.get_logger("forestay.http")


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    status: int
    headers: dict[str, str]
    body: bytes | None

    @classmethod
    def of(cls, response: web.StreamResponse) -> _Answer | None:
        """``None`` if it cannot be kept: a passing fault, or a stream."""
        if response.status >= 500 or not isinstance(response, web.Response):
            return None
        content = response.body
        return cls(response.status, dict(response.headers), content) if isinstance(content, bytes | None) else None

    def response(self) -> web.Response:
        return web.Response(status=self.status, headers=self.headers, body=self.body)


class KeptAnswers:
    """The answers to POSTs with a key; to be made by :func:`kept_answers`."""

    def __init__(self, pool: asyncpg.Pool, locks: SessionLocks) -> None:
        self._pool = pool
        self._locks = locks

    async def once(
        self, request: web.Request, handle: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Give the answer to a request with a key, now or as it was given before.

        :param handle: acts, as the command that the request's caller then names.
        :raises Rejected: 400 the key has another form; 422 another request had it; 409 the same request is being handled.
        :raises Unavailable: PostgreSQL does not answer.
        """
        key = request.headers[HEADER]
        if not _KEY.fullmatch(key):
            raise Rejected(400, f"{HEADER} must be 1 to 255 visible ASCII characters; a UUID is best.")
        sender = caller(request)
        id_ = uuid5(_NAMESPACE, "\n".join((sender.project, request.method, request.path, key)))
        digest = hmac.new(
            key.encode(), request.query_string.encode() + b"\n" + body.canonical(request), hashlib.sha256
        ).digest()
        async with self._turn(id_):
            known, kept = await self._reserve(id_, digest)
            if kept is not None:
                return kept.response()
            request[CALLER] = msgspec.structs.replace(sender, command_id=str(id_), repeated=known)
            response = await handle()
            await self._keep(id_, _Answer.of(response))
            return response

    @asynccontextmanager
    async def _turn(self, id_: UUID) -> AsyncGenerator[None]:
        """The only one, of all processes, who answers this request."""
        try:
            async with self._locks.held(id_):
                yield
        except StillHeld:
            detail = f"The first request with this {HEADER} is still being handled: send it again later."
            raise Rejected(409, detail, headers={hdrs.RETRY_AFTER: "5"}) from None

    async def _reserve(self, id_: UUID, digest: bytes) -> tuple[bool, _Answer | None]:
        """Whether the request has been here before, and what it was answered if that is known."""
        with answering():
            if await self._pool.fetchval(
                "INSERT INTO http.answer (id, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true",
                id_,
                digest,
            ):
                return False, None
            row = await self._pool.fetchrow("SELECT digest, answer FROM http.answer WHERE id = $1", id_)
        if row is None:  # its time was up just now
            return True, None
        if not hmac.compare_digest(row["digest"], digest):
            raise Rejected(
                422, f"This {HEADER} belongs to a request with another body or query: give each its own key."
            )
        return True, None if row["answer"] is None else msgspec.msgpack.decode(row["answer"], type=_Answer)

    async def _keep(self, id_: UUID, kept: _Answer | None) -> None:
        """What was done stays done: if the answer cannot be kept, the request, sent again, is the same command."""
        if kept is None:
            return
        try:
            with answering():
                encoded = msgspec.msgpack.encode(kept)
                await self._pool.execute("UPDATE http.answer SET answer = $2 WHERE id = $1", id_, encoded)
        except Unavailable as error:
            _log.warning("answer.not_kept", request=str(id_), reason=str(error))

    async def run(self) -> None:
        """Forget what is old, until cancelled."""
        while True:
            with suppress(Unavailable), answering():
                await self._pool.execute(f"DELETE FROM http.answer WHERE at < now() - interval '{RETENTION} hours'")  # noqa: S608
            await asyncio.sleep(600)


@asynccontextmanager
async def kept_answers(platform: Platform) -> AsyncGenerator[KeptAnswers]:
    """:raises Unavailable: PostgreSQL does not answer."""
    with answering():
        async with platform.pool.acquire() as connection:
            # As in Projector.create_tables: processes that start together trip over each other's IF NOT EXISTS.
            await connection.execute("SELECT pg_advisory_lock(hashtextextended('forestay ddl', 0))")
            for statement in _TABLES:
                await connection.execute(statement)
    async with session_locks(platform.config.database_url) as locks:
        yield KeptAnswers(platform.pool, locks)
