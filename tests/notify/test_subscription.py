"""The aggregate: who may do what, and events as they were written for ever."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.errors import Rejected
from forestay_events.memory import MemoryEventStore
from forestay_notify.housekeeping import Subscriptions
from forestay_notify.subscription import (
    CODEC,
    Expire,
    NotificationsExpired,
    Redeliver,
    RedeliveryRequested,
    Subscribe,
    SubscriptionCommand,
    SubscriptionCreated,
    SubscriptionDeleted,
    Unsubscribe,
    definition,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SUBSCRIBE = Subscribe("http://nfvo/callback", {"operationTypes": ["SCALE"]}, None, "SHORT")
GOLDEN = [
    '{"type":"SubscriptionCreated","callback_uri":"http://nfvo/","filter":{"a":["b"]},'
    '"authentication":{"authType":["BASIC"]},"verbosity":"SHORT"}',
    '{"type":"SubscriptionCreated","callback_uri":"http://nfvo/"}',
    '{"type":"SubscriptionDeleted"}',
    '{"type":"RedeliveryRequested","notification_ids":["1"]}',
    '{"type":"RedeliveryRequested","since":"2026-01-01T00:00:00Z"}',
    '{"type":"NotificationsExpired","notification_ids":["1","2"]}',
]


def aggregates() -> tuple[MemoryEventStore, Subscriptions]:
    store = MemoryEventStore()
    return store, Aggregates(store, definition("LCM", "LccnSubscription"), lambda: NOW)


async def do(subscriptions: Subscriptions, *commands: SubscriptionCommand, project: str = "nfv") -> None:
    for number, command in enumerate(commands):
        await subscriptions.execute("s1", command, Origin(f"{project}-{number}-{command}", project, "tester"))


async def test_life() -> None:
    store, subscriptions = aggregates()
    await do(subscriptions, SUBSCRIBE, SUBSCRIBE, Redeliver(("n1",)), Expire(("n2",)), Unsubscribe())
    history = await store.load("lcm.subscription.s1")
    assert [event for stored in history for event in CODEC.decode(stored.commit)] == [
        SubscriptionCreated(
            callback_uri="http://nfvo/callback", filter={"operationTypes": ["SCALE"]}, verbosity="SHORT"
        ),
        RedeliveryRequested(notification_ids=("n1",)),
        NotificationsExpired(notification_ids=("n2",)),
        SubscriptionDeleted(),
    ]


@pytest.mark.parametrize("command", [Unsubscribe(), Redeliver(), Expire(("n1",))])
@pytest.mark.parametrize("owner", ["nobody", "another", "gone"])
async def test_not_found(command: SubscriptionCommand, owner: str) -> None:
    _, subscriptions = aggregates()
    if owner != "nobody":
        await do(subscriptions, SUBSCRIBE)
    if owner == "gone":
        await do(subscriptions, Unsubscribe())
    with pytest.raises(Rejected) as refused:
        await do(subscriptions, command, project="other" if owner == "another" else "nfv")
    assert refused.value.status == 404


def test_events_as_they_were_written() -> None:
    for text in GOLDEN:
        event = msgspec.json.decode(
            text, type=SubscriptionCreated | SubscriptionDeleted | RedeliveryRequested | NotificationsExpired
        )
        assert bytes(CODEC.encode([event])[0]).decode() == text
