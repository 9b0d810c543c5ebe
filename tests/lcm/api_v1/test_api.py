"""VNF instances and operation occurrences through version 1, and what version 2 shows of them."""

from __future__ import annotations

import json
from typing import Any

from forestay_events.config import BaseConfig
from forestay_lcm.api.v1.resources import VnfInstanceV1, VnfLcmOpOccV1
from forestay_lcm.api.v1.routes import SERVED
from forestay_lcm.executor import Failed
from msgspec import convert

from tests.lcm.api.client import INSTANCES as INSTANCES_V2
from tests.lcm.api.client import OP_OCCS as OP_OCCS_V2
from tests.lcm.api.test_instances import operation
from tests.lcm.api_v1.speaking import ENDPOINT, INSTANCES, OP_OCCS, ClientV1, speaking
from tests.lcm.engine.running import VIM_ID, onboard
from tests.lcm.engine.scripted_vim import Hitch, ScriptedVim
from tests.lcm.samples import ASPECT

UNKNOWN = "11111111-2222-4333-8444-555555555555"
VIM = [{"id": "site", "vimId": VIM_ID, "vimType": "openstack"}]


async def create(v1: ClientV1, **members: Any) -> str:
    made = await v1.post(INSTANCES, {"vnfdId": "vnfd-1"} | members)
    assert made.status == 201, made.body
    return f"{INSTANCES}/{made.body['id']}"


async def instantiated(v1: ClientV1) -> str:
    path = await create(v1)
    await v1.done(await v1.post(f"{path}/instantiate", {"flavourId": "simple", "vimConnectionInfo": VIM}))
    return path


async def test_the_whole_life(config: BaseConfig) -> None:
    async with speaking(config, ScriptedVim()) as (v1, v2, _):
        made = await v1.post(INSTANCES, {"vnfdId": "vnfd-1", "vnfInstanceName": "edge"})
        assert made.status == 201
        id_ = made.body["id"]
        path, uri = f"{INSTANCES}/{id_}", f"{ENDPOINT}{INSTANCES}/{id_}"
        assert made.headers["Location"] == uri
        assert made.body["_links"] == {"self": {"href": uri}, "instantiate": {"href": f"{uri}/instantiate"}}
        assert not {"vimConnectionInfo", "instantiatedVnfInfo"} & made.body.keys()
        assert (await v1.get(path)).body == made.body
        assert (await v1.get(INSTANCES)).body == [made.body]

        done = await v1.done(await v1.post(f"{path}/instantiate", {"flavourId": "simple", "vimConnectionInfo": VIM}))
        params = json.loads(done["operationParams"])
        assert params["flavourId"] == "simple"
        assert params["vimConnectionInfo"][0].items() >= VIM[0].items()
        assert done["_links"]["vnfInstance"] == {"href": uri}
        assert done["_links"]["grant"] == {"href": f"{ENDPOINT}/grant/v1/grants/{done['grantId']}"}
        convert(done, VnfLcmOpOccV1)
        shown = (await v1.get(path)).body
        convert(shown, VnfInstanceV1)
        assert shown["vimConnectionInfo"][0].items() >= VIM[0].items()
        assert "password" not in shown["vimConnectionInfo"][0]["accessInfo"]
        assert not {"vnfcInfo", "maxScaleLevels"} & shown["instantiatedVnfInfo"].keys()
        assert set(shown["_links"]) == {"self", "terminate", "scale", "heal", "changeExtConn"}
        [resource] = shown["instantiatedVnfInfo"]["vnfcResourceInfo"]

        await v1.done(await v1.post(f"{path}/scale", {"type": "SCALE_OUT", "aspectId": ASPECT}))
        healed = await v1.done(await v1.post(f"{path}/heal", {"vnfcInstanceId": [resource["id"]]}))
        assert {item["id"] for item in healed["resourceChanges"]["affectedVnfcs"]} >= {resource["id"]}
        connections = [{"id": "site", "extra": {"rack": "9"}}]
        patched = await v1.send("PATCH", path, {"vnfInstanceName": "core", "vimConnectionInfo": connections})
        modified = await v1.done(patched)
        assert modified["changedInfo"]["vimConnectionInfo"][0]["id"] == "site"

        of_v2 = (await v2.get(f"{INSTANCES_V2}/{id_}")).body
        assert of_v2["vimConnectionInfo"]["site"]["vimType"] == "ETSINFV.OPENSTACK_KEYSTONE.V_3"
        assert (of_v2["vnfInstanceName"], of_v2["vimConnectionInfo"]["site"]["extra"]) == ("core", {"rack": "9"})
        kept = (await v2.get(f"{OP_OCCS_V2}/{done['id']}")).body
        assert kept["operationParams"]["vimConnectionInfo"]["site"]["vimId"] == VIM_ID

        await v1.done(await v1.post(f"{path}/terminate", {"terminationType": "FORCEFUL"}))
        assert (await v1.delete(path)).status == 204
        (await v1.get(path)).problem(404)
        (await v2.get(f"{INSTANCES_V2}/{id_}")).problem(404)
        operations = [item["operation"] for item in (await v1.get(OP_OCCS)).body]
        assert sorted(operations) == ["HEAL", "INSTANTIATE", "MODIFY_INFO", "SCALE", "TERMINATE"]


async def test_what_is_made_through_v2(config: BaseConfig) -> None:
    async with speaking(config, ScriptedVim()) as (v1, v2, _):
        id_ = await v2.create()
        started = await v2.post(f"{INSTANCES_V2}/{id_}/instantiate", {"flavourId": "simple"})
        shown = await v1.get(f"{OP_OCCS}/{started.op_id}")
        assert json.loads(shown.body["operationParams"])["flavourId"] == "simple"
        await operation(v2, started.op_id, "COMPLETED")
        shown = (await v1.get(f"{INSTANCES}/{id_}")).body
        assert [(item["id"], item["vimType"]) for item in shown["vimConnectionInfo"]] == [("default", "openstack")]
        await v1.done(await v1.post(f"{INSTANCES}/{id_}/terminate", {"terminationType": "FORCEFUL"}))


async def test_the_default_vim_has_its_own_id(config: BaseConfig) -> None:
    async with speaking(config, ScriptedVim()) as (v1, v2, _):
        path = f"{INSTANCES}/{await v2.create()}"
        await v1.done(await v1.post(f"{path}/instantiate", {"flavourId": "simple"}))
        [vim] = (await v1.get(path)).body["vimConnectionInfo"]
        assert vim["id"] == vim["vimId"] == VIM_ID


async def test_packages(config: BaseConfig) -> None:
    async with speaking(config) as (v1, _, lcm):
        path = await create(v1)
        package = (await v1.get(path)).body["vnfPkgId"]
        assert (await v1.get(INSTANCES)).body[0]["vnfPkgId"] == package
        await v1.done(await v1.send("PATCH", path, {"vnfPkgId": package, "vnfInstanceName": "same"}))
        refused = await v1.send("PATCH", path, {"vnfPkgId": UNKNOWN})
        assert refused.problem(400)["invalidParams"][0]["pointer"] == "/vnfPkgId"
        (await v1.send("PATCH", path, {"vnfdId": "unknown"})).problem(400)
        (await v1.post(INSTANCES, {"vnfdId": "unknown"})).problem(404)
        (await v1.post(INSTANCES)).problem(400)
        await onboard(lcm.platform, project="other", package_id=UNKNOWN)
        (await v1.send("PATCH", path, {"vnfPkgId": UNKNOWN})).problem(400)


async def test_refused_tasks(config: BaseConfig) -> None:
    async with speaking(config, ScriptedVim()) as (v1, _, _lcm):
        path = await create(v1)
        instantiate = f"{path}/instantiate"
        elsewhere = [{"id": "a", "vimType": "openstack", "vimId": UNKNOWN}]
        unknown = (await v1.post(instantiate, {"flavourId": "simple", "vimConnectionInfo": elsewhere})).problem(400)
        assert unknown["invalidParams"][0]["pointer"] == "/vimConnectionInfo"
        regional = [VIM[0] | {"accessInfo": (access := {"region": "RegionTwo"})}]
        detail = (await v1.post(instantiate, {"flavourId": "simple", "vimConnectionInfo": regional})).problem(400)[
            "detail"
        ]
        assert detail == f"VIM {VIM_ID} is used in region RegionOne, not RegionTwo."
        (await v1.post(instantiate, {"flavourId": "huge"})).problem(400)
        (await v1.send("PATCH", path, {"vimConnectionInfo": VIM})).problem(400)
        scale = {"type": "SCALE_IN", "aspectId": ASPECT}
        assert (await v1.post(f"{path}/scale", scale)).problem(409)["title"] == "VNF IS NOT ACTIVE"
        links = [{"id": "ext", "resourceId": "net", "extCps": [{"cpdId": "CP1", "cpConfig": [{}]}]}]
        changed = await v1.post(f"{path}/change_ext_conn", {"extVirtualLinks": links})
        assert changed.problem(409)["title"] == "VNF is not instantiated"
        access["region"] = "RegionOne"
        await v1.done(await v1.post(instantiate, {"flavourId": "simple", "vimConnectionInfo": regional}))
        assert (await v1.post(f"{path}/scale", scale)).problem(400)["title"] == "can not scale_in"
        too_much = scale | {"type": "SCALE_OUT", "numberOfSteps": 9}
        assert (await v1.post(f"{path}/scale", too_much)).problem(400)["title"] == "can not scale_out"
        aspect = await v1.post(f"{path}/scale", scale | {"aspectId": "none"})
        assert aspect.problem(400)["title"] == "aspectId not in ScaleStatus"
        heal = (await v1.post(f"{path}/heal", {"vnfcInstanceId": ["none"]})).problem(400)
        assert heal["invalidParams"][0]["pointer"] == "/vnfcInstanceId/0"
        (await v1.post(f"{path}/operate", {"changeStateTo": "STOPPED"})).problem(404)
        (await v1.delete(path)).problem(409)


async def test_handling(config: BaseConfig) -> None:
    vim = ScriptedVim()
    async with speaking(config, vim) as (v1, _, _lcm):
        for _ in range(3):
            vim.next("create-stack", Hitch(instead=Failed("no", 500, "no room")))
        path = await create(v1)
        started = await v1.post(f"{path}/instantiate", {"flavourId": "simple"})
        failed = await v1.done(started, "FAILED_TEMP")
        assert failed["error"]["detail"]
        uri = f"{OP_OCCS}/{started.op_id}"
        retried = await v1.post(f"{uri}/retry")
        assert (retried.status, "Location" in retried.headers) == (202, False)
        await v1.done(started, "FAILED_TEMP")
        await v1.done(await v1.post(f"{uri}/rollback"), "ROLLED_BACK")
        again = await v1.post(f"{uri}/rollback")
        assert again.problem(409)["title"] == "OperationState IS NOT FAILED_TEMP"
        second = await v1.post(f"{path}/instantiate", {"flavourId": "simple"})
        await v1.done(second, "FAILED_TEMP")
        given_up = await v1.post(f"{OP_OCCS}/{second.op_id}/fail")
        assert (given_up.status, given_up.body["operationState"]) == (200, "FAILED")
        for task, body in (("retry", None), ("rollback", None), ("fail", None), ("cancel", {"cancelMode": "FORCEFUL"})):
            refused = await v1.post(f"{OP_OCCS}/{UNKNOWN}/{task}", body)
            assert refused.problem(404)["title"] == "VnfLcmOpOcc NOT FOUND"
            (await v1.post(f"{uri}/{task}", body)).problem(409)
        (await v1.post(f"{uri}/cancel")).problem(400)


async def test_cancel(config: BaseConfig) -> None:
    async with speaking(config) as (v1, _, _lcm):
        path = await create(v1)
        started = await v1.post(f"{path}/instantiate", {"flavourId": "simple"})
        cancelled = await v1.post(f"{OP_OCCS}/{started.op_id}/cancel", {"cancelMode": "FORCEFUL"})
        assert cancelled.headers["Location"] == started.headers["Location"]
        assert (await v1.get(f"{OP_OCCS}/{started.op_id}")).body["operationState"] in ("ROLLED_BACK", "FAILED_TEMP")


async def test_lists(config: BaseConfig) -> None:
    async with speaking(config) as (v1, _, _lcm):
        paths = sorted([await create(v1, vnfInstanceName=f"vnf-{number}") for number in range(3)])
        page = await v1.get(f"{INSTANCES}?limit=2&filter=(cont,vnfInstanceName,vnf)")
        assert [f"{INSTANCES}/{item['id']}" for item in page.body] == paths[:2]
        link = page.headers["Link"]
        assert link.startswith(f"<{INSTANCES}?")
        assert link.endswith('>; rel="next"')
        rest = await v1.get(link[1:].partition(">")[0])
        assert [f"{INSTANCES}/{item['id']}" for item in rest.body] == paths[2:]
        assert "Link" not in rest.headers
        named = await v1.get(f"{INSTANCES}?filter=(eq,vnfInstanceName,vnf-1)&all_records=yes")
        assert len(named.body) == 1
        for parameter in ("fields=id", "exclude_default", "filter=(eq,vnfInstanceName)"):
            (await v1.get(f"{INSTANCES}?{parameter}")).problem(400)
        started = await v1.post(f"{paths[0]}/instantiate", {"flavourId": "simple"})
        [brief] = (await v1.get(OP_OCCS)).body
        assert (brief["id"], "operationParams" in brief) == (started.op_id, False)
        [full] = (await v1.get(f"{OP_OCCS}?fields=operationParams")).body
        assert isinstance(full["operationParams"], str)
        (await v1.get(f"{OP_OCCS}?fields=operation")).problem(400)
        assert (await v1.get("/vnflcm/v1/api_versions")).body == {
            "uriPrefix": "/vnflcm/v1", "apiVersions": [{"version": "1.3.0", "isDeprecated": False}],
        }  # fmt: skip


async def test_everything_is_there_and_described(config: BaseConfig) -> None:
    async with speaking(config) as (v1, v2, _lcm):
        paths = (await v2.get("/openapi.json", Version="")).body["paths"]
        described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
        assert {(method, f"/vnflcm/v1/{path}") for method, path in SERVED} <= described
        assert "VnfInstanceV1" in str(paths[f"{INSTANCES}/{{id}}"]["get"]["responses"]["200"])
        assert "InstantiateVnfRequestV1" in str(paths[f"{INSTANCES}/{{id}}/instantiate"]["post"])
        wrong = await v1.send("PUT", INSTANCES)
        assert (wrong.problem(405)["status"], wrong.headers["Allow"]) == (405, "GET, POST")


async def test_bodies_are_read_whatever_they_are_called(config: BaseConfig) -> None:
    async with speaking(config) as (v1, _, _lcm):
        path = await create(v1)
        for kind in ("application/merge-patch+json", "text/html", "application/json"):
            answered = await v1.send(
                "PATCH", path, {"vnfInstanceName": kind}, **{"Content-Type": kind, "Version": "9.9"}
            )
            assert answered.status == 202, answered.body
        (await v1.send("PATCH", path, b"{")).problem(400)
