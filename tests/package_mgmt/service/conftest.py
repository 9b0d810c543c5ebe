"""The service on real servers: started, asked over HTTP, stopped and started again."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from forestay_events.config import BaseConfig
from forestay_events.platform import Platform, open_platform
from forestay_package_mgmt.app import build
from forestay_package_mgmt.settings import Settings
from forestay_sol.service import serving
from forestay_standalone.embedded import EmbeddedNats

from tests.packages.build import build_csar

PACKAGES = Path(__file__).parents[2] / "packages"
ROOT = "/vnfpkgm/v1/vnf_packages"
Json = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Server:
    """A running service and what a test asks it."""

    url: str
    platform: Platform
    http: aiohttp.ClientSession

    async def create(self, **members: Any) -> str:
        async with self.http.post(ROOT, json=members) as response:
            assert response.status == 201
            return (await response.json())["id"]

    async def upload(self, package_id: str, content: Any, **headers: str) -> int:
        headers = {"Content-Type": "application/zip", **headers}
        async with self.http.put(f"{ROOT}/{package_id}/package_content", data=content, headers=headers) as response:
            await response.read()
            return response.status

    async def show(self, package_id: str) -> Json:
        async with self.http.get(f"{ROOT}/{package_id}") as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def settled(self, package_id: str, *, within: float = 60.0) -> Json:
        """The package once its onboarding has ended, one way or the other."""
        async with asyncio.timeout(within):
            while (info := await self.show(package_id))["onboardingState"] in ("UPLOADING", "PROCESSING"):
                await asyncio.sleep(0.02)
        return info

    async def onboard(self, csar: bytes) -> Json:
        package_id = await self.create()
        assert await self.upload(package_id, csar) == 202
        info = await self.settled(package_id)
        assert info["onboardingState"] == "ONBOARDED", info
        return info

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Status and JSON of an answer; of an error, checked for what all ProblemDetails have."""
        async with self.http.request(method, f"{ROOT}{path}", **options) as response:
            content: Any = await response.json(content_type=None) if response.status != 204 else None
            if response.status >= 400:
                assert response.content_type == "application/problem+json"
                assert content["status"] == response.status
                assert content["detail"]
            return response.status, content

    async def delete(self, package_id: str) -> None:
        assert (await self.ask("PATCH", f"/{package_id}", json={"operationalState": "DISABLED"}))[0] == 200
        assert (await self.ask("DELETE", f"/{package_id}"))[0] == 204

    async def blobs(self) -> set[str]:
        return {blob.digest async for blob in self.platform.blobs.list()}

    def unfinished_uploads(self) -> list[Path]:
        return list(self.platform.blobs.uploads.iterdir())


Serve = Callable[..., AbstractAsyncContextManager[Server]]


@pytest.fixture
def serve(nats_server: EmbeddedNats, database: str, tmp_data_dir: Path) -> Serve:
    """Starts the service; more than once in a test if it wants. ``without`` leaves out background jobs."""

    @asynccontextmanager
    async def start(
        settings: Settings | None = None, *, without: Collection[str] = (), project: str = "default", **changes: Any
    ) -> AsyncGenerator[Server]:
        config = BaseConfig(
            nats_url=nats_server.url,
            database_url=database,
            data_dir=tmp_data_dir,
            listen_port=0,
            default_project=project,
        )
        async with open_platform(config, "test") as opened:
            platform = dataclasses.replace(opened, **changes)
            service = await build(platform, settings or Settings())
            jobs = {name: run for name, run in service.background.items() if name not in without}
            service = dataclasses.replace(service, background=jobs)
            async with serving(platform, [service], "test") as url, aiohttp.ClientSession(url) as http:
                yield Server(url, platform, http)

    return start


@pytest.fixture(scope="session")
def asg(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The CSAR of sample-asg."""
    return build_csar(PACKAGES / "sample-asg", tmp_path_factory.mktemp("csar") / "asg.zip").read_bytes()


@pytest.fixture(scope="session")
def two_vdus(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The CSAR of sample-two-vdus."""
    return build_csar(PACKAGES / "sample-two-vdus", tmp_path_factory.mktemp("csar") / "two.zip").read_bytes()
