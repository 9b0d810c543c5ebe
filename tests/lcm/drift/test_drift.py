"""What differs between a VIM and the log is told once and ends when it is gone; an orphaned stack goes, another's stays."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from forestay_lcm.adapters.openstack.clients.glance import Glance
from forestay_lcm.adapters.openstack.inventory import Seen, differences
from forestay_lcm.domain.decide import VNF
from forestay_lcm.drift.finding import DRIFT
from forestay_lcm.drift.orphans import tagged
from forestay_simvim import ResourceFault
from forestay_sol.vnflcm import InstantiatedVnfInfo

from tests.lcm.drift.site import Site, gone, image_of, none, some, stack
from tests.lcm.samples import heal, modify, terminate


async def test_nothing_is_said_of_a_vnf_that_is_as_it_was_left(site: Site) -> None:
    vnf_id = await site.instantiated()
    assert await site.findings() == []
    assert await site.told(vnf_id) == []


async def test_a_server_that_is_gone_is_told_once_and_ends_with_the_vnf(site: Site) -> None:
    vnf_id = await site.instantiated()
    server = await site.server(vnf_id)
    await site.cloud.request("compute", "DELETE", f"/servers/{server}")
    missing = [each for each in await some(site) if each["vimLevelResourceType"] == "OS::Nova::Server"]
    assert [(each["kind"], each["resourceId"], each["vnfInstanceId"], each["healing"]) for each in missing] == [
        ("MISSING", server, vnf_id, "VNFC")
    ]
    assert missing[0]["vnfcInstanceId"] == (await site.info(vnf_id)).vnfc_info[0].id
    said = await site.told(vnf_id)
    await site.watch.compare()
    assert await site.told(vnf_id) == said
    await site.lcm.ask(vnf_id, terminate(vnfd=site.vnfd))
    await site.lcm.until(vnf_id, "COMPLETED")
    assert await site.findings() == []
    assert "endedAt" in await site.finding(missing[0]["id"])


async def test_a_server_that_is_gone_is_made_anew_by_healing_and_nothing_is_left_to_tell(site: Site) -> None:
    vnf_id = await site.instantiated()
    server = await site.server(vnf_id)
    await site.cloud.request("compute", "DELETE", f"/servers/{server}")
    assert server in {each["resourceId"] for each in await some(site)}
    await site.lcm.ask(vnf_id, heal(vnfd=site.vnfd))  # whoever heals need not know which
    await site.lcm.until(vnf_id, "COMPLETED")
    made = await site.server(vnf_id)
    assert made != server
    assert (await site.cloud.nova.servers([made]))[made].status == "ACTIVE"
    assert await site.findings() == []


async def test_a_server_that_somebody_stopped_is_told_until_it_runs(site: Site) -> None:
    vnf_id = await site.instantiated()
    server = await site.server(vnf_id)
    await site.cloud.nova.act(server, "os-stop")
    found = await some(site, f"?filter=(eq,vnfInstanceId,{vnf_id})")
    assert [(each["kind"], each["detail"].endswith("is STOPPED, it was left STARTED.")) for each in found] == [
        ("CHANGED", True)
    ]
    assert "healing" not in found[0], "somebody may have had a reason"
    await site.cloud.nova.act(server, "os-start")
    await none(site)
    assert await site.told(vnf_id) == ["DriftFound", "DriftEnded"]


async def test_an_orphan_of_a_double_fault_is_removed_with_its_intent_told(site: Site) -> None:
    """A worker slept before its POST, woke up when the operation was over, and was killed before it could clean up."""
    vnf_id = await site.instantiated()
    operation = (await site.lcm.operation(vnf_id)).id
    await site.lcm.ask(vnf_id, terminate(vnfd=site.vnfd))
    await site.lcm.until(vnf_id, "COMPLETED")
    late = await stack(site, f"vnf-{vnf_id}", f"forestay,op-{operation},step-create-stack,attempt-1")
    [found] = await site.findings()
    assert (found["kind"], found["resourceId"], found["vnfInstanceId"]) == ("ORPHANED", late, vnf_id)
    assert await site.cloud.heat.find(f"vnf-{vnf_id}") is not None  # it is too young
    site.clock.ahead = timedelta(seconds=61)
    await site.watch.compare()
    await gone(site, f"vnf-{vnf_id}")
    assert await site.findings() == []
    assert await site.told(vnf_id) == ["DriftFound", "OrphanRemovalIntended", "DriftEnded"]


async def test_an_image_that_nobody_lets_go_of_is_removed(site: Site) -> None:
    """Of two VNFs that it was uploaded for one is gone; then the other one, too."""
    vnf_id, other = await site.instantiated(), str(uuid4())
    image = await image_of(site, f"vnf-{vnf_id}", f"vnf-{other}")
    found = await site.findings()
    assert {(each["kind"], each["resourceId"], each["vnfInstanceId"]) for each in found} == {
        ("ORPHANED", image, vnf_id), ("ORPHANED", image, other),
    }  # fmt: skip
    site.clock.ahead = timedelta(seconds=61)
    await site.watch.compare()
    [left] = await site.findings()
    assert left["vnfInstanceId"] == other  # of which this log knows nothing
    glance = Glance(site.cloud)
    kept = await glance.show(image)
    assert kept is not None
    assert {tag for tag in kept.tags if tag.startswith("vnf-")} == {f"vnf-{other}"}
    await glance.untag(image, f"vnf-{other}")
    await glance.tag(image, f"vnf-{vnf_id}")
    await site.watch.compare()
    site.clock.ahead = timedelta(seconds=200)
    await site.watch.compare()
    assert await glance.show(image) is None
    assert await site.findings() == []
    assert await site.told(vnf_id) == ["DriftFound", "OrphanRemovalIntended", "DriftEnded"] * 2


async def test_a_vnf_has_the_images_of_its_package_and_those_that_servers_boot_from(site: Site) -> None:
    vnf_id = await site.instantiated()
    images = {name: await image_of(site, f"vnf-{vnf_id}") for name in ("former", "present", "booted from")}
    server = site.sim.cloud.nova.server(await site.server(vnf_id))
    site.sim.cloud.nova.servers.change(server, image={"id": images["booted from"]})
    vnf = (await site.lcm.vnfs.load(vnf_id)).state
    assert vnf is not None
    vnf = msgspec.structs.replace(vnf, has_images=True, images={"VDU1": images["present"]})
    site.sim.cloud.journal.clear()
    has = {it.finding.resource_id: not await it.is_orphan(vnf) for it in await tagged(site.cloud, "here")}
    asked = [entry.path for entry in site.sim.cloud.journal.entries() if entry.service == "nova"]
    assert len(asked) == 2, "Nova is not asked about an image of the package"
    assert {name: has[image] for name, image in images.items()} == {
        "former": False, "present": True, "booted from": True,
    }  # fmt: skip


async def test_a_stack_of_another_vnf_manager_is_told_and_left_alone(site: Site) -> None:
    stranger, operation = str(uuid4()), str(uuid4())
    await stack(site, f"vnf-{stranger}", f"forestay,op-{operation},step-create-stack,attempt-1")
    await stack(site, "somebody-elses", "theirs")
    [found] = await some(site)
    assert (found["kind"], found["vnfInstanceId"]) == ("ORPHANED", stranger)
    site.clock.ahead = timedelta(days=1)
    assert [each["id"] for each in await site.findings()] == [found["id"]]
    assert await site.cloud.heat.find(f"vnf-{stranger}") is not None


async def test_a_vim_that_does_not_answer_ends_nothing(site: Site) -> None:
    vnf_id = await site.instantiated()
    await site.cloud.nova.act(await site.server(vnf_id), "os-stop")
    [found] = await some(site)
    account = site.sim.cloud.identity.users.find(name=site.sim.openrc()["OS_USERNAME"])[0]
    site.sim.cloud.identity.tokens.clear()
    site.sim.cloud.identity.users.change(account, _password="changed")
    assert [each["id"] for each in await site.findings()] == [found["id"]]


async def test_a_stack_that_is_gone_is_one_finding(site: Site) -> None:
    vnf_id = await site.instantiated()
    made = await site.cloud.heat.find(f"vnf-{vnf_id}")
    assert made is not None
    slow = site.sim.faults.add(ResourceFault(type="OS::Neutron::Port", action="DELETE", effect="stuck"))
    await site.cloud.heat.delete(made)
    server = await site.server(vnf_id)
    async with asyncio.timeout(60):
        while server in await site.cloud.nova.servers([server]):
            await asyncio.sleep(0.02)
    assert await site.findings() == [], "Heat is busy with it"
    site.sim.faults.remove(slow.id)
    await gone(site, f"vnf-{vnf_id}")
    assert [(each["kind"], each["vimLevelResourceType"], each["healing"]) for each in await site.findings()] == [
        ("MISSING", "OS::Heat::Stack", "ALL")
    ]


async def test_a_difference_that_outlives_an_operation_is_found_anew(site: Site) -> None:
    vnf_id = await site.instantiated()
    await site.cloud.nova.act(await site.server(vnf_id), "os-stop")
    [found] = await some(site)
    await site.lcm.ask(vnf_id, modify(site.vnfd, site.vnfd, vnfInstanceName="another"))
    await site.lcm.until(vnf_id, "COMPLETED")
    [anew] = await site.findings()
    assert (anew["id"] != found["id"], anew["detail"]) == (True, found["detail"])
    assert "endedAt" in await site.finding(found["id"])
    assert await site.told(vnf_id) == ["DriftFound", "DriftEnded", "DriftFound"]


@pytest.mark.parametrize(
    ("state", "healing"),
    [("CREATE_FAILED", "ALL"), ("DELETE_FAILED", "ALL"), ("UPDATE_FAILED", None), ("CHECK_FAILED", None)],
)
def test_a_stack_that_has_failed_is_made_anew_unless_its_servers_run_on(state: str, healing: str | None) -> None:
    info = InstantiatedVnfInfo(flavour_id="simple", vnf_state="STARTED", metadata={"stack_id": "vnf-a/b"})
    [found] = differences("east", info, Seen(info=info, stack_state=state))
    assert (found.kind, found.resource_id, found.healing) == ("CHANGED", "b", healing)


def test_drift_is_beside_the_instances_in_the_log() -> None:
    assert (DRIFT.subject("a"), DRIFT.stream) == ("lcm.drift.a", VNF.stream)
