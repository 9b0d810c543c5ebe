"""The main job on a real OpenStack (``just test-openstack``)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from forestay_standalone.all_in_one import all_in_one
from forestay_standalone.rest import RestApi
from forestay_standalone.substrate import Options, substrate

from tests.exchanges import recorder
from tests.flow.cloud import TestCloud
from tests.flow.scenario import SAMPLES, Sample, create, instantiate_body, main_job, onboard, operate, whole_life
from tests.openstack.lab import lab

pytestmark = [pytest.mark.openstack, pytest.mark.timeout(300)]


@pytest.fixture
def cloud() -> TestCloud:
    return lab()


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
async def test_main_job(api: RestApi, cloud: TestCloud, sample: Sample, tmp_path: Path) -> None:
    before = await cloud.leftovers()
    await main_job(api, cloud, sample, tmp_path, patience=180)
    assert await cloud.leftovers() == before


async def test_failure_names_heats_reason_and_is_rolled_back(api: RestApi, cloud: TestCloud, tmp_path: Path) -> None:
    before = await cloud.leftovers()
    sample = SAMPLES[0]
    package = await onboard(api, sample, tmp_path)
    vnf = await create(api, package["vnfdId"])
    body = await instantiate_body(cloud, sample)
    body["additionalParams"] = {"nfv": {"VDU": {"VDU1": {"vcImageId": "no-such-image"}}}}
    operation = await operate(api, vnf, "instantiate", body, patience=180)
    assert operation["operationState"] == "FAILED_TEMP"
    assert "no-such-image" in operation["error"]["detail"]
    uri = f"/vnflcm/v2/vnf_lcm_op_occs/{operation['id']}"
    await api.send("POST", f"{uri}/rollback")
    await api.until(uri, "operationState", {"ROLLED_BACK"}, {"FAILED_TEMP"}, patience=180)
    assert await cloud.leftovers() == before


async def test_whole_life(api: RestApi, cloud: TestCloud, tmp_path: Path) -> None:
    before = await cloud.leftovers()
    await whole_life(api, cloud, tmp_path, patience=180)
    assert await cloud.leftovers() == before
