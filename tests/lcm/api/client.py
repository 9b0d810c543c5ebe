"""A client of API version 2 that keeps what was said, to be compared with the OpenAPI documents of ETSI."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from tests.exchanges import recorder

VERSION = {"Version": "2.0.0"}
INSTANCES = "/vnflcm/v2/vnf_instances"
OP_OCCS = "/vnflcm/v2/vnf_lcm_op_occs"


@dataclass
class Answer:
    """What came back; ``body`` is JSON or, of an answer without a body, ``None``."""

    status: int
    headers: dict[str, str]
    body: Any

    def problem(self, status: int) -> dict[str, Any]:
        """ProblemDetails with this status."""
        assert self.status == status, self.body
        assert self.headers["Content-Type"].startswith("application/problem+json")
        assert self.body["status"] == status
        assert self.body["title"]
        assert self.body["detail"]
        return self.body

    @property
    def op_id(self) -> str:
        """Id of the operation occurrence that a 202 names."""
        assert self.status == 202, self.body
        return self.headers["Location"].rpartition("/")[2]


@dataclass
class Client:
    """Sends requests and records the exchanges."""

    session: aiohttp.ClientSession
    exchanges: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """``body`` is JSON, or bytes that go as they are; an empty header is not sent."""
        content_type = {"Content-Type": "application/json"} if body is not None else {}
        sent = {name: value for name, value in (VERSION | content_type | headers).items() if value}
        data = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        async with self.session.request(method, path, data=data, headers=sent, allow_redirects=False) as response:
            content = await response.read()
            answer = Answer(response.status, dict(response.headers), msgspec.json.decode(content) if content else None)
        self.exchanges.append(
            {
                "method": method, "path": path, "request_headers": sent,
                "request_body": None if isinstance(body, bytes) else body,
                "status": answer.status, "response_headers": answer.headers, "response_body": answer.body,
            }
        )  # fmt: skip
        return answer

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.send("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.send("POST", path, body, **headers)

    async def delete(self, path: str) -> Answer:
        return await self.send("DELETE", path)

    async def create(self, **members: Any) -> str:
        """A new VNF instance; returns its id."""
        answer = await self.post(INSTANCES, {"vnfdId": "vnfd-1"} | members)
        assert answer.status == 201, answer.body
        return answer.body["id"]


@asynccontextmanager
async def client(url: str) -> AsyncGenerator[Client]:
    async with aiohttp.ClientSession(url, trace_configs=[recorder()]) as session:
        yield Client(session)
