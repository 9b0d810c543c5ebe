"""The main job as it is said over HTTP, compared with ETSI's OpenAPI documents (where ../shared is present)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from forestay_simvim import ResourceFault

from tests import exchanges
from tests.flow.scenario import PACKAGES, SAMPLES, instantiate_body
from tests.packages.build import build_csar
from tests.standalone.site import Json, TestSite, site

PKGS, VNFS, OPS, ALARMS = (
    "/vnfpkgm/v1/vnf_packages",
    "/vnflcm/v2/vnf_instances",
    "/vnflcm/v2/vnf_lcm_op_occs",
    "/vnffm/v1/alarms",
)
FM = {"Version": "1.3.0"}


@pytest.mark.skipif(bool(exchanges.MISSING), reason=exchanges.MISSING)
async def test_the_main_job_is_said_as_the_documents_ask(tmp_path: Path) -> None:
    async with site() as ready:
        await everything(ready, tmp_path)
    assert list(exchanges.deviations(ready.exchanges, tmp_path)) == []


async def everything(ready: TestSite, directory: Path) -> None:
    """The life of a package and a VNF, with a failure, its alarm and its rollback."""
    await ready.ask("POST", "/v1.0/vims", ready.cloud.vim())
    package = (await ready.ask("POST", PKGS, {})).body
    path = f"{PKGS}/{package['id']}"
    csar = build_csar(PACKAGES / SAMPLES[1].name, directory / "package.zip").read_bytes()
    await ready.ask("PUT", f"{path}/package_content", csar, **{"Content-Type": "application/zip"})
    await ready.api.until(path, "onboardingState", {"ONBOARDED"}, {"CREATED"})
    for listed in (path, PKGS, f"{PKGS}?all_fields"):
        package = (await ready.ask("GET", listed)).body
    vnf = f"{VNFS}/{(await ready.ask('POST', VNFS, {'vnfdId': package[0]['vnfdId']})).body['id']}"
    body = await instantiate_body(ready.cloud, SAMPLES[1])
    await operated(ready, f"{vnf}/instantiate", body, "COMPLETED")
    for listed in (vnf, VNFS, f"{VNFS}?all_fields", f"{OPS}?all_fields"):
        await ready.ask("GET", listed)
    await operated(ready, f"{vnf}/terminate", {"terminationType": "FORCEFUL"}, "COMPLETED")
    await ready.ask("GET", vnf)
    ready.simulator.faults.add(ResourceFault(type="OS::Nova::Server", reason="no host", times=1))
    failed = await operated(ready, f"{vnf}/instantiate", body, "FAILED_TEMP")
    async with asyncio.timeout(60):
        while not (alarms := (await ready.ask("GET", ALARMS, **FM)).body):
            await asyncio.sleep(0.1)
    alarm = f"{ALARMS}/{alarms[0]['id']}"
    await ready.ask("GET", alarm, **FM)
    merge_patch = {"Content-Type": "application/merge-patch+json"}
    await ready.ask("PATCH", alarm, {"ackState": "ACKNOWLEDGED"}, **FM, **merge_patch)
    await ready.ask("POST", f"{failed}/rollback")
    await ready.api.until(failed, "operationState", {"ROLLED_BACK"}, {"COMPLETED"})
    await ready.ask("GET", failed)
    await ready.ask("DELETE", vnf)
    await ready.ask("GET", vnf)
    await ready.ask("PATCH", path, {"operationalState": "DISABLED"})
    assert (await ready.ask("DELETE", path)).status == 204


async def operated(ready: TestSite, path: str, body: Json, state: str) -> str:
    """URI of an operation that has come to this state."""
    started = await ready.ask("POST", path, body)
    uri = f"{OPS}/{started.headers['Location'].rpartition('/')[2]}"
    await ready.ask("GET", uri)
    await ready.api.until(uri, "operationState", {state}, {"COMPLETED", "FAILED_TEMP"} - {state})
    await ready.ask("GET", uri)
    return uri
