"""User data classes of packages: they say what the stack is made of, in every operation that names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from forestay_lcm.adapters.openstack.cloud import Clouds
from forestay_standalone.rest import Refused

from tests.scripts.packages import variant
from tests.scripts.test_hooks import done, prepared
from tests.standalone.site import TestSite

Json = dict[str, Any]

CLASS = """
from tacker.sol_refactored.common import common_script_utils
from tacker.sol_refactored.infra_drivers.openstack import userdata_utils


class Labelled(userdata_utils.AbstractUserData):
    @staticmethod
    def instantiate(req, inst, grant_req, grant, tmp_csar_dir):
        vnfd = common_script_utils.get_vnfd(inst["vnfdId"], tmp_csar_dir)
        hot = common_script_utils.init_nfv_dict(vnfd.get_base_hot("simple")["template"])
        vdus = hot["VDU"]
        for vdu, values in vdus.items():
            values["computeFlavourId"] = "m1.tiny"
            values["vcImageId"] = "cirros"
            values["locationConstraints"] = "nova"
            values["desired_capacity"] = 1
        for cp, values in hot["CP"].items():
            values["network"] = req["extVirtualLinks"][0]["resourceId"]
        return {"parameters": {"nfv": hot, "label": req["additionalParams"].get("label", "none")},
                "template": {"parameters": {"label": {"type": "string"}}},
                "written_metadata": {"vnf": {"stack_id": "evil/1"}}}

    @staticmethod
    def scale(req, inst, grant_req, grant, tmp_csar_dir):
        if req["additionalParams"].get("fail"):
            raise ValueError("no more of it")
        return {"parameters": {"nfv": {"VDU": {"VDU1": {"desired_capacity": 2}}}, "label": "scaled"}}
"""
PARAMS = {"lcm-operation-user-data": "UserData/labelled.py", "lcm-operation-user-data-class": "Labelled"}


async def stack(site: TestSite, vnf: str) -> Json:
    """The parameters of the VNF's stack."""
    info = (await site.api.send("GET", vnf))["instantiatedVnfInfo"]
    path = f"/stacks/{info['metadata']['stack_id']}/environment"
    async with Clouds() as clouds:
        environment = await clouds.cloud(site.cloud.connection).request("orchestration", "GET", path)
    return environment.body["parameters"]


async def test_from_instantiate_to_rollback(forestay: TestSite, tmp_path: Path) -> None:
    csar = variant(tmp_path, "sample-asg", name="labelled", files={"UserData/labelled.py": CLASS})
    vnf, body = await prepared(forestay, csar)
    await done(forestay, vnf, "instantiate", body | {"additionalParams": PARAMS | {"label": "red"}})
    assert (await stack(forestay, vnf))["label"] == "red"
    scale = {"type": "SCALE_OUT", "aspectId": "VDU1_scale"}

    failed = await done(forestay, vnf, "scale", scale | {"additionalParams": PARAMS | {"fail": True}}, "FAILED_TEMP")
    assert failed["error"]["title"] == "Userdata execution failed"
    assert "UserData/labelled.py (Labelled.scale)" in failed["error"]["detail"]
    assert "no more of it" in failed["error"]["detail"]
    uri = f"/vnflcm/v2/vnf_lcm_op_occs/{failed['id']}"
    await forestay.api.send("POST", f"{uri}/rollback")
    await forestay.api.until(uri, "operationState", {"ROLLED_BACK"}, {"COMPLETED"})

    forestay.simulator.settings.quota["instances"] = 1
    failed = await done(forestay, vnf, "scale", scale | {"additionalParams": PARAMS}, "FAILED_TEMP")
    assert (await stack(forestay, vnf))["label"] == "scaled"
    uri = f"/vnflcm/v2/vnf_lcm_op_occs/{failed['id']}"
    await forestay.api.send("POST", f"{uri}/rollback")
    await forestay.api.until(uri, "operationState", {"ROLLED_BACK"}, {"FAILED_TEMP"})
    assert (await stack(forestay, vnf))["label"] == "red"

    forestay.simulator.settings.quota["instances"] = 10
    await done(forestay, vnf, "scale", scale | {"additionalParams": PARAMS})
    info = (await forestay.api.send("GET", vnf))["instantiatedVnfInfo"]
    assert len(info["vnfcResourceInfo"]) == 2
    assert (await stack(forestay, vnf))["label"] == "scaled"
    await done(forestay, vnf, "terminate", {"terminationType": "FORCEFUL"})
    assert await forestay.cloud.leftovers() == []


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"lcm-operation-user-data": "UserData/labelled.py"}, "lcm-operation-user-data-class"),
        (PARAMS | {"lcm-operation-user-data": "UserData/other.py"}, "lcm-operation-user-data"),
    ],
)
async def test_what_can_be_seen_is_refused_before_the_202(
    forestay: TestSite, tmp_path: Path, params: Json, pointer: str
) -> None:
    csar = variant(tmp_path, "sample-asg", name="labelled", files={"UserData/labelled.py": CLASS})
    vnf, body = await prepared(forestay, csar)
    with pytest.raises(Refused) as refused:
        await forestay.api.send("POST", f"{vnf}/instantiate", body | {"additionalParams": params})
    assert refused.value.status == 400
    assert pointer in str(refused.value)
