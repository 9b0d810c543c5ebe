"""User data as packages for Tacker's first API have it: parameters of the stack, from objects in ``snake_case``."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from yarl import URL

from tests.flow.scenario import operate
from tests.scripts.packages import onboarded, variant
from tests.scripts.test_hooks import prepared
from tests.scripts.test_user_data import stack
from tests.standalone.site import TestSite

Json = dict[str, Any]

HOT = """
heat_template_version: 2018-08-31
parameters:
  nfv: {type: json}
  label: {type: string, default: none}
resources:
  VDU1_scale_group:
    type: OS::Heat::AutoScalingGroup
    properties:
      min_size: 1
      max_size: 3
      desired_capacity: SIZE
      resource:
        type: VDU1.yaml
        properties:
          flavor: {get_param: [nfv, VDU, VDU1, flavor]}
          image: {get_param: [nfv, VDU, VDU1, image]}
          zone: {get_param: [nfv, vdu, VDU1, zone]}
          network: {get_param: [nfv, CP, VDU1_CP1, network]}
  VDU1_scale_scale_out:
    type: OS::Heat::ScalingPolicy
    properties:
      scaling_adjustment: 1
      auto_scaling_group_id: {get_resource: VDU1_scale_group}
      adjustment_type: change_in_capacity
"""
MADE = """
from tacker.vnfm.lcm_user_data.abstract_user_data import AbstractUserData
import tacker.vnfm.lcm_user_data.utils as tools


class First(AbstractUserData):
    @staticmethod
    def instantiate(base_hot_dict=None, vnfd_dict=None, inst_req_info=None, grant_info=None):
        assert set(base_hot_dict) == {"heat_template", "VDU1.yaml"}
        assert "requirements" not in vnfd_dict["topology_template"]["substitution_mappings"]
        given = tools.get_diff_base_hot_param_from_api(base_hot_dict, inst_req_info)
        asked = tools.create_initial_param_server_port_dict(base_hot_dict)
        flavors = tools.create_vdu_flavor_capability_name_dict(vnfd_dict)
        images = tools.create_sw_image_dict(vnfd_dict)
        networks = tools.create_network_dict(inst_req_info, asked)
        assert tools.create_cpd_vl_dict(base_hot_dict, inst_req_info) == {"VDU1_CP1": networks["VDU1_CP1"]["network"]}
        assert tools.create_vdu_flavor_dict(vnfd_dict) == {"VDU1": {"ram": 512, "vcpus": 1}}
        made = tools.create_final_param_dict(asked, flavors, images, networks)
        plain = tools.create_cpd_vl_dict(base_hot_dict, inst_req_info)
        assert tools.create_final_param_dict(asked, flavors, images, plain)["nfv"]["CP"]["VDU1_CP1"] == {
            "network": plain["VDU1_CP1"]
        }
        made["nfv"]["vdu"] = {"VDU1": {"zone": "nova"}}
        made["nfv"]["desired_capacity"] = tools.create_desired_capacity_dict(base_hot_dict, vnfd_dict, inst_req_info)
        return {**made, **given}
"""
CHANGED = """
    def scale(base_hot_dict=None, vnfd_dict=None, scale_vnf_request=None, vnf_instances=None, inst_vnf_info=None,
              param=None, resource_number=None):
        now = tools.get_desired_capacity_dict(base_hot_dict, vnfd_dict, inst_vnf_info)
        assert now == param["nfv"]["desired_capacity"]
        param["nfv"]["desired_capacity"] = now | {scale_vnf_request.aspect_id: resource_number}
        return {**param, "label": "scaled"}

    def heal(base_hot_dict=None, vnfd_dict=None, heal_vnf_request=None, vnf_instances=None, inst_vnf_info=None,
             param=None, vnfc_resource_info=None):
        servers = [vnfc.compute_resource.resource_id for vnfc in vnfc_resource_info]
        return {**param, "label": f"healed {len(servers)} {vnfc_resource_info[0].vdu_id} of {vnf_instances.id}"}
"""
PARAMS = {"lcm-operation-user-data": "./UserData/first.py", "lcm-operation-user-data-class": "First"}


def in_v1(body: Json) -> Json:
    links = [
        link | {"extCps": [cp | {"cpConfig": list(cp["cpConfig"].values())} for cp in link["extCps"]]}
        for link in body["extVirtualLinks"]
    ]
    return body | {"extVirtualLinks": links, "additionalParams": PARAMS | {"label": "red"}}


@pytest.mark.parametrize(
    ("size", "text", "scaled", "healed"),
    [
        ("{get_param: [nfv, desired_capacity, VDU1_scale]}", MADE + CHANGED, "scaled", "healed 1 VDU1 of {id}"),
        ("1", MADE, "red", "red"),
    ],
)
async def test_a_whole_life(forestay: TestSite, tmp_path: Path, size: str, text: str, scaled: str, healed: str) -> None:
    def edit(flavour: Json, tree: Path) -> None:
        [top] = (tree / "BaseHOT" / "simple").glob("*.yaml")
        top.write_text(HOT.replace("SIZE", size))

    api = forestay.api
    csar = variant(tmp_path, "sample-asg", name="first", files={"UserData/first.py": text}, edit=edit)
    vnf, body = await prepared(forestay, csar)
    first = vnf.replace("/v2/", "/v1/")

    async def done(task: str, body: Json) -> list[Json]:
        operation = await operate(api, first, task, body)
        assert operation["operationState"] == "COMPLETED", operation
        return (await api.send("GET", vnf)).get("instantiatedVnfInfo", {}).get("vnfcResourceInfo", [])

    assert len(await done("instantiate", in_v1(body))) == 1
    assert (await stack(forestay, vnf))["label"] == "red"
    scale = {"type": "SCALE_OUT", "aspectId": "VDU1_scale", "numberOfSteps": 2}
    three = await done("scale", scale)
    assert len(three) == 3
    assert (await stack(forestay, vnf))["label"] == scaled
    two = await done(
        "scale", {"type": "SCALE_IN", "aspectId": "VDU1_scale", "additionalParams": {"is_reverse": "True"}}
    )
    assert [vnfc["id"] for vnfc in two] == [vnfc["id"] for vnfc in three[:2]], "the oldest has gone"
    after = await done("heal", {"vnfcInstanceId": [two[0]["id"]]})
    assert len({vnfc["id"] for vnfc in after} & {vnfc["id"] for vnfc in two}) == 1
    assert (await stack(forestay, vnf))["label"] == healed.format(id=vnf.rpartition("/")[2])
    assert len(await done("heal", {})) == 2
    await done("terminate", {"terminationType": "FORCEFUL"})
    assert await forestay.cloud.leftovers() == []


async def test_healing_brings_what_is_made_anew_to_the_vnfd_that_the_vnf_has_by_then(
    forestay: TestSite, tmp_path: Path
) -> None:
    def smaller(flavour: Json, tree: Path) -> None:
        [top] = (tree / "BaseHOT" / "simple").glob("*.yaml")
        top.write_text(HOT.replace("SIZE", "1"))

    def larger(flavour: Json, tree: Path) -> None:
        smaller(flavour, tree)
        vdu = flavour["topology_template"]["node_templates"]["VDU1"]
        asked = vdu["capabilities"]["virtual_compute"]["properties"]["requested_additional_capabilities"]
        asked["properties"]["requested_additional_capability_name"] = "m1.small"

    async def flavors() -> set[str]:
        requests = ("compute", "/servers/detail", "servers"), ("compute", "/flavors", "flavors")
        servers, known = await forestay.cloud.resources(*requests)
        names = {flavor["id"]: flavor["name"] for flavor in known}
        return {names[server["flavor"]["id"]] for server in servers}

    files: Json = {"UserData/first.py": MADE}
    vnf, body = await prepared(forestay, variant(tmp_path, "sample-asg", name="small", files=files, edit=smaller))
    first = vnf.replace("/v2/", "/v1/")
    large = variant(tmp_path, "sample-asg", name="large", vnfd_id=str(uuid4()), files=files, edit=larger)
    package = await onboarded(forestay.api, large)
    await operate(forestay.api, first, "instantiate", in_v1(body))
    assert await flavors() == {"m1.tiny"}
    started = await forestay.api.send("PATCH", first, {"vnfPkgId": package["id"]})
    await forestay.api.until(URL(started["location"]).path, "operationState", {"COMPLETED"}, {"FAILED_TEMP"})
    assert await flavors() == {"m1.tiny"}
    [vnfc] = (await forestay.api.send("GET", first))["instantiatedVnfInfo"]["vnfcResourceInfo"]
    operation = await operate(forestay.api, first, "heal", {"vnfcInstanceId": [vnfc["id"]]})
    assert operation["operationState"] == "COMPLETED", operation
    assert await flavors() == {"m1.small"}
    await operate(forestay.api, first, "terminate", {"terminationType": "FORCEFUL"})


@pytest.mark.parametrize(
    ("returned", "told"),
    [("'text'", "no dictionary"), ("{'nfv': {}, 'other': 1}", "other"), ("1 / 0", "ZeroDivisionError")],
)
async def test_what_goes_wrong_is_said(forestay: TestSite, tmp_path: Path, returned: str, told: str) -> None:
    text = f"class First:\n    def instantiate(base_hot_dict, *others):\n        return {returned}\n"
    csar = variant(tmp_path, "sample-asg", name="wrong", files={"UserData/first.py": text})
    vnf, body = await prepared(forestay, csar)
    failed = await operate(forestay.api, vnf.replace("/v2/", "/v1/"), "instantiate", in_v1(body))
    assert failed["operationState"] == "FAILED_TEMP"
    assert told in str(failed["error"])
