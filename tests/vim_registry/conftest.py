"""The registry on real servers, with a simulated OpenStack to register."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from forestay_events.config import BaseConfig
from forestay_events.platform import Platform, open_platform
from forestay_events.store import read
from forestay_simvim import OpenStackSimulator
from forestay_sol.service import serving
from forestay_standalone.embedded import EmbeddedNats
from forestay_vim_registry.app import build
from forestay_vim_registry.settings import VimSettings

Json = dict[str, Any]
VIMS = "/v1.0/vims"
SECRET = "demo-secret"


@dataclasses.dataclass(frozen=True)
class Server:
    """A running registry and what a test asks it."""

    url: str
    platform: Platform
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str = "", **options: Any) -> tuple[int, Any]:
        """Status and content; of an error, its ``TackerError``."""
        async with self.http.request(method, f"{VIMS}{path}", **options) as response:
            if response.status == 204:
                return 204, None
            content: Any = await response.json(content_type="application/json")
            return response.status, content["TackerError"] if response.status >= 400 else content

    async def register(self, vim: Json) -> Json:
        status, content = await self.ask("POST", json={"vim": vim})
        assert status == 201, content
        return content["vim"]

    async def refused(self, method: str, path: str = "", **options: Any) -> tuple[int, str]:
        """Status and exception class of a refusal."""
        status, error = await self.ask(method, path, **options)
        assert error["message"], error
        assert error["detail"] == ""
        return status, error["type"]

    async def events(self) -> list[str]:
        """The types of all events of stream VIM."""
        return [
            raw.split(b'"type":"')[1].split(b'"')[0].decode()
            async for stored in read(self.platform.store, "VIM")
            for raw in map(bytes, stored.commit.events)
        ]

    async def data_keys(self) -> int:
        return await self.platform.pool.fetchval("SELECT count(*) FROM vault.data_key WHERE sealed_key <> 'shredded'")

    async def until(self, vim_id: str, **members: Any) -> Json:
        """The VIM once it looks so."""
        async with asyncio.timeout(60):
            while True:
                vim = (await self.ask("GET", f"/{vim_id}"))[1]["vim"]
                if all(vim[name] == value for name, value in members.items()):
                    return vim
                await asyncio.sleep(0.05)


Serve = Callable[..., AbstractAsyncContextManager[Server]]


@pytest.fixture
def serve(nats_server: EmbeddedNats, database: str, tmp_data_dir: Path) -> Serve:
    """Starts a replica of the registry; more than one in a test if it wants."""

    @asynccontextmanager
    async def start(project: str = "default", port: int = 0, **settings: Any) -> AsyncGenerator[Server]:
        config = BaseConfig(
            nats_url=nats_server.url,
            database_url=database,
            data_dir=tmp_data_dir,
            listen_port=port,
            default_project=project,
        )
        chosen = msgspec.convert({"vim_check_period": 3600, "vim_login_patience": 30} | settings, VimSettings)
        async with open_platform(config, "test") as platform:
            service = await build(platform, chosen)
            async with serving(platform, [service], "test") as url, aiohttp.ClientSession(url) as http:
                yield Server(url, platform, http)

    return start


@pytest_asyncio.fixture
async def server(serve: Serve) -> AsyncIterator[Server]:
    async with serve() as server:
        yield server


@pytest_asyncio.fixture
async def openstack() -> AsyncIterator[OpenStackSimulator]:
    async with OpenStackSimulator().serve() as simulator:
        yield simulator


@pytest.fixture
def vim(openstack: OpenStackSimulator) -> Callable[..., Json]:
    """A body that registers the simulator, with members changed."""

    def body(name: str = "cloud", **members: Any) -> Json:
        return {
            "name": name,
            "type": "openstack",
            "auth_url": openstack.auth_url.removesuffix("/v3"),
            "auth_cred": {
                "username": "demo",
                "password": SECRET,
                "user_domain_name": "Default",
                "cert_verify": "False",
            },
            "vim_project": {"name": "demo", "project_domain_name": "Default"},
            **members,
        }

    return body
