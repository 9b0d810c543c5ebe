"""The main job on the simulated OpenStack, everything in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from forestay_simvim import OpenStackSimulator
from forestay_standalone.all_in_one import all_in_one
from forestay_standalone.rest import RestApi
from forestay_standalone.substrate import Options, substrate

from tests.exchanges import recorder
from tests.flow.cloud import TestCloud
from tests.flow.scenario import SAMPLES, Sample, main_job, whole_life


@pytest.fixture
async def simulator() -> AsyncIterator[OpenStackSimulator]:
    async with OpenStackSimulator().serve("127.0.0.1", 0) as sim:
        yield sim


@pytest.fixture
def cloud(simulator: OpenStackSimulator) -> TestCloud:
    return TestCloud(simulator.auth_url, "demo", "demo-secret", "demo")


@pytest.fixture
async def api(tmp_data_dir: Path, cloud: TestCloud) -> AsyncIterator[RestApi]:
    async with (
        substrate(Options(data_dir=tmp_data_dir, port=0)) as config,
        all_in_one(config) as (_, url),
        aiohttp.ClientSession(url, headers={"Version": "2.0.0"}, trace_configs=[recorder()]) as session,
    ):
        rest = RestApi(session)
        await rest.send("POST", "/v1.0/vims", cloud.vim())
        yield rest


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
async def test_main_job(
    api: RestApi, cloud: TestCloud, simulator: OpenStackSimulator, sample: Sample, tmp_path: Path
) -> None:
    await main_job(api, cloud, sample, tmp_path)
    assert await cloud.leftovers() == []
    assert len(simulator.journal.effects("stack created")) == 1


async def test_whole_life(api: RestApi, cloud: TestCloud, simulator: OpenStackSimulator, tmp_path: Path) -> None:
    await whole_life(api, cloud, tmp_path)
    assert await cloud.leftovers() == []
    assert len(simulator.journal.effects("stack created")) == 1
