"""The work queue: done at least once, by somebody, in time, or recorded as given up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from forestay_events.connection import Nats, connect
from forestay_events.errors import Permanent, Retryable, Unavailable
from forestay_events.platform import utc_now
from forestay_events.tasks import stop
from forestay_events.work import DeadWork, Work, WorkQueue
from forestay_events.worker import Later, Worker
from forestay_standalone.embedded import EmbeddedNats

from .samples import until


def work(key: str = "vnf", lane: str = "vim", body: str = "{}") -> Work:
    return Work(executor="heat", lane=lane, key=key, body=msgspec.Raw(body.encode()))


@dataclass
class Hand:
    """A handler that records what it is given and then does as told."""

    do: Callable[[Work], Awaitable[Later | None]] | None = None
    seen: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    times: list[float] = field(default_factory=list[float])
    lost: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    busy: int = 0
    busiest: int = 0

    async def handle(self, item: Work) -> Later | None:
        self.seen.append((item.key, bytes(item.body).decode()))
        self.times.append(time.monotonic())
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            return await self.do(item) if self.do else None
        finally:
            self.busy -= 1

    async def given_up(self, item: Work, reason: str) -> None:
        self.lost.append((item.key, reason))


@asynccontextmanager
async def working(nats: Nats, queue: WorkQueue, hand: Hand, **options: Any) -> AsyncGenerator[asyncio.Task[None]]:
    task = asyncio.create_task(Worker(nats, queue, "heat", hand.handle, given_up=hand.given_up, **options).run())
    try:
        yield task
    finally:
        await stop([task])


class Clock:
    """The time of a worker; a test lets it pass."""

    passed = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.passed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("forestay_events.worker.time", made)
    return made


async def health(worker: Worker, expected: str) -> None:
    """Wait until the worker's check says so; ``""`` is healthy."""
    said = "nothing yet"
    async with asyncio.timeout(60):
        while not said.startswith(expected) or bool(said) != bool(expected):
            await asyncio.sleep(0.02)
            try:
                await worker.check()
                said = ""
            except Unavailable as error:
                said = str(error)


async def left(nats: Nats, stream: str = "WORK") -> int:
    return (await nats.js.stream_info(stream)).state.messages


async def drained(nats: Nats) -> None:
    """Wait until the queue is empty."""
    async with asyncio.timeout(60):
        while await left(nats):
            await asyncio.sleep(0.02)


async def dead(nats: Nats) -> DeadWork:
    message = await nats.js.get_last_msg("DEAD", "dead.>")
    return msgspec.json.decode(message.data or b"", type=DeadWork)


async def test_work_is_done_once_and_gone(nats: Nats, queue: WorkQueue) -> None:
    hand = Hand()
    async with working(nats, queue, hand):
        await queue.put(work())
        await drained(nats)
        await queue.put(work("second"))
        await drained(nats)
    assert hand.seen == [("vnf", "{}"), ("second", "{}")]


async def test_of_work_that_waits_at_one_subject_the_newest_counts(nats: Nats, queue: WorkQueue) -> None:
    for number in range(5):
        await queue.put(work(body=f"{number}"))
    await queue.put(work("other"))
    assert await left(nats) == 2
    hand = Hand()
    async with working(nats, queue, hand):
        await drained(nats)
    assert sorted(hand.seen) == [("other", "{}"), ("vnf", "4")]


async def test_work_comes_after_its_delay_even_if_the_server_died_meanwhile(
    nats: Nats, queue: WorkQueue, nats_server: EmbeddedNats
) -> None:
    known = asyncio.Event()

    async def wait(_: Work) -> None:
        await known.wait()

    hand, begin = Hand(wait), time.monotonic()
    async with working(nats, queue, hand):
        await queue.put(work(), delay=1.0)
        await nats_server.kill()
        await nats_server.restart()
        await until(lambda: nats.connected)
        assert await queue.pending(work())
        known.set()
        await drained(nats)
    assert len(hand.seen) == 1
    assert hand.times[0] - begin > 0.95


async def test_a_handler_can_ask_to_look_again_later(nats: Nats, queue: WorkQueue) -> None:
    async def twice(_: Work) -> Later | None:
        return Later(0.4) if len(hand.seen) < 3 else None

    hand = Hand(twice)
    async with working(nats, queue, hand):
        await queue.put(work())
        await until(lambda: len(hand.seen) == 3)
        await drained(nats)
    gaps = [later - earlier for earlier, later in zip(hand.times, hand.times[1:], strict=False)]
    assert all(gap > 0.35 for gap in gaps)


async def test_old_work_that_comes_due_does_not_replace_newer_work(nats: Nats, queue: WorkQueue) -> None:
    await queue.put(work(body='"old"'), delay=0.2)
    await queue.put(work(body='"new"'))
    await asyncio.sleep(0.5)
    hand = Hand()
    async with working(nats, queue, hand):
        await drained(nats)
    assert sorted(hand.seen) == [("vnf", '"new"'), ("vnf", '"old"')]


async def test_pending_knows_what_waits_what_is_in_hand_and_what_is_scheduled(nats: Nats, queue: WorkQueue) -> None:
    release = asyncio.Event()

    async def wait(_: Work) -> None:
        await release.wait()

    assert not await queue.pending(work())
    await queue.put(work())
    assert await queue.pending(work())
    assert not await queue.pending(work("other"))
    assert await queue.all_pending(work().executor) == {work().subject}
    assert await queue.all_pending("nobody") == set()
    hand = Hand(wait)
    async with working(nats, queue, hand):
        await until(lambda: hand.busy)
        assert await queue.pending(work())
        release.set()
        await drained(nats)
    assert not await queue.pending(work())
    await queue.put(work(), delay=60)
    assert await queue.pending(work())


@pytest.mark.parametrize("name", ["a.b", "*", "a b", ">", "", "ä"])
async def test_any_text_can_be_a_lane_or_a_key(nats: Nats, queue: WorkQueue, name: str) -> None:
    hand = Hand()
    async with working(nats, queue, hand):
        await queue.put(work(name, lane=name))
        await until(lambda: hand.seen == [(name, "{}")])


async def test_long_work_is_not_given_to_another(nats: Nats, queue: WorkQueue) -> None:
    async def slow(_: Work) -> None:
        await asyncio.sleep(5)

    first, second = Hand(slow), Hand(slow)
    async with working(nats, queue, first, ack_wait=4), working(nats, queue, second, ack_wait=4):
        await queue.put(work())
        await drained(nats)
    assert len(first.seen) + len(second.seen) == 1


async def test_the_work_of_a_worker_that_died_goes_to_another(
    nats: Nats, queue: WorkQueue, nats_server: EmbeddedNats
) -> None:
    async def hang(_: Work) -> None:
        await asyncio.sleep(60)

    doomed, heir = Hand(hang), Hand()
    async with connect(nats_server.url, name="doomed") as theirs:
        worker = Worker(
            theirs, WorkQueue(theirs, utc_now), "heat", doomed.handle, given_up=doomed.given_up, ack_wait=0.6
        )
        task = asyncio.create_task(worker.run())
        await queue.put(work())
        await until(lambda: doomed.seen)
        await theirs.client.close()  # no word to the queue from now on
        async with working(nats, queue, heir, ack_wait=0.6):
            await until(lambda: heir.seen)
            assert (await nats.js.consumer_info("WORK", "heat")).config.ack_wait == 0.6
        task.cancel()


async def test_on_shutdown_work_goes_to_another_at_once(nats: Nats, queue: WorkQueue) -> None:
    async def hang(_: Work) -> None:
        await asyncio.sleep(60)

    leaving, staying = Hand(hang), Hand()
    async with working(nats, queue, leaving, ack_wait=600):
        for number in range(20):
            await queue.put(work(f"{number}"))
        await until(lambda: leaving.busy == 20)
    async with working(nats, queue, staying, ack_wait=600):
        await until(lambda: len(staying.seen) == 20)
        await drained(nats)


async def test_being_put_back_by_shutdowns_is_no_failure(nats: Nats, queue: WorkQueue) -> None:
    async def hang(_: Work) -> None:
        await asyncio.sleep(60)

    async def fail_once(_: Work) -> None:
        if len(last.seen) == 1:
            raise Retryable("once", delay=0.05)

    await queue.put(work())
    for _ in range(3):
        hand = Hand(hang)
        async with working(nats, queue, hand, deliveries=2):
            await until(lambda: hand.busy)  # noqa: B023 - used before the next turn
    last = Hand(fail_once)
    async with working(nats, queue, last, deliveries=2):
        await drained(nats)
    assert (len(last.seen), last.lost) == (2, [])


async def test_work_that_keeps_failing_is_recorded_told_and_dropped(nats: Nats, queue: WorkQueue) -> None:
    async def fail(_: Work) -> None:
        raise Retryable("the VIM is away", delay=0.1)

    async def recorded_first(item: Work, reason: str) -> None:
        assert (await dead(nats)).reason == reason
        await Hand.given_up(hand, item, reason)

    hand = Hand(fail)
    hand.given_up = recorded_first
    async with working(nats, queue, hand, deliveries=3):
        await queue.put(work())
        await drained(nats)
    assert (len(hand.seen), hand.lost) == (3, [("vnf", "the VIM is away")])
    record = await dead(nats)
    assert (record.work.key, record.reason, record.deliveries) == ("vnf", "the VIM is away", 3)


async def test_unexpected_errors_are_bounded_and_missing_servers_are_not(nats: Nats, queue: WorkQueue) -> None:
    async def fail(item: Work) -> None:
        if item.key == "bug":
            raise KeyError("bug")
        if len([key for key, _ in hand.seen if key == "away"]) < 5:
            raise Unavailable("PostgreSQL does not answer", delay=0.05)

    hand = Hand(fail)
    async with working(nats, queue, hand, deliveries=2):
        await queue.put(work("bug"))
        await queue.put(work("away"))
        await drained(nats)
    assert sorted(key for key, _ in hand.seen) == ["away"] * 5 + ["bug"] * 2
    assert hand.lost == [("bug", "'bug'")]


async def test_work_that_kills_its_worker_each_time_is_given_up(
    nats: Nats, queue: WorkQueue, nats_server: EmbeddedNats
) -> None:
    async def hang(_: Work) -> None:
        await asyncio.sleep(60)

    await queue.put(work())
    for _ in range(2):
        hand = Hand(hang)
        async with (
            connect(nats_server.url, name="doomed") as theirs,
            working(theirs, WorkQueue(theirs, utc_now), hand, ack_wait=0.3),
        ):
            await until(lambda: hand.busy)  # noqa: B023 - used before the next turn
            await theirs.client.close()
    last = Hand(hang)
    async with working(nats, queue, last, deliveries=2, ack_wait=3):
        await drained(nats)
    assert last.seen == []
    assert last.lost == [("vnf", "it was taken and never came to an end")]


async def test_what_cannot_succeed_is_given_up_at_once(nats: Nats, queue: WorkQueue) -> None:
    async def fail(_: Work) -> None:
        raise Permanent("no such flavor")

    hand = Hand(fail)
    async with working(nats, queue, hand):
        await queue.put(work())
        await drained(nats)
    assert (len(hand.seen), hand.lost) == (1, [("vnf", "no such flavor")])


async def test_giving_up_is_repeated_until_somebody_was_told(nats: Nats, queue: WorkQueue) -> None:
    async def fail(_: Work) -> None:
        raise Permanent("no such flavor")

    async def deaf_once(item: Work, reason: str) -> None:
        await Hand.given_up(hand, item, reason)
        if len(hand.lost) == 1:
            raise Unavailable("the log does not answer")

    hand = Hand(fail)
    hand.given_up = deaf_once
    async with working(nats, queue, hand, ack_wait=3):
        await queue.put(work())
        await drained(nats)
    assert len(hand.lost) == 2


async def test_a_message_that_is_no_work_is_recorded_and_dropped(nats: Nats, queue: WorkQueue) -> None:
    hand = Hand()
    async with working(nats, queue, hand):
        await nats.js.publish("cmd.heat.vim.vnf.now", b"\xffnonsense")
        await drained(nats)
    assert hand.seen == []
    assert "cmd.heat.vim.vnf.now" in (await dead(nats)).reason


async def test_a_lane_is_done_by_so_many_at_once(nats: Nats, queue: WorkQueue) -> None:
    async def short(_: Work) -> None:
        await asyncio.sleep(0.02)

    hand = Hand(short)
    async with working(nats, queue, hand, lane_limit=3):
        await asyncio.gather(*(queue.put(work(f"{number}")) for number in range(30)))
        await drained(nats)
    assert (len(hand.seen), hand.busiest) == (30, 3)


async def test_a_lane_that_is_stuck_does_not_hold_up_the_others(nats: Nats, queue: WorkQueue) -> None:
    release = asyncio.Event()

    async def stuck(item: Work) -> None:
        if item.lane == "stuck":
            await release.wait()

    hand = Hand(stuck)
    async with working(nats, queue, hand, concurrency=10, lane_limit=4):
        await asyncio.gather(*(queue.put(work(f"{number}", "stuck")) for number in range(20)))
        await until(lambda: hand.busy == 4)
        await queue.put(work("quick", "sound"))
        await until(lambda: ("quick", "{}") in hand.seen)
        release.set()
        await until(lambda: len(hand.seen) == 21)


async def test_a_thousand_pieces_of_work_need_no_thousand_tasks(nats: Nats, queue: WorkQueue) -> None:
    async def short(_: Work) -> None:
        await asyncio.sleep(0.005)

    hand = Hand(short)
    await asyncio.gather(*(queue.put(work(f"{number}", f"vim{number % 4}")) for number in range(1000)))
    await asyncio.gather(*(queue.put(work(f"later {number}"), delay=600) for number in range(1000)))
    most = 0
    async with working(nats, queue, hand, concurrency=100), asyncio.timeout(60):
        while len(hand.seen) < 1000 or hand.busy:
            most = max(most, len(asyncio.all_tasks()))
            await asyncio.sleep(0.005)
    assert most < 150
    assert len(set(hand.seen)) == len(hand.seen) == 1000


async def test_work_goes_on_over_a_restart_of_the_server(
    nats: Nats, queue: WorkQueue, nats_server: EmbeddedNats
) -> None:
    async def short(_: Work) -> None:
        await asyncio.sleep(0.05)

    hand = Hand(short)
    await asyncio.gather(*(queue.put(work(f"{number}")) for number in range(200)))
    async with working(nats, queue, hand, concurrency=20, ack_wait=0.5):
        await until(lambda: len(hand.seen) > 50)
        await nats_server.kill()
        await nats_server.restart()
        await until(lambda: nats.connected)
        await drained(nats)
    assert {key for key, _ in hand.seen} == {str(number) for number in range(200)}


async def test_a_worker_that_does_not_hear_of_the_queue_is_not_healthy(
    nats: Nats, queue: WorkQueue, nats_server: EmbeddedNats, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Heartbeats are all that is heard of an idle queue.
    monkeypatch.setattr("forestay_events.worker._PULL", {"expires": 600_000_000_000, "idle_heartbeat": 500_000_000})
    hand = Hand()
    worker = Worker(nats, queue, "heat", hand.handle, given_up=hand.given_up)
    silent = "worker heat has not heard of the work queue"
    clock.passed += 20
    await health(worker, silent)  # nobody runs it
    task = asyncio.create_task(worker.run())
    await health(worker, "")
    clock.passed += 20
    await health(worker, "")
    await nats_server.kill()
    await until(lambda: not nats.connected)
    clock.passed += 20
    await health(worker, silent)
    await nats_server.restart()
    await health(worker, "")
    await stop([task])


async def test_a_worker_with_its_hands_full_is_healthy(nats: Nats, queue: WorkQueue, clock: Clock) -> None:
    release = asyncio.Event()

    async def wait(_: Work) -> None:
        await release.wait()

    hand = Hand(wait)
    worker = Worker(nats, queue, "heat", hand.handle, given_up=hand.given_up, concurrency=1)
    task = asyncio.create_task(worker.run())
    await queue.put(work())
    await until(lambda: hand.busy)
    clock.passed += 20
    await worker.check()
    release.set()
    await drained(nats)
    await worker.check()
    await stop([task])
