"""The index of subscriptions is right whatever happens to transactions and to the process that projects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest_asyncio
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.commit import Stored
from forestay_events.database import open_pool
from forestay_events.memory import MemoryEventStore
from forestay_events.store import read
from forestay_notify.outgoing import Outgoing
from forestay_notify.projection import Announcement, SubscriptionProjection
from forestay_notify.subscription import Subscribe, SubscriptionCommand, Unsubscribe, definition

DEFINITION = definition("LCM", "LccnSubscription")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = "lcm"


def projection() -> SubscriptionProjection:
    return SubscriptionProjection(
        DEFINITION,
        Outgoing(SCHEMA),
        wanted=lambda filter_: filter_ or {},
        document=lambda subscription: {"id": subscription.id},
        uri=lambda id_: f"http://forestay/{id_}",
    )


def event(seq: int, colour: str = "red", project: str = "nfv") -> Announcement:
    return Announcement(
        event=str(seq), seq=seq, project=project, kind="Test", lane="vnf", at=NOW, facts={"colour": (colour,)}, full={}, short={}
    )  # fmt: skip


@dataclass
class Log:
    """Subscriptions in a log, and a database for their read model."""

    pool: asyncpg.Pool
    store: MemoryEventStore = field(default_factory=MemoryEventStore)

    async def do(self, id_: str, command: SubscriptionCommand, project: str = "nfv") -> None:
        subscriptions = Aggregates(self.store, DEFINITION, lambda: NOW)
        await subscriptions.execute(id_, command, Origin(str(uuid4()), project, "tester"))

    async def subscribe(self, id_: str, *colours: str, project: str = "nfv") -> None:
        await self.do(
            id_, Subscribe("http://x/", {"colour": list(colours)} if colours else None, None, "FULL"), project
        )

    async def commits(self, after: int = 0) -> list[Stored]:
        return [stored async for stored in read(self.store, "LCM", after=after)]

    async def apply(self, subject: SubscriptionProjection, commits: list[Stored], *, commit: bool = True) -> None:
        async with self.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await subject.apply(connection, SCHEMA, commits)
            await (transaction.commit() if commit else transaction.rollback())


@pytest_asyncio.fixture
async def log(database: str) -> AsyncIterator[Log]:
    async with open_pool(database) as pool:
        await pool.execute("CREATE SCHEMA lcm")
        await pool.execute(projection().tables.replace("{schema}", SCHEMA))
        yield Log(pool)


async def test_those_who_were_there_before(log: Log) -> None:
    subject = projection()
    await log.subscribe("early", "red", "blue")
    await log.subscribe("picky", "blue")
    await log.subscribe("foreign", project="other")
    await log.subscribe("late")
    await log.apply(subject, await log.commits())
    assert subject.matching(event(4)) == ["early"]
    assert sorted(subject.matching(event(5))) == ["early", "late"]
    assert subject.matching(event(5, project="other")) == ["foreign"]


async def test_rolled_back(log: Log) -> None:
    """The index may know more than the table for a moment; nobody is told too much, and nobody is forgotten."""
    subject = projection()
    await log.subscribe("a")
    await log.subscribe("b")
    await log.apply(subject, await log.commits(), commit=False)
    assert subject.matching(event(1)) == []
    await log.apply(subject, (await log.commits())[:1])
    assert subject.matching(event(2)) == ["a"]
    await log.apply(subject, (await log.commits())[1:])
    assert sorted(subject.matching(event(3))) == ["a", "b"]


async def test_another_process_led_meanwhile(log: Log) -> None:
    one, other = projection(), projection()
    await log.subscribe("a")
    await log.subscribe("b")
    await log.apply(one, await log.commits())
    await log.do("a", Unsubscribe())
    await log.subscribe("c")
    await log.apply(other, (await log.commits())[2:])
    assert sorted(other.matching(event(9))) == ["b", "c"]
    await log.apply(one, [])
    assert sorted(one.matching(event(9))) == ["b", "c"]
