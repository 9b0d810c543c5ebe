"""A small NFVO for the tests: grants, onboarded packages and OAuth2 tokens over real HTTP, with faults on demand.

It shares no code with Forestay: what it reads and writes is plain JSON.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha512
from typing import Any, Literal
from uuid import uuid4

from aiohttp import web

Json = dict[str, Any]
Mode = Literal["at once", "later", "refuse", "hang", "reset", "busy", "broken", "proxy"]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MEMBERS = ("addResources", "tempResources", "removeResources", "updateResources")


@dataclass
class Entry:
    """A request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None
    at: float = field(default_factory=time.monotonic)


@dataclass
class NfvoSimulator:
    """What the NFVO does, and what it saw.

    :ivar mode: how it answers a grant request; ``hang`` and ``reset`` grant first, ``busy`` (503), ``broken`` (500) and
        ``proxy`` (502) do not.
    :ivar looks: in mode ``later``: how often a grant is not there yet.
    :ivar change: what is changed in a grant before it is answered.
    :ivar tokens: tokens that are accepted; ``None`` for all calls whatever they carry.
    :ivar cut: the content of a package ends in its midst; ``delay``: seconds that it takes.
    :ivar packages: (VnfPkgInfo, package, vnfd) by vnfdId.
    """

    mode: Mode = "at once"
    looks: int = 2
    change: Callable[[Json], Json] = lambda grant: grant
    location: Callable[[str], str] = lambda path: path
    retry_after: str | None = None
    user: tuple[str, str] | None = None
    tokens: set[str] | None = None
    client: tuple[str, str] = ("forestay", "s3cret/+")
    token_life: float = 3600
    packages: dict[str, tuple[Json, bytes, bytes]] = field(default_factory=dict[str, tuple[Json, bytes, bytes]])
    cut: bool = False
    delay: float = 0.0
    journal: list[Entry] = field(default_factory=list[Entry])
    granted: dict[str, Json] = field(default_factory=dict[str, Json])
    _undecided: dict[str, int] = field(default_factory=dict[str, int])
    url: str = ""

    @asynccontextmanager
    async def serve(self, tls: ssl.SSLContext | None = None) -> AsyncGenerator[NfvoSimulator]:
        app = web.Application(middlewares=[self._door])
        app.router.add_post("/token", self._token)
        app.router.add_post("/nfvo/grant/v1/grants", self._grant)
        app.router.add_get("/nfvo/grant/v1/grants/{id}", self._look)
        app.router.add_get("/nfvo/vnfpkgm/v2/onboarded_vnf_packages/{id}", self._package)
        app.router.add_get("/nfvo/vnfpkgm/v2/onboarded_vnf_packages/{id}/{part}", self._part)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    @property
    def root(self) -> str:
        return f"{self.url}/nfvo"

    def seen(self, method: str, path: str) -> list[Entry]:
        """The requests with this method whose path contains ``path``."""
        return [entry for entry in self.journal if entry.method == method and path in entry.path]

    def onboard(self, content: bytes, vnfd_id: str, **members: Any) -> None:
        """Have a package; ``members`` are those of its VnfPkgInfo that are not as they should be."""
        info = {
            "id": str(uuid4()),
            "vnfdId": vnfd_id,
            "vnfProvider": "Forestay",
            "vnfProductName": "Sample",
            "vnfSoftwareVersion": "1.0",
            "vnfdVersion": "1.0",
            "checksum": {"algorithm": "SHA-512", "hash": sha512(content).hexdigest()},
            "operationalState": "ENABLED",
            "onboardingState": "ONBOARDED",
            "usageState": "NOT_IN_USE",
        }
        self.packages[vnfd_id] = (info | members, content, b"")

    def decide(self) -> None:
        """Have all grants there that were not there yet."""
        self._undecided.clear()

    @web.middleware
    async def _door(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        body = await request.json() if request.content_type == "application/json" and request.can_read_body else None
        self.journal.append(Entry(request.method, request.path, dict(request.headers), body or await request.text()))
        if request.path != "/token" and not self._is_let_in(request.headers.get("Authorization", "")):
            return _problem(401, "Unauthorized", "Who are you?")
        return await handler(request)

    def _is_let_in(self, authorization: str) -> bool:
        if self.user:
            return authorization == _basic(*self.user)
        return self.tokens is None or authorization.removeprefix("Bearer ") in self.tokens

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        secret = request.headers.get("Authorization") == _basic(self.client[0], "s3cret%2F%2B")
        ssl_object = request.transport.get_extra_info("peercert") if request.transport else None
        by_certificate = bool(ssl_object) and form.get("client_id") == self.client[0]
        if form.get("grant_type") != "client_credentials" or not (secret or by_certificate):
            return web.json_response({"error": "invalid_client", "error_description": "No such client."}, status=401)
        token = uuid4().hex
        self.tokens = (self.tokens or set()) | {token}
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": self.token_life})

    async def _grant(self, request: web.Request) -> web.StreamResponse:
        refusals = {
            "refuse": lambda: _problem(403, "Forbidden", "No room for VNF instance in zone nova."),
            "busy": lambda: _problem(503, "Busy", "Come back later.", {"Retry-After": self.retry_after or "7"}),
            "broken": lambda: _problem(500, "Oops", "The NFVO's database is away."),
            "proxy": lambda: web.Response(status=502, text="<html>Bad Gateway</html>"),
        }
        if self.mode in refusals:
            return refusals[self.mode]()
        grant = self._made(await request.json())
        path = f"/nfvo/grant/v1/grants/{grant['id']}"
        if self.mode == "hang":
            await asyncio.sleep(600)
        if self.mode == "reset":
            assert request.transport is not None
            request.transport.abort()
        headers = {"Location": self.location(f"{self.url}{path}")}
        if self.mode == "later":
            self._undecided[grant["id"]] = self.looks
            return web.Response(status=202, headers=headers | self._patience())
        return web.json_response(self.change(grant), status=201, headers=headers)

    def _made(self, asked: Json) -> Json:
        answered = {
            member: [{"resourceDefinitionId": item["id"]} for item in asked[member]]
            for member in MEMBERS
            if asked.get(member)
        }
        computes = {item["id"] for item in asked.get("addResources", ()) if item["type"] == "COMPUTE"}
        for info in answered.get("addResources", ()):
            info |= {"zoneId": "z1"} if info["resourceDefinitionId"] in computes else {}
        grant: Json = {
            "id": str(uuid4()),
            "vnfInstanceId": asked["vnfInstanceId"],
            "vnfLcmOpOccId": asked["vnfLcmOpOccId"],
            "zones": [{"id": "z1", "zoneId": "az-1"}],
            "_links": asked["_links"],
            **answered,
        }
        self.granted[grant["id"]] = grant
        return grant

    async def _look(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["id"]
        left = self._undecided.get(key, 0)
        if left:
            self._undecided[key] = left - 1
            return web.Response(status=202, headers=self._patience())
        if self.mode == "refuse":
            return _problem(403, "Forbidden", "On second thoughts, no.")
        if self.mode == "broken":
            return _problem(500, "Oops", "The NFVO's database is away.")
        if key not in self.granted:
            return _problem(404, "Not Found", f"No grant {key}.")
        return web.json_response(self.change(self.granted[key]))

    def _patience(self) -> dict[str, str]:
        return {"Retry-After": self.retry_after} if self.retry_after else {}

    async def _package(self, request: web.Request) -> web.StreamResponse:
        found = self.packages.get(request.match_info["id"])
        return web.json_response(found[0]) if found else _problem(404, "Not Found", "No such package.")

    async def _part(self, request: web.Request) -> web.StreamResponse:
        _, package, vnfd = self.packages[request.match_info["id"]]
        content = {"package_content": package, "vnfd": vnfd}[request.match_info["part"]]
        response = web.StreamResponse(headers={"Content-Type": "application/zip", "Content-Length": str(len(content))})
        await response.prepare(request)
        for start, end in ((0, len(content) // 4), (len(content) // 4, len(content) // 2)):
            await response.write(content[start:end])
            await asyncio.sleep(self.delay / 2)
        if self.cut:
            assert request.transport is not None
            request.transport.abort()
        await response.write(content[len(content) // 2 :])
        return response


def _basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def _problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"title": title, "status": status, "detail": detail}
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")
