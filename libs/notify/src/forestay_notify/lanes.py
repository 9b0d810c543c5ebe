"""The deliverer's side of the outbox: claiming lanes, reading what waits in them, keeping the account of tries.

A lane that is in somebody's hands is due at ``infinity``. There is one deliverer at a time; what its predecessor had in hands
when it died is due again when the next one begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg
from forestay_events.archive import Connection
from forestay_events.database import answering

from forestay_notify.outgoing import Outgoing

#: Notifications of a lane that are read at once.
BATCH = 20
#: Connections of the pool that delivering uses at once; requests need the others.
_CONNECTIONS = 5
#: Characters of a reason that are kept.
_REASON = 1000

#: The first lanes of everybody come before the second ones of anybody.
_CLAIM = """
WITH waiting AS (
    SELECT subscription_id, lane, due, row_number() OVER (PARTITION BY subscription_id ORDER BY due, lane) AS place
    FROM {notify}.lane WHERE due <= now()),
chosen AS (
    SELECT lane.subscription_id, lane.lane FROM {notify}.lane JOIN waiting USING (subscription_id, lane)
    LEFT JOIN unnest($1::text[], $2::int[]) AS room (subscription_id, lanes) USING (subscription_id)
    WHERE waiting.place <= coalesce(room.lanes, $3)
    ORDER BY waiting.place, waiting.due LIMIT $4 FOR UPDATE OF lane SKIP LOCKED)
UPDATE {notify}.lane SET due = 'infinity' FROM chosen
WHERE (lane.subscription_id, lane.lane) = (chosen.subscription_id, chosen.lane)
RETURNING lane.subscription_id, lane.lane
"""

_WAITING = """
SELECT lane.posts, item.seq, item.body, item.attempts
FROM {notify}.lane LEFT JOIN LATERAL (
    SELECT seq, body, attempts FROM {notify}.notification AS each
    WHERE each.subscription_id = $1 AND each.lane = $2 AND each.state = 'PENDING' ORDER BY seq LIMIT $3) AS item ON true
WHERE lane.subscription_id = $1 AND lane.lane = $2
"""

_DELIVERED = """
UPDATE {notify}.notification
SET state = 'DELIVERED', attempts = attempts + 1, tried_at = now(), ended_at = now(), last_error = NULL WHERE seq = $1
"""
_FAILED = """
UPDATE {notify}.notification SET attempts = attempts + 1, tried_at = now(), last_error = $2 WHERE seq = $1
"""
_FINISH = "DELETE FROM {notify}.lane WHERE subscription_id = $1 AND lane = $2 AND posts = $3"
_PUT_BACK = """
UPDATE {notify}.lane SET due = now() + $3 * interval '1 second'
WHERE subscription_id = $1 AND lane = $2
"""
#: All lanes of a subscription but those in hand; locked in the same order as everywhere.
_MOVE = """
WITH held AS (
    SELECT lane FROM {notify}.lane WHERE subscription_id = $1 AND due <> 'infinity' ORDER BY lane FOR UPDATE)
UPDATE {notify}.lane SET due = now() + $2 * interval '1 second' FROM held
WHERE lane.subscription_id = $1 AND lane.lane = held.lane
"""
_RELEASE_ALL = "UPDATE {notify}.lane SET due = now()"


class Lane(NamedTuple):
    """Which lane."""

    subscription_id: str
    lane: str


class Item(NamedTuple):
    """A notification that waits; ``attempts`` were made already."""

    seq: int
    body: bytes
    attempts: int


class Waiting(NamedTuple):
    """What is in a lane, and what had been put into it by then."""

    posts: int
    items: Sequence[Item]


class Lanes:
    """Statements on the outbox. Each method raises ``Unavailable`` when PostgreSQL does not answer."""

    def __init__(self, pool: asyncpg.Pool, outgoing: Outgoing) -> None:
        self._pool = pool
        self._outgoing = outgoing
        self._connections = asyncio.Semaphore(_CONNECTIONS)

    async def release_all(self, connection: Connection) -> None:
        """Everything that waits is due now: a predecessor's claims and back-offs went with it."""
        await connection.execute(self._outgoing.sql(_RELEASE_ALL))

    async def claim(self, connection: Connection, rooms: Mapping[str, int], each: int, total: int) -> list[Lane]:
        """Take due lanes in hand.

        :param rooms: how many of a subscription may be taken; ``each`` of those that are not in there.
        :param total: how many may be taken altogether.
        """
        rows = await connection.fetch(self._outgoing.sql(_CLAIM), list(rooms), list(rooms.values()), each, total)
        return [Lane(row["subscription_id"], row["lane"]) for row in rows]

    async def waiting(self, lane: Lane) -> Waiting | None:
        """The next notifications of a lane, ``None`` when its subscription is gone."""
        async with self._connections:
            with answering():
                rows = await self._pool.fetch(self._outgoing.sql(_WAITING), *lane, BATCH)
        if not rows:
            return None
        items = [Item(row["seq"], row["body"], row["attempts"]) for row in rows if row["seq"] is not None]
        return Waiting(rows[0]["posts"], sorted(items))

    async def delivered(self, seq: int) -> None:
        """A notification has arrived."""
        await self._execute(_DELIVERED, seq)

    async def failed(self, seq: int, reason: str) -> None:
        """A try of a notification has failed; the reason may be any text that a subscriber came up with."""
        text = reason[:_REASON].replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
        await self._execute(_FAILED, seq, text)

    async def finish(self, lane: Lane, posts: int) -> bool:
        """Give an empty lane up, unless something was put into it since ``posts``; says whether it was."""
        return await self._execute(_FINISH, *lane, posts) == "DELETE 1"

    async def put_back(self, lane: Lane, delay: float) -> None:
        """Give a lane out of hand; it is due again in ``delay`` seconds."""
        await self._execute(_PUT_BACK, *lane, delay)

    async def move(self, subscription_id: str, delay: float) -> None:
        """All lanes of a subscription that are not in hand are due in ``delay`` seconds."""
        await self._execute(_MOVE, subscription_id, delay)

    async def _execute(self, statement: str, *parameters: object) -> str:
        async with self._connections:
            with answering():
                return await self._pool.execute(self._outgoing.sql(statement), *parameters)
