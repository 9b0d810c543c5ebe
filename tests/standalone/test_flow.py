"""The scenarios on the simulated OpenStack, everything in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import pytest
import pytest_asyncio
from forestay_simvim import OpenStackSimulator
from forestay_standalone.all_in_one import all_in_one
from forestay_standalone.rest import RestApi
from forestay_standalone.substrate import Options, substrate

from tests.exchanges import recorder
from tests.flow.clouds import SETTINGS, SimulatedCloud
from tests.flow.scenarios import SCENARIOS, Scenario

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud() -> AsyncIterator[SimulatedCloud]:
    async with OpenStackSimulator().serve("127.0.0.1", 0) as sim:
        yield SimulatedCloud.of(sim)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(cloud: SimulatedCloud) -> AsyncIterator[RestApi]:
    with (
        TemporaryDirectory(prefix="forestay-test-", ignore_cleanup_errors=True) as directory,
        pytest.MonkeyPatch.context() as environment,
    ):
        for name, value in (SETTINGS | {"FORESTAY_OPENSTACK_QUIET_SECS": "1"}).items():
            environment.setenv(name, value)
        async with (
            substrate(Options(data_dir=Path(directory), port=0)) as config,
            all_in_one(config) as (_, url),
            aiohttp.ClientSession(url, headers={"Version": "2.0.0"}, trace_configs=[recorder()]) as session,
        ):
            rest = RestApi(session)
            await rest.send("POST", "/v1.0/vims", cloud.vim())
            yield rest


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_scenario(api: RestApi, cloud: SimulatedCloud, scenario: Scenario, tmp_path: Path) -> None:
    await scenario(api, cloud, tmp_path)
    assert await cloud.leftovers() == []
