"""API v2 on the service of ``tests/package_mgmt/service``: what a test asks it, and what was said for ETSI's documents."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from forestay_package_mgmt.settings import Settings

from tests.package_mgmt.service.conftest import Json, Serve, Server, asg, serve, two_vdus

__all__ = ["asg", "serve", "two_vdus"]

V2 = "/vnfpkgm/v2"
PACKAGES = f"{V2}/vnf_packages"
ONBOARDED = f"{V2}/onboarded_vnf_packages"
VERSION = {"Version": "2.4.0"}
LOOPBACK = ["127.0.0.0/8"]


@dataclasses.dataclass(frozen=True)
class Reply:
    """An answer: JSON where it is, else bytes."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclasses.dataclass(frozen=True)
class Client:
    """Speaks API v2.

    :ivar exchanges: what was asked and answered, as ``check_openapi.py`` reads it.
    """

    server: Server
    exchanges: list[Json] = dataclasses.field(default_factory=list[Json])

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """``body`` is JSON, or bytes of a zip."""
        kind = "application/zip" if isinstance(body, bytes) else "application/json"
        if method == "PATCH":
            kind = "application/merge-patch+json"
        sent = VERSION | ({"Content-Type": kind} if body is not None else {}) | headers
        data = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        async with self.server.http.request(method, path, data=data, headers=sent) as response:
            raw, is_json = await response.read(), response.content_type.endswith("json")
            reply = Reply(response.status, response.headers, msgspec.json.decode(raw) if is_json else raw)
        shown = reply.body if is_json else {"__binary__": len(raw)} if raw else None
        self.exchanges.append({
            "method": method, "path": path, "request_headers": sent,
            "request_body": {"__binary__": len(body)} if isinstance(body, bytes) else body,
            "status": reply.status, "response_headers": dict(reply.headers), "response_body": shown,
        })  # fmt: skip
        if reply.status >= 400:
            assert response.content_type == "application/problem+json"
            assert reply.body["status"] == reply.status
            assert reply.body["detail"]
        return reply

    async def get(self, path: str, **headers: str) -> Any:
        reply = await self.ask("GET", path, **headers)
        assert reply.status in (200, 206), reply
        return reply.body

    async def create(self, **members: Any) -> str:
        """Path of a new package."""
        reply = await self.ask("POST", PACKAGES, members)
        assert reply.status == 201, reply
        return f"{PACKAGES}/{reply.body['id']}"

    async def until(self, path: str, *states: str, within: float = 60.0) -> Json:
        """The package once it is in one of these states."""
        async with asyncio.timeout(within):
            while (info := (await self.get(path)))["onboardingState"] not in states:
                await asyncio.sleep(0.02)
        return info

    async def onboard(self, csar: bytes) -> Json:
        path = await self.create()
        assert (await self.ask("PUT", f"{path}/package_content", csar)).status == 202
        info = await self.until(path, "ONBOARDED", "ERROR")
        assert info["onboardingState"] == "ONBOARDED", info
        return info


class Clients:
    """Starts the service; more than once in a test if it wants. It may fetch from this machine."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve

    @asynccontextmanager
    async def running(self, *, without: tuple[str, ...] = (), **settings: Any) -> AsyncGenerator[Client]:
        given: Json = {"package_fetch_allow": LOOPBACK} | settings
        async with self._serve(Settings(**given), without=without) as server:
            yield Client(server)


@pytest.fixture
def clients(serve: Serve) -> Clients:
    return Clients(serve)
