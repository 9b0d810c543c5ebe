"""Forestay in one process, with the real OpenStack as its VIM."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import pytest
import pytest_asyncio
from forestay_standalone.all_in_one import all_in_one
from forestay_standalone.rest import RestApi
from forestay_standalone.substrate import Options, substrate

from tests.exchanges import recorder
from tests.flow.clouds import SETTINGS, RealCloud
from tests.openstack.lab import lab


@pytest.fixture(scope="module")
def real() -> RealCloud:
    return lab()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(real: RealCloud, request: pytest.FixtureRequest) -> AsyncIterator[RestApi]:
    quiet: str = getattr(request.module, "QUIET_SECS", "300")
    with (
        TemporaryDirectory(prefix="forestay-test-", ignore_cleanup_errors=True) as directory,
        pytest.MonkeyPatch.context() as environment,
    ):
        for name, value in (SETTINGS | {"FORESTAY_OPENSTACK_QUIET_SECS": quiet}).items():
            environment.setenv(name, value)
        async with (
            substrate(Options(data_dir=Path(directory), port=0)) as config,
            all_in_one(config) as (_, url),
            aiohttp.ClientSession(url, headers={"Version": "2.0.0"}, trace_configs=[recorder()]) as session,
        ):
            rest = RestApi(session)
            await rest.send("POST", "/v1.0/vims", real.vim())
            yield rest
