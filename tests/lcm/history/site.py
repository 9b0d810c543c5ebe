"""The history as it is served, with commands instead of an engine: real log, real copy, real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec
from forestay_events.aggregate import Loaded, Origin
from forestay_events.config import BaseConfig
from forestay_events.platform import Platform, open_platform
from forestay_lcm.app import projectors, vnfs_of
from forestay_lcm.domain.commands import VnfCommand
from forestay_lcm.domain.state import Vnf
from forestay_lcm.history.api import HistoryApi
from forestay_lcm.history.live import EventSettings, Live
from forestay_lcm.history.reads import History
from forestay_lcm.reads import Reads, Vnfs
from forestay_sol.service import Service, serving

from tests.lcm.samples import PROJECT, confirmed, create, instantiate, modify

Json = dict[str, Any]
Told = VnfCommand | Callable[[Vnf | None], VnfCommand]


@dataclass
class Site:
    """A running history, and what a test asks of it."""

    platform: Platform
    url: str
    vnfs: Vnfs
    live: Live
    session: aiohttp.ClientSession

    async def do(self, vnf_id: str, *commands: Told, project: str = PROJECT, actor: str = "tester") -> Vnf:
        """Execute commands, or those that functions of the state give; returns the state behind them."""
        loaded = Loaded[Vnf](None)
        for command in commands:
            if callable(command):
                command = command((await self.vnfs.load(vnf_id)).state)
            loaded = await self.vnfs.execute(vnf_id, command, Origin(str(uuid4()), project, actor))
        assert loaded.state is not None
        return loaded.state

    async def settle(self, vnf_id: str) -> Vnf:
        """All that is left of the operation goes well."""
        while True:
            state = (await self.vnfs.load(vnf_id)).state
            assert state is not None
            if state.operation is None or state.operation.current is None:
                return state
            await self.do(vnf_id, confirmed)

    async def created(self, project: str = PROJECT) -> str:
        vnf_id = str(uuid4())
        await self.do(vnf_id, create(), project=project)
        return vnf_id

    async def instantiated(self) -> str:
        vnf_id = await self.created()
        await self.do(vnf_id, instantiate())
        await self.settle(vnf_id)
        return vnf_id

    async def modified(self, vnf_id: str, *changes: Json) -> None:
        """One modification after the other."""
        for change in changes:
            await self.do(vnf_id, modify(**change))
            await self.settle(vnf_id)

    async def get(self, path: str, expected: int = 200, **query: str) -> Any:
        """The JSON of an answer."""
        async with self.session.get(f"/history/v1{path}", params=query) as response:
            content = await response.read()
            assert response.status == expected, content
            return msgspec.json.decode(content)

    async def pages(self, path: str, **query: str) -> list[list[Json]]:
        """All pages of a list, as the links lead from one to the next."""
        found: list[list[Json]] = []
        url: Any = f"/history/v1{path}"
        while url is not None:
            async with self.session.get(url, params=query) as response:
                assert response.status == 200, await response.text()
                found.append(await response.json())
                url, query = response.links.get("next", {}).get("url"), {}
        return found

    @asynccontextmanager
    async def listening(self, path: str = "/events", *, last: int | None = None, **query: str) -> AsyncGenerator[Ear]:
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        async with self.session.get(f"/history/v1{path}", params=query, headers=headers) as response:
            assert response.status == 200, await response.text()
            assert response.headers["Content-Type"].startswith("text/event-stream")
            yield Ear(response)


@dataclass
class Ear:
    """Reads server-sent events.

    :ivar comments: how many lines were no event.
    """

    response: aiohttp.ClientResponse
    comments: int = 0
    ids: list[int] = field(default_factory=list[int])

    async def next(self, count: int = 1, *, within: float = 60.0) -> list[Json]:
        """So many events; fewer if the stream ends before."""
        found: list[Json] = []
        id_ = 0
        async with asyncio.timeout(within):
            while len(found) < count and (line := await self.response.content.readline()):
                name, _, value = line.decode().rstrip("\n").partition(": ")
                match name:
                    case "id":
                        id_ = int(value)
                    case "data":
                        found.append(msgspec.json.decode(value))
                        self.ids.append(id_)
                    case ":":
                        self.comments += 1
                    case _:
                        pass
        return found


@asynccontextmanager
async def site(config: BaseConfig, **settings: Any) -> AsyncGenerator[Site]:
    """Serve the history of a log while the block runs."""
    async with open_platform(config, "history") as platform:
        followers = projectors(platform, dispatch=False)
        for projector in followers:
            await projector.prepare()
        vnfs = vnfs_of(platform)
        history = History(platform, Reads(platform, vnfs))
        live = Live(platform, history, EventSettings(**settings))
        service = Service(
            name="lcm",
            routes=HistoryApi(history, live).routes(),
            background={f"projector-{each.stream}": each.run for each in followers} | {"live-events": live.run},
            stopping=[live.end],
        )
        async with serving(platform, [service], "history") as url, aiohttp.ClientSession(url) as session:
            yield Site(platform, url, vnfs, live, session)
