"""What is nobody's is told and removed; what somebody lives in, or is about to use, is not."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_lcm.adapters.openstack.clients.glance import Glance
from forestay_lcm.domain.commands import Cancel, Instantiate
from forestay_lcm.drift.orphans import tagged
from forestay_simvim import CallFault, OpenStackSimulator, ResourceFault, SimConfig
from forestay_sol.vnflcm import InstantiateVnfRequest

from tests.lcm.drift.site import REGISTERED, Site, gone, image_of, some, stack
from tests.lcm.openstack.conftest import connection
from tests.lcm.samples import heal, terminate

LATER = timedelta(seconds=61)


async def test_the_stack_that_an_abandoned_heal_has_made_is_where_the_vnf_lives(site: Site) -> None:
    vnf_id = await site.instantiated()
    recorded = (await site.info(vnf_id)).metadata
    assert recorded is not None
    site.sim.faults.add(ResourceFault(type="OS::Nova::Server", effect="delay", delay=0.5))
    await site.lcm.ask(vnf_id, heal(vnfd=site.vnfd, additionalParams={"all": True}))
    operation = await site.lcm.at(vnf_id, "await-stack")
    await site.lcm.ask(vnf_id, Cancel(operation.id, "FORCEFUL"))
    await site.lcm.until(vnf_id, "FAILED_TEMP")
    await site.lcm.handle(vnf_id, "fail")
    await site.lcm.until(vnf_id, "FAILED")
    async with asyncio.timeout(60):
        while (made := await site.cloud.heat.find(f"vnf-{vnf_id}")) is None or made.status != "COMPLETE":
            await asyncio.sleep(0.05)
    assert made.path != recorded["stack_id"]
    found = await some(site)
    site.clock.ahead = LATER
    await site.watch.compare()
    left = await site.cloud.heat.find(f"vnf-{vnf_id}")
    assert (left.path, left.action) == (made.path, "CREATE") if left else False
    # Its servers are others than the log knows: a HEAL of VNFCs finds them in it, and makes nothing anew.
    assert {(each["kind"], each["vimLevelResourceType"], each.get("healing")) for each in found} >= {
        ("MISSING", "OS::Nova::Server", "VNFC"), ("ORPHANED", "OS::Nova::Server", None),
    }  # fmt: skip
    assert "ALL" not in {each.get("healing") for each in found}


async def test_a_stack_that_is_named_for_a_vnf_that_lives_elsewhere_is_removed(site: Site) -> None:
    """As of an INSTANTIATE that was given up, and of another one in another VIM."""
    async with OpenStackSimulator(SimConfig()).serve() as other:
        vnf_id = await site.instantiating(other, {"vim1": connection(other)})
        operation = (await site.lcm.until(vnf_id, "COMPLETED")).id
        await stack(site, f"vnf-{vnf_id}", f"forestay,op-{operation}")
        assert [each["kind"] for each in await site.findings()] == ["ORPHANED"]
        site.clock.ahead = LATER
        await site.watch.compare()
        await gone(site, f"vnf-{vnf_id}")


async def test_a_stack_that_another_url_leads_to_is_none(site: Site) -> None:
    """As long as the VNF lives in that project it may live in it, whichever the log knows."""
    vnf_id = await site.instantiated()
    vnf = (await site.lcm.vnfs.load(vnf_id)).state
    assert vnf is not None
    assert vnf.instantiated_vnf_info is not None
    metadata = vnf.instantiated_vnf_info.metadata or {}
    anew = msgspec.structs.replace(vnf.instantiated_vnf_info, metadata=metadata | {"stack_id": "before/that"})
    [left] = await tagged(site.cloud, "another URL")
    assert not await left.is_orphan(msgspec.structs.replace(vnf, instantiated_vnf_info=anew))


async def test_what_the_cloud_of_one_project_shows_says_nothing_of_another_project(site: Site) -> None:
    vnf_id = await site.instantiated()
    operation = (await site.lcm.operation(vnf_id)).id
    await site.lcm.ask(vnf_id, terminate(vnfd=site.vnfd))
    await site.lcm.until(vnf_id, "COMPLETED")
    async with OpenStackSimulator(SimConfig()).serve() as theirs, Clouds() as clouds:
        fields = {"template": {"heat_template_version": "2018-08-31"}, "tags": f"forestay,op-{operation}"}
        for name in (f"vnf-{vnf_id}", stranger := f"vnf-{uuid4()}"):
            await clouds.cloud(connection(theirs)).heat.create(name, fields)
        await site.registered(theirs, project="theirs")
        await site.watch.compare()
        assert await site.told(vnf_id) == []
        assert await site.told(stranger.removeprefix("vnf-")) == ["DriftFound"]


@pytest.mark.parametrize("unnoted", [False, True], ids=["it was busy", "for a port that Heat has not noted"])
async def test_an_orphan_that_could_not_be_deleted_is_told_again_and_deleted_at_last(site: Site, unnoted: bool) -> None:
    vnf_id = await site.instantiated()
    operation = (await site.lcm.operation(vnf_id)).id
    await site.lcm.ask(vnf_id, terminate(vnfd=site.vnfd))
    await site.lcm.until(vnf_id, "COMPLETED")
    await stack(
        site,
        f"vnf-{vnf_id}",
        f"forestay,op-{operation}",
        net={"type": "OS::Neutron::Net", "properties": {"name": "net"}},
    )
    if unnoted:
        while not (networks := site.sim.cloud.neutron.networks.find(name="net")):
            await asyncio.sleep(0.02)
        port = {"network_id": networks[0]["id"], "name": f"vnf-{vnf_id}-cp-abcdef234567"}
        await site.cloud.request("network", "POST", "/v2.0/ports", body={"port": port})
    else:
        site.sim.faults.add(ResourceFault(type="OS::Neutron::Net", action="DELETE", reason="busy"))
    await some(site)
    site.clock.ahead = LATER
    await site.watch.compare()
    async with asyncio.timeout(60):
        while (left := await site.cloud.heat.find(f"vnf-{vnf_id}")) is None or left.status != "FAILED":
            await asyncio.sleep(0.02)
    assert [(each["kind"], each["vnfInstanceId"]) for each in await site.findings()] == [("ORPHANED", vnf_id)]
    site.clock.ahead = 2 * LATER
    await site.watch.compare()
    await gone(site, f"vnf-{vnf_id}")


@pytest.mark.parametrize(("method", "tag"), [("PUT", "deleting-"), ("DELETE", "vnf-")])
async def test_an_image_is_not_removed_under_the_next_instantiation(site: Site, method: str, tag: str) -> None:
    """It is an orphan, and being let go of, when the same VNF instance is instantiated again and finds it usable."""
    vnf_id = await site.instantiated()
    await site.lcm.ask(vnf_id, terminate(vnfd=site.vnfd))
    await site.lcm.until(vnf_id, "COMPLETED")
    image = await image_of(site, f"vnf-{vnf_id}")
    await some(site)
    site.clock.ahead = LATER
    slow = CallFault(service="glance", method=method, path=f"/tags/{tag}", effect="latency", delay=4.0)
    hits = site.sim.faults.add(slow)
    comparison = asyncio.create_task(site.watch.compare())
    async with asyncio.timeout(60):
        while not hits.hits:
            await asyncio.sleep(0.01)
    site.sim.faults.add(ResourceFault(type="OS::Nova::Server", effect="stuck", times=None))
    request = msgspec.convert({"flavourId": "simple"}, InstantiateVnfRequest)
    await site.lcm.ask(vnf_id, Instantiate(request, site.vnfd, REGISTERED))
    await comparison
    kept = await Glance(site.cloud).show(image)
    assert kept is not None
    assert kept.tags == {"forestay", f"vnf-{vnf_id}"}
