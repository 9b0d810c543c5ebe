"""Faults on demand, settings, journal and the control endpoint."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest
from forestay_simvim import CallFault, OpenStackSimulator, ResourceFault
from msgspec.structs import replace

from tests.simvim.conftest import SERVER, Api

CREATE = CallFault(service="heat", method="POST", path="/stacks$")
BODY = {"stack_name": "a", "template": SERVER}


async def test_an_error_before_acting_is_used_up(api: Api, sim: OpenStackSimulator) -> None:
    sim.faults.add(replace(CREATE, status=429, retry_after=2, times=2))
    url = f"{sim.url}/heat-api/v1/{api.project}/stacks"
    for _ in range(2):
        async with api.session.post(url, json=BODY, headers={"X-Auth-Token": api.token}) as reply:
            assert (reply.status, reply.headers["Retry-After"]) == (429, "2")
    assert sim.journal.effects() == []
    assert (await api.heat("POST", "/stacks", BODY))[0] == 201


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
async def test_a_reset_connection(api: Api, sim: OpenStackSimulator, when: str, made: int) -> None:
    fault = sim.faults.add(replace(CREATE, effect="reset", when=when))
    with pytest.raises(aiohttp.ClientConnectionError):
        await api.heat("POST", "/stacks", BODY)
    assert len(sim.journal.effects("stack created")) == made
    (entry,) = sim.journal.entries(service="heat", method="POST")
    assert (entry.acted, entry.fault) == (bool(made), fault.id)


async def test_an_error_after_acting(api: Api, sim: OpenStackSimulator) -> None:
    sim.faults.add(replace(CREATE, status=504, when="after"))
    assert (await api.heat("POST", "/stacks", BODY))[0] == 504
    assert (await api.heat("POST", "/stacks", BODY))[0] == 409


async def test_a_call_that_hangs(api: Api, sim: OpenStackSimulator) -> None:
    sim.faults.add(CallFault(service="keystone", effect="hang"))
    with pytest.raises(TimeoutError):
        await api.call("GET", "/identity/v3/projects", timeout=aiohttp.ClientTimeout(total=0.05))
    assert (await api.call("GET", "/identity/v3/projects"))[0] == 200


async def test_skip_and_latency(api: Api, sim: OpenStackSimulator) -> None:
    sim.faults.add(CallFault(service="nova", status=500, skip=2))
    sim.faults.add(CallFault(service="nova", effect="latency", delay=0.05, times=None))
    began = time.monotonic()
    assert [(await api.call("GET", "/compute/v2.1/flavors"))[0] for _ in range(4)] == [200, 200, 500, 200]
    assert time.monotonic() - began >= 0.2


async def test_a_stuck_resource_goes_on_when_released(api: Api, sim: OpenStackSimulator) -> None:
    fault = sim.faults.add(ResourceFault(name="vdu", stack="a*", effect="stuck"))
    path = await api.create("a")
    await api.made("b")
    await api.settle(path, "CREATE_IN_PROGRESS")
    sim.faults.remove(fault.id)
    await api.settle(path, "CREATE_COMPLETE")


async def test_a_named_resource_fails_and_the_next_update_heals_it(api: Api, sim: OpenStackSimulator) -> None:
    sim.faults.add(ResourceFault(name="cp", error="OverQuotaClient", reason="Quota exceeded for resources: ['port']."))
    path = await api.create("a")
    stack = await api.settle(path, "CREATE_FAILED")
    words = "Resource CREATE failed: OverQuotaClient: resources.cp: Quota exceeded for resources: ['port']."
    assert stack["stack_status_reason"] == words
    assert sim.cloud.counts()["ports"] == 1
    await api.heat("PATCH", path, {})
    await api.settle(path, "UPDATE_COMPLETE")
    assert sim.cloud.counts()["ports"] == 1


async def test_build_time_and_lab_metadata(api: Api, sim: OpenStackSimulator) -> None:
    sim.settings.build["server"] = 0.1
    path = await api.create("a")
    await asyncio.sleep(0.05)
    assert [server["status"] for server in await api.servers()] == ["BUILD"]
    await api.settle(path, "CREATE_COMPLETE")
    props = {
        "flavor": "m1.tiny",
        "image": "cirros",
        "networks": [{"network": "private"}],
        "metadata": {"lab_fault": "spawn"},
    }
    bad = {
        "heat_template_version": "2021-04-16",
        "resources": {"vm": {"type": "OS::Nova::Server", "properties": props}},
    }
    stack = await api.settle(await api.create("b", bad), "CREATE_FAILED")
    assert "lab_fault=spawn" in stack["stack_status_reason"]


async def test_control_endpoint(api: Api, sim: OpenStackSimulator) -> None:
    status, made = await api.call("POST", "/_sim/faults", {"on": "call", "service": "glance", "status": 500})
    assert (status, made["effect"]) == (201, "status")
    assert (await api.call("POST", "/_sim/faults", {"on": "weather"}))[0] == 400
    assert (await api.call("POST", "/_sim/faults", {"on": "call", "effect": "explode"}))[0] == 400
    assert [each["id"] for each in (await api.call("GET", "/_sim/faults"))[1]["faults"]] == [made["id"]]
    assert (await api.call("DELETE", f"/_sim/faults/{made['id']}"))[0] == 204
    assert (await api.call("DELETE", f"/_sim/faults/{made['id']}"))[0] == 404
    status, settings = await api.call("PATCH", "/_sim/settings", {"latency": {"heat": 0.5}, "quota": {"port": 3}})
    assert (status, settings["latency"], settings["quota"]["port"]) == (200, {"heat": 0.5}, 3)
    assert settings["quota"]["instances"] == 10_000
    assert (await api.call("PATCH", "/_sim/settings", {"weather": {"rain": 1}}))[0] == 400
    assert sim.settings.latency == {"heat": 0.5}
    assert (await api.call("POST", "/_sim/reset"))[0] == 204
    assert sim.settings.latency == {}
    assert (await api.call("GET", "/identity/v3/projects"))[0] == 401
    assert (await api.call("GET", "/_sim"))[1]["stacks"] == 0


async def test_error_rate(api: Api, sim: OpenStackSimulator) -> None:
    sim.settings.error_rate["heat"] = 1.0
    assert (await api.heat("GET", "/stacks"))[0] == 503
    assert (await api.call("GET", "/image/v2/images"))[0] == 200


async def test_the_journal_has_every_request_and_no_secret(api: Api, sim: OpenStackSimulator) -> None:
    path = await api.made("a")
    await api.heat("GET", "/stacks/nope")
    await api.heat("DELETE", path)
    _, body = await api.call("GET", "/_sim/journal?service=heat&acted=true")
    assert [entry["effects"][0].rsplit(" ", 1)[0] for entry in body["entries"]] == [
        "stack created",
        "stack delete started",
    ]
    assert all(entry["project"] == api.project for entry in body["entries"])
    login = sim.journal.entries(service="keystone")[0].json()
    assert login["auth"]["identity"]["password"]["user"]["password"] == "***"
    assert b"demo-secret" not in b"".join(bytes(entry.body or b"") for entry in sim.journal.entries())
    numbers = [entry.seq for entry in sim.journal.entries()]
    assert numbers == sorted(set(numbers))
    assert sim.journal.entries(path="nope")[0].status == 404
    _, body = await api.call("GET", f"/_sim/journal?after={numbers[-1]}")
    assert body["entries"] == []


async def test_a_body_that_is_not_json_is_400(api: Api, sim: OpenStackSimulator) -> None:
    headers = {"X-Auth-Token": api.token, "Content-Type": "application/json"}
    async with api.session.post(f"{sim.url}/heat-api/v1/{api.project}/stacks", data=b"{", headers=headers) as reply:
        assert reply.status == 400
    assert (await api.heat("POST", "/stacks", [1]))[0] == 400
    assert (await api.call("POST", "/networking/v2.0/ports", {"port": {"network_id": "none"}}))[0] == 404
