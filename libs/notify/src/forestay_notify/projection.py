"""Read model of subscriptions, the index of their filters, and what their events mean for the outbox.

The index lives in the process that projects and follows table ``subscription``: every batch reads what is newer there than
what it knows, so it is right after a start, a change of leadership and a transaction that was rolled back. An event is told to
the subscriptions that were made before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from forestay_events.archive import Connection
from forestay_events.commit import Commit, Stored

from forestay_notify.filter_index import Facts, FilterIndex, Wanted
from forestay_notify.outgoing import Notification, Outgoing, notification_id
from forestay_notify.subscription import (
    CODEC,
    Dialect,
    NotificationsExpired,
    RedeliveryRequested,
    Subscription,
    SubscriptionDefinition,
    SubscriptionDeleted,
    Verbosity,
)

Json = dict[str, Any]

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.subscription (
    id text PRIMARY KEY, project text NOT NULL, seq bigint NOT NULL, deleted boolean NOT NULL,
    shredded boolean NOT NULL DEFAULT false, state bytea NOT NULL, doc jsonb NOT NULL);
CREATE INDEX IF NOT EXISTS subscription_project ON {schema}.subscription (project, id) WHERE NOT deleted;
CREATE INDEX IF NOT EXISTS subscription_seq ON {schema}.subscription (seq);
CREATE INDEX IF NOT EXISTS subscription_secrets ON {schema}.subscription (id) WHERE deleted AND NOT shredded;
"""

#: ``seq`` is that of the creation, or of the deletion.
_WRITE = """
INSERT INTO {schema}.subscription (id, project, seq, deleted, state, doc) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, deleted = excluded.deleted, state = excluded.state, doc = excluded.doc
"""

_PROJECT = "project"
encode_state = msgspec.json.Encoder().encode
decode_state = msgspec.json.Decoder(Subscription).decode


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """An event of which subscribers may want to know.

    :ivar event: names it for ever; the notification's id is made from it.
    :ivar seq: of its commit; later subscriptions are not told.
    :ivar lane: what it is about; order is kept within.
    :ivar facts: what filters are compared with.
    :ivar full: the notification without what differs between subscribers (``id``, ``subscriptionId``, their link).
    :ivar short: the same for verbosity SHORT.
    """

    event: str
    seq: int
    project: str
    kind: str
    lane: str
    at: datetime
    facts: Facts
    full: Json
    short: Json


class _Known(NamedTuple):
    seq: int
    verbosity: Verbosity
    dialect: str


class SubscriptionProjection:
    """Folds the subscriptions of one interface into table ``subscription``, and finds those that an event is for.

    Comes before the projections that announce, so that a batch finds the subscriptions that it holds.

    :param wanted: what a filter (JSON of the API, or ``None``) wants of the facts of an event.
    :param document: the representation without links.
    :param uri: of a subscription, from its id.
    :param dialects: those that subscriptions may ask for, by name.
    :param dispatch: write into the outbox; off while a read model is rebuilt from old commits.
    """

    def __init__(
        self,
        definition: SubscriptionDefinition,
        outgoing: Outgoing,
        *,
        wanted: Callable[[Json | None], Wanted],
        document: Callable[[Subscription], Json],
        uri: Callable[[str], str],
        dialects: Mapping[str, Dialect] | None = None,
        dispatch: bool = True,
    ) -> None:
        self._definition = definition
        self._outgoing = outgoing
        self._wanted = wanted
        self._document = document
        self._uri = uri
        self._dialects = dialects or {}
        self._dispatch = dispatch
        self._index = FilterIndex()
        self._known: dict[str, _Known] = {}
        self._newest = 0
        self.tables = TABLES + outgoing.tables

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        """Fold the subscriptions among a batch of commits."""
        for stored in commits:
            if stored.commit.kind == self._definition.kind:
                await self._write(connection, schema, stored)
                if self._dispatch:
                    await self._dispatch_events(connection, stored.commit)
        if self._dispatch:
            await self._follow(connection, schema)

    async def announce(self, connection: Connection, announcements: Iterable[Announcement]) -> None:
        """Post the notifications that follow from events of the batch which :meth:`apply` has seen.

        :param announcements: not even made while there are no subscriptions.
        """
        if not self._index:
            return
        await self._outgoing.post(
            connection,
            [
                self._notification(announcement, subscription_id)
                for announcement in announcements
                for subscription_id in self.matching(announcement)
            ],
        )

    def matching(self, announcement: Announcement) -> list[str]:
        """The ids of the subscriptions that an event is for."""
        facts = {**announcement.facts, _PROJECT: (announcement.project,)}
        return [id_ for id_ in self._index.match(facts) if self._known[id_].seq < announcement.seq]

    def _notification(self, announcement: Announcement, subscription_id: str) -> Notification:
        known = self._known[subscription_id]
        content = announcement.short if known.verbosity == "SHORT" else announcement.full
        id_ = notification_id(announcement.event)
        links = content.get("_links", {}) | {"subscription": {"href": self._uri(subscription_id)}}
        body = {"id": id_, "subscriptionId": subscription_id} | content | {"_links": links}
        spoken = self._dialects.get(known.dialect)
        body = spoken(body) if spoken else body
        return Notification(
            subscription_id=subscription_id,
            id=id_,
            lane=announcement.lane,
            kind=announcement.kind,
            body=msgspec.json.encode(body),
            made_at=announcement.at,
        )

    async def _write(self, connection: Connection, schema: str, stored: Stored) -> None:
        id_ = stored.commit.aggregate_id
        read = "SELECT state FROM {schema}.subscription WHERE id = $1".replace("{schema}", schema)
        row = await connection.fetchval(read, id_)
        before = decode_state(row) if row else None
        after = self._definition.fold(before, stored.commit)
        if after is not None and after != before:
            document = msgspec.json.encode(self._document(after)).decode()
            await connection.execute(
                _WRITE.replace("{schema}", schema),
                id_, after.project, stored.seq, after.deleted, encode_state(after), document,
            )  # fmt: skip

    async def _dispatch_events(self, connection: Connection, commit: Commit) -> None:
        for event in CODEC.decode(commit):
            match event:
                case SubscriptionDeleted():
                    await self._outgoing.drop(connection, commit.aggregate_id)
                case RedeliveryRequested():
                    ids, since = event.notification_ids, event.since
                    await self._outgoing.redeliver(connection, commit.aggregate_id, ids, since)
                case NotificationsExpired():
                    await self._outgoing.expire(connection, commit.aggregate_id, event.notification_ids)
                case _:
                    pass

    async def _follow(self, connection: Connection, schema: str) -> None:
        newer = "SELECT seq, state FROM {schema}.subscription WHERE seq > $1 ORDER BY seq".replace("{schema}", schema)
        for row in await connection.fetch(newer, self._newest):
            subscription = decode_state(row["state"])
            if subscription.deleted:
                self._index.remove(subscription.id)
                self._known.pop(subscription.id, None)
            else:
                self._index.put(
                    subscription.id, {**self._wanted(subscription.filter), _PROJECT: (subscription.project,)}
                )
                self._known[subscription.id] = _Known(row["seq"], subscription.verbosity, subscription.dialect)
            self._newest = row["seq"]
