"""Ten thousand subscriptions: finding those that an event is for, and telling them although ten of them are dead: nobody
listens where they should be, or somebody who never answers."""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.commit import Stored
from forestay_events.config import BaseConfig
from forestay_lcm.api.links import Links
from forestay_lcm.projections.instances import changes_of
from forestay_lcm.subscriptions.filters import wanted
from forestay_lcm.subscriptions.notifications import announcement
from forestay_lcm.subscriptions.resource import LCCN_SUBSCRIPTIONS
from forestay_notify.notifier import projection
from forestay_notify.subscription import Subscribe

from tests.lcm.engine.running import Lcm, running
from tests.lcm.samples import PROJECT
from tests.notify.receiver import Receiver, receiver

ALL, LIVING, DEAD, ROUNDS = 10_000, 90, 10, 10

pytestmark = [pytest.mark.perf, pytest.mark.timeout(300)]


async def subscribe(lcm: Lcm, uris: list[tuple[str, dict[str, Any]]]) -> None:
    subscriptions = Aggregates(lcm.platform.store, LCCN_SUBSCRIPTIONS.definition, lcm.platform.clock)
    for at in range(0, len(uris), 200):
        await asyncio.gather(
            *(
                subscriptions.execute(str(uuid4()), Subscribe(uri, filter_, None, "FULL"), Origin(str(uuid4()), PROJECT, "nfvo"))
                for uri, filter_ in uris[at : at + 200]
            )
        )  # fmt: skip
    await lcm.platform.positions.wait("lcm", "LCM", subscriptions.written, timeout=60)


@asynccontextmanager
async def black_hole() -> AsyncGenerator[str]:
    """The URL of something that lets everybody connect and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as hole:
        yield f"http://127.0.0.1:{hole.getsockname()[1]}/"


async def told(lcm: Lcm, subscriber: Receiver, everybody: int) -> float:
    """Milliseconds from the request of an event until the last of the living was told."""
    before = len(subscriber.accepted)
    began = time.monotonic()
    await lcm.create()
    taken = await subscriber.until(before + everybody, within=30)
    return (taken[-1].at - began) * 1000


async def matching_times(lcm: Lcm) -> tuple[int, list[float]]:
    """How many an event is for, and the milliseconds that finding them takes: in an index of its own from the same table."""
    index = projection(LCCN_SUBSCRIPTIONS, "http://forestay", wanted)
    async with lcm.platform.pool.acquire() as connection:
        await index.apply(connection, "lcm", [])
    (first, *_) = await lcm.platform.store.load(f"lcm.vnf.{await lcm.create()}")
    (change,) = changes_of(None, Stored(first.seq, first.body))
    event = announcement(change, Links("http://forestay"))
    assert event is not None
    times, found = list[float](), list[str]()
    for _ in range(50):
        began = time.perf_counter()
        found = index.matching(event)
        times.append((time.perf_counter() - began) * 1000)
    return len(found), times


async def test_ten_thousand(config: BaseConfig) -> None:
    creation = {"notificationTypes": ["VnfIdentifierCreationNotification"]}
    async with (
        running(config) as lcm,
        receiver() as subscriber,
        receiver(started=False) as refusing,
        black_hole() as silent,
    ):
        others = [
            (subscriber.uri(f"/other/{number}"), creation | {"vnfInstanceSubscriptionFilter": filter_})
            for number in range(ALL - LIVING - DEAD)
            for filter_ in ({"vnfInstanceIds": [str(uuid4())]} if number % 2 else {"vnfdIds": ["another"]},)
        ]
        await subscribe(lcm, others + [(subscriber.uri(f"/living/{number}"), creation) for number in range(LIVING)])
        await told(lcm, subscriber, LIVING)
        alone = [await told(lcm, subscriber, LIVING) for _ in range(ROUNDS)]
        await subscribe(lcm, [(silent if number % 2 else refusing.uri(), creation) for number in range(DEAD)])
        for _ in range(20):
            await told(lcm, subscriber, LIVING)
        beside = [await told(lcm, subscriber, LIVING) for _ in range(ROUNDS)]
        count, times = await matching_times(lcm)
    assert count == LIVING + DEAD
    assert {taken.path.split("/")[1] for taken in subscriber.accepted} == {"living"}
    found, before, after = (statistics.quantiles(each)[0] for each in (times, alone, beside))  # the machine is busy
    print(f"\nmatching {found:.3f} ms; 90 told in {before:.0f} ms, beside 10 dead ones in {after:.0f} ms")  # noqa: T201
    assert found < 5
    assert after < before + 100
