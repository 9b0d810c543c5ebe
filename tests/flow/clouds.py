"""The clouds that a scenario runs on: the simulated one and a real OpenStack, each with the same things that can go wrong.

A scenario says what shall go wrong; how it is brought about is the only thing in which the clouds differ.
"""

from __future__ import annotations

import asyncio
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_simvim import OpenStackSimulator

from tests.flow.cloud import TestCloud

#: What an operator of Forestay has set: each VNFC is in the first of these zones, but for rules that keep VNFCs apart, and
#: where one has no room, in another one. The first is there always, the second as long as a scenario makes it.
SETTINGS = {"FORESTAY_NFVO_ZONES": "nova,edge", "FORESTAY_OPENSTACK_RESELECT_ZONES": "true"}


@dataclass(frozen=True, kw_only=True)
class ScenarioCloud(TestCloud, ABC):
    """A cloud that a scenario can put in trouble.

    :ivar patience: seconds that an operation may take.
    :ivar slowness: seconds that a server takes to be made when it is to take long, if it has them as metadata ``lab_delay``.
        Twice as long is longer than ``FORESTAY_OPENSTACK_QUIET_SECS``.
    """

    patience: float = 60.0
    slowness: int = 1

    @abstractmethod
    def limited(self, **quota: int) -> AbstractAsyncContextManager[None]:
        """Compute quotas of the project (``instances``, ``cores``, ...) as long as the context lasts."""

    @abstractmethod
    def zone(self, name: str, hosts: int) -> AbstractAsyncContextManager[None]:
        """A zone of so many of the five hosts of zone ``nova`` as long as the context lasts, in which no server may be left."""

    @abstractmethod
    async def kill_engine(self) -> None:
        """Heat's engine is killed in the middle of its work, and started again."""


@dataclass(frozen=True, kw_only=True)
class SimulatedCloud(ScenarioCloud):
    """The simulator of this process."""

    simulator: OpenStackSimulator

    @classmethod
    def of(cls, simulator: OpenStackSimulator) -> SimulatedCloud:
        return cls(simulator.auth_url, "demo", "demo-secret", "demo", simulator=simulator)

    @asynccontextmanager
    async def limited(self, **quota: int) -> AsyncGenerator[None]:
        limits = self.simulator.settings.quota
        before = {name: limits[name] for name in quota}
        limits.update(quota)
        yield
        limits.update(before)

    @asynccontextmanager
    async def zone(self, name: str, hosts: int) -> AsyncGenerator[None]:
        zones = self.simulator.cloud.nova.zones
        before = dict(zones)
        zones |= {"nova": before["nova"][hosts:], name: before["nova"][:hosts]}
        yield
        zones.clear()
        zones |= before

    async def kill_engine(self) -> None:
        self.simulator.cloud.heat.die()


@dataclass(frozen=True, kw_only=True)
class RealCloud(ScenarioCloud):
    """The OpenStack lab.

    :ivar admin: its administrator.
    :ivar home: the directory with its pid files.
    :ivar up: the command that starts what does not run.
    """

    admin: TestCloud
    home: Path
    up: Path
    patience: float = 240.0
    slowness: int = 18

    @asynccontextmanager
    async def limited(self, **quota: int) -> AsyncGenerator[None]:
        async with Clouds() as clouds:
            admin = clouds.cloud(self.admin.connection)
            _, seen = await self.login()
            path = f"/os-quota-sets/{seen['project']['id']}"
            limits = {"quota_set": quota | {"force": True}}
            await admin.request("compute", "PUT", path, body=limits)
            try:
                yield
            finally:
                await admin.request("compute", "DELETE", path)

    @asynccontextmanager
    async def zone(self, name: str, hosts: int) -> AsyncGenerator[None]:
        async with Clouds() as clouds:
            admin = clouds.cloud(self.admin.connection)
            services = (await admin.request("compute", "GET", "/os-services?binary=nova-compute")).body["services"]
            known = [service["host"] for service in services]
            # A default zone that has no aggregate keeps no server away from the hosts of others.
            async with _aggregate(admin, name, known[:hosts]), _aggregate(admin, "nova", known[hosts:]):
                yield

    async def kill_engine(self) -> None:
        pid, _ = (self.home / "run" / "heat-engine.pid").read_text().split()
        os.kill(int(pid), signal.SIGKILL)
        started = await asyncio.create_subprocess_exec(
            self.up, env=os.environ | {"OPENSTACK_LAB_HOME": str(self.home)}, stdout=asyncio.subprocess.DEVNULL
        )
        assert await started.wait() == 0


@asynccontextmanager
async def _aggregate(admin: Cloud, zone: str, hosts: list[str]) -> AsyncGenerator[None]:
    """Hosts that are a zone."""
    body = {"aggregate": {"name": zone, "availability_zone": zone}}
    made = (await admin.request("compute", "POST", "/os-aggregates", body=body)).body["aggregate"]
    path = f"/os-aggregates/{made['id']}"
    try:
        for host in hosts:
            await admin.request("compute", "POST", f"{path}/action", body={"add_host": {"host": host}})
        yield
    finally:
        shown = (await admin.request("compute", "GET", path)).body["aggregate"]
        for host in shown["hosts"]:
            await admin.request("compute", "POST", f"{path}/action", body={"remove_host": {"host": host}})
        await admin.request("compute", "DELETE", path)
