"""Everything in one process with a simulated cloud."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.standalone.site import TestSite, site


@pytest.fixture
async def forestay() -> AsyncIterator[TestSite]:
    async with site() as running:
        await running.api.send("POST", "/v1.0/vims", running.cloud.vim())
        yield running
