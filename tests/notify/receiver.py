"""A subscriber: a real HTTP server that keeps what it is sent and answers as it is told."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

Json = dict[str, Any]


@dataclass
class Received:
    """One POST that was answered with 2xx."""

    path: str
    headers: dict[str, str]
    body: Json
    at: float


@dataclass
class Receiver:
    """Runs while :func:`receiver` does; can be stopped and started again at the same address.

    :ivar answer: the status for a request, ``204`` for all by default; may wait.
    :ivar text: of the answers.
    :ivar accepted: what was taken, in order.
    :ivar asked: method and path of every request, also of those that were refused.
    """

    port: int
    tls: ssl.SSLContext | None = None
    answer: Callable[[web.Request, Json], Awaitable[int]] | None = None
    text: str | None = None
    accepted: list[Received] = field(default_factory=list[Received])
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    _runner: web.AppRunner | None = None

    def uri(self, path: str = "/callback") -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{path}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls, reuse_address=True).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def until(self, count: int, *, within: float = 60.0) -> list[Received]:
        """Wait until so many notifications were taken."""
        end = time.monotonic() + within
        while len(self.accepted) < count:
            assert time.monotonic() < end, f"{len(self.accepted)} of {count} notifications have come"
            await asyncio.sleep(0.005)
        return self.accepted

    def by_lane(self, member: str = "vnfInstanceId") -> dict[str, list[Json]]:
        """First arrivals, by what they are about, in order."""
        lanes: defaultdict[str, dict[str, Json]] = defaultdict(dict)
        for received in self.accepted:
            lanes[received.body[member]].setdefault(received.body["id"], received.body)
        return {lane: list(bodies.values()) for lane, bodies in lanes.items()}

    async def _handle(self, request: web.Request) -> web.Response:
        content = await request.read()
        body: Json = msgspec.json.decode(content) if content else {}
        self.asked.append((request.method, request.path))
        self.headers.append(dict(request.headers))
        status = 204 if self.answer is None else await self.answer(request, body)
        if request.method == "POST" and 200 <= status < 300:
            self.accepted.append(Received(request.path, dict(request.headers), body, time.monotonic()))
        return web.Response(status=status, text=self.text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def receiver(*, started: bool = True, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Receiver]:
    made = Receiver(free_port(), tls)
    if started:
        await made.start()
    try:
        yield made
    finally:
        await made.stop()
