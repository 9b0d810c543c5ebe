"""The scenarios on a real OpenStack that take longer than a run of the continuous integration has."""

from __future__ import annotations

from pathlib import Path

import pytest
from forestay_standalone.rest import RestApi

from tests.flow.clouds import RealCloud
from tests.flow.scenarios import REST, Scenario

pytestmark = [pytest.mark.openstack, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]

QUIET_SECS = "30"
"""A dead engine is taken for dead sooner than by default, which a lab beside other load is not quiet for."""


@pytest.mark.parametrize("scenario", REST, ids=lambda scenario: scenario.__name__)
async def test_scenario(api: RestApi, real: RealCloud, scenario: Scenario, tmp_path: Path) -> None:
    before = await real.leftovers()
    await scenario(api, real, tmp_path)
    assert await real.leftovers() == before
