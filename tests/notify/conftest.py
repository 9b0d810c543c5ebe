"""An outbox of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.notify.receiver import Receiver, receiver
from tests.notify.site import Site, site


@pytest_asyncio.fixture
async def outbox(database: str) -> AsyncIterator[Site]:
    async with site(database) as made:
        yield made


@pytest_asyncio.fixture
async def subscriber() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made
