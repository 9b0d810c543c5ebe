"""How Forestay logs in to what a user calls an OpenStack, and what it believes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from forestay_events.errors import Permanent, Retryable, UnknownOutcome
from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_lcm.adapters.openstack.clients.glance import Glance
from forestay_simvim import OpenStackSimulator
from forestay_sol.egress import Egress
from forestay_sol.vnflcm import VimConnectionInfo

from .conftest import connection

_PASSWORD = ("username", "password", "project")
_PROJECT = {"id": "p", "name": "demo"}


@pytest.mark.parametrize(
    ("part", "member", "value"),
    [
        ("accessInfo", "username", ["x"]), ("accessInfo", "region", 1), ("interfaceInfo", "ssl_ca_cert", 5),
        ("interfaceInfo", "endpoint", {"a": 1}), ("interfaceInfo", "endpoint", "http://internal/admin?x="),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(clouds: Clouds, part: str, member: str, value: Any) -> None:
    parts: dict[str, dict[str, Any]] = {
        "interfaceInfo": {"endpoint": "http://keystone"},
        "accessInfo": dict.fromkeys(_PASSWORD, "x"),
    }
    parts[part][member] = value
    given = VimConnectionInfo(
        vim_type="ETSINFV.OPENSTACK_KEYSTONE.V_3",
        interface_info=parts["interfaceInfo"],
        access_info=parts["accessInfo"],
    )
    with pytest.raises(Permanent, match=member) as refused:
        clouds.cloud(given)
    assert refused.value.status == 422


@asynccontextmanager
async def answering(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncGenerator[VimConnectionInfo]:
    """A server that somebody calls an OpenStack."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield VimConnectionInfo(
            vim_type="ETSINFV.OPENSTACK_KEYSTONE.V_3",
            interface_info={"endpoint": f"http://127.0.0.1:{runner.addresses[0][1]}"},
            access_info=dict.fromkeys(_PASSWORD, "x"),
        )
    finally:
        await runner.cleanup()


def token(url: str, **members: Any) -> dict[str, Any]:
    """Keystone's answer, with one endpoint for everything."""
    catalog = [
        {"type": kind, "endpoints": [{"url": url, "interface": "public", "region": "R"}]}
        for kind in ("orchestration", "image", "network", "compute")
    ]
    times = {"issued_at": "2026-01-01T00:00:00.000000Z", "expires_at": "2026-01-01T01:00:00.000000Z"}
    return {"token": {**times, "user": {"id": "u"}, "project": _PROJECT, "catalog": catalog, **members}}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"hello": "world"}, {"X-Subject-Token": "t"}), (token("http://x"), {}), ([], {"X-Subject-Token": "t"}),
        (token("http://x", expires_at=None), {"X-Subject-Token": "t"}),
        (token("http://x", catalog=[{"type": "image", "endpoints": [{"url": 5}]}]), {"X-Subject-Token": "t"}),
    ],
)  # fmt: skip
async def test_what_gives_no_token_is_no_keystone(clouds: Clouds, body: Any, headers: dict[str, str]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body, headers=headers)

    async with answering(answer) as given:
        with pytest.raises(Permanent, match="is no Keystone") as refused:
            await clouds.cloud(given).heat.find("vnf-1")
    assert refused.value.status == 502


async def test_a_keystone_that_hangs_is_waited_for_once() -> None:
    """Who comes meanwhile fails with who has come first; who comes later asks again."""
    asked = 0

    async def hang(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        await asyncio.sleep(5)
        return web.Response()

    async with Clouds(timeout=0.2) as clouds, answering(hang) as given:
        async with asyncio.timeout(60):
            waiting = [clouds.cloud(given).heat.find("vnf-1") for _ in range(20)]
            assert {type(each) for each in await asyncio.gather(*waiting, return_exceptions=True)} == {Retryable}
            with pytest.raises(Retryable):
                await clouds.cloud(given).heat.find("vnf-1")
    assert asked == 2


async def test_who_goes_away_takes_no_token_from_others(sim: OpenStackSimulator, clouds: Clouds) -> None:
    first = asyncio.create_task(clouds.cloud(connection(sim)).token())
    second = asyncio.create_task(clouds.cloud(connection(sim)).token())
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).project == sim.openrc()["OS_PROJECT_NAME"]


async def test_a_project_may_be_named_by_its_id(sim: OpenStackSimulator, clouds: Clouds) -> None:
    named = await clouds.cloud(connection(sim)).token()
    by_id = await clouds.cloud(connection(sim, project="another", projectId=named.project_id)).token()
    assert (by_id.id != named.id, by_id.project) == (True, named.project)


@pytest.mark.parametrize("version", ["", "/", "/v2", "/v2.0"])
async def test_a_catalog_may_name_the_version(clouds: Clouds, version: str) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/auth/tokens"):
            return web.json_response(token(f"http://{request.host}{version}"), headers={"X-Subject-Token": "t"})
        seen.append(request.path)
        return web.json_response({"images": [], "networks": []})

    async with answering(answer) as given:
        cloud = clouds.cloud(given)
        await (cloud.neutron.networks(["n"]) if version == "/v2.0" else Glance(cloud).tagged("x"))
    assert seen == ["/v2.0/networks" if version == "/v2.0" else "/v2/images"]


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "http://127.0.0.1:4222", "http://internal/?x="])
async def test_a_catalog_leads_nowhere_that_a_vim_may_not_be(url: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(token(url), headers={"X-Subject-Token": "t"})

    async with (
        Clouds(egress=Egress(loopback=True, closed=frozenset({("127.0.0.1", 4222)}))) as clouds,
        answering(answer) as given,
    ):
        with pytest.raises(Permanent, match=r"denies|has no public endpoint") as refused:
            await clouds.cloud(given).heat.find("vnf-1")
    assert refused.value.status == 422


@pytest.mark.parametrize("body", ["<html>", "", "{}", "[]", '{"stacks": null}', '{"stacks": [{}]}', "[" * 100_000])
async def test_what_is_no_answer_of_heat_is_waited_out(clouds: Clouds, body: str) -> None:
    """As the page that a proxy has while Heat is away: looked for again, and what was to be made may have been made."""

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/auth/tokens"):
            return web.json_response(token(str(request.url.origin())), headers={"X-Subject-Token": "t"})
        return web.Response(text=body, content_type="application/json")

    async with answering(answer) as given:
        cloud = clouds.cloud(given)
        with pytest.raises(Retryable):
            await cloud.heat.find("vnf-1")
        with pytest.raises(UnknownOutcome):
            await cloud.heat.create("vnf-1", {})
        with pytest.raises(Retryable):
            await cloud.nova.servers(["a"])
