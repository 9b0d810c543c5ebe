"""User data classes of packages: they say what the stack is made of, in every operation that names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_standalone.rest import Refused

from tests.flow.scenario import other_links
from tests.scripts.packages import onboarded, variant
from tests.scripts.test_hooks import done, prepared
from tests.scripts.test_package_change import larger
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
    rows = await forestay.platform.pool.fetch("SELECT convert_from(body, 'UTF8') FROM lcm.commit")
    assert any("parameters_secret" in row[0] for row in rows)
    assert not any('"scaled"' in row[0] for row in rows), "a template may hide what a class gives"
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


WRITTEN = """
import yaml

from UserData import words
from .words import HEALED
from tacker.sol_refactored.common import common_script_utils
from tacker.sol_refactored.infra_drivers.openstack import userdata_default


class Written(userdata_default.DefaultUserData):
    @staticmethod
    def instantiate(req, inst, grant_req, grant, tmp_csar_dir):
        fields = userdata_default.DefaultUserData.instantiate(req, inst, grant_req, grant, tmp_csar_dir)
        template = yaml.safe_load(fields["template"])
        template["parameters"]["label"] = {"type": "string"}
        fields["parameters"]["label"] = "new"
        return fields | {"template": yaml.safe_dump(template)}

    @staticmethod
    def scale(req, inst, grant_req, grant, tmp_csar_dir):
        capacity = common_script_utils.get_param_capacity("VDU1", inst, grant_req)
        template = {"parameters": {"size": {"type": "number", "default": capacity}}}
        vdu = {"VDU1": {"desired_capacity": capacity}}
        return {"template": yaml.safe_dump(template), "parameters": {"nfv": {"VDU": vdu}, "label": words.SCALED}}

    @staticmethod
    def scale_rollback(req, inst, grant_req, grant, tmp_csar_dir):
        capacity = common_script_utils.get_current_capacity("VDU1", inst)
        vdu = {"VDU1": {"desired_capacity": capacity}}
        return {"parameters": {"nfv": {"VDU": vdu}, "label": "scaled back"}}

    @staticmethod
    def heal(req, inst, grant_req, grant, tmp_csar_dir):
        return {"parameters": {"nfv": {}, "label": HEALED}}
"""
WORDS = "HEALED = 'healed'\nSCALED = 'scaled'\n"
WRITTEN_PARAMS = {
    "lcm-operation-user-data": "./UserData/written.py",
    "lcm-operation-user-data-class": "Written",
}


async def template_of(site: TestSite, vnf: str) -> Json:
    """The template of the VNF's stack."""
    info = (await site.api.send("GET", vnf))["instantiatedVnfInfo"]
    path = f"/stacks/{info['metadata']['stack_id']}/template"
    async with Clouds() as clouds:
        return (await clouds.cloud(site.cloud.connection).request("orchestration", "GET", path)).body


async def test_a_class_as_packages_have_them_today(forestay: TestSite, tmp_path: Path) -> None:
    """Template text of a change is a part, a rollback asks the class, and so does a VNF that is made anew."""
    files = {"UserData/written.py": WRITTEN, "UserData/words.py": WORDS}
    csar = variant(tmp_path, "sample-asg", name="written", files=files)
    vnf, body = await prepared(forestay, csar)
    named = {"additionalParams": WRITTEN_PARAMS}
    await done(forestay, vnf, "instantiate", body | named)
    assert (await stack(forestay, vnf))["label"] == "new"
    resources = (await template_of(forestay, vnf))["resources"]

    forestay.simulator.settings.quota["instances"] = 1
    scale = {"type": "SCALE_OUT", "aspectId": "VDU1_scale"} | named
    failed = await done(forestay, vnf, "scale", scale, "FAILED_TEMP")
    template = await template_of(forestay, vnf)
    assert template["parameters"].keys() == {"nfv", "label", "size"}
    assert template["resources"] == resources
    uri = f"/vnflcm/v2/vnf_lcm_op_occs/{failed['id']}"
    await forestay.api.send("POST", f"{uri}/rollback")
    await forestay.api.until(uri, "operationState", {"ROLLED_BACK"}, {"FAILED_TEMP"})
    back = await stack(forestay, vnf)
    assert (back["label"], back["nfv"]["VDU"]["VDU1"]["desired_capacity"]) == ("scaled back", 1)

    forestay.simulator.settings.quota["instances"] = 10
    await done(forestay, vnf, "scale", scale)
    assert (await stack(forestay, vnf))["label"] == "scaled"
    old = (await forestay.api.send("GET", vnf))["instantiatedVnfInfo"]
    await done(forestay, vnf, "heal", {"additionalParams": WRITTEN_PARAMS | {"all": True}})
    new = (await forestay.api.send("GET", vnf))["instantiatedVnfInfo"]
    assert new["metadata"]["stack_id"] != old["metadata"]["stack_id"]
    assert len(new["vnfcResourceInfo"]) == len(old["vnfcResourceInfo"]) == 2
    assert (await stack(forestay, vnf))["label"] == "healed"

    coming = str(uuid4())
    await onboarded(forestay.api, variant(tmp_path, "sample-asg", name="new", vnfd_id=coming, files=files, edit=larger))
    change = {"vnfdId": coming, "additionalParams": WRITTEN_PARAMS | {"upgrade_type": "RollingUpdate"}}
    await done(forestay, vnf, "change_vnfpkg", change)
    info = (await forestay.api.send("GET", vnf))["instantiatedVnfInfo"]
    assert [vnfc["metadata"]["flavor"] for vnfc in info["vnfcResourceInfo"]] == ["m1.small"] * 2
    assert (await stack(forestay, vnf))["label"] == "healed", "the template that the class has made stays"
    await done(forestay, vnf, "terminate", {"terminationType": "FORCEFUL"})
    assert await forestay.cloud.leftovers() == []


OWN = """
import yaml
from tacker.sol_refactored.infra_drivers.openstack import userdata_default


class Own(userdata_default.DefaultUserData):
    @staticmethod
    def instantiate(*given):
        fields = userdata_default.DefaultUserData.instantiate(*given)
        template = yaml.safe_load(fields["template"])
        template["resources"]["extra"] = {"type": "OS::Heat::None"}
        fields["parameters"]["label"] = "own"
        return fields | {"template": yaml.safe_dump(template)}
"""


async def test_changes_that_name_no_class_leave_what_it_has_made(forestay: TestSite, tmp_path: Path) -> None:
    def edit(flavour: Json, tree: Path) -> None:
        [top] = (tree / "BaseHOT" / "simple").glob("*.yaml")
        top.write_text(top.read_text().replace("nfv: {type: json}", "nfv: {type: json}\n  label: {type: string}"))

    csar = variant(tmp_path, "sample-asg", name="own", files={"UserData/own.py": OWN}, edit=edit)
    vnf, body = await prepared(forestay, csar)
    params = {"lcm-operation-user-data": "UserData/own.py", "lcm-operation-user-data-class": "Own"}
    await done(forestay, vnf, "instantiate", body | {"additionalParams": params})
    await done(forestay, vnf, "scale", {"type": "SCALE_OUT", "aspectId": "VDU1_scale"})
    await done(forestay, vnf, "heal", {})
    await done(forestay, vnf, "change_ext_conn", {"extVirtualLinks": await other_links(forestay.cloud, body)})
    assert "extra" in (await template_of(forestay, vnf))["resources"]
    assert (await stack(forestay, vnf))["label"] == "own"
    assert len((await forestay.api.send("GET", vnf))["instantiatedVnfInfo"]["vnfcResourceInfo"]) == 2


ONE_WAY = """
from tacker.sol_refactored.infra_drivers.openstack import userdata_default


class OneWay(userdata_default.DefaultUserData):
    @staticmethod
    def scale(*given):
        fields = userdata_default.DefaultUserData.scale(*given)
        fields["parameters"]["nfv"]["VDU"]["VDU1"]["computeFlavourId"] = "none"
        return fields

    @staticmethod
    def scale_rollback(*given):
        return {"parameters": {"nfv": {"VDU": {"VDU1": {"vcImageId": "none"}}}}}
"""


async def test_vnfcs_that_went_come_back_without_the_class(forestay: TestSite, tmp_path: Path) -> None:
    csar = variant(tmp_path, "sample-asg", name="oneway", files={"UserData/one_way.py": ONE_WAY})
    vnf, body = await prepared(forestay, csar)
    level = {"instantiationLevelId": "instantiation_level_2"}
    await done(forestay, vnf, "instantiate", body | level)
    before = (await stack(forestay, vnf))["nfv"]
    params = {"lcm-operation-user-data": "UserData/one_way.py", "lcm-operation-user-data-class": "OneWay"}
    scale = {"type": "SCALE_IN", "aspectId": "VDU1_scale", "additionalParams": params}
    failed = await done(forestay, vnf, "scale", scale, "FAILED_TEMP")
    uri = f"/vnflcm/v2/vnf_lcm_op_occs/{failed['id']}"
    await forestay.api.send("POST", f"{uri}/rollback")
    await forestay.api.until(uri, "operationState", {"ROLLED_BACK"}, {"FAILED_TEMP"})
    assert (await stack(forestay, vnf))["nfv"] == before
    assert len((await forestay.api.send("GET", vnf))["instantiatedVnfInfo"]["vnfcResourceInfo"]) == 3


ODD = """
from tacker.sol_refactored.infra_drivers.openstack import userdata_default


class Odd(userdata_default.DefaultUserData):
    @staticmethod
    def scale(req, *given):
        return req["additionalParams"].get("there") or userdata_default.DefaultUserData.scale(req, *given)

    @staticmethod
    def scale_rollback(req, *given):
        return req["additionalParams"]["back"]
"""


async def test_what_a_class_gives_in_another_shape(forestay: TestSite, tmp_path: Path) -> None:
    """It is an error that says where, and on the way back it is not heard."""
    csar = variant(tmp_path, "sample-asg", name="odd", files={"UserData/odd.py": ODD})
    vnf, body = await prepared(forestay, csar)
    await done(forestay, vnf, "instantiate", body)
    before = (await stack(forestay, vnf))["nfv"]
    params = {"lcm-operation-user-data": "UserData/odd.py", "lcm-operation-user-data-class": "Odd"}

    async def scaled_and_back(**given: Any) -> Json:
        scale = {"type": "SCALE_OUT", "aspectId": "VDU1_scale", "additionalParams": params | given}
        failed = await done(forestay, vnf, "scale", scale, "FAILED_TEMP")
        uri = f"/vnflcm/v2/vnf_lcm_op_occs/{failed['id']}"
        await forestay.api.send("POST", f"{uri}/rollback")
        await forestay.api.until(uri, "operationState", {"ROLLED_BACK"}, {"FAILED_TEMP"})
        assert (await stack(forestay, vnf))["nfv"] == before
        return failed["error"]

    error = await scaled_and_back(there={"parameters": [1]}, back={})
    assert (error["title"], error["status"]) == ("Userdata execution failed", 422)
    assert "(Odd.scale): What it returned cannot be used: Expected `object | null`" in error["detail"]
    assert "$.parameters" in error["detail"]
    forestay.simulator.settings.quota["instances"] = 1
    no_template = {"template": "resources: {VDU1_scale_group: 5}"}
    for back in ({"parameters": "x"}, {"files": ["x"]}, {"existing": "no"}, {"template": [1]}, no_template):
        assert "Quota exceeded" in (await scaled_and_back(back=back))["detail"]
    rows = await forestay.platform.pool.fetch("SELECT convert_from(body, 'UTF8') FROM lcm.commit")
    assert sum("not_used" in row[0] and "cannot be used" in row[0] for row in rows) == 4
