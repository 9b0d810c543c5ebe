"""An outbox in a real database and a deliverer that empties it, without any service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
from forestay_events.database import open_pool
from forestay_events.tasks import stop
from forestay_notify.callbacks import open_callbacks
from forestay_notify.deliverer import Deliverer, Subscriber
from forestay_notify.outgoing import Notification, Outgoing, notification_id
from forestay_notify.settings import NotifySettings

OUTBOX = "t"


def notification(subscription: str, lane: str, number: int) -> Notification:
    """The ``number``-th event about ``lane``."""
    id_ = notification_id(f"{lane}/{number}")
    body = {"id": id_, "subscriptionId": subscription, "vnfInstanceId": lane, "number": number}
    return Notification(subscription, id_, lane, "Test", msgspec.json.encode(body), datetime.now(UTC))


@dataclass
class Site:
    """What a test does with the outbox.

    :ivar subscribers: by id of the subscription.
    """

    pool: asyncpg.Pool
    dsn: str
    outgoing: Outgoing = field(default_factory=lambda: Outgoing(OUTBOX))
    subscribers: dict[str, Subscriber] = field(default_factory=dict[str, Subscriber])

    async def post(self, notifications: Iterable[Notification]) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            await self.outgoing.post(connection, list(notifications))

    async def rows(self) -> list[dict[str, Any]]:
        text = self.outgoing.sql("SELECT * FROM {notify}.notification ORDER BY seq")
        return [dict(row) for row in await self.pool.fetch(text)]

    async def until(self, state: str, count: int, *, within: float = 60.0) -> list[dict[str, Any]]:
        """Wait until so many notifications are in a state."""
        async with asyncio.timeout(within):
            while len(found := [row for row in await self.rows() if row["state"] == state]) < count:
                await asyncio.sleep(0.01)
        return found

    async def lanes(self) -> int:
        return await self.pool.fetchval(self.outgoing.sql("SELECT count(*) FROM {notify}.lane"))

    def deliverer(self, pause: float = 0.2) -> Deliverer:
        async def directory(subscription_id: str) -> Subscriber | None:
            return self.subscribers.get(subscription_id)

        return Deliverer(self.pool, self.dsn, self.outgoing, directory, version="2.0.0", longest_pause=pause)

    @asynccontextmanager
    async def delivering(
        self, *, count: int = 1, pause: float = 0.2, settings: NotifySettings | None = None
    ) -> AsyncGenerator[None]:
        """Run deliverers while the block runs; they compete as those of several replicas do."""
        async with open_callbacks(settings or NotifySettings(notify_timeout=30), loopback=True) as callbacks:
            tasks = [asyncio.create_task(self.deliverer(pause).run(callbacks)) for _ in range(count)]
            try:
                yield
                assert not any(task.done() for task in tasks)
            finally:
                await stop(tasks)


@asynccontextmanager
async def site(dsn: str) -> AsyncGenerator[Site]:
    async with open_pool(dsn) as pool:
        made = Site(pool, dsn)
        await pool.execute(made.outgoing.tables)
        yield made
