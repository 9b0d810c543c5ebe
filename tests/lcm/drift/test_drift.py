"""What differs between a VIM and the log is told once and ends when it is gone; an orphaned stack goes, another's stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from aiohttp import ClientSession
from forestay_csar import read_package
from forestay_events.config import BaseConfig
from forestay_events.platform import open_platform
from forestay_lcm.adapters.openstack.cloud import Clouds
from forestay_lcm.adapters.openstack.executor import OpenStackSteps
from forestay_lcm.adapters.openstack.glance import Glance
from forestay_lcm.adapters.openstack.inventory import Seen, differences
from forestay_lcm.adapters.openstack.settings import OpenStackSettings
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.domain.commands import CreateVnf, Instantiate
from forestay_lcm.domain.decide import VNF
from forestay_lcm.drift.finding import DRIFT
from forestay_lcm.drift.orphans import ours
from forestay_lcm.drift.settings import DriftSettings
from forestay_lcm.drift.watch import DriftWatch
from forestay_simvim import OpenStackSimulator, ResourceFault, SimConfig
from forestay_sol.streams import vim
from forestay_sol.vnfd import Vnfd
from forestay_sol.vnflcm import CreateVnfRequest, InstantiatedVnfInfo, InstantiateVnfRequest, VimConnectionInfo
from forestay_standalone.embedded import EmbeddedNats

from tests.lcm.engine.running import Clock, Lcm, append, configuration, onboard, running
from tests.lcm.openstack.conftest import connection, ext_cp, ext_link
from tests.lcm.samples import PROJECT, heal, modify, terminate
from tests.packages.build import build_csar

VIM_ID = "2c4e9a0e-8f43-4d3f-9a55-6d5dd1f2b7aa"
SETTINGS = DriftSettings(drift_interval=0, drift_orphan_age=60)


class Site:
    """An LCM with a real driver on a simulated cloud, and a watch that compares when it is told to."""

    def __init__(self, lcm: Lcm, sim: OpenStackSimulator, clouds: Clouds, clock: Clock, vnfd: Vnfd) -> None:
        self.lcm, self.sim, self.clock, self.vnfd = lcm, sim, clock, vnfd
        self.cloud = clouds.cloud(connection(sim))
        self.watch = DriftWatch(lcm.platform, Catalogue(lcm.platform), lcm.vnfs, SETTINGS)

    async def instantiated(self) -> str:
        vnf_id = str(uuid4())
        await self.lcm.ask(vnf_id, CreateVnf(CreateVnfRequest(vnfd_id=self.vnfd.vnfd_id), self.vnfd))
        private = self.sim.cloud.neutron.networks.find(name="private")[0]["id"]
        links = [ext_link(ext_cp("VDU1_CP1"), network=private)]
        request = msgspec.convert({"flavourId": "simple", "extVirtualLinks": links}, InstantiateVnfRequest)
        where = {"vim1": VimConnectionInfo(vim_id=VIM_ID, vim_type="ETSINFV.OPENSTACK_KEYSTONE.V_3")}
        await self.lcm.ask(vnf_id, Instantiate(request, self.vnfd, where))
        await self.lcm.until(vnf_id, "COMPLETED")
        return vnf_id

    async def info(self, vnf_id: str) -> InstantiatedVnfInfo:
        state = (await self.lcm.vnfs.load(vnf_id)).state
        assert state is not None
        assert state.instantiated_vnf_info is not None
        return state.instantiated_vnf_info

    async def server(self, vnf_id: str) -> str:
        return (await self.info(vnf_id)).vnfc_resource_info[0].id

    async def findings(self, query: str = "") -> list[dict[str, Any]]:
        await self.watch.compare()
        async with ClientSession() as session, session.get(f"{self.lcm.url}/drift/v1/findings{query}") as answer:
            assert answer.status == 200
            return await answer.json()

    async def finding(self, key: str) -> dict[str, Any]:
        async with ClientSession() as session, session.get(f"{self.lcm.url}/drift/v1/findings/{key}") as answer:
            assert answer.status == 200
            return await answer.json()

    async def told(self, vnf_id: str) -> list[str]:
        """The events of a VNF instance's drift."""
        stored = await self.lcm.platform.store.load(DRIFT.subject(vnf_id))
        return [type(event).__name__ for commit in stored for event in DRIFT.codec.decode(commit.commit)]


@pytest_asyncio.fixture
async def config(nats_server: EmbeddedNats, database: str, tmp_data_dir: Path) -> BaseConfig:
    return configuration(nats_server.url, database, tmp_data_dir)


@pytest_asyncio.fixture
async def site(config: BaseConfig, tmp_path: Path) -> AsyncIterator[Site]:
    csar = build_csar(Path(__file__).parents[2] / "packages" / "sample-asg", tmp_path / "asg.zip")
    vnfd, clock = read_package(csar).vnfd, Clock()
    async with OpenStackSimulator(SimConfig()).serve() as sim, open_platform(config, "setup") as platform:
        await onboard(platform, vnfd)
        rc = sim.openrc()
        credentials = {"username": rc["OS_USERNAME"], "password": rc["OS_PASSWORD"], "user_domain_name": "Default"}
        event = vim.VimRegistered(
            name="vim", vim_type="openstack", auth_url=rc["OS_AUTH_URL"],
            auth_cred=await platform.vault.seal_members(VIM_ID, credentials, path="/auth_cred"),
            vim_project={"name": rc["OS_PROJECT_NAME"], "project_domain_name": "Default"}, is_default=True,
            placement_attr={"regions": ["RegionOne"]},
        )  # fmt: skip
        await append(platform, "VIM", "vim", VIM_ID, vim.CODEC, event, project=PROJECT)
        steps = OpenStackSteps(Catalogue(platform), platform.blobs, OpenStackSettings())
        async with steps, Clouds() as clouds, running(config, steps, clock=clock) as lcm:
            site = Site(lcm, sim, clouds, clock, vnfd)
            async with site.watch:
                yield site


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
    has = {it.finding.resource_id: not it.is_orphan(vnf, elsewhere=False) for it in await ours(site.cloud, "here")}
    assert {name: has[image] for name, image in images.items()} == {
        "former": False, "present": True, "booted from": True,
    }  # fmt: skip


async def image_of(site: Site, *users: str) -> str:
    image = await Glance(site.cloud).create(
        name="left", tags=("forestay", *users), container_format="bare", disk_format="raw"
    )
    return image.id


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
    async with asyncio.timeout(5):
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


async def some(site: Site, query: str = "") -> list[dict[str, Any]]:
    """The findings, as soon as there are any: a cloud takes its time."""
    async with asyncio.timeout(5):
        while not (found := await site.findings(query)):
            await asyncio.sleep(0.05)
        return found


async def none(site: Site) -> None:
    async with asyncio.timeout(5):
        while await site.findings():
            await asyncio.sleep(0.05)


async def stack(site: Site, name: str, tags: str) -> str:
    fields = {"template": {"heat_template_version": "2018-08-31", "resources": {}}, "tags": tags}
    return await site.cloud.heat.create(name, fields)


async def gone(site: Site, name: str) -> None:
    async with asyncio.timeout(5):
        while await site.cloud.heat.find(name) is not None:
            await asyncio.sleep(0.05)


def test_drift_is_beside_the_instances_in_the_log() -> None:
    assert (DRIFT.subject("a"), DRIFT.stream) == ("lcm.drift.a", VNF.stream)
