"""The policy service with the monitor on real servers, and a worker in the place of LCM that collects what is asked of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import forestay_monitor.app
import forestay_policy.app
import msgspec
import pytest
import pytest_asyncio
from forestay_events.config import BaseConfig
from forestay_events.platform import Platform, open_platform
from forestay_events.store import read
from forestay_events.tasks import stop
from forestay_events.work import Work
from forestay_events.worker import Worker
from forestay_policy.domain.events import CODEC, PolicyEvent
from forestay_sol.service import serving
from forestay_sol.streams.requests import EXECUTOR
from forestay_standalone.embedded import EmbeddedNats

sys.path.append(str(Path(__file__).parents[2]))  # tests.monitor.facts

POLICIES = "/policy/v1/policies"
Json = dict[str, Any]


@dataclass(frozen=True)
class Server:
    """Running services and what a test asks them."""

    platform: Platform
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.request(method, path, **options) as response:
            if response.status >= 400:
                assert response.content_type == "application/problem+json"
            return response.status, await response.json(content_type=None)

    async def create(self, **members: Any) -> str:
        status, policy = await self.ask("POST", POLICIES, json={"name": "p", "do": "retry"} | members)
        assert status == 201, policy
        return policy["id"]

    async def show(self, policy_id: str) -> Json:
        status, policy = await self.ask("GET", f"{POLICIES}/{policy_id}")
        assert status == 200
        return policy

    async def events(self) -> list[PolicyEvent]:
        """All events of stream POL."""
        commits = [stored.commit async for stored in read(self.platform.store, "POL")]
        return [event for commit in commits for event in CODEC.decode(commit)]

    async def until(self, kind: type[PolicyEvent], count: int) -> list[Any]:
        """The events of a type, once there are ``count`` of them."""
        async with asyncio.timeout(60):
            while len(found := [event for event in await self.events() if isinstance(event, kind)]) < count:
                await asyncio.sleep(0.03)
        assert len(found) == count
        return found

    async def settle(self) -> None:
        """Wait until every alarm was looked at and nothing is due now or later."""
        async with asyncio.timeout(60):
            for schema, stream in (("mon", "LCM"), ("mon", "VIM"), ("pol", "MON"), ("pol", "POL"), ("pol", "MON")):
                await self.platform.positions.wait(schema, stream, await self.platform.store.head(stream), timeout=60)
                await self._idle()

    async def _idle(self) -> None:
        while True:
            rows = await self.platform.pool.fetchval(
                "SELECT (SELECT count(*) FROM mon.outbox) + (SELECT count(*) FROM pol.outbox)"
            )
            info = await self.platform.nats.js.stream_info("WORK")
            if not rows and not info.state.messages:
                return
            await asyncio.sleep(0.03)


Serve = Callable[[], AbstractAsyncContextManager[Server]]


@pytest_asyncio.fixture
async def platform(nats_server: EmbeddedNats, database: str, tmp_path: Path) -> AsyncIterator[Platform]:
    """The platform of the other services: it is there also while ours are not."""
    config = BaseConfig(nats_url=nats_server.url, database_url=database, data_dir=tmp_path / "data", listen_port=0)
    async with open_platform(config, "others") as platform:
        yield platform


@pytest.fixture
def serve(platform: Platform) -> Serve:
    """Starts the monitor and the policy service for as long as a block runs."""

    @asynccontextmanager
    async def run() -> AsyncGenerator[Server]:
        async with open_platform(platform.config, "policy") as own:
            services = [await forestay_monitor.app.build(own), await forestay_policy.app.build(own)]
            async with serving(own, services, "policy") as url, aiohttp.ClientSession(url) as http:
                yield Server(own, http)

    return run


@dataclass
class Requests:
    """What LCM was asked to do, in the order in which it was asked."""

    arrived: asyncio.Queue[Json]

    async def next(self) -> Json:
        async with asyncio.timeout(60):
            return await self.arrived.get()


@pytest_asyncio.fixture
async def requests(platform: Platform) -> AsyncIterator[Requests]:
    """LCM's place at the work queue."""
    requests = Requests(asyncio.Queue())

    async def take(work: Work) -> None:
        body = msgspec.json.decode(work.body)
        assert (work.lane, work.key) == ("policy", body["opId"] if body["how"] == "retry" else body["vnfId"])
        await requests.arrived.put(body)

    async def given_up(work: Work, reason: str) -> None:
        pytest.fail(f"{work} was given up: {reason}")

    worker = asyncio.create_task(Worker(platform.nats, platform.queue, EXECUTOR, take, given_up=given_up).run())
    yield requests
    await stop([worker])
