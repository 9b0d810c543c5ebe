"""An API that is only asked what it refuses, and servers with nothing in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from forestay_events.config import BaseConfig
from forestay_standalone.embedded import EmbeddedNats

from tests.lcm.api.client import Client, client
from tests.lcm.engine.running import configuration, running


@pytest_asyncio.fixture
async def bare(nats_server: EmbeddedNats, database: str, tmp_data_dir: Path) -> BaseConfig:
    """Servers with an empty log."""
    return configuration(nats_server.url, database, tmp_data_dir)


@pytest_asyncio.fixture
async def refusing(config: BaseConfig) -> AsyncIterator[tuple[Client, str]]:
    """A client, and a VNF instance that is not instantiated."""
    async with running(config) as lcm, client(lcm.url) as api:
        yield api, await api.create()
