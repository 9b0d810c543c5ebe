"""The outbox of notifications: what is to be delivered to whom, and how that went (the delivery log).

Rules:

* Notifications are posted inside the projector's transaction: they are there if and only if their event is applied. A
  notification is named by its event, so one that is posted twice is there once.
* A *lane* is all notifications of one subscription about one object (a VNF instance). They are delivered in the order in which
  they were posted. Table ``lane`` has a row for each lane in which something waits; ``posts`` counts what was put into it, so
  that whoever empties a lane sees whether something has come meanwhile.
* All times of table ``lane`` are the database's: the clocks of several hosts do not agree.

The tables live in a schema of their own, since they do not follow from the log alone: rebuilding the read models leaves them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5

import msgspec
from forestay_events.archive import Connection

_NAMESPACE = UUID("3b1c7b6e-8f0e-5d0b-9a37-5a0f6b0d1c55")

TABLES = """
CREATE SCHEMA IF NOT EXISTS {notify};
CREATE TABLE IF NOT EXISTS {notify}.notification (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, subscription_id text NOT NULL, id text NOT NULL, lane text NOT NULL,
    kind text NOT NULL, body bytea NOT NULL, made_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'PENDING', since timestamptz NOT NULL DEFAULT now(), attempts integer NOT NULL DEFAULT 0,
    tried_at timestamptz, last_error text, ended_at timestamptz,
    UNIQUE (subscription_id, id));
CREATE INDEX IF NOT EXISTS notification_log ON {notify}.notification (subscription_id, seq);
CREATE INDEX IF NOT EXISTS notification_pending ON {notify}.notification (subscription_id, lane, seq) WHERE state = 'PENDING';
CREATE INDEX IF NOT EXISTS notification_since ON {notify}.notification (since) WHERE state = 'PENDING';
CREATE INDEX IF NOT EXISTS notification_ended ON {notify}.notification (ended_at) WHERE state <> 'PENDING';
CREATE TABLE IF NOT EXISTS {notify}.lane (
    subscription_id text NOT NULL, lane text NOT NULL, due timestamptz NOT NULL,
    posts bigint NOT NULL DEFAULT 1, PRIMARY KEY (subscription_id, lane));
CREATE INDEX IF NOT EXISTS lane_due ON {notify}.lane (due);
"""

#: Lanes are locked in one order everywhere, so that nobody waits in a circle.
_POST = """
WITH made AS (
    INSERT INTO {notify}.notification (subscription_id, id, lane, kind, body, made_at)
    SELECT subscription_id, id, lane, kind, body, made_at
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::timestamptz[])
        WITH ORDINALITY AS new (subscription_id, id, lane, kind, body, made_at, place)
    ORDER BY place ON CONFLICT DO NOTHING RETURNING subscription_id, lane)
INSERT INTO {notify}.lane AS old (subscription_id, lane, due)
SELECT DISTINCT subscription_id, lane, now() FROM made ORDER BY subscription_id, lane
ON CONFLICT (subscription_id, lane) DO UPDATE SET posts = old.posts + 1
"""

_REDELIVER = """
WITH again AS (
    UPDATE {notify}.notification
    SET state = 'PENDING', since = now(), ended_at = NULL
    WHERE subscription_id = $1 AND CASE
        WHEN cardinality($2::text[]) > 0 THEN id = ANY($2)
        WHEN $3::timestamptz IS NOT NULL THEN made_at >= $3
        ELSE state <> 'DELIVERED' END
    RETURNING lane)
INSERT INTO {notify}.lane AS old (subscription_id, lane, due)
SELECT DISTINCT $1, lane, now() FROM again ORDER BY lane
ON CONFLICT (subscription_id, lane) DO UPDATE
SET posts = old.posts + 1, due = CASE WHEN old.due = 'infinity' THEN old.due ELSE now() END
"""

_EXPIRE = """
UPDATE {notify}.notification SET state = 'EXPIRED', ended_at = now()
WHERE subscription_id = $1 AND id = ANY($2) AND state = 'PENDING'
"""


class Notification(msgspec.Struct, frozen=True):
    """A notification to one subscriber.

    :ivar id: the same for every subscriber and however often it is sent.
    :ivar lane: what it is about; order is kept within.
    :ivar kind: the standard's ``notificationType``.
    """

    subscription_id: str
    id: str
    lane: str
    kind: str
    body: bytes
    made_at: datetime


def notification_id(event: str) -> str:
    """The id of the notifications about an event: the same for all subscriptions, as SOL003 5.5.2.17 to 5.5.2.19 want it.

    :param event: names it for ever, such as id of commit and place in it.
    """
    return str(uuid5(_NAMESPACE, event))


class Outgoing:
    """The outbox of one service, written by its projections.

    :param schema: of its read models.
    """

    def __init__(self, schema: str) -> None:
        self.schema = f"{schema}_notify"
        self.channel = f"forestay_{self.schema}"
        self.tables = self.sql(TABLES)

    def sql(self, text: str) -> str:
        """A statement for the tables of this outbox."""
        return text.replace("{notify}", self.schema)

    async def post(self, connection: Connection, notifications: Sequence[Notification]) -> None:
        """Put notifications into their lanes and wake the deliverer, when the caller's transaction commits."""
        if not notifications:
            return
        columns = [list(column) for column in zip(*map(msgspec.structs.astuple, notifications), strict=True)]
        await connection.execute(self.sql(_POST), *columns)
        await self._wake(connection, "")

    async def redeliver(
        self, connection: Connection, subscription_id: str, ids: Sequence[str], since: datetime | None
    ) -> None:
        """Make notifications pending again; what waits already is tried now."""
        await connection.execute(self.sql(_REDELIVER), subscription_id, list(ids), since)
        await self._wake(connection, subscription_id)

    async def expire(self, connection: Connection, subscription_id: str, ids: Sequence[str]) -> None:
        """Give notifications up; the log keeps them, and the next in their lanes have their turn."""
        await connection.execute(self.sql(_EXPIRE), subscription_id, list(ids))

    async def drop(self, connection: Connection, subscription_id: str) -> None:
        """Forget everything about a subscription that is gone."""
        for table in ("lane", "notification"):
            await connection.execute(
                self.sql("DELETE FROM {notify}.%s WHERE subscription_id = $1") % table, subscription_id
            )
        await self._wake(connection, subscription_id)

    async def _wake(self, connection: Connection, subscription_id: str) -> None:
        """:param subscription_id: of whom the deliverer is to forget that it failed; ``""``: nobody."""
        await connection.execute("SELECT pg_notify($1, $2)", self.channel, subscription_id)
