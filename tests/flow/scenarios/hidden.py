"""A parameter that the template of a user data class hides: Heat tells nobody what it is, and the VNF keeps it all its life."""

from __future__ import annotations

from pathlib import Path

from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_standalone.rest import RestApi

from tests.flow.clouds import ScenarioCloud
from tests.flow.life import SCALE_OUT, Life, born
from tests.flow.scenario import GROUP
from tests.flow.scenarios.packages import booting, changed

CLASS = """
from tacker.sol_refactored.common import common_script_utils
from tacker.sol_refactored.infra_drivers.openstack import userdata_utils


class Hiding(userdata_utils.AbstractUserData):
    @staticmethod
    def instantiate(req, inst, grant_req, grant, tmp_csar_dir):
        vnfd = common_script_utils.get_vnfd(inst["vnfdId"], tmp_csar_dir)
        nfv = common_script_utils.init_nfv_dict(vnfd.get_base_hot("simple")["template"])
        nfv["VDU"]["VDU1"] = {"computeFlavourId": "m1.tiny", "vcImageId": "cirros", "locationConstraints": "nova",
                              "desired_capacity": 1}
        nfv["CP"]["VDU1_CP1"]["network"] = req["extVirtualLinks"][0]["resourceId"]
        return {"parameters": {"nfv": nfv, "pin": req["additionalParams"]["pin"]},
                "template": {"parameters": {"pin": {"type": "string", "hidden": True}},
                             "resources": {"holder": {"type": "OS::Heat::Value",
                                                      "properties": {"value": {"get_param": "pin"}}}}}}

    @staticmethod
    def scale(req, inst, grant_req, grant, tmp_csar_dir):
        return {"parameters": {"nfv": {"VDU": {"VDU1": {"desired_capacity": 2}}},
                               **({"pin": "changed"} if req["additionalParams"].get("changes") else {})}}

    @staticmethod
    def change_vnfpkg(req, inst, grant_req, grant, tmp_csar_dir):
        return {"parameters": {"nfv": {"VDU": {"VDU1": {"vcImageId": "no-such-image"}}}, "pin": "changed"}}
"""
FILES = {"UserData/hiding.py": CLASS}
PARAMS = {"lcm-operation-user-data": "UserData/hiding.py", "lcm-operation-user-data-class": "Hiding"}
PIN = "4711-0815"


async def hidden_parameter(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Scaled, rolled back, healed, made anew, and of another package that is rolled back; nobody is shown it."""
    life = await born(api, cloud, directory, GROUP, files=FILES)
    await life.instantiated(additionalParams=PARAMS | {"pin": PIN})
    assert await held(life) == PIN
    assert PIN not in str((await life.shown())["instantiatedVnfInfo"])
    async with cloud.limited(instances=1):
        changing = {"additionalParams": PARAMS | {"changes": True}}
        failed = await life.done("scale", SCALE_OUT | changing, "FAILED_TEMP")
        await life.handled(failed, "rollback", "ROLLED_BACK")
    assert await held(life) == PIN
    await life.done("scale", SCALE_OUT | {"additionalParams": PARAMS})
    assert await held(life) == PIN
    await life.done("heal", {"vnfcInstanceId": (await life.of_vdu("VDU1"))[:1]})
    assert await held(life) == PIN
    former = (await life.info())["metadata"]["stack_id"]
    await life.done("heal", {"additionalParams": {"all": True}})
    assert (await life.info())["metadata"]["stack_id"] != former
    assert (await held(life), len(await life.vnfcs())) == (PIN, 2)
    params = PARAMS | {"pin": "none"}
    failed = await changed(life, directory, GROUP, booting("VDU1", "cirros"), "FAILED_TEMP", params, files=FILES)
    assert "no-such-image" in failed["error"]["detail"]
    await life.handled(failed, "rollback", "ROLLED_BACK")
    assert await held(life) == PIN
    await life.ends()


async def held(life: Life) -> str:
    """What the resource that is made of the parameter has."""
    stack = (await life.info())["metadata"]["stack_id"]
    async with Clouds() as clouds:
        path = f"/stacks/{stack}/resources/holder"
        reply = await clouds.cloud(life.cloud.connection).request("orchestration", "GET", path)
    return reply.body["resource"]["attributes"]["value"]
