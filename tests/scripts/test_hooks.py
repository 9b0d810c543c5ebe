"""Hooks of a VNFD around every operation: when they run, what they get, what becomes of what they give."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from yarl import URL

from tests.flow.scenario import SAMPLES, create, instantiate_body, operate, other_links
from tests.scripts.packages import onboarded, variant
from tests.scripts.reporting import Gate, Listener
from tests.standalone.site import TestSite

Json = dict[str, Any]
ASG = SAMPLES[0]


async def prepared(site: TestSite, csar: Path) -> tuple[str, Json]:
    """URI of a VNF instance of the package, and the body that instantiates it."""
    vnf = await create(site.api, (await onboarded(site.api, csar))["vnfdId"])
    return vnf, await instantiate_body(site.cloud, ASG)


async def done(site: TestSite, vnf: str, task: str, body: Json, state: str = "COMPLETED") -> Json:
    operation = await operate(site.api, vnf, task, body)
    assert operation["operationState"] == state, operation
    return operation


async def test_around_every_operation(forestay: TestSite, listener: Listener, tmp_path: Path) -> None:
    api, cloud = forestay.api, forestay.cloud
    vnf, body = await prepared(forestay, variant(tmp_path, "sample-asg", name="hooked", hooks=listener.hooked()))
    await done(forestay, vnf, "instantiate", body)
    await done(forestay, vnf, "scale", {"type": "SCALE_OUT", "aspectId": "VDU1_scale"})
    await done(forestay, vnf, "heal", {})
    await done(forestay, vnf, "operate", {"changeStateTo": "STOPPED", "stopType": "FORCEFUL"})
    await done(forestay, vnf, "operate", {"changeStateTo": "STARTED"})
    await done(forestay, vnf, "scale_to_level", {"instantiationLevelId": "instantiation_level_2"})
    await done(forestay, vnf, "change_ext_conn", {"extVirtualLinks": await other_links(cloud, body)})
    started = await api.send("PATCH", vnf, {"vnfInstanceName": "renamed"})
    modified = await api.until(URL(started["location"]).path, "operationState", {"COMPLETED"}, {"FAILED_TEMP"})
    assert modified["changedInfo"] == {"vnfInstanceName": "renamed"}
    await done(forestay, vnf, "terminate", {"terminationType": "FORCEFUL"})
    names = ("instantiate", "scale", "heal", "operate", "operate", "scale_to_level", "change_external_connectivity",
             "modify_information", "terminate")  # fmt: skip
    assert listener.hooks == [f"{name}_{end}" for name in names for end in ("start", "end")]

    calls = dict(zip(listener.hooks, listener.seen, strict=True))
    start, end = calls["instantiate_start"], calls["instantiate_end"]
    assert start["request"]["flavourId"] == "simple"
    assert start["vnf_instance"]["vimConnectionInfo"]["default"]["accessInfo"]["password"] == cloud.password
    assert start["grant_request"]["operation"] == "INSTANTIATE"
    assert start["grant_request"]["_links"]["vnfInstance"]["href"].endswith(vnf)
    assert start["grant_response"]["addResources"]
    assert "instantiatedVnfInfo" not in start["vnf_instance"]
    assert len(end["vnf_instance"]["instantiatedVnfInfo"]["vnfcResourceInfo"]) == 1
    assert len(calls["scale_start"]["vnf_instance"]["instantiatedVnfInfo"]["vnfcResourceInfo"]) == 1
    assert len(calls["scale_end"]["vnf_instance"]["instantiatedVnfInfo"]["vnfcResourceInfo"]) == 2
    assert calls["modify_information_start"]["vnf_instance"]["vnfInstanceName"] == "vnf"
    assert calls["modify_information_end"]["vnf_instance"]["vnfInstanceName"] == "renamed"
    assert await cloud.leftovers() == []


async def test_what_a_hook_writes_is_kept_but_never_what_the_driver_goes_by(
    forestay: TestSite, listener: Listener, tmp_path: Path
) -> None:
    listener.orders["instantiate_end"] = {
        "write": {"registered": "yes", "stack_id": "evil/1", "login": {"user": "u", "password": "hush"}},
        "write_vnfc": {"alarm": "7"},
    }
    listener.orders["heal_end"] = {"write": {"healed": 1}}
    hooks = listener.hooked("instantiate_end", "heal_end")
    vnf, body = await prepared(forestay, variant(tmp_path, "sample-asg", name="writing", hooks=hooks))
    await done(forestay, vnf, "instantiate", body)
    info = (await forestay.api.send("GET", vnf))["instantiatedVnfInfo"]
    assert (info["metadata"]["registered"], info["metadata"]["stack_id"] == "evil/1") == ("yes", False)
    assert info["metadata"]["login"] == {"user": "u"}, (
        "no secret is kept, so that the driver finds none that it cannot open"
    )
    assert [vnfc["metadata"]["alarm"] for vnfc in info["vnfcResourceInfo"]] == ["7"]
    await done(forestay, vnf, "heal", {})
    info = (await forestay.api.send("GET", vnf))["instantiatedVnfInfo"]
    assert (info["metadata"]["registered"], info["metadata"]["healed"]) == ("yes", 1)
    await done(forestay, vnf, "terminate", {"terminationType": "FORCEFUL"})
    assert await forestay.cloud.leftovers() == []


async def test_a_hook_that_fails_is_named_and_finds_what_it_kept_when_it_runs_again(
    forestay: TestSite, listener: Listener, tmp_path: Path
) -> None:
    listener.orders["instantiate_end"] = {
        "error": "the VNF does not answer",
        "keep": {"tries": 1, "password": "hush"},
    }
    vnf, body = await prepared(forestay, variant(tmp_path, "sample-asg", name="failing", hooks=listener.hooked()))
    params = {"additionalParams": {"login": {"password": "open sesame"}}}
    failed = await done(forestay, vnf, "instantiate", body | params, "FAILED_TEMP")
    assert params.items() <= listener.seen[-1]["request"].items()
    assert failed["error"]["detail"].startswith("instantiate_end failed: ")
    assert params.items() <= listener.seen[-1]["grant_request"].items()
    error = failed["error"]
    assert (error["title"], error["status"], error["step"]) == (
        "Mgmt driver execution failed", 422, "script:instantiate_end",
    )  # fmt: skip
    assert "Scripts/instantiate_end.py" in error["detail"]
    assert "the VNF does not answer" in error["detail"]
    assert forestay.cloud.password not in str(failed)
    assert error["userScriptErrHandlingData"] == {"tries": 1}
    rows = await forestay.platform.pool.fetch("SELECT convert_from(body, 'UTF8') FROM lcm.commit")
    assert not [secret for secret in ("hush", "open sesame") if secret in str(rows)]
    uri = f"/vnflcm/v2/vnf_lcm_op_occs/{failed['id']}"
    listener.seen.clear()
    await forestay.api.send("POST", f"{uri}/retry")
    await forestay.api.until(uri, "operationState", {"FAILED_TEMP"}, {"COMPLETED"})
    assert [call["user_script_err_handling_data"] for call in listener.seen] == [{"tries": 1, "password": "hush"}]
    listener.seen.clear()
    await forestay.api.send("POST", f"{uri}/rollback")
    await forestay.api.until(uri, "operationState", {"ROLLED_BACK"}, {"COMPLETED"})
    assert listener.hooks == ["instantiate_rollback_start", "instantiate_rollback_end"]
    assert "userScriptErrHandlingData" not in (await forestay.api.send("GET", uri))["error"]
    assert await forestay.cloud.leftovers() == []


async def test_a_script_ends_when_its_operation_is_cancelled_at_once(
    forestay: TestSite, listener: Listener, tmp_path: Path
) -> None:
    gate = listener.gates["instantiate_start"] = Gate()
    hooks = listener.hooked("instantiate_start")
    vnf, body = await prepared(forestay, variant(tmp_path, "sample-asg", name="cancelled", hooks=hooks))
    started = await forestay.api.send("POST", f"{vnf}/instantiate", body)
    await gate.reached.wait()
    uri = URL(started["location"]).path
    await forestay.api.send("POST", f"{uri}/cancel", {"cancelMode": "FORCEFUL"})
    await forestay.api.until(uri, "operationState", {"FAILED_TEMP"}, {"COMPLETED"})
    async with asyncio.timeout(30):
        await gate.left.wait()
    gate.open.set()
    await forestay.api.send("POST", f"{uri}/rollback")
    await forestay.api.until(uri, "operationState", {"ROLLED_BACK"}, {"COMPLETED"})


async def test_a_modification_that_a_hook_refuses_changes_nothing(
    forestay: TestSite, listener: Listener, tmp_path: Path
) -> None:
    listener.orders["modify_information_start"] = {"error": "not now"}
    hooks = listener.hooked("modify_information_start", "modify_information_rollback_end")
    vnf, _ = await prepared(forestay, variant(tmp_path, "sample-asg", name="refusing", hooks=hooks))
    uri = URL((await forestay.api.send("PATCH", vnf, {"vnfInstanceName": "renamed"}))["location"]).path
    await forestay.api.until(uri, "operationState", {"FAILED_TEMP"}, {"COMPLETED"})
    assert (await forestay.api.send("GET", vnf))["vnfInstanceName"] == "vnf"
    await forestay.api.send("POST", f"{uri}/rollback")
    await forestay.api.until(uri, "operationState", {"ROLLED_BACK"}, {"COMPLETED"})
    assert listener.hooks == ["modify_information_start", "modify_information_rollback_end"]
    assert (await forestay.api.send("GET", vnf))["vnfInstanceName"] == "vnf"
