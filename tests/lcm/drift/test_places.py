"""Where there is something to compare: one place for each project, whoever logs in, and a VIM that is dead costs nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from forestay_events.errors import Retryable, Unavailable
from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.drift.breaker import AT_ONCE, CircuitBreaker
from forestay_lcm.drift.finding import Compared
from forestay_lcm.drift.settings import DriftSettings
from forestay_lcm.drift.watch import DriftWatch
from forestay_simvim import CallFault, OpenStackSimulator, ResourceFault, SimConfig
from forestay_sol.streams.drift import Finding

from tests.lcm.drift.site import Site, some, stack
from tests.lcm.openstack.conftest import connection
from tests.lcm.samples import terminate


class Dead:
    """A Keystone that takes every request and answers none before it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 503
        self.released = asyncio.Event()
        self.url = ""

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        await self.released.wait()
        return web.json_response({}, status=self.status)


@asynccontextmanager
async def dead_vim() -> AsyncGenerator[Dead]:
    dead, app = Dead(), web.Application()
    app.router.add_route("*", "/{path:.*}", dead.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    dead.url = f"http://{host}:{port}"
    try:
        yield dead
    finally:
        dead.released.set()
        await runner.cleanup()


async def test_several_credentials_of_a_project_are_one_place(site: Site) -> None:
    """Registered twice, and brought by a VNF instance itself, which does not name the region."""
    vnf_id, other = await site.instantiated(), await site.instantiated()
    await site.registered(site.sim, cert_verify="False")
    await site.moved(other)
    stranger = str(uuid4())
    await stack(site, f"vnf-{stranger}", f"forestay,op-{uuid4()}")
    for each in (vnf_id, other):
        await site.stopped(each)
    for _ in range(3):
        await site.watch.compare()
    assert [await site.told(each) for each in (vnf_id, other, stranger)] == [["DriftFound"]] * 3
    assert len({found["vim"] for found in await site.known()}) == 1


async def test_projects_of_one_name_are_two_places(site: Site) -> None:
    async with OpenStackSimulator(SimConfig()).serve() as twin:
        await site.registered(twin)
        vnf_id = await site.instantiated()
        await site.stopped(vnf_id)
        [found] = await site.findings()
        [demo] = site.sim.cloud.identity.projects.find(name=site.sim.openrc()["OS_PROJECT_NAME"])
        assert found["vim"] == f"{site.sim.auth_url} demo {demo['id']} RegionOne"


async def test_a_vim_that_hangs_is_asked_once_and_no_other_waits_for_it(site: Site) -> None:
    lost = [await site.instantiated() for _ in range(3)]
    here = await site.instantiated()
    await site.stopped(here)
    async with dead_vim() as dead:
        for vnf_id in lost:
            await site.moved(vnf_id, {"endpoint": dead.url})
        comparison = asyncio.create_task(site.watch.compare())
        async with asyncio.timeout(60):
            while not (found := await site.known()):
                await asyncio.sleep(0.02)
        assert [each["vnfInstanceId"] for each in found] == [here]
        assert (dead.asked, comparison.done()) == (1, False)
        dead.released.set()
        await comparison
        assert dead.asked == 1


async def test_a_vim_that_is_silent_gets_no_more_turns() -> None:
    breaker, asked = CircuitBreaker("east"), list[bool]()

    async def ask(answers: bool) -> str:
        asked.append(answers)
        if not answers:
            raise Retryable("no answer")
        return "answer"

    tries = [*[False] * (AT_ONCE - 1), True, *[False] * AT_ONCE]
    answers = [await breaker.call(lambda it=it: ask(it), vnf=str(it)) for it in (*tries, True)]
    assert (asked, answers.count("answer")) == (tries, 1)


async def test_what_one_thing_does_harms_no_other_but_a_log_that_is_away_ends_all() -> None:
    async def fail(error: Exception) -> None:
        raise error

    breaker = CircuitBreaker("east")
    assert await breaker.call(lambda: fail(KeyError("unheard of"))) is None
    assert await breaker.call(lambda: fail(TimeoutError())) is None
    with pytest.raises(Unavailable):
        await breaker.call(lambda: fail(Unavailable("the log")))


@pytest.mark.parametrize(
    ("access", "interface"),
    [
        ({"username": ["x"]}, {}),
        ({}, {"ssl_ca_cert": 5}),
        ({}, {"endpoint": "http://127.0.0.1:1:1/x"}),
        ({}, {"endpoint": 5}),
    ],
)
async def test_a_connection_that_an_older_api_has_let_through_harms_nobody_else(
    site: Site, access: dict[str, Any], interface: dict[str, Any]
) -> None:
    ill, well = await site.instantiated(), await site.instantiated()
    await site.moved(ill, interface, **access)
    await site.stopped(ill)
    await site.stopped(well)
    watch = DriftWatch(
        site.lcm.platform, Catalogue(site.lcm.platform), site.lcm.vnfs, DriftSettings(drift_interval=0.1)
    )
    async with watch:
        running, found = asyncio.create_task(watch.run()), list[dict[str, Any]]()
        async with asyncio.timeout(60):
            while not running.done() and not (found := await site.known()):
                await asyncio.sleep(0.05)
        assert not running.done(), running.exception()
        assert [each["vnfInstanceId"] for each in found] == [well]
        running.cancel()


async def test_what_answers_but_is_no_keystone_harms_nobody_else(site: Site) -> None:
    ill, well = await site.instantiated(), await site.instantiated()
    async with dead_vim() as dead:
        dead.status = 200
        dead.released.set()
        await site.moved(ill, {"endpoint": dead.url})
        await site.stopped(well)
        assert [each["vnfInstanceId"] for each in await site.findings()] == [well]


async def test_what_was_said_of_a_place_that_is_none_any_more_ends(site: Site) -> None:
    """The only credential of the place was the VNF instance's own; or findings are named as they once were."""
    async with OpenStackSimulator(SimConfig()).serve() as own:
        vnf_id = await site.instantiating(own, {"vim1": connection(own)})
        await site.lcm.until(vnf_id, "COMPLETED")
        async with Clouds() as clouds:
            cloud = clouds.cloud(connection(own))
            await cloud.nova.act(await site.server(vnf_id), "os-stop")
            [found] = await some(site)
        assert found["vim"].startswith(own.auth_url)
        await site.lcm.ask(vnf_id, terminate(vnfd=site.vnfd))
        await site.lcm.until(vnf_id, "COMPLETED")
    assert await site.findings() == []
    assert "endedAt" in await site.finding(found["id"])


async def test_findings_in_old_logs_are_named_anew_when_their_vnf_is_compared(site: Site) -> None:
    vnf_id = await site.instantiated()
    before = f"{site.sim.auth_url} demo RegionOne"
    old = Finding(kind="CHANGED", vim=before, resource_type="OS::Nova::Server", resource_id="a", detail="It was so.")
    await site.record(vnf_id, Compared(vim=before, findings=(old,)))
    site.sim.faults.add(CallFault(service="heat", path=f"vnf-{vnf_id}"))
    assert [each["vim"] for each in await site.findings()] == [before], "nothing could be said of it"
    assert await site.findings() == []


async def test_what_was_said_of_a_vim_that_does_not_answer_stays(site: Site) -> None:
    """The VNF instance is gone, so nothing but its orphan is there."""
    stranger = str(uuid4())
    await stack(site, f"vnf-{stranger}", f"forestay,op-{uuid4()}")
    [found] = await some(site)
    account = site.sim.cloud.identity.users.find(name=site.sim.openrc()["OS_USERNAME"])[0]
    site.sim.cloud.identity.tokens.clear()
    site.sim.cloud.identity.users.change(account, _password="changed")
    assert [each["id"] for each in await site.findings()] == [found["id"]]


async def test_what_a_failed_instantiate_has_left_in_a_vim_of_its_own_is_found(site: Site) -> None:
    async with OpenStackSimulator(SimConfig()).serve() as own, Clouds() as clouds:
        cloud = clouds.cloud(connection(own))
        own.faults.add(ResourceFault(type="OS::Nova::Server"))
        vnf_id = await site.instantiating(own, {"vim1": connection(own)})
        await site.lcm.until(vnf_id, "FAILED_TEMP")
        await site.lcm.handle(vnf_id, "fail")
        await site.lcm.until(vnf_id, "FAILED")
        [found] = await some(site)
        assert (found["kind"], found["vnfInstanceId"]) == ("ORPHANED", vnf_id)
        site.clock.ahead = timedelta(seconds=61)
        await site.watch.compare()
        async with asyncio.timeout(60):
            while await cloud.heat.find(f"vnf-{vnf_id}") is not None:
                await asyncio.sleep(0.05)
        assert await site.findings() == []
