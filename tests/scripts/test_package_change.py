"""CHANGE_VNFPKG: rolling update VNFC by VNFC, with coordination scripts that ask an element manager (SOL002 clause 10)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from aiohttp import web
from forestay_standalone.rest import Refused

from tests.scripts.packages import onboarded, variant
from tests.scripts.reporting import Listener
from tests.scripts.test_hooks import done, prepared
from tests.standalone.site import TestSite

Json = dict[str, Any]

COORDINATE = """
import pickle, sys
from tacker.sol_refactored.common import coord_client

given = pickle.load(sys.stdin.buffer)
endpoint = given["endpoint"]
answer = coord_client.create_coordination(endpoint, given["authentication"], given["LcmCoordRequest"], given["timeout"])
if answer["coordinationResult"] != "CONTINUE":
    sys.exit(f"{given['vnfc_info_id']} at {given['ssh_ip']}: {answer['coordinationResult']}")
"""


def larger(flavour: Json, tree: Path) -> None:
    """Another compute flavour for VDU1, and version 2."""
    nodes = flavour["topology_template"]["node_templates"]
    capability = nodes["VDU1"]["capabilities"]["virtual_compute"]["properties"]
    capability["requested_additional_capabilities"]["properties"]["requested_additional_capability_name"] = "m1.small"
    for path in (tree / "Definitions" / "top.vnfd.yaml", tree / "Definitions" / "types.yaml"):
        path.write_text(path.read_text().replace("software_version: '1.0'", "software_version: '2.0'").replace(
            "software_version: {type: string, default: '1.0'}", "software_version: {type: string, default: '2.0'}"))  # fmt: skip


class Manager:
    """An element manager: counts who asks to go on, and may say no."""

    def __init__(self) -> None:
        self.asked: list[Json] = []
        self.answer = "CONTINUE"
        self.endpoint = ""

    async def coordinate(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.asked.append(asked)
        result = {"id": str(uuid4()), "coordinationResult": self.answer, **asked}
        return web.json_response(result, status=201, headers={"Location": f"{self.endpoint}/x"})


@pytest.fixture
async def manager() -> AsyncIterator[Manager]:
    em = Manager()
    app = web.Application()
    app.router.add_post("/lcmcoord/v1/coordinations", em.coordinate)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    em.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield em
    await runner.cleanup()


async def servers(site: TestSite, vnf: str) -> dict[str, Json]:
    info = (await site.api.send("GET", vnf))["instantiatedVnfInfo"]
    return {vnfc["id"]: vnfc for vnfc in info["vnfcResourceInfo"]}


async def usage(site: TestSite, vnfd_id: str) -> str:
    """The usageState of a VNFD's package, once the package service knows all that LCM has said."""
    await site.stored()
    [package] = (await site.ask("GET", f"/vnfpkgm/v1/vnf_packages?filter=(eq,vnfdId,{vnfd_id})")).body
    return package["usageState"]


async def test_rolling_update_and_back(
    forestay: TestSite, listener: Listener, manager: Manager, tmp_path: Path
) -> None:
    api = forestay.api
    around = [f"change_current_package{way}_{end}" for way in ("", "_rollback") for end in ("start", "end")]
    returning, going = listener.hooked(*around[2:]), listener.hooked(*around[:2])
    files = {"Scripts/back.py": COORDINATE}
    vnf, body = await prepared(forestay, variant(tmp_path, "sample-asg", name="old", files=files, hooks=returning))
    coming, files = str(uuid4()), {"Scripts/coordinate.py": COORDINATE}
    csar = variant(tmp_path, "sample-asg", name="new", vnfd_id=coming, files=files, hooks=going, edit=larger)
    await done(forestay, vnf, "instantiate", body | {"instantiationLevelId": "instantiation_level_2"})
    before = await servers(forestay, vnf)
    old = (await api.send("GET", vnf))["vnfdId"]
    assert (await onboarded(forestay.api, csar))["vnfdId"] == coming

    login = {"authType": ["BASIC"], "paramsBasic": {"userName": "vnfm", "password": "s3cret-of-em"}}
    param = {
        "cp_name": "VDU1_CP1",
        "username": "ubuntu",
        "password": "s3cret-of-vnfc",
        "endpoint": manager.endpoint,
        "authentication": login,
        "timeout": 5,
    }
    change: Json = {
        "vnfdId": coming,
        "additionalParams": {
            "upgrade_type": "RollingUpdate",
            "lcm-operation-coordinate-new-vnf": "Scripts/coordinate.py",
            "lcm-operation-coordinate-old-vnf": "Scripts/back.py",
            "vdu_params": [{"vdu_id": "VDU1", "new_vnfc_param": param, "old_vnfc_param": param}],
        },
    }
    manager.answer = "ABORT"
    failed = await done(forestay, vnf, "change_vnfpkg", change, "FAILED_TEMP")
    assert (failed["error"]["title"], failed["error"]["step"]) == (
        "Coordinate VNF execution failed",
        "coordinate-new:0",
    )
    assert "ABORT" in failed["error"]["detail"]
    assert "s3cret-of" not in str(failed)
    uri = f"/vnflcm/v2/vnf_lcm_op_occs/{failed['id']}"
    assert await usage(forestay, coming) == "IN_USE", "a failed operation may still be retried"
    manager.answer = "CONTINUE"
    await api.send("POST", f"{uri}/rollback")
    await api.until(uri, "operationState", {"ROLLED_BACK"}, {"FAILED_TEMP"})
    shown = await api.send("GET", vnf)
    assert (shown["vnfdId"], shown["vnfSoftwareVersion"]) == (old, "1.0")
    assert await usage(forestay, coming) == "NOT_IN_USE"
    assert {vnfc["metadata"]["flavor"] for vnfc in (await servers(forestay, vnf)).values()} == {"m1.tiny"}
    assert len(manager.asked) == 2, "the new VNFC, and the old one that came back"
    assert listener.hooks == [around[0], *around[2:]], "the way back is that of the package which is there again"

    manager.answer = "ABORT"
    only_new = change["additionalParams"] | {"lcm-operation-coordinate-old-vnf": "./Scripts/coordinate.py"}
    failed = await done(forestay, vnf, "change_vnfpkg", change | {"additionalParams": only_new}, "FAILED_TEMP")
    manager.answer = "CONTINUE"
    uri = f"/vnflcm/v2/vnf_lcm_op_occs/{failed['id']}"
    await api.send("POST", f"{uri}/rollback")
    await api.until(uri, "operationState", {"ROLLED_BACK"}, {"FAILED_TEMP"})
    assert len(manager.asked) == 4, "a script that the old package lacks is the new one's"

    changed = await done(forestay, vnf, "change_vnfpkg", change)
    shown, after = await api.send("GET", vnf), await servers(forestay, vnf)
    assert (shown["vnfdId"], shown["vnfSoftwareVersion"]) == (coming, "2.0")
    assert changed["modificationsTriggeredByVnfPkgChange"] == {"vnfdId": coming, "vnfSoftwareVersion": "2.0"}
    assert {vnfc["metadata"]["flavor"] for vnfc in after.values()} == {"m1.small"}
    assert len(after) == len(before) == 3
    assert len(manager.asked) == 4 + 3
    assert {item["lcmOperationType"] for item in manager.asked} == {"CHANGE_VNFPKG"}
    assert listener.hooks[-1] == "change_current_package_end"
    affected = changed["resourceChanges"]["affectedVnfcs"]
    assert {item["id"]: item["changeType"] for item in affected} == dict.fromkeys(after, "MODIFIED")

    await done(forestay, vnf, "scale", {"type": "SCALE_IN", "aspectId": "VDU1_scale"})
    await done(forestay, vnf, "terminate", {"terminationType": "FORCEFUL"})
    assert await forestay.cloud.leftovers() == []


async def test_a_package_that_asks_for_what_nobody_gives_is_taken_back(forestay: TestSite, tmp_path: Path) -> None:
    """Nothing was sent to Heat, so there is nothing that the way back would need to know."""

    def demanding(flavour: Json, tree: Path) -> None:
        template = tree / "BaseHOT" / "simple" / "asg.yaml"
        template.write_text(template.read_text().replace("VDU1, computeFlavourId", "VDU1, licence"))

    vnf, body = await prepared(forestay, variant(tmp_path, "sample-asg", name="old"))
    coming = str(uuid4())
    await onboarded(forestay.api, variant(tmp_path, "sample-asg", name="new", vnfd_id=coming, edit=demanding))
    await done(forestay, vnf, "instantiate", body)
    before = await servers(forestay, vnf)
    failed = await done(forestay, vnf, "change_vnfpkg", {"vnfdId": coming}, "FAILED_TEMP")
    assert "VDU/VDU1/licence" in failed["error"]["detail"]
    uri = f"/vnflcm/v2/vnf_lcm_op_occs/{failed['id']}"
    await forestay.api.send("POST", f"{uri}/rollback")
    await forestay.api.until(uri, "operationState", {"ROLLED_BACK"}, {"FAILED_TEMP"})
    assert await servers(forestay, vnf) == before


@pytest.mark.parametrize(
    ("params", "status", "pointer"),
    [
        ({"upgrade_type": "BlueGreen"}, 400, "/additionalParams/upgrade_type"),
        ({"vdu_params": [{"vdu_id": "VDU9"}]}, 400, "/additionalParams/vdu_params/0/vdu_id"),
        ({"vdu_params": "VDU1"}, 400, "/additionalParams/vdu_params"),
        ({"vdu_params": []}, 400, "/additionalParams/vdu_params"),
        ({"lcm-operation-coordinate-new-vnf": "no.py"}, 400, "/additionalParams/lcm-operation-coordinate-new-vnf"),
        ({"lcm-operation-coordinate-old-vnf": "no.py"}, 400, "/additionalParams/lcm-operation-coordinate-old-vnf"),
    ],
)
async def test_what_can_be_seen_is_refused_before_the_202(
    forestay: TestSite, tmp_path: Path, params: Json, status: int, pointer: str
) -> None:
    vnf, body = await prepared(forestay, variant(tmp_path, "sample-asg", name="old"))
    coming = str(uuid4())
    await onboarded(forestay.api, variant(tmp_path, "sample-asg", name="new", vnfd_id=coming))
    await done(forestay, vnf, "instantiate", body)
    with pytest.raises(Refused) as refused:
        await forestay.api.send("POST", f"{vnf}/change_vnfpkg", {"vnfdId": coming, "additionalParams": params})
    assert refused.value.status == status
    assert yaml.safe_dump(pointer).split("\n")[0] in str(refused.value)
