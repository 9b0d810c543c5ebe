"""A whole Forestay on a simulated cloud, for comparisons, and what tests about them ask for again and again."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import msgspec
from aiohttp import ClientSession
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.freshness import caught_up_with_all
from forestay_events.platform import Platform
from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_lcm.adapters.openstack.clients.glance import Glance
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.domain.commands import CreateVnf, Instantiate
from forestay_lcm.drift.finding import DRIFT, Compared
from forestay_lcm.drift.settings import DriftSettings
from forestay_lcm.drift.watch import DriftWatch
from forestay_simvim import OpenStackSimulator
from forestay_sol.streams import vim
from forestay_sol.vnfd import Vnfd
from forestay_sol.vnflcm import (
    CreateVnfRequest,
    InstantiatedVnfInfo,
    InstantiateVnfRequest,
    VimConnectionInfo,
    VimConnections,
)

from tests.lcm.engine.running import Clock, Lcm, append
from tests.lcm.openstack.conftest import connection, ext_cp, ext_link
from tests.lcm.samples import OPENSTACK, PROJECT, modify

VIM_ID = "2c4e9a0e-8f43-4d3f-9a55-6d5dd1f2b7aa"
SETTINGS = DriftSettings(drift_interval=0, drift_orphan_age=60)
REGISTERED = {"vim1": VimConnectionInfo(vim_id=VIM_ID, vim_type=OPENSTACK)}


async def register(
    platform: Platform, sim: OpenStackSimulator, vim_id: str = VIM_ID, *, project: str = PROJECT, **access: str
) -> None:
    """A VIM, as vim-registry tells it."""
    rc = sim.openrc()
    credentials = {"username": rc["OS_USERNAME"], "password": rc["OS_PASSWORD"], "user_domain_name": "Default"} | access
    event = vim.VimRegistered(
        name=vim_id, vim_type="openstack", auth_url=rc["OS_AUTH_URL"],
        auth_cred=await platform.vault.seal_members(vim_id, credentials, path="/auth_cred"),
        vim_project={"name": rc["OS_PROJECT_NAME"], "project_domain_name": "Default"}, is_default=vim_id == VIM_ID,
        placement_attr={"regions": ["RegionOne"]},
    )  # fmt: skip
    await append(platform, "VIM", "vim", vim_id, vim.CODEC, event, project=project)


class Site:
    """An LCM with a real driver on a simulated cloud, and a watch that compares when it is told to."""

    def __init__(self, lcm: Lcm, sim: OpenStackSimulator, clouds: Clouds, clock: Clock, vnfd: Vnfd) -> None:
        self.lcm, self.sim, self.clock, self.vnfd = lcm, sim, clock, vnfd
        self.cloud = clouds.cloud(connection(sim))
        self.watch = DriftWatch(lcm.platform, Catalogue(lcm.platform), lcm.vnfs, SETTINGS)

    async def instantiated(self) -> str:
        vnf_id = await self.instantiating(self.sim, REGISTERED)
        await self.lcm.until(vnf_id, "COMPLETED")
        return vnf_id

    async def instantiating(self, sim: OpenStackSimulator, where: VimConnections) -> str:
        """An INSTANTIATE that has begun in a cloud."""
        vnf_id = str(uuid4())
        given = msgspec.to_builtins(where)
        sealed = await self.lcm.platform.vault.seal_members(vnf_id, given, path="/vimConnectionInfo")
        where = msgspec.convert(sealed, VimConnections)
        await self.lcm.ask(vnf_id, CreateVnf(CreateVnfRequest(vnfd_id=self.vnfd.vnfd_id), self.vnfd))
        private = sim.cloud.neutron.networks.find(name="private")[0]["id"]
        links = [ext_link(ext_cp("VDU1_CP1"), network=private)]
        request = msgspec.convert({"flavourId": "simple", "extVirtualLinks": links}, InstantiateVnfRequest)
        request = msgspec.structs.replace(request, vim_connection_info=where)
        await self.lcm.ask(vnf_id, Instantiate(request, self.vnfd, where))
        return vnf_id

    async def registered(self, sim: OpenStackSimulator, **access: str) -> None:
        """One VIM more, which LCM knows."""
        await register(self.lcm.platform, sim, str(uuid4()), **access)
        await caught_up_with_all(self.lcm.platform, "lcm", "VIM")

    async def moved(self, vnf_id: str, interface: dict[str, Any] | None = None, **access: Any) -> None:
        """A VNF that brings its own way to log in, as the log has it."""
        rc = self.sim.openrc()
        account = {"username": rc["OS_USERNAME"], "password": rc["OS_PASSWORD"], "project": rc["OS_PROJECT_NAME"]}
        where = {"endpoint": rc["OS_AUTH_URL"]} | (interface or {})
        info = {"vimType": OPENSTACK, "vimId": None, "interfaceInfo": where, "accessInfo": account | access}
        sealed = await self.lcm.platform.vault.seal_members(vnf_id, {"vim1": info}, path="/vimConnectionInfo")
        await self.lcm.ask(vnf_id, modify(self.vnfd, self.vnfd, vimConnectionInfo=sealed))
        await self.lcm.until(vnf_id, "COMPLETED")

    async def stopped(self, vnf_id: str) -> None:
        """A server that somebody has stopped behind our back."""
        server = await self.server(vnf_id)
        await self.cloud.nova.act(server, "os-stop")
        async with asyncio.timeout(60):
            while (await self.cloud.nova.servers([server]))[server].status != "SHUTOFF":
                await asyncio.sleep(0.02)

    async def info(self, vnf_id: str) -> InstantiatedVnfInfo:
        state = (await self.lcm.vnfs.load(vnf_id)).state
        assert state is not None
        assert state.instantiated_vnf_info is not None
        return state.instantiated_vnf_info

    async def server(self, vnf_id: str) -> str:
        return (await self.info(vnf_id)).vnfc_resource_info[0].id

    async def findings(self, query: str = "") -> list[dict[str, Any]]:
        """What there is after a comparison."""
        await self.watch.compare()
        return await self.known(query)

    async def known(self, query: str = "") -> list[dict[str, Any]]:
        async with ClientSession() as session, session.get(f"{self.lcm.url}/drift/v1/findings{query}") as answer:
            assert answer.status == 200
            return await answer.json()

    async def finding(self, key: str) -> dict[str, Any]:
        async with ClientSession() as session, session.get(f"{self.lcm.url}/drift/v1/findings/{key}") as answer:
            assert answer.status == 200
            return await answer.json()

    async def record(self, vnf_id: str, compared: Compared) -> None:
        """What an earlier comparison has told."""
        drifts = Aggregates(self.lcm.platform.store, DRIFT, self.lcm.platform.clock)
        stored = await drifts.execute(vnf_id, compared, Origin(str(uuid4()), PROJECT, "tester"))
        await self.lcm.platform.positions.wait("lcm", DRIFT.stream, stored.seq, timeout=60)

    async def told(self, vnf_id: str) -> list[str]:
        """The events of a VNF instance's drift."""
        stored = await self.lcm.platform.store.load(DRIFT.subject(vnf_id))
        return [type(event).__name__ for commit in stored for event in DRIFT.codec.decode(commit.commit)]


async def image_of(site: Site, *users: str) -> str:
    image = await Glance(site.cloud).create(
        name="left", tags=("forestay", *users), container_format="bare", disk_format="raw"
    )
    return image.id


async def some(site: Site, query: str = "") -> list[dict[str, Any]]:
    """The findings, as soon as there are any: a cloud takes its time."""
    async with asyncio.timeout(60):
        while not (found := await site.findings(query)):
            await asyncio.sleep(0.05)
        return found


async def none(site: Site) -> None:
    async with asyncio.timeout(60):
        while await site.findings():
            await asyncio.sleep(0.05)


async def stack(site: Site, name: str, tags: str, **resources: Any) -> str:
    fields = {"template": {"heat_template_version": "2018-08-31", "resources": resources}, "tags": tags}
    return await site.cloud.heat.create(name, fields)


async def gone(site: Site, name: str) -> None:
    async with asyncio.timeout(60):
        while await site.cloud.heat.find(name) is not None:
            await asyncio.sleep(0.05)
