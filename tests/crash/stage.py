"""What a scenario plays on: a site with an onboarded package, its client, and what the client asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from forestay_sol.vnflcm import VimConnectionInfo
from forestay_standalone.rest import RestApi

from tests.crash.checker import wait_until_quiet
from tests.crash.client import Client
from tests.crash.processes import Site, site
from tests.flow.scenario import SAMPLES, instantiate_body, onboard

Json = dict[str, Any]


@dataclass
class Stage:
    """``instantiate`` and ``terminate`` are the bodies of the requests."""

    site: Site
    client: Client
    packages: RestApi
    vnfd_id: str
    instantiate: Json
    terminate: Json

    async def instantiated(self, **members: Any) -> str:
        """Id of a VNF instance that runs; ``members`` of the request besides."""
        vnf_id = await self.client.create(self.vnfd_id)
        await self.client.operate(vnf_id, "instantiate", self.instantiate | members)
        return vnf_id

    async def all_completed(self, patience: float) -> None:
        """Wait, so many seconds, until no operation goes on; none may have failed."""
        unfinished = "/vnflcm/v2/vnf_lcm_op_occs?filter=(neq,operationState,COMPLETED)"
        deadline = time.monotonic() + patience
        while rest := await self.client.api.list(unfinished):
            failed = [op_occ for op_occ in rest if op_occ["operationState"] not in ("STARTING", "PROCESSING")]
            assert not failed, f"{len(failed)} operations failed, the first is {failed[0]}"
            assert time.monotonic() < deadline, (
                f"{len(rest)} or more operations are not COMPLETED after {patience:.0f} s"
            )
            await asyncio.sleep(0.5)


@asynccontextmanager
async def staged() -> AsyncGenerator[Stage]:
    """A new site; at its end no work may be left on the queue."""
    with TemporaryDirectory(prefix="forestay-crash-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        async with (
            site(directory) as running,
            aiohttp.ClientSession(running.packages.url, headers={"Version": "2.0.0"}) as packages,
            aiohttp.ClientSession(
                running.api.url, headers={"Version": "2.0.0"}, timeout=aiohttp.ClientTimeout(total=20)
            ) as lcm,
        ):
            onboarding = RestApi(packages)
            package = await onboard(onboarding, SAMPLES[0], directory)
            cloud = running.simulator.cloud
            body = await instantiate_body(cloud, SAMPLES[0])
            yield Stage(
                site=running,
                client=Client(RestApi(lcm)),
                packages=onboarding,
                vnfd_id=package["vnfdId"],
                instantiate=body | {"vimConnectionInfo": {"vim": _members(cloud.connection)}},
                terminate={"terminationType": "FORCEFUL"},
            )
            await wait_until_quiet(running)


def _members(connection: VimConnectionInfo) -> Json:
    return {
        "vimType": connection.vim_type,
        "interfaceInfo": connection.interface_info,
        "accessInfo": connection.access_info,
    }
