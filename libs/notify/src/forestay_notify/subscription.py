"""A subscription as an aggregate: what its subscriber wants to be told, and what became of telling it.

Rules: secrets in ``authentication`` are sealed before they come here, for the subscription's id and the path ``AUTHENTICATION``.
There is no change of a subscription, only its end. Single deliveries are no events, since the outbox keeps account of them; that
something was given up, or is to be delivered once more, is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

import msgspec
from forestay_events.aggregate import Context, Decision, Definition
from forestay_events.commit import Commit, EventCodec
from forestay_events.errors import Rejected

Json = dict[str, Any]
Verbosity = Literal["FULL", "SHORT"]

#: Says a whole notification in the words of an older version of the interface.
Dialect = Callable[[Json], Json]

AUTHENTICATION = "/authentication"
"""JSON pointer at which the secrets of a subscription are sealed."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=str):
    """Base; the class name is the tag."""


class SubscriptionCreated(Event, frozen=True, kw_only=True):
    """Somebody wants to be told.

    :ivar filter: as JSON of the API; ``None``: everything.
    :ivar authentication: as JSON of the API, secrets sealed.
    :ivar dialect: the older version of the interface in whose words it is told; empty: the interface's own.
    """

    callback_uri: str
    filter: Json | None = None
    authentication: Json | None = None
    verbosity: Verbosity = "FULL"
    dialect: str = ""


class SubscriptionDeleted(Event, frozen=True, kw_only=True):
    """Nothing more is told; what was not delivered yet never will be."""


class RedeliveryRequested(Event, frozen=True, kw_only=True):
    """Notifications are to be delivered once more, under the ids that they have.

    :ivar notification_ids: these; if empty, all since ``since``; if that is missing as well, all that were not delivered.
    """

    notification_ids: tuple[str, ...] = ()
    since: datetime | None = None


class NotificationsExpired(Event, frozen=True, kw_only=True):
    """Notifications were given up after they could not be delivered for too long."""

    notification_ids: tuple[str, ...]


SubscriptionEvent = SubscriptionCreated | SubscriptionDeleted | RedeliveryRequested | NotificationsExpired
CODEC: EventCodec[SubscriptionEvent] = EventCodec(SubscriptionEvent)


class Subscription(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the events add up to."""

    id: str
    project: str
    callback_uri: str
    filter: Json | None = None
    authentication: Json | None = None
    verbosity: Verbosity = "FULL"
    dialect: str = ""
    deleted: bool = False


@dataclass(frozen=True)
class Subscribe:
    """POST subscriptions; secrets sealed."""

    callback_uri: str
    filter: Json | None
    authentication: Json | None
    verbosity: Verbosity
    dialect: str = ""


@dataclass(frozen=True)
class Unsubscribe:
    """DELETE subscriptions/{id}."""


@dataclass(frozen=True)
class Redeliver:
    """POST subscriptions/{id}/redeliver, see :class:`RedeliveryRequested`."""

    notification_ids: tuple[str, ...] = ()
    since: datetime | None = None


@dataclass(frozen=True)
class Expire:
    """The deliverer gives notifications up."""

    notification_ids: tuple[str, ...]


SubscriptionCommand = Subscribe | Unsubscribe | Redeliver | Expire
SubscriptionDefinition = Definition[Subscription, SubscriptionCommand, SubscriptionEvent]


def definition(stream: str, name: str, kind: str = "subscription") -> SubscriptionDefinition:
    """The subscriptions of one interface: ``<stream>.<kind>.<id>``.

    :param name: what the standard calls them (``LccnSubscription``), for answers.
    """
    return Definition(stream, kind, CODEC, partial(decide, name), evolve)


def decide(
    name: str, subscription: Subscription | None, command: SubscriptionCommand, ctx: Context
) -> Decision[SubscriptionEvent]:
    """:raises Rejected: 404, there is no such subscription in the project."""
    if isinstance(command, Subscribe):
        created = SubscriptionCreated(
            callback_uri=command.callback_uri,
            filter=command.filter,
            authentication=command.authentication,
            verbosity=command.verbosity,
            dialect=command.dialect,
        )
        return Decision([] if subscription else [created], "subscription requested")
    if subscription is None or subscription.deleted or subscription.project != ctx.origin.project:
        raise Rejected(404, f"{name} not found.")
    return _DECISIONS[type(command)](command)


def _redeliver(command: Redeliver) -> Decision[SubscriptionEvent]:
    requested = RedeliveryRequested(notification_ids=command.notification_ids, since=command.since)
    return Decision([requested], "redelivery requested")


def _expire(command: Expire) -> Decision[SubscriptionEvent]:
    count = len(command.notification_ids)
    return Decision(
        [NotificationsExpired(notification_ids=command.notification_ids)],
        f"{count} notifications could not be delivered",
    )


_DECISIONS: Mapping[type[SubscriptionCommand], Callable[[Any], Decision[SubscriptionEvent]]] = {
    Unsubscribe: lambda _: Decision([SubscriptionDeleted()], "deletion requested"),
    Redeliver: _redeliver,
    Expire: _expire,
}


def evolve(subscription: Subscription | None, event: SubscriptionEvent, commit: Commit) -> Subscription:
    """The state after an event."""
    if isinstance(event, SubscriptionCreated):
        return Subscription(id=commit.aggregate_id, project=commit.project, **msgspec.structs.asdict(event))
    if subscription is None:
        raise ValueError(f"{type(event).__name__} happened to subscription {commit.aggregate_id}, which does not exist")
    if isinstance(event, SubscriptionDeleted):
        return msgspec.structs.replace(subscription, deleted=True, authentication=None)
    return subscription
