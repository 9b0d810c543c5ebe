"""A simulator of its own for each test, and a plain HTTP client that speaks to it with a token."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession
from forestay_simvim import Account, OpenStackSimulator

SERVER = """
heat_template_version: 2021-04-16
parameters:
  flavor: {type: string, default: m1.tiny}
  image: {type: string, default: cirros}
resources:
  cp:
    type: OS::Neutron::Port
    properties: {network: private}
  vdu:
    type: OS::Nova::Server
    properties:
      flavor: {get_param: flavor}
      image: {get_param: image}
      networks: [{port: {get_resource: cp}}]
outputs:
  ip: {value: {get_attr: [cp, fixed_ips, 0, ip_address]}}
"""


class Api:
    """One logged-in user; every method gives (status, JSON or text)."""

    def __init__(self, sim: OpenStackSimulator, session: ClientSession) -> None:
        self.sim = sim
        self.session = session
        self.token = ""
        self.project = ""

    async def login(self, account: Account | None = None, *, password: str | None = None) -> ClientResponse:
        who = account or self.sim.cloud.config.accounts[0]
        user = {"name": who.name, "password": password or who.password, "domain": {"name": "Default"}}
        scope = {"project": {"name": who.project, "domain": {"name": "Default"}}}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
        async with self.session.post(f"{self.sim.auth_url}/auth/tokens", json={"auth": auth}) as reply:
            if reply.status == 201:
                self.token = reply.headers["X-Subject-Token"]
                self.project = (await reply.json())["token"]["project"]["id"]
            return reply

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        headers = {"X-Auth-Token": self.token, **options.pop("headers", {})}
        async with self.session.request(method, self.sim.url + path, json=body, headers=headers, **options) as reply:
            is_json = reply.content_type == "application/json"
            return reply.status, await reply.json() if is_json else await reply.text()

    async def heat(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        return await self.call(method, f"/heat-api/v1/{self.project}{path}", body, **options)

    async def create(self, name: str, template: Any = SERVER, **more: Any) -> str:
        """Start a stack; its path below ``/stacks``."""
        status, body = await self.heat("POST", "/stacks", {"stack_name": name, "template": template, **more})
        assert status == 201, body
        return f"/stacks/{name}/{body['stack']['id']}"

    async def settle(self, path: str, *wanted: str, within: float = 60.0) -> dict[str, Any]:
        """Wait until the stack's status is one of *wanted*; the stack."""
        end = time.monotonic() + within
        while True:
            _, body = await self.heat("GET", path)
            stack = body["stack"]
            if stack["stack_status"] in wanted:
                return stack
            assert time.monotonic() < end, f"{stack['stack_status']}: {stack['stack_status_reason']}"
            await asyncio.sleep(0.005)

    async def made(self, name: str, template: Any = SERVER, **more: Any) -> str:
        """Create a stack and wait until it is complete; its path."""
        path = await self.create(name, template, **more)
        await self.settle(path, "CREATE_COMPLETE")
        return path

    async def resources(self, path: str, depth: int = 0) -> list[dict[str, Any]]:
        _, body = await self.heat("GET", f"{path}/resources?nested_depth={depth}")
        return body["resources"]

    async def servers(self) -> list[dict[str, Any]]:
        _, body = await self.call("GET", "/compute/v2.1/servers/detail")
        return body["servers"]


@pytest.fixture
async def sim() -> AsyncIterator[OpenStackSimulator]:
    async with OpenStackSimulator().serve() as served:
        yield served


@pytest.fixture
async def api(sim: OpenStackSimulator) -> AsyncIterator[Api]:
    async with ClientSession() as session:
        client = Api(sim, session)
        await client.login()
        yield client
