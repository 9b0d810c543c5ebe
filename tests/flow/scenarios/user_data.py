"""User data classes of packages that say what becomes of each VNFC, and what a VNFD says that ships no template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forestay_standalone.rest import RestApi

from tests.flow.clouds import ScenarioCloud
from tests.flow.life import SCALE_IN, SCALE_OUT, Life, born
from tests.flow.scenario import GROUP, NUMBERED, PAIR, other_links
from tests.flow.scenarios.packages import changed, label
from tests.lcm.openstack.test_tosca_details import said
from tests.scripts.test_package_change import larger
from tests.scripts.test_user_data_v1 import CHANGED, HOT, MADE

Json = dict[str, Any]

# The copy of the class that packages carry gives templates as text, be they whole or a part.
INDIVIDUAL = """
import yaml
from tacker.sol_refactored.infra_drivers.openstack import userdata_standard


class Individual(userdata_standard.StandardUserData):
    @staticmethod
    def scale(*given):
        fields = userdata_standard.StandardUserData.scale(*given)
        return fields | {"template": yaml.safe_dump(fields["template"])}

    @staticmethod
    def scale_rollback(*given):
        fields = userdata_standard.StandardUserData.scale_rollback(*given)
        return fields | {"template": yaml.safe_dump(fields["template"])}
"""
FILES = {"UserData/individual.py": INDIVIDUAL, "Scripts/never.py": "import sys\nsys.exit('not now')\n"}
PARAMS = {"lcm-operation-user-data": "UserData/individual.py", "lcm-operation-user-data-class": "Individual"}
NAMED = {"additionalParams": PARAMS}
LOGIN = {"cp_name": "VDU1_CP1", "username": "u", "password": "p"}
REFUSING = PARAMS | {
    "lcm-operation-coordinate-new-vnf": "Scripts/never.py",
    "vdu_params": [{"vdu_id": "VDU1", "new_vnfc_param": LOGIN, "old_vnfc_param": LOGIN}],
}


async def class_for_each_vnfc(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """A class has a resource for each VNFC: scaled, rolled back, connected anew, healed, and of a newer package."""

    async def numbered() -> dict[int, str]:
        return {vnfc["metadata"]["vdu_idx"]: key for key, vnfc in (await life.vnfcs()).items()}

    life = await born(api, cloud, directory, NUMBERED, files=FILES)
    await life.instantiated(**NAMED)
    first = await numbered()
    async with cloud.limited(instances=1):
        failed = await life.done("scale", SCALE_OUT | NAMED, "FAILED_TEMP")
        await life.handled(failed, "rollback", "ROLLED_BACK")
    assert await numbered() == first
    await life.done("scale", SCALE_OUT | {"numberOfSteps": 2} | NAMED)
    three = await numbered()
    assert (three.keys(), three[0]) == ({0, 1, 2}, first[0])
    await life.done("scale", SCALE_IN | NAMED)
    two = await numbered()
    assert two == {at: three[at] for at in (0, 1)}

    await life.done("change_ext_conn", {"extVirtualLinks": await other_links(cloud, life.request)} | NAMED)
    await life.done("heal", NAMED)
    healed = await numbered()
    assert healed.keys() == {0, 1}
    assert not {*healed.values()} & {*two.values()}

    failed = await changed(life, directory, NUMBERED, larger, "FAILED_TEMP", files=FILES, params=REFUSING)
    assert failed["error"]["step"] == "coordinate-new:0"
    await life.handled(failed, "rollback", "ROLLED_BACK")
    assert await flavors(life) == {"m1.tiny"}
    await changed(life, directory, NUMBERED, larger, files=FILES, params=PARAMS)
    assert (await flavors(life), (await numbered()).keys()) == ({"m1.small"}, {0, 1})
    await life.ends()


async def flavors(life: Life) -> set[str]:
    return {vnfc["metadata"]["flavor"] for vnfc in (await life.vnfcs()).values()}


async def class_of_the_first_api(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """It gives parameters, and is asked to scale and to heal; the oldest VNFC goes first if that is wanted."""

    def edit(flavour: Json, tree: Path) -> None:
        [top] = (tree / "BaseHOT" / "simple").glob("*.yaml")
        top.write_text(HOT.replace("SIZE", "{get_param: [nfv, desired_capacity, VDU1_scale]}"))

    params = {"lcm-operation-user-data": "UserData/first.py", "lcm-operation-user-data-class": "First"}
    named = {"additionalParams": params | {"label": "red"}}
    life = await born(api, cloud, directory, GROUP, files={"UserData/first.py": MADE + CHANGED}, edit=edit)
    instance = await life.instantiated(**named)
    stack = instance["instantiatedVnfInfo"]["metadata"]["stack_id"]
    assert await label(cloud, stack) == "red"
    await life.done("scale", SCALE_OUT | {"numberOfSteps": 2} | named)
    three = [*(await life.vnfcs())]
    assert (await label(cloud, stack), len(three)) == ("scaled", 3)
    await life.done("scale", SCALE_IN | {"additionalParams": params | {"is_reverse": "True"}})
    assert [*(await life.vnfcs())] == three[:2]
    await life.done("heal", named | {"vnfcInstanceId": (await life.of_vdu("VDU1"))[:1]})
    assert (await label(cloud, stack)).startswith("healed 1 VDU1")
    await life.ends()


async def details_of_the_vnfd(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Boot data, subnets and security rules are made of the VNFD; a compute flavour only an administrator makes."""

    def edit(flavour: Json, tree: Path) -> None:
        node = flavour["topology_template"]["node_templates"]["VDU1"]
        named = node["capabilities"]["virtual_compute"]["properties"]
        said(flavour, tree)
        node["capabilities"]["virtual_compute"]["properties"] = named
        del flavour["topology_template"]["node_templates"]["VDU1_CP1"]["properties"]["vnic_type"]

    life = await born(api, cloud, directory, PAIR, edit=edit)
    await life.instantiated()
    assert {server["metadata"].get("role") for server in await life.servers()} == {"front", None}
    kinds = ("network", "/v2.0/ports", "ports"), ("network", "/v2.0/subnets", "subnets")
    ports, subnets = await cloud.resources(*kinds)
    servers = (await life.vnfcs()).keys()
    groups = [tuple(port["security_groups"]) for port in ports if port["device_id"] in servers]
    assert len({*groups}) == 3, "one for each of the two external ports, that of the project for the internal ones"
    ranges = {subnet["cidr"]: subnet for subnet in subnets}
    inner = ranges["192.168.77.0/24"]
    assert (inner["gateway_ip"], inner["enable_dhcp"]) == ("192.168.77.254", False)
    assert inner["allocation_pools"] == [{"start": "192.168.77.10", "end": "192.168.77.20"}]
    assert ranges["fd00:77::/64"]["ipv6_address_mode"] == "slaac"
    await life.ends()
