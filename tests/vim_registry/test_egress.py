"""Where no VIM may be, nothing is sent, however one is led there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from forestay_simvim import OpenStackSimulator
from forestay_standalone.embedded import EmbeddedNats
from yarl import URL

from tests.vim_registry.conftest import Json, Serve, Server

Body = Callable[..., Json]
LOGINS: dict[str, Json] = {
    "openstack": {},
    "kubernetes": {"type": "kubernetes", "auth_cred": {"bearer_token": "t"}, "vim_project": {"name": "default"}},
}


async def refusal(server: Server, body: Json) -> str:
    status, error = await server.ask("POST", json={"vim": body})
    assert (status, error["type"]) == (502, "VimConnectionException"), error
    return error["message"]


@pytest.mark.parametrize("kind", LOGINS)
async def test_an_address_of_metadata_is_denied(server: Server, vim: Body, kind: str) -> None:
    for url in ("http://169.254.169.254/v3", "http://[fe80::1]/v3"):
        assert "denies" in await refusal(server, vim(auth_url=url, **LOGINS[kind]))


@asynccontextmanager
async def redirecting(target: str) -> AsyncGenerator[str]:
    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": target})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", redirect)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


@pytest.mark.parametrize("kind", LOGINS)
async def test_nobody_is_redirected_to_our_own_servers(
    server: Server, vim: Body, nats_server: EmbeddedNats, kind: str
) -> None:
    port = URL(nats_server.url).port
    assert "denies" in await refusal(server, vim(auth_url=f"http://127.0.0.1:{port}", **LOGINS[kind]))
    async with redirecting(f"http://127.0.0.1:{port}/v3/auth/tokens") as url:
        assert "egress policy" in await refusal(server, vim(auth_url=url, **LOGINS[kind]))


@pytest.mark.parametrize("kind", LOGINS)
async def test_an_operator_denies_a_network_by_whatever_name_it_is_reached(
    serve: Serve, openstack: OpenStackSimulator, vim: Body, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORESTAY_VIM_DENY", "127.0.0.0/8,::1/128")
    url = openstack.auth_url.replace("127.0.0.1", "localhost")
    async with serve() as server:
        assert "egress policy" in await refusal(server, vim(auth_url=url, **LOGINS[kind]))
    assert not openstack.journal.entries()


@pytest.mark.parametrize(("kind", "answer"), [("openstack", 201), ("kubernetes", 401)])
async def test_a_proxy_of_the_environment_is_not_used(
    server: Server, vim: Body, kind: str, answer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would connect to wherever it may."""
    asked: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert (await server.ask("POST", json={"vim": vim(**LOGINS[kind])}))[0] == answer
    assert not asked
