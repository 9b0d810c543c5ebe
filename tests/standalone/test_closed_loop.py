"""A failed operation, an alarm, a policy that retries it: three services, one loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from forestay_simvim import OpenStackSimulator, ResourceFault
from forestay_standalone.all_in_one import all_in_one
from forestay_standalone.rest import RestApi
from forestay_standalone.substrate import Options, substrate

from tests.exchanges import recorder
from tests.flow.cloud import TestCloud
from tests.flow.scenario import SAMPLES, create, instantiate_body, onboard, start


@pytest.fixture
async def site(tmp_data_dir: Path) -> AsyncIterator[tuple[RestApi, OpenStackSimulator, str]]:
    async with (
        OpenStackSimulator().serve() as simulator,
        substrate(Options(data_dir=tmp_data_dir, port=0)) as config,
        all_in_one(config) as (_, url),
        aiohttp.ClientSession(url, headers={"Version": "2.0.0"}, trace_configs=[recorder()]) as session,
    ):
        yield RestApi(session), simulator, url


async def test_a_policy_retries_what_an_alarm_tells(
    site: tuple[RestApi, OpenStackSimulator, str], tmp_path: Path
) -> None:
    api, simulator, url = site
    cloud = TestCloud(simulator.auth_url, "demo", "demo-secret", "demo")
    await api.send("POST", "/v1.0/vims", cloud.vim())
    policy = {"name": "try again", "when": {"eventTypes": ["PROCESSING_ERROR_ALARM"]}, "do": "retry", "maxAttempts": 2}
    await api.send("POST", "/policy/v1/policies", policy | {"delay": 5})
    simulator.faults.add(
        ResourceFault(type="OS::Nova::Server", reason='Went to status ERROR due to "no host"', times=1)
    )

    package = await onboard(api, SAMPLES[0], tmp_path)
    vnf = await create(api, package["vnfdId"])
    operation = await start(api, vnf, "instantiate", await instantiate_body(cloud, SAMPLES[0]))
    failed = await api.until(operation, "operationState", {"FAILED_TEMP"}, {"COMPLETED"})
    assert "no host" in failed["error"]["detail"]
    await api.until(operation, "operationState", {"COMPLETED"}, {"ROLLED_BACK"})

    async with aiohttp.ClientSession(url, headers={"Version": "1.3.0"}) as session:
        async with asyncio.timeout(60):
            while "alarmClearedTime" not in (alarms := await RestApi(session).list("/vnffm/v1/alarms"))[0]:
                await asyncio.sleep(0.05)
    assert [alarm["managedObjectId"] for alarm in alarms] == [vnf.rpartition("/")[2]]
    assert await cloud.leftovers()
