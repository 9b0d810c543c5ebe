"""Delivery: in order, at least once, whatever fails, and nobody waits for anybody else."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from typing import Any

import pytest
from aiohttp import web
from forestay_notify.deliverer import LANES, Subscriber
from forestay_notify.outgoing import notification_id
from forestay_notify.settings import NotifySettings

from tests.notify.receiver import Receiver, receiver
from tests.notify.site import Site, notification


def numbers(receiver_: Receiver) -> dict[str, list[int]]:
    """What arrived first, by lane, in order."""
    return {lane: [body["number"] for body in bodies] for lane, bodies in receiver_.by_lane().items()}


async def test_order_and_account(outbox: Site, subscriber: Receiver) -> None:
    outbox.subscribers["s"] = Subscriber(subscriber.uri())
    async with outbox.delivering():
        for first in range(0, 40, 20):
            await outbox.post(
                notification("s", f"vnf-{lane}", n) for n in range(first, first + 20) for lane in range(7)
            )
        rows = await outbox.until("DELIVERED", 280)
        async with asyncio.timeout(60):
            while await outbox.lanes():
                await asyncio.sleep(0.01)
    assert numbers(subscriber) == {f"vnf-{lane}": list(range(40)) for lane in range(7)}
    assert len(subscriber.accepted) == 280
    assert {row["attempts"] for row in rows} == {1}


async def test_posted_twice_is_there_once(outbox: Site) -> None:
    for _ in range(2):
        await outbox.post([notification("s", "vnf", 1), notification("other", "vnf", 1)])
    assert [row["subscription_id"] for row in await outbox.rows()] == ["s", "other"]
    assert {row["id"] for row in await outbox.rows()} == {notification_id("vnf/1")}


async def test_down_for_long(outbox: Site) -> None:
    """Everything comes, in order, after the subscriber is back; nothing was sent by anybody else meanwhile."""
    async with receiver(started=False) as sleeper, outbox.delivering(count=2):
        outbox.subscribers["s"] = Subscriber(sleeper.uri())
        for number in range(30):
            await outbox.post(notification("s", f"vnf-{lane}", number) for lane in range(10))
            await asyncio.sleep(0.01)
        async with asyncio.timeout(60):
            while not (failed := [row for row in await outbox.rows() if row["last_error"]]):
                await asyncio.sleep(0.02)
        assert all(row["last_error"].startswith(f"cannot connect to 127.0.0.1 port {sleeper.port}") for row in failed)
        await sleeper.start()
        await outbox.until("DELIVERED", 300)
        assert numbers(sleeper) == {f"vnf-{lane}": list(range(30)) for lane in range(10)}


async def test_one_refused_notification_stops_its_lane_only(outbox: Site, subscriber: Receiver) -> None:
    fixed = asyncio.Event()

    async def answer(_request: web.Request, body: dict[str, Any]) -> int:
        return 422 if body["vnfInstanceId"] == "bad" and body["number"] == 1 and not fixed.is_set() else 204

    subscriber.answer = answer
    outbox.subscribers["s"] = Subscriber(subscriber.uri())
    async with outbox.delivering():
        await outbox.post(notification("s", lane, n) for n in range(3) for lane in ("bad", "good", "fine"))
        await outbox.until("DELIVERED", 7)
        assert numbers(subscriber) == {"bad": [0], "good": [0, 1, 2], "fine": [0, 1, 2]}
        (stuck,) = [row for row in await outbox.rows() if row["last_error"]]
        assert stuck["last_error"] == "it answered 422"
        fixed.set()
        await outbox.until("DELIVERED", 9)
    assert numbers(subscriber)["bad"] == [0, 1, 2]


async def test_subscription_has_a_bounded_part(outbox: Site, subscriber: Receiver) -> None:
    present, most = 0, 0

    async def answer(*_: Any) -> int:
        nonlocal present, most
        present += 1
        most = max(most, present)
        await asyncio.sleep(0.02)
        present -= 1
        return 204

    subscriber.answer = answer
    outbox.subscribers["s"] = Subscriber(subscriber.uri())
    async with outbox.delivering():
        await outbox.post(notification("s", f"vnf-{lane}", 0) for lane in range(40))
        await outbox.until("DELIVERED", 40)
    assert most == LANES


@pytest.mark.perf
async def test_dead_subscribers_delay_nobody(outbox: Site, subscriber: Receiver) -> None:
    """Ten that hang until the time-out, with two hundred lanes each, among ninety that live."""

    async def hang(*_: Any) -> int:
        await asyncio.sleep(30)
        return 204

    async with receiver() as dead, outbox.delivering(settings=NotifySettings(notify_timeout=2)):
        dead.answer = hang
        living = [f"living-{number}" for number in range(90)]
        dying = [f"dead-{number}" for number in range(10)]
        outbox.subscribers |= {s: Subscriber(subscriber.uri(f"/{s}")) for s in living}
        outbox.subscribers |= {s: Subscriber(dead.uri(f"/{s}")) for s in dying}
        rounds = itertools.count()

        async def told(everybody: list[str]) -> float:
            """Milliseconds from the commit of an event until the last of the living was told."""
            await asyncio.sleep(0.05)
            number, before = next(rounds), len(subscriber.accepted)
            await outbox.post(notification(s, f"vnf-{number}", number) for s in everybody)
            began = time.monotonic()
            await subscriber.until(before + len(living))
            return (subscriber.accepted[-1].at - began) * 1000

        alone = statistics.quantiles([await told(living) for _ in range(10)])[0]  # the machine is busy
        await outbox.post(notification(s, f"old-{lane}", 0) for s in dying for lane in range(200))
        beside = statistics.quantiles([await told(dying + living) for _ in range(10)])[0]
    print(f"90 told in {alone:.0f} ms; with 10 dead ones and 2000 lanes for them in {beside:.0f} ms")  # noqa: T201
    assert beside < alone + 100


async def test_redelivery(outbox: Site, subscriber: Receiver) -> None:
    outbox.subscribers["s"] = Subscriber(subscriber.uri())
    async with outbox.delivering():
        await outbox.post(notification("s", "vnf", n) for n in range(5))
        await outbox.until("DELIVERED", 5)
        wanted = [notification_id("vnf/3"), notification_id("vnf/1")]
        async with outbox.pool.acquire() as connection, connection.transaction():
            await outbox.outgoing.redeliver(connection, "s", wanted, None)
        await subscriber.until(7)
        assert [each.body["number"] for each in subscriber.accepted] == [0, 1, 2, 3, 4, 1, 3]
        since = (await outbox.rows())[3]["made_at"]
        async with outbox.pool.acquire() as connection, connection.transaction():
            await outbox.outgoing.redeliver(connection, "s", [], since)
        await subscriber.until(9)
        assert [each.body["number"] for each in subscriber.accepted[7:]] == [3, 4]


async def test_redelivery_wakes_one_that_is_backing_off(outbox: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forestay_notify.deliverer._FIRST_PAUSE", 600.0)
    backing_off = "SELECT due > now() + interval '400 s' AND due < 'infinity' FROM {notify}.lane"
    async with receiver(started=False) as sleeper, outbox.delivering(pause=600):
        outbox.subscribers["s"] = Subscriber(sleeper.uri())
        await outbox.post([notification("s", "vnf", 1)])
        async with asyncio.timeout(60):
            while not await outbox.pool.fetchval(outbox.outgoing.sql(backing_off)):
                await asyncio.sleep(0.02)
        await sleeper.start()
        async with outbox.pool.acquire() as connection, connection.transaction():
            await outbox.outgoing.redeliver(connection, "s", [], None)
        await sleeper.until(1)


async def test_expired_ones_make_way(outbox: Site, subscriber: Receiver) -> None:
    async def answer(_request: web.Request, body: dict[str, Any]) -> int:
        return 400 if body["number"] == 0 else 204

    subscriber.answer = answer
    outbox.subscribers["s"] = Subscriber(subscriber.uri())
    async with outbox.delivering():
        await outbox.post(notification("s", "vnf", n) for n in range(2))
        await asyncio.sleep(0.1)
        async with outbox.pool.acquire() as connection, connection.transaction():
            await outbox.outgoing.expire(connection, "s", [notification_id("vnf/0")])
        await outbox.until("DELIVERED", 1)
    assert numbers(subscriber) == {"vnf": [1]}
    assert [row["state"] for row in await outbox.rows()] == ["EXPIRED", "DELIVERED"]


async def test_dropped_subscription(outbox: Site) -> None:
    async with receiver(started=False) as sleeper, outbox.delivering():
        outbox.subscribers["s"] = Subscriber(sleeper.uri())
        await outbox.post(notification("s", "vnf", n) for n in range(3))
        async with outbox.pool.acquire() as connection, connection.transaction():
            await outbox.outgoing.drop(connection, "s")
        await sleeper.start()
        await asyncio.sleep(0.5)
        assert await outbox.rows() == []
        assert await outbox.lanes() == 0
        assert not sleeper.accepted


async def test_leader_hands_over(outbox: Site, subscriber: Receiver) -> None:
    """A leader that is stopped in the middle leaves nothing behind in hand."""
    slow = asyncio.Event()

    async def answer(*_: Any) -> int:
        if not slow.is_set():
            await asyncio.sleep(5)
        return 204

    subscriber.answer = answer
    outbox.subscribers["s"] = Subscriber(subscriber.uri())
    await outbox.post(notification("s", f"vnf-{lane}", n) for n in range(3) for lane in range(3))
    async with outbox.delivering():
        async with asyncio.timeout(60):
            while len(subscriber.asked) < 3:
                await asyncio.sleep(0.01)
    slow.set()
    async with outbox.delivering():
        await outbox.until("DELIVERED", 9)
    assert numbers(subscriber) == {f"vnf-{lane}": [0, 1, 2] for lane in range(3)}


async def test_rivals_deliver_once(outbox: Site, subscriber: Receiver) -> None:
    outbox.subscribers["s"] = Subscriber(subscriber.uri())
    async with outbox.delivering(count=3):
        await outbox.post(notification("s", f"vnf-{lane}", n) for n in range(5) for lane in range(20))
        await outbox.until("DELIVERED", 100)
    arrivals = sorted(each.body["id"] for each in subscriber.accepted)
    assert len(arrivals) == len(set(arrivals)) == 100


@pytest.mark.parametrize("status", [500, 503, 429, 401, 302])
async def test_statuses_that_are_no_success(outbox: Site, subscriber: Receiver, status: int) -> None:
    tries = 0

    async def answer(*_: Any) -> int:
        nonlocal tries
        tries += 1
        return status if tries < 3 else 204

    subscriber.answer = answer
    outbox.subscribers["s"] = Subscriber(subscriber.uri())
    async with outbox.delivering():
        await outbox.post([notification("s", "vnf", 1)])
        (row,) = await outbox.until("DELIVERED", 1)
    assert row["attempts"] == 3


async def test_lost_connections(outbox: Site, subscriber: Receiver) -> None:
    """PostgreSQL drops everybody again and again; nothing is lost and order is kept."""
    outbox.subscribers["s"] = Subscriber(subscriber.uri())
    drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    async with outbox.delivering():
        for first in range(0, 30, 10):
            await outbox.post(
                notification("s", f"vnf-{lane}", n) for n in range(first, first + 10) for lane in range(5)
            )
            await asyncio.sleep(0.05)
            await outbox.pool.execute(drop)
        await subscriber.until(150)
        await outbox.until("DELIVERED", 150)
    assert numbers(subscriber) == {f"vnf-{lane}": list(range(30)) for lane in range(5)}


async def test_any_answer_can_be_logged(outbox: Site, subscriber: Receiver) -> None:
    async def answer(*_: Any) -> int:
        return 400

    subscriber.answer, subscriber.text = (
        answer,
        "no\0pe \udcff".encode("utf-8", "surrogatepass").decode("latin-1") * 1000,
    )
    outbox.subscribers["s"] = Subscriber(subscriber.uri())
    async with outbox.delivering():
        await outbox.post([notification("s", "vnf", 1)])
        async with asyncio.timeout(60):
            while (row := (await outbox.rows())[0])["attempts"] < 2:
                await asyncio.sleep(0.02)
    assert row["last_error"].startswith("it answered 400: no\N{REPLACEMENT CHARACTER}pe")
