"""A comparison of one place: nobody's trouble hides another's, and what is said is said before anything else happens."""

from __future__ import annotations

import asyncio
from collections import Counter

from forestay_simvim import CallFault, ResourceFault

from tests.lcm.drift.site import Site
from tests.lcm.samples import scale


async def test_a_vnf_that_cannot_be_read_hides_no_other(site: Site) -> None:
    ill, well = await site.instantiated(), await site.instantiated()
    await site.stopped(well)
    [port] = site.sim.cloud.neutron.ports.find(device_id=await site.server(ill))
    site.sim.cloud.neutron.ports.change(port, network_id=None)
    assert [each["vnfInstanceId"] for each in await site.findings()] == [well]


async def test_what_differs_is_told_before_others_are_looked_at(site: Site) -> None:
    slow, quick = await site.instantiated(), await site.instantiated()
    await site.stopped(quick)
    site.sim.faults.add(CallFault(service="heat", path=f"/vnf-{slow}/", effect="latency", delay=60.0, times=None))
    comparison = asyncio.create_task(site.watch.compare())
    async with asyncio.timeout(60):
        while not (found := await site.known()) and not comparison.done():
            await asyncio.sleep(0.02)
    assert ([each["vnfInstanceId"] for each in found], comparison.done()) == ([quick], False)
    comparison.cancel()


async def test_credentials_that_lead_to_another_project_say_nothing_of_a_vnf(site: Site) -> None:
    vnf_id = await site.instantiated()
    await site.moved(vnf_id, username="admin", password="admin-secret", project="admin")
    await site.stopped(vnf_id)
    assert await site.findings() == []


async def test_a_scale_out_that_was_given_up_is_no_reason_to_make_all_anew(site: Site) -> None:
    vnf_id = await site.instantiated()
    site.sim.faults.add(ResourceFault(type="OS::Nova::Server"))
    await site.lcm.ask(vnf_id, scale(vnfd=site.vnfd))
    await site.lcm.until(vnf_id, "FAILED_TEMP")
    await site.lcm.handle(vnf_id, "fail")
    await site.lcm.until(vnf_id, "FAILED")
    server = await site.server(vnf_id)
    assert (await site.cloud.nova.servers([server]))[server].status == "ACTIVE"
    found = await site.findings()
    assert found
    assert not {each.get("healing") for each in found} & {"ALL", "VNFC"}


async def test_what_a_comparison_asks_the_vim(site: Site) -> None:
    """Each resource once: a comparison of a thousand VNF instances must not be what a cloud is busy with."""
    vnfs = [await site.instantiated() for _ in range(3)]
    await site.watch.compare()  # with a token to have
    site.sim.journal.clear()
    await site.watch.compare()
    asked = Counter((entry.service, entry.method) for entry in site.sim.journal.entries())
    assert asked == {
        ("heat", "GET"): 1 + 3 * len(vnfs),  # our stacks; each at the beginning and the end, and its resources
        ("glance", "GET"): 1,
        ("nova", "GET"): len(vnfs),
        ("neutron", "GET"): 2 * len(vnfs),  # ports, and the addresses under which they are reached
    }
