"""One resource per VNFC: each has a number for life, and every operation touches those that it is about."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.job import Order
from forestay_lcm.adapters.openstack.template.blueprint import blueprint_after
from forestay_lcm.adapters.openstack.template.vnfcs import Vnfcs, without_gone
from forestay_sol.vnfd import BaseHot, Flavour, VirtualStorage
from forestay_sol.vnflcm import InstantiatedVnfInfo, VnfcResourceInfo
from msgspec.structs import replace

from .conftest import ext_cp, ext_link, order_of
from .stepping import carry_out, instantiate, network, order_for, own_network, ports_of, read, server_ids

UPDATE = ("update-stack", "await-update", "read-back")
HEAL = ("mark-unhealthy", *UPDATE)
RESTORE = ("restore-stack", "await-restored", "read-back")

SERVER: dict[str, Any] = {
    "type": "OS::Nova::Server",
    "properties": {
        "flavor": {"get_param": ["nfv", "VDU", "VDU1", "computeFlavourId"]},
        "availability_zone": {"get_param": ["nfv", "VDU", "VDU1", "locationConstraints"]},
        "name": {"get_param": ["nfv", "VDU", "VDU1", "label"]},
        "scheduler_hints": {"group": {"get_resource": "apart"}},
        "block_device_mapping_v2": [{"volume_id": {"get_resource": "VDU1_Storage"}, "boot_index": 0}],
        "networks": [{"port": {"get_resource": "VDU1_CP1"}}],
    },
}
VOLUME: dict[str, Any] = {
    "type": "OS::Cinder::Volume",
    "properties": {"size": 1, "image": {"get_param": ["nfv", "VDU", "VDU1_Storage", "vcImageId"]}},
}
PORT: dict[str, Any] = {
    "type": "OS::Neutron::Port",
    "properties": {"network": {"get_param": ["nfv", "CP", "VDU1_CP1", "network"]}},
}
APART: dict[str, Any] = {"type": "OS::Nova::ServerGroup", "properties": {"policies": ["soft-anti-affinity"]}}
HOT = {"heat_template_version": "2021-04-16", "parameters": {"nfv": {"type": "json"}}}


def flat() -> BaseHot:
    """Server, port and volume beside each other in the top template."""
    resources = {"VDU1": SERVER, "VDU1_CP1": PORT, "VDU1_Storage": VOLUME, "apart": APART}
    return BaseHot(path="top.yaml", template=yaml.safe_dump(HOT | {"resources": resources}))


def nested() -> BaseHot:
    """The same as a nested template, as packages for Tacker's StandardUserData have it."""
    leaves = {
        "flavor": ["VDU", "VDU1", "computeFlavourId"], "zone": ["VDU", "VDU1", "locationConstraints"],
        "label": ["VDU", "VDU1", "label"], "image": ["VDU", "VDU1_Storage", "vcImageId"],
        "network": ["CP", "VDU1_CP1", "network"],
    }  # fmt: skip
    properties: dict[str, Any] = {name: {"get_param": ["nfv", *leaf]} for name, leaf in leaves.items()}
    vdu = {"type": "VDU1.yaml", "properties": properties | {"group": {"get_resource": "apart"}}}
    server = {
        "flavor": {"get_param": "flavor"},
        "availability_zone": {"get_param": "zone"},
        "name": {"get_param": "label"},
        "scheduler_hints": {"group": {"get_param": "group"}},
        "block_device_mapping_v2": [{"volume_id": {"get_resource": "VDU1_Storage"}, "boot_index": 0}],
        "networks": [{"port": {"get_resource": "VDU1_CP1"}}],
    }
    parameters = {name: {"type": "string"} for name in [*leaves, "group"]}
    inside = {
        "VDU1": {"type": "OS::Nova::Server", "properties": server},
        "VDU1_CP1": {"type": "OS::Neutron::Port", "properties": {"network": {"get_param": "network"}}},
        "VDU1_Storage": {
            "type": "OS::Cinder::Volume",
            "properties": {"size": 1, "image": {"get_param": "image"}},
        },
    }
    return BaseHot(
        path="top.yaml",
        template=yaml.safe_dump(HOT | {"resources": {"VDU1": vdu, "apart": APART}}),
        files={"VDU1.yaml": yaml.safe_dump({**HOT, "parameters": parameters, "resources": inside})},
    )


def on_volume(asg: Flavour, base_hot: BaseHot | None) -> Flavour:
    """One VDU on a volume that scales from one to three."""
    vdu = asg.vdus["VDU1"]
    image = vdu.software_image and replace(vdu.software_image, id="VDU1_Storage")
    storage = VirtualStorage(id="VDU1_Storage", kind="VirtualBlockStorage", size=1 << 30, software_image=image)
    return replace(
        asg,
        vdus={"VDU1": replace(vdu, storage_ids=("VDU1_Storage",), software_image=None)},
        storages={"VDU1_Storage": storage},
        base_hot=base_hot,
    )


@pytest.fixture(params=[flat, nested])
def each(request: pytest.FixtureRequest, asg: Flavour) -> Flavour:
    """The VDU without a group."""
    return on_volume(asg, request.param())


async def order_at(cloud: Cloud, flavour: Flavour, level: int, **request: Any) -> Order:
    link = ext_link(ext_cp("VDU1_CP1"), network=(await network(cloud, "private"))["id"])
    params = {"nfv": {"VDU": {f"VDU1-{at}": {"label": "front"} for at in range(3)}}}
    members = {"instantiationLevelId": f"instantiation_level_{level}", "additionalParams": params} | request
    return order_of(flavour, extVirtualLinks=[link], **members)


@pytest.fixture
async def three(cloud: Cloud, each: Flavour) -> InstantiatedVnfInfo:
    return (await instantiate(cloud, await order_at(cloud, each, 2)))[0]


def by_number(info: InstantiatedVnfInfo) -> dict[int, VnfcResourceInfo]:
    return {(vnfc.metadata or {})["vdu_idx"]: vnfc for vnfc in info.vnfc_resource_info}


def nfv(info: InstantiatedVnfInfo) -> dict[str, Any]:
    return (info.metadata or {})["nfv"]


async def test_each_has_its_number_its_port_and_its_volume(three: InstantiatedVnfInfo) -> None:
    assert [(vnfc.metadata or {})["vdu_idx"] for vnfc in three.vnfc_resource_info] == [2, 1, 0]
    assert {vnfc.vdu_id for vnfc in three.vnfc_resource_info} == {"VDU1"}
    for members in ("storage_resource_ids", "vnfc_cp_info"):
        assert [len(getattr(vnfc, members)) for vnfc in three.vnfc_resource_info] == [1, 1, 1]
    volumes = {volume for vnfc in three.vnfc_resource_info for volume in vnfc.storage_resource_ids}
    assert (len(volumes), {item.virtual_storage_desc_id for item in three.virtual_storage_resource_info}) == (
        3,
        {"VDU1_Storage"},
    )
    assert set(nfv(three)["VDU"]) == {f"{node}-{at}" for node in ("VDU1", "VDU1_Storage") for at in range(3)}
    metadata = by_number(three)[1].metadata or {}
    assert (metadata["flavor"], metadata["zone"], metadata["image-VDU1_Storage-1"]) == ("m1.tiny", "nova", "cirros")


async def test_what_a_request_has_said_of_those_to_come(cloud: Cloud, each: Flavour) -> None:
    """It counts when they come; the rest of them is made then."""
    one, _ = await instantiate(cloud, await order_at(cloud, each, 1))
    assert set(nfv(one)["VDU"]) >= {"VDU1-0", "VDU1-1", "VDU1-2"}
    order = order_for("SCALE", one, each, type="SCALE_OUT", aspectId="VDU1_scale")
    two = read(await carry_out(cloud, order, one, *UPDATE, op_id="op2"))
    assert nfv(two)["VDU"]["VDU1-1"] == nfv(two)["VDU"]["VDU1-0"]
    assert nfv(two)["VDU"]["VDU1-1"]["label"] == "front"


def test_what_goes_is_of_a_vnfc_that_was_there(each: Flavour) -> None:
    parameter: dict[str, Any] = {"VDU": {"VDU1-0": {}, "VDU1-1": {}}, "CP": {"VDU1_CP1-1": {"port": "p"}}}
    two, one, none = (Vnfcs(indexes={"VDU1": tuple(range(number))}) for number in (2, 1, 0))
    assert without_gone(parameter, each, two, one) == {"VDU": {"VDU1-0": {}}, "CP": {}}
    assert without_gone(parameter, each, none, one) == parameter, "of another package, which has a node of this name"


async def test_the_highest_number_goes_first_and_a_number_is_not_given_twice(
    cloud: Cloud, each: Flavour, three: InstantiatedVnfInfo
) -> None:
    old = by_number(three)
    heal = order_for("HEAL", three, each, vnfcInstanceId=[f"VDU1-{old[0].id}"])
    healed = read(await carry_out(cloud, heal, three, *HEAL, op_id="op2"))
    now = by_number(healed)
    assert (now[1].id, now[2].id) == (old[1].id, old[2].id)
    assert now[0].id != old[0].id
    assert now[0].storage_resource_ids != old[0].storage_resource_ids
    scale_in = order_for("SCALE", healed, each, type="SCALE_IN", aspectId="VDU1_scale", level=1)
    results = await carry_out(cloud, scale_in, healed, *UPDATE, op_id="op3")
    two = read(results)
    assert {at: vnfc.id for at, vnfc in by_number(two).items()} == {0: now[0].id, 1: old[1].id}
    assert set(nfv(two)["CP"]) == {"VDU1_CP1-0", "VDU1_CP1-1"}
    scale_out = order_for("SCALE", two, each, type="SCALE_OUT", aspectId="VDU1_scale", level=2)
    results = await carry_out(cloud, scale_out, two, *UPDATE, op_id="op4")
    again = read(results)
    assert {*by_number(again)} == {0, 1, 2}
    assert server_ids(two) < server_ids(again)
    back = read(await carry_out(cloud, scale_out, two, *RESTORE, op_id="op4", results=results))
    assert (server_ids(back), nfv(back)) == (server_ids(two), nfv(two))


async def test_all_move_to_another_network_and_stay_what_they_are(
    cloud: Cloud, each: Flavour, three: InstantiatedVnfInfo
) -> None:
    another = await own_network(cloud)
    order = order_for("CHANGE_EXT_CONN", three, each, extVirtualLinks=[ext_link(ext_cp("VDU1_CP1"), network=another)])
    moved = read(await carry_out(cloud, order, three, *UPDATE, op_id="op2"))
    assert server_ids(moved) == server_ids(three)
    assert {leaf["network"] for leaf in nfv(moved)["CP"].values()} == {another}
    assert nfv(moved)["VDU"] == nfv(three)["VDU"]


async def test_a_package_is_rolled_out_one_by_one(cloud: Cloud, each: Flavour, three: InstantiatedVnfInfo) -> None:
    """Another size, another size of the volume, and an additional port."""
    vdu = replace(each.vdus["VDU1"], requested_capability="m1.small", cp_ids=("VDU1_CP1", "VDU1_CP2"))
    cps = each.cps | {"VDU1_CP2": replace(each.cps["VDU1_CP1"], id="VDU1_CP2")}
    newer = replace(each, vdus={"VDU1": vdu}, cps=cps, base_hot=with_second_port(each.base_hot))
    private = (await network(cloud, "private"))["id"]
    links = [ext_link(ext_cp("VDU1_CP1"), ext_cp("VDU1_CP2"), network=private)]
    order = order_for("CHANGE_VNFPKG", three, newer, old=each, vdus=("VDU1",), vnfdId="vnfd2", extVirtualLinks=links)
    results: dict[str, Any] = {}
    for at, updated in enumerate(([2], [2, 1], [2, 1, 0])):
        steps = (f"update-vnfc:{at}", f"await-vnfc:{at}")
        results = await carry_out(cloud, order, three, *steps, op_id="op2", results=results)
        assert await with_ports(cloud, three, 2) == updated
    back = read(await carry_out(cloud, order, three, *RESTORE, op_id="op2", results=results))
    assert (await with_ports(cloud, back, 1), nfv(back)) == ([2, 1, 0], nfv(three))
    rolled = [f"{step}-vnfc:{at}" for at in range(3) for step in ("update", "await")]
    after = read(await carry_out(cloud, order, three, *rolled, *UPDATE, op_id="op3"))
    assert await with_ports(cloud, after, 2) == [2, 1, 0]
    assert server_ids(after) == server_ids(three)
    assert [len(vnfc.vnfc_cp_info) for vnfc in after.vnfc_resource_info] == [2, 2, 2]
    assert {leaves["computeFlavourId"] for name, leaves in nfv(after)["VDU"].items() if "Storage" not in name} == {
        "m1.small"
    }


async def with_ports(cloud: Cloud, info: InstantiatedVnfInfo, ports: int) -> list[int]:
    """The numbers of the VNFCs that have so many ports, and are as large as goes with that."""
    found: list[int] = []
    for number, vnfc in by_number(info).items():
        reply = await cloud.request("compute", "GET", f"/servers/{vnfc.id}", version="compute 2.47")
        size = reply.body["server"]["flavor"]["original_name"]
        held = len(await ports_of(cloud, [vnfc.id]))
        assert size == {1: "m1.tiny", 2: "m1.small"}[held]
        found += [number] if held == ports else []
    return found


def with_second_port(hot: BaseHot | None) -> BaseHot:
    assert hot is not None
    second = ["nfv", "CP", "VDU1_CP2", "network"]
    top = yaml.safe_load(hot.template)
    home, network = (top, {"get_param": second})
    if hot.files:
        top["resources"]["VDU1"]["properties"]["network2"] = {"get_param": second}
        home, network = yaml.safe_load(hot.files["VDU1.yaml"]), {"get_param": "network2"}
        home["parameters"]["network2"] = {"type": "string"}
    resources: dict[str, Any] = home["resources"]
    resources["VDU1_CP2"] = {"type": "OS::Neutron::Port", "properties": {"network": network}}
    resources["VDU1"]["properties"]["networks"].append({"port": {"get_resource": "VDU1_CP2"}})
    files = {"VDU1.yaml": yaml.safe_dump(home)} if hot.files else {}
    return replace(hot, template=yaml.safe_dump(top), files=files)


def test_an_address_is_given_once(asg: Flavour) -> None:
    """Each VNFC has the config of its number; one beyond them only the subnet of the last."""
    flavour = replace(asg, base_hot=flat_with_address())
    first, second = (ext_cp("VDU1_CP1", fixed=f"10.0.0.{at}", subnet="sub-1")["cpConfig"] for at in (1, 2))
    configs = {"a": first["cfg-VDU1_CP1"], "b": second["cfg-VDU1_CP1"]}
    link = ext_link({"cpdId": "VDU1_CP1", "cpConfig": configs})
    order = order_of(flavour, extVirtualLinks=[link], instantiationLevelId="instantiation_level_2")
    given = blueprint_after(order, None).parameters["nfv"]["CP"]
    assert {name: leaves["fixed_ips"] for name, leaves in given.items()} == {
        "VDU1_CP1-0": [{"subnet": "sub-1", "ip_address": "10.0.0.1"}],
        "VDU1_CP1-1": [{"subnet": "sub-1", "ip_address": "10.0.0.2"}],
        "VDU1_CP1-2": [{"subnet": "sub-1"}],
    }


def flat_with_address() -> BaseHot:
    port = {
        "type": "OS::Neutron::Port",
        "properties": {
            "network": {"get_param": ["nfv", "CP", "VDU1_CP1", "network"]},
            "fixed_ips": {"get_param": ["nfv", "CP", "VDU1_CP1", "fixed_ips"]},
        },
    }
    server = {"type": "OS::Nova::Server", "properties": {"networks": [{"port": {"get_resource": "VDU1_CP1"}}]}}
    return BaseHot(path="t.yaml", template=yaml.safe_dump(HOT | {"resources": {"VDU1": server, "VDU1_CP1": port}}))


async def test_the_requester_names_vnfcs(cloud: Cloud, each: Flavour) -> None:
    """VDU_VNFc_mapping (wire section 3.1): an id belongs to a number; a VNFC beyond them has an id of its own."""
    ids = {"VDU1": ("front-a", "front-b")}
    order = await order_at(cloud, each, 2)
    results = await carry_out(cloud, order, None, "create-stack", "await-stack", "read-back", vnfc_ids=ids)
    info = read(results)
    numbers = {vnfc.id: number for number, vnfc in by_number(info).items()}
    named = {numbers[item.vnfc_resource_info_id or ""]: item.id for item in info.vnfc_info}
    assert named == {0: "front-a", 1: "front-b", 2: f"VDU1-{by_number(info)[2].id}"}
    heal = order_for("HEAL", info, each, vnfcInstanceId=["front-b"])
    healed = read(await carry_out(cloud, heal, info, *HEAL, op_id="op2", vnfc_ids=ids))
    assert {item.id for item in healed.vnfc_info} == {item.id for item in info.vnfc_info}
    assert by_number(healed)[1].id != by_number(info)[1].id
