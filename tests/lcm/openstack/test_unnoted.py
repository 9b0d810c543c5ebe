"""What a service has made and Heat has not noted, because its engine was killed or answered too late: nobody else deletes it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.executor import Confirmed, Failed
from forestay_simvim import OpenStackSimulator, ResourceFault
from forestay_simvim.ids import short_id
from forestay_sol.resource_types import NET, PORT, VOLUME
from forestay_sol.vnfd import Flavour
from msgspec.structs import replace

from .stepping import (
    VNF,
    asg_order,
    carry_out,
    confirmed,
    finish,
    instantiate,
    job,
    order_for,
    own_network,
    read,
    server_ids,
    terminate,
    two_vdus_order,
)

KINDS = pytest.mark.parametrize(
    ("type_", "name"),
    [(PORT, "VDU2_CP2"), (PORT, "VDU2_CP1"), (VOLUME, "VDU2_Storage"), (NET, "internalVL1")],
    ids=["port of its own network", "port of another network", "volume", "network"],
)
LATE: dict[str, Any] = {"error": "ConnectFailure", "reason": "Unable to establish connection: Gateway Time-out"}
OUT: Any = {"type": "SCALE_OUT", "aspectId": "VDU1_scale", "level": 1}


def objects(sim: OpenStackSimulator) -> dict[str, int]:
    """How many of each kind there are that a stack could have."""
    counted = ("stacks", "servers", "networks", "subnets", "ports", "volumes")
    return {kind: count for kind, count in sim.cloud.counts().items() if kind in counted}


def late(sim: OpenStackSimulator, type_: str, name: str = "*") -> None:
    """Heat gives a creation up that its service carries out."""
    sim.faults.add(ResourceFault(type=type_, name=name, notes_object=False, **LATE))


async def killed(sim: OpenStackSimulator, type_: str, name: str = "*") -> None:
    """The engine is killed when a service has made something for it, and all else that it could."""
    fault = sim.faults.add(ResourceFault(type=type_, name=name, effect="stuck", notes_object=False))
    while not fault.hits:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    sim.cloud.heat.die()


@KINDS
async def test_a_creation_that_is_rolled_back(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, type_: str, name: str
) -> None:
    before = objects(sim)
    late(sim, type_, name)
    order = await two_vdus_order(cloud, two_vdus)
    made = await carry_out(cloud, order, None, "create-stack")
    failed = await finish(cloud, job("await-stack", order, results=made))
    assert isinstance(failed, Failed)
    assert "Gateway Time-out" in failed.detail
    await confirmed(cloud, job("delete-stack"))
    assert isinstance(await terminate(cloud), Confirmed)
    assert objects(sim) == before


@KINDS
async def test_a_creation_that_is_tried_again(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, type_: str, name: str
) -> None:
    before = objects(sim)
    order = await two_vdus_order(cloud, two_vdus)
    await instantiate(cloud, order)
    usual = objects(sim)
    assert isinstance(await terminate(cloud), Confirmed)
    late(sim, type_, name)
    assert isinstance(
        await finish(cloud, job("await-stack", order, results=await carry_out(cloud, order, None, "create-stack"))),
        Failed,
    )
    await carry_out(cloud, order, None, "create-stack", "await-stack", attempt=2)
    assert objects(sim) == usual
    assert isinstance(await terminate(cloud), Confirmed)
    assert objects(sim) == before


@KINDS
@pytest.mark.parametrize("steps", [("create-stack", "await-stack"), ("delete-stack", "await-deleted")])
async def test_an_engine_that_is_killed(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, type_: str, name: str, steps: tuple[str, ...]
) -> None:
    """Ports of an address that the request says: who is not deleted keeps it from the one that is made anew."""
    before = objects(sim)
    order = await two_vdus_order(cloud, two_vdus)
    await instantiate(cloud, order)
    usual = objects(sim)
    assert isinstance(await terminate(cloud), Confirmed)
    killing = asyncio.create_task(killed(sim, type_, name))
    await confirmed(cloud, job("create-stack", order))
    await killing
    await carry_out(cloud, order, None, *steps, attempt=2)
    assert objects(sim) == (usual if "await-stack" in steps else before)


async def test_a_port_keeps_its_address_from_nobody(sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour) -> None:
    """The address is one that the request says, so the port that is made anew is to have it, too."""
    order = await two_vdus_order(cloud, two_vdus)
    killing = asyncio.create_task(killed(sim, PORT, "VDU1_CP1"))
    await confirmed(cloud, job("create-stack", order))
    await killing
    await carry_out(cloud, order, None, "create-stack", "await-stack", attempt=2)
    ports = (await cloud.request("network", "GET", "/v2.0/ports")).body["ports"]
    holders = [port for port in ports if any(ip["ip_address"] == "10.10.0.77" for ip in port["fixed_ips"])]
    assert [bool(port["device_id"]) for port in holders] == [True]


@pytest.mark.parametrize("again", [("update-stack", "await-update"), ("restore-stack", "await-restored")])
async def test_an_update(sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, again: tuple[str, ...]) -> None:
    info, _ = await instantiate(cloud, await asg_order(cloud, asg))
    ports = sim.cloud.counts()["ports"]
    order = order_for("SCALE", info, asg, **OUT)
    late(sim, PORT)
    results = await carry_out(cloud, order, info, "update-stack")
    assert isinstance(await finish(cloud, job("await-update", order, before=info, results=results)), Failed)
    assert sim.cloud.counts()["ports"] == ports + 1
    after = read(await carry_out(cloud, order, info, *again, "read-back", results=results, attempt=2))
    assert sim.cloud.counts()["ports"] == sim.cloud.counts()["servers"] == len(server_ids(after))


async def test_what_heat_knows_is_not_looked_for(sim: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    """Nova finds a name by an expression: for each of hundreds of servers that would be much to ask."""
    sim.faults.add(ResourceFault(type="OS::Nova::Server", **LATE))
    order = await asg_order(cloud, asg)
    made = await carry_out(cloud, order, None, "create-stack")
    assert isinstance(await finish(cloud, job("await-stack", order, results=made)), Failed)
    sim.cloud.journal.clear()
    assert isinstance(await terminate(cloud), Confirmed)
    assert {entry.service for entry in sim.cloud.journal.entries()} <= {"heat", "keystone"}


async def leftover(cloud: Cloud, network: str, name: str, **members: Any) -> str:
    body = {"port": {"network_id": network, "name": name, **members}}
    return (await cloud.request("network", "POST", "/v2.0/ports", body=body)).body["port"]["id"]


async def internal(cloud: Cloud) -> str:
    """The network that the VNF's stack has made."""
    stack = await cloud.heat.find(f"vnf-{VNF}")
    assert stack is not None
    return next(item.physical_id for item in await cloud.heat.resources(stack.name, stack.id) if item.type == NET)


async def test_a_port_whose_events_are_gone(sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour) -> None:
    """With the member of a group that it was made for, or because Heat keeps 1000 of them."""
    before = objects(sim)
    await instantiate(cloud, await two_vdus_order(cloud, two_vdus))
    await leftover(cloud, await internal(cloud), f"vnf-{VNF}-VDU1_group-abc-def-VDU1_CP2-{short_id()}")
    assert isinstance(await terminate(cloud), Confirmed)
    assert objects(sim) == before


@pytest.mark.parametrize(
    ("name", "members"),
    [
        (f"vnf-{VNF}-probe", {}),
        ("probe-abcdefgh2345", {}),
        (f"vnf-{VNF}-VDU1_CP2-abcdefgh2345", {"device_id": "a-probe"}),
        (f"vnf-{VNF}-VDU1_CP2-abcdefgh2345", {"device_owner": "compute:probe"}),
    ],
)
async def test_a_port_of_somebody_else_stays(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, name: str, members: dict[str, str]
) -> None:
    await instantiate(cloud, await two_vdus_order(cloud, two_vdus))
    theirs = await leftover(cloud, await internal(cloud), name, **members)
    failed = await terminate(cloud)
    assert isinstance(failed, Failed)
    assert "One or more ports have an IP allocation from this subnet" in failed.detail
    assert sim.cloud.neutron.ports.get(theirs) is not None


async def test_a_port_on_a_network_of_others_needs_its_event(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour
) -> None:
    network = await own_network(cloud)
    await instantiate(cloud, await two_vdus_order(cloud, two_vdus))
    theirs = await leftover(cloud, network, f"vnf-{VNF}-VDU1_CP2-{short_id()}")
    assert isinstance(await terminate(cloud), Confirmed)
    assert sim.cloud.neutron.ports.get(theirs) is not None


async def test_a_name_that_a_template_says_may_be_that_of_others(
    sim: OpenStackSimulator, cloud: Cloud, asg: Flavour
) -> None:
    """Two VNFs of one package that names its servers: one VNF's failure is none of the other's business."""
    assert asg.base_hot is not None
    files = {
        name: text.replace(
            "type: OS::Nova::Server\n    properties:", "type: OS::Nova::Server\n    properties:\n      name: web"
        )
        for name, text in asg.base_hot.files.items()
    }
    named = replace(asg, base_hot=replace(asg.base_hot, files=files))
    await carry_out(cloud, await asg_order(cloud, named), None, "create-stack", "await-stack", vnf_id="another")
    [server] = (await cloud.request("compute", "GET", "/servers")).body["servers"]
    assert server["name"] == "web"
    sim.faults.add(ResourceFault(type="OS::Nova::Server", error="Forbidden", reason="Quota", leaves_object=False))
    order = await asg_order(cloud, named)
    made = await carry_out(cloud, order, None, "create-stack")
    assert isinstance(await finish(cloud, job("await-stack", order, results=made)), Failed)
    assert isinstance(await terminate(cloud), Confirmed)
    assert (await cloud.request("compute", "GET", "/servers")).body["servers"] == [server]
