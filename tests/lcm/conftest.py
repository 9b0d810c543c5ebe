"""A configuration for the test's own servers, with a VNFD and a VIM in their log."""

from __future__ import annotations

from pathlib import Path

import pytest_asyncio
from forestay_events.config import BaseConfig
from forestay_events.platform import open_platform
from forestay_standalone.embedded import EmbeddedNats

from tests.lcm.engine.running import configuration, onboard, register


@pytest_asyncio.fixture
async def config(nats_server: EmbeddedNats, database: str, tmp_data_dir: Path) -> BaseConfig:
    config = configuration(nats_server.url, database, tmp_data_dir)
    async with open_platform(config, "setup") as platform:
        await onboard(platform)
        await register(platform)
    return config
