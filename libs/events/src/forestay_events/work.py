"""The work queue: lifecycle commands for whoever can do them, now or at a later time.

One piece of work is one message on ``cmd.<executor>.<lane>.<key>``; at most one is pending per subject and the newest wins,
so putting the same work again is harmless. Work for later is a message on ``later.<...>`` that the server itself turns into
the former when its time has come (NATS message schedules): a durable timer without a process that waits.

Work may be delivered more than once. What makes that safe is not here: a worker looks at the log before, and at the VIM
before it acts, and the log refuses its outcome when somebody else was faster.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from forestay_events.connection import SILENCE, Nats
from forestay_events.errors import Permanent, Retryable, Unavailable
from forestay_events.metrics import METRICS
from forestay_events.telemetry import inject, span

log = structlog.get_logger(__name__)

WORK = StreamConfig(
    name="WORK",
    subjects=["cmd.>", "later.>"],
    retention=RetentionPolicy.WORK_QUEUE,
    storage=StorageType.FILE,
    max_msgs_per_subject=1,
    allow_msg_schedules=True,
    allow_rollup_hdrs=True,
    allow_direct=True,
)
DEAD = StreamConfig(name="DEAD", subjects=["dead.>"], storage=StorageType.FILE, allow_direct=True)

ACK_WAIT = 8.0
_HEARTBEAT = ACK_WAIT / 3


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work.

    :ivar executor: who can do it (``openstack``, ``nfvo``): the consumer's name.
    :ivar lane: what it must not crowd (a VIM's id); a worker limits how much it does per lane at once.
    :ivar key: what it is about (a VNF instance's id); one pending work per executor, lane and key.
    :ivar body: JSON for the executor.
    """

    executor: str
    lane: str
    key: str
    body: msgspec.Raw

    @property
    def subject(self) -> str:
        return f"{self.executor}.{self.lane}.{self.key}"


class DeadWork(msgspec.Struct, frozen=True, kw_only=True):
    """Work that was given up, as it lies in stream ``DEAD``."""

    work: Work
    reason: str
    deliveries: int
    at: datetime


@dataclass(frozen=True)
class Later:
    """A handler's answer: nothing failed, but look at it again in ``delay`` seconds."""

    delay: float


Handler = Callable[[Work], Awaitable[Later | None]]
GivenUp = Callable[[Work, str], Awaitable[None]]


class WorkQueue:
    """Puts work on the queue.

    :param clock: current time (UTC).
    """

    def __init__(self, nats: Nats, clock: Callable[[], datetime]) -> None:
        self._nats = nats
        self._clock = clock

    async def put(self, work: Work, *, delay: float = 0.0) -> None:
        """Make work pending, now or in ``delay`` seconds; pending work of the same subject is replaced.

        :raises Unavailable: the queue did not acknowledge; putting it again is safe.
        """
        subject = f"cmd.{work.subject}"
        headers = inject({})
        if delay > 0:
            due = self._clock() + timedelta(seconds=delay)
            headers |= {"Nats-Schedule": f"@at {due:%Y-%m-%dT%H:%M:%S.%fZ}", "Nats-Schedule-Target": subject}
            subject = f"later.{work.subject}"
        await self._publish(subject, msgspec.json.encode(work), headers)

    async def pending(self, work: Work) -> bool:
        """Is work of the same subject waiting, in somebody's hands or scheduled?"""
        for prefix in ("cmd", "later"):
            try:
                await self._nats.js.get_last_msg("WORK", f"{prefix}.{work.subject}")
            except NotFoundError:
                continue
            except SILENCE as error:
                raise Unavailable(f"the work queue cannot be read: {error}", delay=1) from error
            return True
        return False

    async def bury(self, work: Work, reason: str, deliveries: int) -> None:
        """Record in stream ``DEAD`` that work is given up, with the reason."""
        dead = DeadWork(work=work, reason=reason, deliveries=deliveries, at=self._clock())
        await self._publish(f"dead.{work.subject}", msgspec.json.encode(dead), {})

    async def _publish(self, subject: str, body: bytes, headers: dict[str, str]) -> None:
        try:
            await self._nats.js.publish(subject, body, headers=headers or None)
        except (*SILENCE, APIError) as error:
            raise Unavailable(f"the work queue did not take {subject}: {error}", delay=1) from error


class Worker:
    """Takes work of one executor and does it, many at once.

    :param handle: does a piece of work; returns :class:`Later` to see it again. ``Retryable`` and unexpected errors bring it
        back after a while, at most ``deliveries`` times; ``Permanent`` gives it up at once.
    :param given_up: told after given-up work was written to ``DEAD`` and before it is dropped.
    :param concurrency: pieces of work in hand at once.
    :param lane_limit: pieces of work in hand at once per lane.
    """

    def __init__(
        self,
        nats: Nats,
        queue: WorkQueue,
        executor: str,
        handle: Handler,
        *,
        given_up: GivenUp,
        concurrency: int = 256,
        lane_limit: int = 128,
        deliveries: int = 6,
    ) -> None:
        self._nats = nats
        self._queue = queue
        self._executor = executor
        self._handle = handle
        self._given_up = given_up
        self._concurrency = concurrency
        self._deliveries = deliveries
        self._lanes: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(lane_limit))
        self._in_hand: dict[asyncio.Task[None], Msg] = {}
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled; then what is in hand is handed back."""
        heartbeat = asyncio.create_task(self._keep_in_progress())
        try:
            while True:
                try:
                    await self._take()
                except (*SILENCE, NatsError) as error:
                    log.warning("work.interrupted", executor=self._executor, error=str(error) or type(error).__name__)
                    await asyncio.sleep(0.3)
        finally:
            heartbeat.cancel()
            for task in list(self._in_hand):
                task.cancel()
            await asyncio.gather(*self._in_hand, return_exceptions=True)

    async def _take(self) -> None:
        """Pull work for as long as this connection lives."""
        epoch = self._nats.epoch
        subscription = await self._subscribe()
        try:
            while epoch == self._nats.epoch:
                room = self._concurrency - len(self._in_hand)
                if room <= 0:
                    self._room.clear()
                    await self._room.wait()
                    continue
                try:
                    messages = await subscription.fetch(min(room, 64), timeout=2.0, heartbeat=0.6)
                except TimeoutError:
                    continue
                for message in messages:
                    task = asyncio.create_task(self._do(message))
                    self._in_hand[task] = message
                    task.add_done_callback(self._done)
        finally:
            if self._nats.connected and epoch == self._nats.epoch:
                await subscription.unsubscribe()

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        subject = f"cmd.{self._executor}.>"
        config = ConsumerConfig(
            durable_name=self._executor,
            filter_subject=subject,
            ack_wait=ACK_WAIT,
            max_ack_pending=10_000,
            max_deliver=-1,
        )
        try:
            await self._nats.js.consumer_info("WORK", self._executor)
        except NotFoundError:
            await self._nats.js.add_consumer("WORK", config)
        return await self._nats.js.pull_subscribe_bind(self._executor, stream="WORK")

    def _done(self, task: asyncio.Task[None]) -> None:
        self._in_hand.pop(task, None)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("work.unsettled", executor=self._executor, error=str(error) or type(error).__name__)

    async def _do(self, message: Msg) -> None:
        try:
            work = msgspec.json.decode(message.data, type=Work)
        except msgspec.MsgspecError as error:
            unreadable = Work(executor=self._executor, lane="unreadable", key="unreadable", body=msgspec.Raw(b"null"))
            await self._queue.bury(unreadable, f"{message.subject}: {error}: {message.data[:2000]!r}", 1)
            await message.term()
            return
        async with self._lanes[work.lane]:
            with (
                METRICS.work_seconds.labels(self._executor).time(),
                span(f"work {work.executor}", message.headers or {}, lane=work.lane, key=work.key),
            ):
                await self._settle(message, work)

    async def _settle(self, message: Msg, work: Work) -> None:
        try:
            answer = await self._handle(work)
        except Permanent as error:
            await self._give_up(message, work, str(error))
        except Exception as error:
            deliveries = message.metadata.num_delivered or 1
            reason = str(error) or type(error).__name__
            delay = getattr(error, "delay", None) or min(0.25 * 2**deliveries, 10.0)
            expected = isinstance(error, Retryable)
            log.warning(
                "work.failed", subject=work.subject, deliveries=deliveries, reason=reason, exc_info=not expected
            )
            if deliveries >= self._deliveries and not isinstance(error, Unavailable):
                await self._give_up(message, work, reason)
            else:
                METRICS.work_retried.labels(self._executor).inc()
                await message.nak(delay=delay)
        else:
            if answer is not None:
                await self._queue.put(work, delay=max(answer.delay, 0.05))
            METRICS.work_done.labels(self._executor).inc()
            await message.ack()

    async def _give_up(self, message: Msg, work: Work, reason: str) -> None:
        """Evidence first: a crash between the two repeats it, the other order would lose it."""
        await self._queue.bury(work, reason, message.metadata.num_delivered or 1)
        await self._given_up(work, reason)
        METRICS.work_dead.labels(self._executor).inc()
        await message.term()

    async def _keep_in_progress(self) -> None:
        while True:
            started = time.monotonic()
            for message in list(self._in_hand.values()):
                try:
                    await message.in_progress()
                except NatsError as error:
                    log.debug("work.heartbeat_failed", error=str(error))
                    break
            await asyncio.sleep(max(0.1, _HEARTBEAT - (time.monotonic() - started)))
