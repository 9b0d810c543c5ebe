"""Kubernetes VIMs, against a small API server and OpenID provider that answer over HTTP and HTTPS."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.vim_registry.conftest import Json, Server

BASIC = base64.b64encode(b"kim:pw").decode()
KNOWN = frozenset({"Bearer good-token", "Bearer id-token", f"Basic {BASIC}"})


@dataclass
class FakeKubernetes:
    """Lists two namespaces for whom it knows; gives an ID token for the right password."""

    authorizations: list[str] = field(default_factory=list[str])
    status: int = 200

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.get("/api/v1/namespaces", self.namespaces), web.post("/token", self.token)])
        return app

    async def namespaces(self, request: web.Request) -> web.Response:
        self.authorizations.append(request.headers.get("Authorization", ""))
        if self.status != 200:
            return web.json_response({"kind": "Status", "code": self.status}, status=self.status)
        if self.authorizations[-1] not in KNOWN:
            return web.json_response({"kind": "Status", "code": 401, "reason": "Unauthorized"}, status=401)
        items = [{"metadata": {"name": name}} for name in ("default", "kube-system")]
        return web.json_response({"kind": "NamespaceList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def token(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        right = {"grant_type": "password", "scope": "openid", "client_id": "tacker", "username": "kim", "password": "pw"}
        if form != right:
            return web.json_response({"error": "invalid_grant"}, status=401)
        return web.json_response({"id_token": "id-token"})


@dataclass
class Cluster:
    fake: FakeKubernetes
    url: str
    ca: str


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    fake = FakeKubernetes()
    async with TestServer(fake.application(), scheme="https") as server:
        pass
    server = TestServer(fake.application(), scheme="https")
    await server.start_server(ssl=context)
    try:
        yield Cluster(fake, str(server.make_url("")).rstrip("/"), authority.cert_pem.bytes().decode())
    finally:
        await server.close()
