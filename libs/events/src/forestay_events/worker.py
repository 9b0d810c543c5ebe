"""Who does the work of the queue (:mod:`work`).

Work may be delivered more than once, and after newer work. What makes that safe is not here: a worker looks at the log, and
at the VIM before it acts, and the log refuses its outcome when somebody else was faster.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig
from nats.js.errors import ServiceUnavailableError

from forestay_events.connection import SILENCE, Nats
from forestay_events.errors import Permanent, Retryable, Unavailable
from forestay_events.metrics import METRICS
from forestay_events.tasks import stop
from forestay_events.telemetry import span
from forestay_events.work import TRIES, Work, WorkQueue, presence, token

log = structlog.get_logger(__name__)

#: Seconds after which work whose worker is silent goes to another one.
ACK_WAIT = 8.0
#: How a worker asks for work (nanoseconds). Until the request expires, work still goes to a worker that hangs.
_PULL = {"expires": 4_000_000_000, "idle_heartbeat": 500_000_000}
_SILENCE = 2.0
_LANE_PATIENCE = 1.0


@dataclass(frozen=True)
class Later:
    """A handler's answer: nothing failed, but look at it again in ``delay`` seconds."""

    delay: float


Handler = Callable[[Work], Awaitable[Later | None]]
GivenUp = Callable[[Work, str], Awaitable[None]]


class Worker:
    """Takes work of one executor and does it, many at once.

    :param handle: does a piece of work; returns :class:`Later` to see it again. ``Retryable`` and unexpected errors bring it
        back after a while, at most ``deliveries`` times (``Unavailable`` is not counted); ``Permanent`` gives it up at once.
    :param given_up: told after given-up work was written to ``DEAD`` and before it is dropped.
    :param concurrency: pieces of work in hand at once.
    :param lane_limit: pieces of work being done at once per lane.
    :param ack_wait: seconds after which somebody else gets the work of a worker that died.
    :param patience: seconds for which the queue may be silent before :meth:`check` says so.
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
        ack_wait: float = ACK_WAIT,
        patience: float = 15.0,
    ) -> None:
        self._nats = nats
        self._queue = queue
        self._executor = executor
        self._handle = handle
        self._given_up = given_up
        self._concurrency = concurrency
        self._deliveries = deliveries
        self._ack_wait = ack_wait
        self._patience = patience
        self._lanes: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(lane_limit))
        self._in_hand: dict[int, tuple[Msg, asyncio.Task[None]]] = {}
        self._room = asyncio.Event()
        self._wanted = 0
        self._heard = time.monotonic()
        self._ended: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Work until cancelled; then what is in hand is put back."""
        heartbeat = asyncio.create_task(self._keep_in_progress())
        try:
            while True:
                try:
                    await self._take()
                except (*SILENCE, NatsError) as error:
                    log.warning("work.interrupted", executor=self._executor, error=str(error) or type(error).__name__)
                    await self._nats.recovered()
        finally:
            await stop([task for _, task in self._in_hand.values()])
            await stop([heartbeat])

    async def check(self) -> None:
        """Health. :raises Unavailable: there is room for work, and the queue has not been heard of for long."""
        silent = time.monotonic() - self._heard
        if silent > self._patience and len(self._in_hand) < self._concurrency:
            raise Unavailable(f"worker {self._executor} has not heard of the work queue for {silent:.0f} s")

    async def _take(self) -> None:
        """Pull work for as long as this connection lives."""
        inbox = self._nats.client.new_inbox()
        config = ConsumerConfig(
            durable_name=self._executor,
            filter_subject=f"cmd.{token(self._executor)}.>",
            ack_wait=self._ack_wait,
            max_ack_pending=10_000,
            max_deliver=-1,
        )
        await self._nats.js.add_consumer("WORK", config)
        subscription = await self._nats.client.subscribe(
            inbox, cb=self._arrive, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        present = await self._nats.client.subscribe(presence(self._executor), cb=_answer)
        try:
            while True:
                await self._pull(inbox)
        finally:
            # Drained, so that what has arrived already is put back rather than waited for.
            with suppress(NatsError, TimeoutError):
                async with asyncio.timeout(2):
                    await present.unsubscribe()
                    await subscription.drain()

    async def _pull(self, inbox: str) -> None:
        """Ask for as much as there is room for, and wait until all of it came or the server ended the request.

        :raises TimeoutError: the server is silent.
        :raises nats.errors.Error: the connection or the consumer was lost.
        """
        self._room.clear()
        if len(self._in_hand) >= self._concurrency:
            await self._room.wait()
            self._heard = time.monotonic()  # meanwhile nothing was asked
        self._wanted = self._concurrency - len(self._in_hand)
        ended = self._ended = self._nats.promise()
        request = json.dumps({"batch": self._wanted, **_PULL}).encode()
        api = f"$JS.API.CONSUMER.MSG.NEXT.WORK.{self._executor}"
        try:
            await self._nats.client.publish(api, request, reply=inbox)
            while not ended.done():
                asked = time.monotonic()
                await asyncio.wait({ended}, timeout=_SILENCE)
                if self._heard < asked and not ended.done():
                    raise TimeoutError("the work queue is silent")
            await ended
        finally:
            ended.cancel()

    async def _arrive(self, message: Msg) -> None:
        self._heard = time.monotonic()
        status = (message.headers or {}).get("Status")
        if status is None:
            self._start(message)
            self._wanted -= 1
        if self._ended is None or self._ended.done() or status == "100":  # heartbeat
            return
        if status in ("404", "408") or self._wanted <= 0:
            self._ended.set_result(None)
        elif status is not None:
            self._ended.set_exception(ServiceUnavailableError())

    def _start(self, message: Msg) -> None:
        seq = message.metadata.sequence.stream
        if seq in self._in_hand:
            return  # delivered again after our heartbeat was lost; the next one holds it
        task = asyncio.create_task(self._do(message))
        self._in_hand[seq] = (message, task)
        task.add_done_callback(lambda done: self._settled(seq, done))

    def _settled(self, seq: int, task: asyncio.Task[None]) -> None:
        del self._in_hand[seq]
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("work.unsettled", executor=self._executor, error=str(error) or type(error).__name__)

    async def _do(self, message: Msg) -> None:
        headers = message.headers or {}
        try:
            work = msgspec.json.decode(message.data, type=Work)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            unreadable = Work(executor=self._executor, lane="unreadable", key="unreadable", body=msgspec.Raw(b"null"))
            await self._queue.bury(unreadable, f"{message.subject}: {error}: {message.data[:2000]!r}", 1)
            METRICS.work_dead.labels(self._executor).inc()
            await message.term()
            return
        if "Nats-Scheduler" in headers:
            METRICS.timers.labels("fired").inc()
        tries = int(headers.get(TRIES, 0)) + (message.metadata.num_delivered or 1)
        try:
            await self._try(message, work, tries)
        except asyncio.CancelledError:
            await self._put_back(message, work, delay=0, tries=tries - 1)
            raise

    async def _try(self, message: Msg, work: Work, tries: int) -> None:
        if tries > self._deliveries:
            await self._give_up(message, work, tries - 1, "it was taken and never came to an end")
            return
        lane = self._lanes[work.lane]
        try:
            async with asyncio.timeout(_LANE_PATIENCE):
                await lane.acquire()
        except TimeoutError:  # a lane that is stuck must not fill our hands, other lanes need them
            await self._put_back(message, work, delay=random.uniform(1, 3), tries=tries - 1)  # noqa: S311
            return
        try:
            with (
                METRICS.work_seconds.labels(self._executor).time(),
                span(f"work {work.executor}", message.headers or {}, lane=work.lane, key=work.key),
            ):
                await self._settle(message, work, tries)
        finally:
            lane.release()

    async def _settle(self, message: Msg, work: Work, tries: int) -> None:
        try:
            answer = await self._handle(work)
        except Permanent as error:
            await self._give_up(message, work, tries, str(error))
        except Exception as error:
            reason = str(error) or type(error).__name__
            expected = isinstance(error, Retryable)
            log.warning("work.failed", subject=work.subject, tries=tries, reason=reason, exc_info=not expected)
            counted = not isinstance(error, Unavailable)
            if counted and tries >= self._deliveries:
                await self._give_up(message, work, tries, reason)
                return
            METRICS.work_retried.labels(self._executor).inc()
            delay = (error.delay if isinstance(error, Retryable) else None) or min(0.25 * 2**tries, 10.0)
            await self._put_back(message, work, delay=delay, tries=tries if counted else tries - 1)
        else:
            if answer is not None:
                await self._queue.put(work, delay=max(answer.delay, 0.05))
            METRICS.work_done.labels(self._executor).inc()
            await message.ack()

    async def _put_back(self, message: Msg, work: Work, *, delay: float, tries: int) -> None:
        await self._queue.put_back(work, delay=delay, tries=tries)
        await message.ack()

    async def _give_up(self, message: Msg, work: Work, tries: int, reason: str) -> None:
        """Evidence first: a crash between the two repeats it, the other order would lose it."""
        await self._queue.bury(work, reason, tries)
        await self._given_up(work, reason)
        METRICS.work_dead.labels(self._executor).inc()
        log.error("work.given_up", subject=work.subject, tries=tries, reason=reason)
        await message.term()

    async def _keep_in_progress(self) -> None:
        while True:
            await asyncio.sleep(self._ack_wait / 3)
            for message, _ in list(self._in_hand.values()):
                try:
                    await message.in_progress()
                except NatsError as error:
                    log.debug("work.heartbeat_failed", error=str(error))
                    break


async def _answer(message: Msg) -> None:
    await message.respond(b"")
