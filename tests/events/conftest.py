"""The opened substrate for the tests of the event library."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio
from forestay_events.connection import Nats, connect
from forestay_events.database import open_pool
from forestay_events.jetstream import JetStreamEventStore
from forestay_events.platform import ensure_streams, utc_now
from forestay_events.work import WorkQueue
from forestay_standalone.embedded import EmbeddedNats


@pytest_asyncio.fixture
async def nats(nats_server: EmbeddedNats) -> AsyncIterator[Nats]:
    """A connection to a fresh server that has all streams."""
    async with connect(nats_server.url, name="test") as connection:
        await ensure_streams(connection)
        yield connection


@pytest_asyncio.fixture
async def log(nats: Nats) -> JetStreamEventStore:
    return JetStreamEventStore(nats)


@pytest_asyncio.fixture
async def queue(nats: Nats) -> WorkQueue:
    return WorkQueue(nats, utc_now)


@pytest_asyncio.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(database) as opened:
        yield opened
