"""The scenarios on a real OpenStack for which the continuous integration has time (``just test-openstack``)."""

from __future__ import annotations

from pathlib import Path

import pytest
from forestay_standalone.rest import RestApi

from tests.flow.clouds import RealCloud
from tests.flow.scenarios import CI, Scenario

pytestmark = [pytest.mark.openstack, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("scenario", CI, ids=lambda scenario: scenario.__name__)
async def test_scenario(api: RestApi, real: RealCloud, scenario: Scenario, tmp_path: Path) -> None:
    before = await real.leftovers()
    await scenario(api, real, tmp_path)
    assert await real.leftovers() == before
