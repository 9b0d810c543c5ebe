"""Everything in one process with a simulated cloud, and somebody who listens to scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.scripts.reporting import Listener, listening
from tests.standalone.site import TestSite, site


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with listening() as heard:
        yield heard


@pytest.fixture
async def forestay(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TestSite]:
    monkeypatch.setenv("FORESTAY_SCRIPT_SECONDS", "5")
    async with site() as running:
        await running.api.send("POST", "/v1.0/vims", running.cloud.vim())
        yield running
