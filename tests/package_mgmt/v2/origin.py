"""A real HTTP server to fetch packages from, which misbehaves as it is told."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

BASIC = "Basic " + base64.b64encode(b"user:pass word").decode()
CLIENT = "Basic " + base64.b64encode(b"client:s3cret").decode()


@dataclass
class Origin:
    """Serves ``content`` under every path; ``/moved`` redirects to ``target``, ``/token`` is a token endpoint.

    :ivar authorization: what a request has to have, if anything.
    :ivar statuses: answers to the next requests for the content, before it is given.
    :ivar cut: bytes after which the connection is cut, for each of the next answers.
    :ivar pace: bytes to send at once, with a pause behind.
    :ivar leave: each sending waits for it, if it is there.
    :ivar tag: entity tag; ``""``: none, and no ranges.
    :ivar asked: path, range and authorization of each request for the content.
    """

    content: bytes
    url: str = ""
    authorization: str | None = None
    statuses: list[int] = field(default_factory=list[int])
    cut: list[int] = field(default_factory=list[int])
    pace: int = 1 << 20
    pause: float = 0.0
    leave: asyncio.Semaphore | None = None
    tag: str = '"one"'
    target: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])

    async def give(self, request: web.Request) -> web.StreamResponse:
        authorization, wanted = request.headers.get("Authorization", ""), request.headers.get("Range", "")
        self.asked.append((request.path_qs, wanted, authorization))
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": self.target})
        if self.statuses:
            return web.Response(status=self.statuses.pop(0))
        if self.authorization is not None and authorization != self.authorization:
            return web.Response(status=401)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.tag else 0
        rest = self.content[start:]
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(rest)
        if self.tag:
            response.headers["ETag"] = self.tag
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        await response.prepare(request)
        end = self.cut.pop(0) if self.cut else len(rest)
        for at in range(0, min(end, len(rest)), self.pace):
            if self.leave is not None:
                await self.leave.acquire()
            await response.write(rest[at : min(at + self.pace, end)])
            await asyncio.sleep(self.pause)
        if end < len(rest) and request.transport is not None:
            request.transport.close()
        return response

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if request.headers.get("Authorization") != CLIENT or form["grant_type"] != "client_credentials":
            return web.Response(status=401)
        return web.json_response({"access_token": "let-me-in", "token_type": "Bearer"})


@asynccontextmanager
async def origin(content: bytes) -> AsyncGenerator[Origin]:
    made, app = Origin(content), web.Application()
    app.router.add_post("/token", made.token)
    app.router.add_get("/{path:.*}", made.give)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()
