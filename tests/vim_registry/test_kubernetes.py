"""Kubernetes VIMs, against a small API server and OpenID provider that answer over HTTP and HTTPS."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.vim_registry.certificates import self_signed
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
        right = {
            "grant_type": "password",
            "scope": "openid",
            "client_id": "tacker",
            "username": "kim",
            "password": "pw",
        }
        if form != right:
            return web.json_response({"error": "invalid_grant"}, status=401)
        return web.json_response({"id_token": "id-token"})


@dataclass
class Cluster:
    fake: FakeKubernetes
    url: str
    ca: str


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    context, pem = self_signed(tmp_path)
    fake = FakeKubernetes()
    server = TestServer(fake.application(), scheme="https", host="127.0.0.1")
    await server.start_server(ssl=context)
    try:
        yield Cluster(fake, str(server.make_url("")).rstrip("/"), pem)
    finally:
        await server.close()


def body(cluster: Cluster, **auth_cred: str) -> Json:
    return {
        "name": "k8s",
        "type": "kubernetes",
        "auth_url": cluster.url,
        "auth_cred": {"ssl_ca_cert": cluster.ca, **auth_cred},
        "vim_project": {"name": "default"},
    }


@pytest.mark.parametrize(
    ("auth_cred", "authorization"),
    [
        ({"bearer_token": "good-token"}, "Bearer good-token"),
        ({"username": "kim", "password": "pw"}, f"Basic {BASIC}"),
        (
            {"username": "kim", "password": "pw", "client_id": "tacker", "oidc_token_url": "{url}/token"},
            "Bearer id-token",
        ),
    ],
)
async def test_each_way_to_log_in(server: Server, cluster: Cluster, auth_cred: Json, authorization: str) -> None:
    given = {name: value.format(url=cluster.url) for name, value in auth_cred.items()}
    made = await server.register(body(cluster, **given))
    assert made["placement_attr"] == {"regions": ["default", "kube-system"]}
    assert made["auth_url"] == cluster.url
    assert cluster.fake.authorizations == [authorization]
    secret = {"bearer_token", "password"} & given.keys()
    assert made["auth_cred"] == {"ssl_ca_cert": cluster.ca} | given | dict.fromkeys(secret, "***")


async def test_the_kind_of_login_can_be_switched(server: Server, cluster: Cluster) -> None:
    made = await server.register(body(cluster, bearer_token="good-token"))
    switched = {"vim": {"auth_cred": {"username": "kim", "password": "pw"}}}
    status, content = await server.ask("PUT", f"/{made['id']}", json=switched)
    assert status == 200
    assert content["vim"]["auth_cred"] == {"ssl_ca_cert": cluster.ca, "username": "kim", "password": "***"}
    assert cluster.fake.authorizations[-1] == f"Basic {BASIC}"


@pytest.mark.parametrize(
    "auth_cred",
    [
        {"bearer_token": "bad-token"},
        {"username": "kim", "password": "no"},
        {"username": "kim", "password": "no", "client_id": "tacker", "oidc_token_url": "{url}/token"},
    ],
)
async def test_wrong_credentials_are_named(server: Server, cluster: Cluster, auth_cred: Json) -> None:
    given = {name: value.format(url=cluster.url) for name, value in auth_cred.items()}
    status, error = await server.ask("POST", json={"vim": body(cluster, **given)})
    assert (status, error["type"]) == (401, "VimUnauthorizedException")
    assert cluster.url in error["message"]
    assert await server.events() == []
    assert await server.data_keys() == 0


async def test_a_broken_api_server_is_no_refusal_of_the_credentials(server: Server, cluster: Cluster) -> None:
    cluster.fake.status = 500
    given = body(cluster, bearer_token="good-token")
    assert await server.refused("POST", json={"vim": given}) == (502, "VimConnectionException")


async def test_an_untrusted_certificate_is_named_unless_told_not_to_look(server: Server, cluster: Cluster) -> None:
    given = body(cluster, bearer_token="good-token")
    del given["auth_cred"]["ssl_ca_cert"]
    status, error = await server.ask("POST", json={"vim": given})
    assert (status, error["type"]) == (502, "VimConnectionException")
    assert "certificate" in error["message"]
    assert cluster.fake.authorizations == []
    given["auth_cred"]["ssl_ca_cert"] = "-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----"
    assert await server.refused("POST", json={"vim": given}) == (502, "VimConnectionException")
    given["auth_cred"]["ssl_ca_cert"] = "None"
    assert (await server.register(given))["auth_cred"]["ssl_ca_cert"] == "None"
