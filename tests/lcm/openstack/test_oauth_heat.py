"""A Heat that takes tokens of OAuth 2.0, from a token server that asks for the client's certificate; all else as ever."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from forestay_events.config import ConfigError, load
from forestay_events.errors import Permanent
from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_lcm.adapters.openstack.clients.oauth_heat import HeatTokens, OAuthHeat, heat_client
from forestay_lcm.adapters.openstack.clients.transport import Transport
from forestay_lcm.adapters.openstack.settings import OpenStackSettings
from forestay_lcm.executor import Confirmed
from forestay_simvim import OpenStackSimulator
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import VimConnectionInfo

from tests.vim_registry.certificates import self_signed

from .conftest import connection
from .stepping import asg_order, instantiate, terminate

BOTH = ("tokenEndpoint", "heatEndpoint")


class _Gate:
    """Token server, and what stands before the simulator's Heat and takes its tokens only."""

    def __init__(self, sim: OpenStackSimulator) -> None:
        self._sim = sim
        self.given: list[str] = []
        self.asked: list[str] = []
        self.heat, self.keystone_token = "", ""

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.asked.append(str(form["client_id"]))
        if form["client_id"] == "nobody":
            return web.json_response({"error": {"message": "unknown client"}}, status=401)
        self.given.append(f"t{len(self.given)}")
        return web.json_response({"access_token": self.given[-1], "expires_in": 3600})

    async def forward(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.given[-1]}" or "X-Auth-Token" in request.headers:
            return web.json_response({"error": {"message": "no"}}, status=401)
        url = f"{self.heat}/{request.match_info['path']}"
        headers = {"X-Auth-Token": self.keystone_token, "Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, url, params=request.query, data=await request.read(), headers=headers
            ) as reply,
        ):
            return web.Response(status=reply.status, body=await reply.read(), content_type="application/json")


@asynccontextmanager
async def gated(
    sim: OpenStackSimulator, clouds: Clouds, directory: Path
) -> AsyncGenerator[tuple[_Gate, VimConnectionInfo]]:
    gate = _Gate(sim)
    token = await clouds.cloud(connection(sim)).token()
    gate.heat, gate.keystone_token = token.endpoints["orchestration"], token.id
    app = web.Application()
    app.router.add_post("/token", gate.token)
    app.router.add_route("*", "/heat/{path:.*}", gate.forward)
    tls, pem = self_signed(directory)
    tls.load_verify_locations(cadata=pem)
    tls.verify_mode = ssl.CERT_REQUIRED
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    root = f"https://127.0.0.1:{runner.addresses[0][1]}"
    known = connection(sim)
    interface = {**(known.interface_info or {}), "tokenEndpoint": f"{root}/token", "heatEndpoint": f"{root}/heat/"}
    try:
        yield gate, msgspec.structs.replace(known, interface_info=interface)
    finally:
        await runner.cleanup()


def settings(directory: Path, known: VimConnectionInfo, *members: str, project: str = "nfv") -> OpenStackSettings:
    """Those of an operator who lets a project use the certificate with these endpoints."""
    pem, interface = directory / "server.pem", known.interface_info or {}
    given = {
        "FORESTAY_OPENSTACK_HEAT_CLIENT_CERTIFICATE": str(pem),
        "FORESTAY_OPENSTACK_HEAT_CA_FILE": str(pem),
        "FORESTAY_OPENSTACK_HEAT_CLIENT_PERMITTED": ",".join(f"{project}={interface[member]}" for member in members),
    }
    return load(OpenStackSettings, given)


@pytest.mark.parametrize(
    ("members", "project"), [((), "nfv"), (BOTH[:1], "nfv"), (BOTH[1:], "nfv"), (BOTH, "other"), (BOTH, "")]
)
async def test_nobody_uses_the_certificate_whom_the_operator_does_not_let(
    sim: OpenStackSimulator, clouds: Clouds, tmp_path: Path, members: tuple[str, ...], project: str
) -> None:
    async with gated(sim, clouds, tmp_path) as (gate, known):
        async with Clouds(heat_client=heat_client(settings(tmp_path, known, *members))) as ours:
            with pytest.raises(Permanent, match="must not use the certificate") as refused:
                ours.cloud(known, project)
            assert refused.value.status == 422
            assert ours.cloud(connection(sim), project), "all else is free to whoever can log in"
        assert not gate.asked


async def test_a_token_server_that_hangs_holds_up_nobody_else() -> None:
    """Nor does who waits for it take from others what is known and good."""
    let_go = asyncio.Event()

    async def token(request: web.Request) -> web.Response:
        if request.path == "/hangs":
            await let_go.wait()
        return web.json_response({"access_token": request.path})

    app = web.Application()
    app.router.add_post("/{name}", token)
    server = TestServer(app)
    await server.start_server()
    async with Transport() as transport, asyncio.timeout(60):
        tokens = HeatTokens(transport, ssl.create_default_context())
        hangs, known, new = (
            OAuthHeat(endpoint="http://heat", token_endpoint=str(server.make_url(name)), client_id="c")
            for name in ("/hangs", "/known", "/new")
        )
        assert await tokens.token(known) == "/known"
        waiting = [asyncio.create_task(tokens.token(hangs)) for _ in range(2)]
        await asyncio.sleep(0)
        assert [await tokens.token(each) for each in (known, new)] == ["/known", "/new"]
        let_go.set()
        assert await asyncio.gather(*waiting) == ["/hangs"] * 2
    await server.close()


async def test_a_vnf(sim: OpenStackSimulator, clouds: Clouds, asg: Flavour, tmp_path: Path) -> None:
    async with gated(sim, clouds, tmp_path) as (gate, known):
        async with Clouds(heat_client=heat_client(settings(tmp_path, known, *BOTH))) as ours:
            cloud = ours.cloud(known, "nfv")
            info, _ = await instantiate(cloud, await asg_order(cloud, asg))
            assert gate.asked == [(known.access_info or {})["username"]]
            gate.given.append("another")  # the former one is refused now
            assert isinstance(await terminate(cloud, before=info), Confirmed)
            assert len(gate.asked) == 2

            other = {**(known.access_info or {}), "username": "nobody"}
            with pytest.raises(Permanent, match="gives client 'nobody' no token") as refused:
                await ours.cloud(msgspec.structs.replace(known, access_info=other), "nfv").heat.find("any")
            assert refused.value.status == 401
        async with Clouds() as plain:  # without a certificate Heat is that of the catalog
            assert await plain.cloud(known).heat.find("any") is None
        assert len(gate.asked) == 3


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    assert heat_client(OpenStackSettings()) is None
    with pytest.raises(ConfigError, match="FORESTAY_OPENSTACK_HEAT_CLIENT_CERTIFICATE"):
        heat_client(OpenStackSettings(openstack_heat_client_certificate=tmp_path / "none.pem"))
