"""The site that is compared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from forestay_csar import read_package
from forestay_events.platform import open_platform
from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_lcm.adapters.openstack.executor import OpenStackSteps
from forestay_lcm.adapters.openstack.settings import OpenStackSettings
from forestay_lcm.catalogue import Catalogue
from forestay_simvim import OpenStackSimulator, SimConfig
from forestay_standalone.embedded import EmbeddedNats

from tests.lcm.drift.site import Site, register
from tests.lcm.engine.running import Clock, configuration, onboard, running
from tests.packages.build import build_csar


@pytest_asyncio.fixture
async def site(nats_server: EmbeddedNats, database: str, tmp_data_dir: Path, tmp_path: Path) -> AsyncIterator[Site]:
    config = configuration(nats_server.url, database, tmp_data_dir)
    csar = build_csar(Path(__file__).parents[2] / "packages" / "sample-asg", tmp_path / "asg.zip")
    vnfd, clock = read_package(csar).vnfd, Clock()
    async with OpenStackSimulator(SimConfig()).serve() as sim, open_platform(config, "setup") as platform:
        await onboard(platform, vnfd)
        await register(platform, sim)
        steps = OpenStackSteps(Catalogue(platform), platform.blobs, OpenStackSettings())
        async with steps, Clouds() as clouds, running(config, steps, clock=clock) as lcm:
            site = Site(lcm, sim, clouds, clock, vnfd)
            async with site.watch:
                yield site
