"""A Heat that the operator's certificate opens: the worker and the watch know whose VNF instance it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from forestay_csar import read_package
from forestay_events.platform import open_platform
from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_lcm.adapters.openstack.clients.oauth_heat import heat_client
from forestay_lcm.adapters.openstack.executor import OpenStackSteps
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.drift.watch import DriftWatch
from forestay_simvim import OpenStackSimulator, SimConfig
from forestay_standalone.embedded import EmbeddedNats

from tests.lcm.drift.site import SETTINGS, Site
from tests.lcm.engine.running import Clock, configuration, onboard, running
from tests.lcm.openstack.test_oauth_heat import BOTH, gated, settings
from tests.lcm.samples import PROJECT
from tests.packages.build import build_csar


@pytest.mark.parametrize("permitted", [PROJECT, "other"])
async def test_a_vnf(
    nats_server: EmbeddedNats, database: str, tmp_data_dir: Path, tmp_path: Path, permitted: str
) -> None:
    config = configuration(nats_server.url, database, tmp_data_dir)
    csar = build_csar(Path(__file__).parents[2] / "packages" / "sample-asg", tmp_path / "asg.zip")
    vnfd, clock = read_package(csar).vnfd, Clock()
    async with (
        OpenStackSimulator(SimConfig()).serve() as sim,
        open_platform(config, "setup") as platform,
        Clouds() as clouds,
        gated(sim, clouds, tmp_path) as (gate, known),
    ):
        await onboard(platform, vnfd)
        given = settings(tmp_path, known, *BOTH, project=permitted)
        steps = OpenStackSteps(Catalogue(platform), platform.blobs, given)
        async with steps, running(config, steps, clock=clock) as lcm:
            site = Site(lcm, sim, clouds, clock, vnfd)
            vnf_id = await site.instantiating(sim, {"vim1": known})
            if permitted != PROJECT:
                failed = await lcm.until(vnf_id, "FAILED_TEMP")
                assert (failed.error or {})["status"] == 422
                assert not gate.asked
                return
            await lcm.until(vnf_id, "COMPLETED")
            await site.cloud.nova.act(await site.server(vnf_id), "os-stop")
            watch = DriftWatch(
                lcm.platform, Catalogue(lcm.platform), lcm.vnfs, SETTINGS, heat_client=heat_client(given)
            )
            async with watch:
                await watch.compare()
            assert [each["vnfInstanceId"] for each in await site.known()] == [vnf_id]
