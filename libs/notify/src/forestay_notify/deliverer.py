"""Delivers what lies in an outbox: in order within a lane, at least once, and nobody waits for anybody else.

Rules:

* One process at a time delivers, held by an advisory lock; it looks for work over the connection that holds the lock, so who
  has lost the lock starts nothing more. What it has under way then arrives twice at worst, in order and under the same ids.
* A subscription has ``LANES`` lanes in hand at most. One that is down has one, which is the probe for all of them, and the
  probes together have a part of the slots only: however many subscribers hang until their time-out, slots are left.
* A failure that is the subscriber's (no connection, 5xx) makes all its lanes wait, longer from try to try; one that is about the
  notification (other 4xx) makes its lane wait. The first success after a failure makes all lanes due.
* How often a subscriber has failed is kept in memory only: a new leader begins by trying everybody.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import asyncpg
import structlog
from forestay_events.archive import LEAD, LOST_CONNECTION, Connection
from forestay_events.database import answering, own_connection
from forestay_events.errors import ForestayError, Unavailable
from forestay_events.failpoints import failpoint
from forestay_events.telemetry import span

from forestay_notify.authentication import SubscriptionAuthentication
from forestay_notify.callbacks import Callbacks, NotDelivered
from forestay_notify.lanes import BATCH, Item, Lane, Lanes, Waiting
from forestay_notify.metrics import IN_HAND, TRIES
from forestay_notify.outgoing import Outgoing

log = structlog.get_logger(__name__)

LANES = 4
SLOTS = 1024
PROBES = 256
_FIRST_PAUSE = 0.5
_LOOK = 0.5
_STAND_BY = 0.5
_AT_MOST_EVERY = 0.005


@dataclass(frozen=True)
class Subscriber:
    """Where notifications go.

    :ivar authentication: opened.
    :ivar dialect: as :class:`~forestay_notify.subscription.Subscription` has it; an older version knows no ``Version`` header.
    """

    callback_uri: str
    authentication: SubscriptionAuthentication | None = None
    dialect: str = ""


#: Finds a subscriber by the id of the subscription, ``None`` when it is gone. Errors: those of :mod:`forestay_events.errors`.
Directory = Callable[[str], Awaitable[Subscriber | None]]


@dataclass
class _Down:
    """A subscriber that fails: how often it did in a row, since when this counts, and when it is tried again (loop time)."""

    failures: int
    at: float
    until: float


class Deliverer:
    """Empties one outbox.

    :param dsn: of the database, for the connection that holds the lock.
    :param version: of the API, for the ``Version`` header; ``None``: without one.
    :param longest_pause: seconds between two tries at most.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        dsn: str,
        outgoing: Outgoing,
        directory: Directory,
        *,
        version: str | None,
        longest_pause: float,
    ) -> None:
        self._dsn = dsn
        self._outgoing = outgoing
        self._lanes = Lanes(pool, outgoing)
        self._directory = directory
        self._version = version
        self._longest_pause = longest_pause
        self._in_hand: Counter[str] = Counter()
        self._down: dict[str, _Down] = {}
        self._wake = asyncio.Event()

    async def run(self, callbacks: Callbacks) -> None:
        """Deliver until cancelled."""
        while True:
            try:
                with answering():
                    async with own_connection(self._dsn) as guard:
                        await self._stand_by(guard)
                        await self._lead(guard, callbacks)
            except Unavailable as error:
                log.warning("notifications.waiting", outbox=self._outgoing.schema, reason=str(error))
            await asyncio.sleep(_STAND_BY)

    async def _stand_by(self, guard: Connection) -> None:
        while not await guard.fetchval(LEAD, f"deliverer {self._outgoing.schema}"):
            await asyncio.sleep(_STAND_BY)

    async def _lead(self, guard: Connection, callbacks: Callbacks) -> None:
        self._in_hand.clear()
        self._down.clear()
        await guard.add_listener(self._outgoing.channel, self._heard)
        try:
            await self._lanes.release_all(guard)
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._start(guard, callbacks, group)
        except* (Unavailable, *LOST_CONNECTION) as lost:
            raise Unavailable(f"delivering was interrupted: {_first(lost)}") from lost
        finally:
            with suppress(*LOST_CONNECTION):
                await guard.remove_listener(self._outgoing.channel, self._heard)

    async def _start(self, guard: Connection, callbacks: Callbacks, group: asyncio.TaskGroup) -> None:
        """Take what is due in hand, then wait for something to happen."""
        self._wake.clear()
        loop = asyncio.get_running_loop()
        began = loop.time()
        free = SLOTS - self._in_hand.total()
        if free > 0:
            for lane in await self._lanes.claim(guard, self._rooms(began), LANES, free):
                self._in_hand[lane.subscription_id] += 1
                group.create_task(self._carry(lane, callbacks))
        IN_HAND.labels(self._outgoing.schema).set(self._in_hand.total())
        # Looking costs the database something: a third of the time at most is spent on it.
        await asyncio.sleep(max(_AT_MOST_EVERY, 2 * (loop.time() - began)))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._next_look(loop.time())):
                await self._wake.wait()

    def _next_look(self, now: float) -> float:
        soonest = min((down.until for down in self._down.values() if down.until > now), default=now + _LOOK)
        return min(_LOOK, soonest - now)

    def _rooms(self, now: float) -> dict[str, int]:
        """How many lanes may be taken of the subscriptions that have some in hand or are down."""
        rooms = {id_: LANES - count for id_, count in self._in_hand.items()}
        probes = PROBES - sum(1 for id_ in self._down if self._in_hand[id_])
        for id_, down in self._down.items():
            rooms[id_] = 0
            if probes > 0 and down.until <= now and not self._in_hand[id_]:
                rooms[id_] = 1
                probes -= 1
        return rooms

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if payload:
            self._down.pop(str(payload), None)
        self._wake.set()

    async def _carry(self, lane: Lane, callbacks: Callbacks) -> None:
        """Deliver what is in a lane until it is empty or something fails."""
        try:
            while (waiting := await self._lanes.waiting(lane)) is not None:
                if not await self._deliver_all(lane, waiting, callbacks):
                    return
                if len(waiting.items) < BATCH and await self._lanes.finish(lane, waiting.posts):
                    return
        finally:
            self._in_hand[lane.subscription_id] -= 1
            if not self._in_hand[lane.subscription_id]:
                del self._in_hand[lane.subscription_id]
            self._wake.set()

    async def _deliver_all(self, lane: Lane, waiting: Waiting, callbacks: Callbacks) -> bool:
        """Deliver in order; ``False`` when that came to a halt."""
        for item in waiting.items:
            began = asyncio.get_running_loop().time()
            failure = await self._try(lane, item, callbacks)
            if failure is not None:
                await self._lanes.failed(item.seq, str(failure))
                await self._pause(lane, item, failure, began)
                return False
            failpoint("notify.delivered")
            await self._lanes.delivered(item.seq)
            TRIES.labels(self._outgoing.schema, "delivered").inc()
            if self._down.pop(lane.subscription_id, None) is not None:
                log.info("subscriber.is_back", subscription=lane.subscription_id)
                await self._lanes.move(lane.subscription_id, 0)
                self._wake.set()
        return True

    async def _try(self, lane: Lane, item: Item, callbacks: Callbacks) -> NotDelivered | None:
        try:
            subscriber = await self._directory(lane.subscription_id)
            if subscriber is None:
                return NotDelivered("the subscription is not known", down=True)
            with span("notification", subscription=lane.subscription_id):
                version = None if subscriber.dialect else self._version
                await callbacks.deliver(subscriber.callback_uri, subscriber.authentication, version, item.body)
        except NotDelivered as failure:
            return failure
        except ForestayError as error:
            return NotDelivered(str(error), down=True)
        except Exception as error:
            log.error("notification.failed_unexpectedly", subscription=lane.subscription_id, exc_info=error)
            return NotDelivered(f"{type(error).__name__}: {error}", down=False)
        return None

    async def _pause(self, lane: Lane, item: Item, failure: NotDelivered, began: float) -> None:
        """Put a lane back: alone, or together with all others of a subscriber that is down."""
        outcome = "down" if failure.down else "rejected"
        TRIES.labels(self._outgoing.schema, outcome).inc()
        log.info("notification.not_delivered", subscription=lane.subscription_id, lane=lane.lane, reason=str(failure))
        if not failure.down:
            await self._lanes.put_back(lane, self._pause_after(item.attempts))
            return
        now = asyncio.get_running_loop().time()
        down = self._down.get(lane.subscription_id) or _Down(0, 0.0, now)
        if began >= down.at:  # of several tries that failed together, one counts
            pause = self._pause_after(down.failures)
            down = self._down[lane.subscription_id] = _Down(down.failures + 1, now, now + pause)
            await self._lanes.move(lane.subscription_id, pause)
        await self._lanes.put_back(lane, max(down.until - now, 0.0))

    def _pause_after(self, failures: int) -> float:
        longest = min(_FIRST_PAUSE * 2.0 ** min(failures, 30), self._longest_pause)
        return longest * random.uniform(0.8, 1.0)  # noqa: S311 - spreads subscribers that failed together


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
