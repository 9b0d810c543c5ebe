"""Nested templates, ResourceGroup and AutoScalingGroup as a VNF package uses them, with the ``nfv`` parameter."""

from __future__ import annotations

from typing import Any

import pytest
from forestay_simvim import OpenStackSimulator, ResourceFault

from tests.simvim.conftest import Api

TOP = """
heat_template_version: 2013-05-23
parameters:
  nfv: {type: json}
resources:
  VDU1_scale_group:
    type: OS::Heat::AutoScalingGroup
    properties:
      min_size: 1
      max_size: 3
      desired_capacity: {get_param: [nfv, VDU, VDU1, desired_capacity]}
      resource:
        type: VDU1.yaml
        properties:
          flavor: {get_param: [nfv, VDU, VDU1, computeFlavourId]}
          image: {get_param: [nfv, VDU, VDU1, vcImageId]}
          net: {get_param: [nfv, CP, VDU1_CP1, network]}
  VDU1_scale_out:
    type: OS::Heat::ScalingPolicy
    properties:
      scaling_adjustment: 1
      auto_scaling_group_id: {get_resource: VDU1_scale_group}
      adjustment_type: change_in_capacity
outputs:
  ips: {value: {get_attr: [VDU1_scale_group, outputs_list, ip]}}
  size: {value: {get_attr: [VDU1_scale_group, current_size]}}
"""
VDU1 = """
heat_template_version: 2013-05-23
parameters:
  flavor: {type: string}
  image: {type: string}
  net: {type: string}
resources:
  VDU1:
    type: OS::Nova::Server
    properties:
      flavor: {get_param: flavor}
      image: {get_param: image}
      networks: [{port: {get_resource: VDU1_CP1}}]
  VDU1_CP1:
    type: OS::Neutron::Port
    properties: {network: {get_param: net}}
outputs:
  ip: {value: {get_attr: [VDU1_CP1, fixed_ips, 0, ip_address]}}
"""
FILES = {"VDU1.yaml": VDU1}


def nfv(count: int, flavor: str = "m1.tiny") -> dict[str, Any]:
    vdu = {"desired_capacity": count, "computeFlavourId": flavor, "vcImageId": "cirros"}
    return {"nfv": {"VDU": {"VDU1": vdu}, "CP": {"VDU1_CP1": {"network": "private"}}}}


async def made(api: Api, count: int) -> str:
    return await api.made("vnf-1", TOP, files=FILES, parameters=nfv(count))


async def test_members_are_nested_stacks(api: Api) -> None:
    path = await made(api, 2)
    found = await api.resources(path, depth=2)
    servers = [each for each in found if each["resource_type"] == "OS::Nova::Server"]
    assert len(servers) == 2
    group = next(each for each in found if each["resource_name"] == "VDU1_scale_group")
    nested = {link["rel"]: link["href"] for link in group["links"]}["nested"]
    assert nested.endswith(group["physical_resource_id"])
    assert "/stacks/vnf-1-VDU1_scale_group-" in nested
    members = {each["resource_name"] for each in found if each["resource_type"] == "VDU1.yaml"}
    assert {each["parent_resource"] for each in servers} == members
    assert all(each["required_by"] == ["VDU1"] for each in found if each["resource_name"] == "VDU1_CP1")
    assert len(await api.resources(path, depth=1)) == 4
    _, body = await api.heat("GET", "/stacks?show_nested=true")
    assert len(body["stacks"]) == 4


async def test_scale_by_parameter_removes_the_oldest(api: Api) -> None:
    path = await made(api, 1)
    (first,) = await api.servers()
    for count in (3, 2):
        await api.heat("PATCH", path, {"parameters": nfv(count)})
        stack = await api.settle(path, "UPDATE_COMPLETE")
        outputs = {each["output_key"]: each["output_value"] for each in stack["outputs"]}
        assert outputs["size"] == count
        addresses = [server["addresses"]["private"][0]["addr"] for server in await api.servers()]
        assert sorted(outputs["ips"]) == sorted(addresses)
    assert first["id"] not in {server["id"] for server in await api.servers()}


async def test_tags_stay_only_with_an_update_that_patches_what_there_is(api: Api) -> None:
    """As in Heat's ``_prepare_stack_updates``: another update has to name them, a parent's names none of a nested stack's."""

    async def tags(path: str) -> list[str] | None:
        return (await api.heat("GET", path))[1]["stack"]["tags"]

    path = await made(api, 1)
    group = next(each for each in await api.resources(path) if each["resource_name"] == "VDU1_scale_group")
    nested = "/stacks" + {link["rel"]: link["href"] for link in group["links"]}["nested"].split("/stacks")[1]
    for each in (path, nested):
        await api.heat("PATCH", each, {"tags": "a,b"})
        await api.settle(each, "UPDATE_COMPLETE")
        await api.heat("PATCH", each, {"timeout_mins": 5})
        await api.settle(each, "UPDATE_COMPLETE")
        assert await tags(each) == ["a", "b"]
    await api.heat("PATCH", path, {"parameters": nfv(2)})
    await api.settle(path, "UPDATE_COMPLETE")
    assert (await tags(path), await tags(nested)) == (["a", "b"], None)
    await api.heat("PUT", path, {"template": TOP, "files": FILES, "parameters": nfv(2)})
    await api.settle(path, "UPDATE_COMPLETE")
    assert await tags(path) is None


async def test_scale_by_signal_stays_within_the_bounds(api: Api) -> None:
    path = await made(api, 2)
    group = next(each for each in await api.resources(path) if each["resource_name"] == "VDU1_scale_group")
    nested = "/stacks" + {link["rel"]: link["href"] for link in group["links"]}["nested"].split("/stacks")[1]
    for size in (3, 3):
        assert (await api.heat("POST", f"{path}/resources/VDU1_scale_out/signal"))[0] == 200
        await api.settle(nested, "UPDATE_COMPLETE")
        assert len(await api.servers()) == size
    assert (await api.heat("POST", f"{path}/resources/VDU1_scale_group/signal"))[0] == 400


async def test_a_new_flavor_reaches_all_members_in_place(api: Api) -> None:
    path = await made(api, 3)
    before = {server["id"] for server in await api.servers()}
    await api.heat("PATCH", path, {"parameters": nfv(3, "m1.small")})
    await api.settle(path, "UPDATE_COMPLETE")
    after = await api.servers()
    assert {server["id"] for server in after} == before
    assert {server["flavor"]["id"] for server in after} == {"2"}


async def test_a_template_of_another_name_changes_its_stack_in_place(api: Api, sim: OpenStackSimulator) -> None:
    top = """
heat_template_version: 2013-05-23
resources:
  VDU1-0: {type: VDU1.yaml, properties: {flavor: m1.tiny, image: cirros, net: private}}
"""
    fixed = VDU1.replace(
        "{network: {get_param: net}}", "{network: {get_param: net}, fixed_ips: [{ip_address: 10.10.0.77}]}"
    )
    path = await api.made("vnf-1", top, files={"VDU1.yaml": fixed})
    before = {each["resource_name"]: each["physical_resource_id"] for each in await api.resources(path, depth=1)}
    after = fixed.replace("outputs:", "  more: {type: OS::Heat::Value, properties: {value: 1}}\noutputs:")
    body = {"template": top.replace("VDU1.yaml", "after.yaml"), "files": {"after.yaml": after}}
    preview = (await api.heat("PUT", f"{path}/preview", body))[1]["resource_changes"]
    assert [each["resource_name"] for each in preview["updated"]] == ["VDU1-0"]
    await api.heat("PUT", path, body)
    await api.settle(path, "UPDATE_COMPLETE")
    found = {each["resource_name"]: each for each in await api.resources(path, depth=1)}
    assert found["VDU1-0"]["resource_type"] == "after.yaml"
    assert before.items() <= {name: each["physical_resource_id"] for name, each in found.items()}.items()
    assert "more" in found
    assert len(sim.cloud.nova.servers) == 1


async def test_a_marked_member_is_replaced_alone(api: Api) -> None:
    path = await made(api, 2)
    found = [each for each in await api.resources(path, depth=2) if each["resource_name"] == "VDU1"]
    owner = {link["rel"]: link["href"] for link in found[0]["links"]}["stack"].split("/stacks")[1]
    await api.heat("PATCH", f"/stacks{owner}/resources/VDU1", {"mark_unhealthy": True})
    await api.heat("PATCH", path, {"parameters": nfv(2)})
    await api.settle(path, "UPDATE_COMPLETE")
    left = {server["id"] for server in await api.servers()}
    assert found[0]["physical_resource_id"] not in left
    assert found[1]["physical_resource_id"] in left
    assert len(left) == 2


async def test_reasons_carry_the_whole_path(api: Api, sim: OpenStackSimulator) -> None:
    sim.faults.add(ResourceFault(name="VDU1", type="OS::Nova::Server"))
    path = await api.create("vnf-1", TOP, files=FILES, parameters=nfv(1))
    stack = await api.settle(path, "CREATE_FAILED")
    found = await api.resources(path, depth=2)
    member = next(each["resource_name"] for each in found if each["resource_type"] == "VDU1.yaml")
    assert stack["stack_status_reason"] == (
        f"Resource CREATE failed: ResourceInError: resources.VDU1_scale_group.resources.{member}.resources.VDU1: "
        'Went to status ERROR due to "Message: No valid host was found. , Code: 500"'
    )
    await api.heat("PATCH", path, {"parameters": nfv(2)})
    await api.settle(path, "UPDATE_COMPLETE")
    assert len(await api.servers()) == 2


async def test_a_failure_in_an_update_is_told_as_heat_tells_it(api: Api, sim: OpenStackSimulator) -> None:
    path = await made(api, 1)
    sim.faults.add(ResourceFault(name="VDU1", type="OS::Nova::Server"))
    await api.heat("PATCH", path, {"parameters": nfv(2)})
    stack = await api.settle(path, "UPDATE_FAILED")
    start = "Resource UPDATE failed: resources.VDU1_scale_group: Resource CREATE failed: ResourceInError: resources."
    assert stack["stack_status_reason"].startswith(start)


async def test_a_bad_value_inside_fails_the_create_with_validation_words(api: Api) -> None:
    path = await api.create("vnf-1", TOP, files=FILES, parameters=nfv(1, "huge"))
    stack = await api.settle(path, "CREATE_FAILED")
    assert "StackValidationFailed: resources.VDU1_scale_group.resources." in stack["stack_status_reason"]
    assert "resources.VDU1.properties.flavor: Error validating value 'huge'" in stack["stack_status_reason"]


async def test_a_missing_file_is_refused_at_once(api: Api) -> None:
    body = {
        "stack_name": "a",
        "template": {"heat_template_version": "2021-04-16", "resources": {"x": {"type": "no.yaml"}}},
    }
    status, answer = await api.heat("POST", "/stacks", body)
    assert status == 400
    assert 'Could not fetch remote template "no.yaml"' in answer["error"]["message"]


async def test_delete_leaves_nothing(api: Api, sim: OpenStackSimulator) -> None:
    before = sim.cloud.counts()
    path = await made(api, 3)
    await api.heat("DELETE", path)
    await api.settle(path, "DELETE_COMPLETE")
    after = sim.cloud.counts()
    kinds = ("stacks", "nested_stacks", "servers", "ports")
    assert {kind: after[kind] for kind in kinds} == {kind: before[kind] for kind in kinds}


@pytest.mark.parametrize(("policies", "left"), [([], ["r-0", "r-1"]), ([{"resource_list": ["0"]}], ["r-1", "r-2"])])
async def test_resource_group_removal_policies(api: Api, policies: list[Any], left: list[str]) -> None:
    def group(count: int, removal: list[Any]) -> dict[str, Any]:
        member = {"type": "OS::Heat::Value", "properties": {"value": "r-%index%"}}
        props = {"count": count, "resource_def": member, "removal_policies": removal}
        return {
            "heat_template_version": "2021-04-16",
            "resources": {"group": {"type": "OS::Heat::ResourceGroup", "properties": props}},
            "outputs": {"values": {"value": {"get_attr": ["group", "value"]}}},
        }

    path = await api.made("a", group(3, []))
    await api.heat("PUT", path, {"template": group(2, policies)})
    stack = await api.settle(path, "UPDATE_COMPLETE")
    assert stack["outputs"][0]["output_value"] == left


async def test_a_subnet_goes_after_the_ports_of_nested_stacks(api: Api) -> None:
    """Nothing in the template says so: Heat tries its deletion again. One that stays in use fails."""
    net: dict[str, Any] = {"net": {"type": "OS::Neutron::Net"}, "vdu": {"type": "VDU1.yaml"}}
    net["subnet"] = {
        "type": "OS::Neutron::Subnet",
        "properties": {"network": {"get_resource": "net"}, "cidr": "10.9.0.0/24"},
    }
    net["vdu"]["properties"] = {"flavor": "m1.tiny", "image": "cirros", "net": {"get_resource": "net"}}
    net["vdu"]["depends_on"] = ["subnet"]
    template = {"heat_template_version": "2013-05-23", "resources": net}
    path = await api.made("vnf-1", template, files=FILES)
    # From here on as if there were no such dependency, and a pause before the nested stack is deleted.
    del net["vdu"]["depends_on"]
    await api.heat("PUT", path, {"template": template, "files": FILES})
    await api.settle(path, "UPDATE_COMPLETE")
    fault = ResourceFault(name="VDU1", action="DELETE", effect="delay", delay=0.05)
    api.sim.faults.add(fault)
    await api.heat("DELETE", path)
    await api.settle(path, "DELETE_COMPLETE")
