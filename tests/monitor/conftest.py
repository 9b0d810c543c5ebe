"""The monitor on real servers: started, asked over HTTP, stopped and started again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from forestay_events.config import BaseConfig
from forestay_events.platform import Platform, open_platform
from forestay_events.store import read
from forestay_monitor.app import build
from forestay_sol.service import serving
from forestay_sol.streams.alarm import CODEC
from forestay_standalone.embedded import EmbeddedNats

sys.path.append(str(Path(__file__).parents[2]))  # tests.monitor.facts

ALARMS = "/vnffm/v1/alarms"
Json = dict[str, Any]


@dataclass(frozen=True)
class Server:
    """A running monitor and what a test asks it."""

    platform: Platform
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.request(method, path, **options) as response:
            assert response.headers["Version"] == "1.3.0"
            if response.status >= 400:
                assert response.content_type == "application/problem+json"
            return response.status, await response.json(content_type=None)

    async def alarms(self, filter_: str = "") -> list[Json]:
        status, alarms = await self.ask("GET", ALARMS, params={"filter": filter_} if filter_ else {})
        assert status == 200, alarms
        return alarms

    async def until(self, count: int, filter_: str = "") -> list[Json]:
        """The alarms that a filter finds, once there are ``count`` of them."""
        async with asyncio.timeout(60):
            while len(alarms := await self.alarms(filter_)) != count:
                await asyncio.sleep(0.03)
        return alarms

    async def tags(self) -> list[str]:
        """The types of all events of stream MON."""
        commits = [stored.commit async for stored in read(self.platform.store, "MON")]
        return [type(event).__name__ for commit in commits for event in CODEC.decode(commit)]


Serve = Callable[[], AbstractAsyncContextManager[Server]]


@pytest_asyncio.fixture
async def platform(nats_server: EmbeddedNats, database: str, tmp_path: Path) -> AsyncIterator[Platform]:
    """The platform of the other services: it is there also while the monitor is not."""
    config = BaseConfig(nats_url=nats_server.url, database_url=database, data_dir=tmp_path / "data", listen_port=0)
    async with open_platform(config, "others") as platform:
        yield platform


@pytest.fixture
def serve(platform: Platform) -> Serve:
    """Starts the monitor for as long as a block runs."""

    @asynccontextmanager
    async def run() -> AsyncGenerator[Server]:
        async with (
            open_platform(platform.config, "monitor") as own,
            serving(own, [await build(own)], "monitor") as url,
            aiohttp.ClientSession(url, headers={"Version": "1.3.0"}) as http,
        ):
            yield Server(own, http)

    return run
