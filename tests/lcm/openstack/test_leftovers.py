"""What an operation has left that was given up: the next one is about its own request, and no VNFC that serves pays for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.groups import surplus
from forestay_lcm.executor import Failed
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo
from msgspec.structs import replace

from .conftest import ext_cp, ext_link
from .stepping import (
    VNF,
    asg_order,
    carry_out,
    finish,
    instantiate,
    job,
    order_for,
    own_network,
    read,
    server_ids,
)

UPDATE = ("update-stack", "await-update", "read-back")
OUT: dict[str, Any] = {"type": "SCALE_OUT", "aspectId": "VDU1_scale"}


@pytest.fixture
async def two(cloud: Cloud, asg: Flavour) -> InstantiatedVnfInfo:
    """A VNF of two VNFCs."""
    one, _ = await instantiate(cloud, await asg_order(cloud, asg))
    return read(await carry_out(cloud, order_for("SCALE", one, asg, **OUT, level=1), one, *UPDATE, op_id="op1"))


@pytest.fixture
async def grown(cloud: Cloud, asg: Flavour, two: InstantiatedVnfInfo) -> InstantiatedVnfInfo:
    """As the log knows it: two VNFCs. Heat has made a third one for a SCALE that was given up."""
    await carry_out(cloud, order_for("SCALE", two, asg, **OUT, level=2), two, *UPDATE[:2], op_id="op2")
    return two


async def test_healing_one_vnfc_leaves_the_others_that_the_log_has(
    cloud: Cloud, asg: Flavour, grown: InstantiatedVnfInfo
) -> None:
    sick, well = grown.vnfc_info
    order = order_for("HEAL", grown, asg, vnfcInstanceId=[sick.id])
    healed = read(await carry_out(cloud, order, grown, "mark-unhealthy", *UPDATE, op_id="op3"))
    assert well.vnfc_resource_info_id in server_ids(healed)
    assert len(server_ids(healed)) == 2, "as many as the log has"


async def test_another_connection_leaves_the_vnfcs_that_the_log_has(
    cloud: Cloud, asg: Flavour, grown: InstantiatedVnfInfo
) -> None:
    network = await own_network(cloud)
    order = order_for("CHANGE_EXT_CONN", grown, asg, extVirtualLinks=[ext_link(ext_cp("VDU1_CP1"), network=network)])
    assert server_ids(read(await carry_out(cloud, order, grown, *UPDATE, op_id="op3"))) == server_ids(grown)


async def test_scaling_leaves_the_vnfcs_that_the_log_has(
    cloud: Cloud, asg: Flavour, grown: InstantiatedVnfInfo
) -> None:
    order = order_for("SCALE", grown, asg, **OUT, level=2)
    scaled = server_ids(read(await carry_out(cloud, order, grown, *UPDATE, op_id="op3")))
    assert server_ids(grown) < scaled
    assert len(scaled) == 3


async def test_a_replacement_is_not_too_many(cloud: Cloud, asg: Flavour, two: InstantiatedVnfInfo) -> None:
    """A HEAL of all VNFCs that was given up when Heat had replaced them: what serves now stays."""
    await carry_out(cloud, order_for("HEAL", two, asg), two, "mark-unhealthy", *UPDATE[:2], op_id="op2")
    stack = await cloud.heat.find(f"vnf-{VNF}")
    assert stack is not None
    resources = await cloud.heat.resources(stack.name, stack.id)
    assert (
        list(surplus(resources, {vnfc.compute_resource.resource_id: "VDU1" for vnfc in two.vnfc_resource_info})) == []
    )
    network = await own_network(cloud)
    order = order_for("CHANGE_EXT_CONN", two, asg, extVirtualLinks=[ext_link(ext_cp("VDU1_CP1"), network=network)])
    serving = {item.physical_id for item in resources if item.type == "OS::Nova::Server"}
    assert server_ids(read(await carry_out(cloud, order, two, *UPDATE, op_id="op3"))) == serving


async def test_marks_of_a_heal_are_not_the_business_of_the_next_operation(
    cloud: Cloud, asg: Flavour, two: InstantiatedVnfInfo
) -> None:
    await carry_out(cloud, order_for("HEAL", two, asg), two, "mark-unhealthy", op_id="op2")
    order = order_for("SCALE", two, asg, **OUT, level=2)
    assert server_ids(two) < server_ids(read(await carry_out(cloud, order, two, *UPDATE, op_id="op3")))


async def test_a_vnf_that_was_made_anew_is_found_though_nobody_has_read_it_back(
    cloud: Cloud, asg: Flavour, two: InstantiatedVnfInfo
) -> None:
    anew = order_for("HEAL", two, asg, additionalParams={"all": True})
    steps = ("keep-stack", "delete-stack", "await-deleted", "create-stack", "await-stack")
    await carry_out(cloud, anew, two, *steps, op_id="op2")
    order = order_for("SCALE", two, asg, **OUT, level=2)
    scaled = read(await carry_out(cloud, order, two, *UPDATE, op_id="op3"))
    assert len(server_ids(scaled)) == 3
    assert (scaled.metadata or {})["stack_id"] != (two.metadata or {})["stack_id"]


async def test_a_rollback_takes_out_what_its_operation_has_added_and_no_replacement(
    cloud: Cloud, asg: Flavour, two: InstantiatedVnfInfo
) -> None:
    """A HEAL of all VNFCs that was given up when Heat had replaced them, then a SCALE that is rolled back."""
    await carry_out(cloud, order_for("HEAL", two, asg), two, "mark-unhealthy", *UPDATE[:2], op_id="op2")
    serving = await servers(cloud)
    assert len(serving - server_ids(two)) == 2
    await asyncio.sleep(1.1)  # Heat tells the second in which a member was made
    order = order_for("SCALE", two, asg, **OUT, level=2)
    results = await carry_out(cloud, order, two, *UPDATE[:2], op_id="op3")
    assert len(await servers(cloud)) == 3
    await carry_out(cloud, order, two, "restore-stack", "await-restored", op_id="op3", results=results)
    assert await servers(cloud) == serving


async def servers(cloud: Cloud) -> set[str]:
    """The ids of the servers in the VNF's stack."""
    stack = await cloud.heat.find(f"vnf-{VNF}")
    assert stack is not None
    resources = await cloud.heat.resources(stack.name, stack.id)
    return {item.physical_id for item in resources if item.type == "OS::Nova::Server"}


async def test_a_change_of_the_package_by_a_class_leaves_the_number_of_vnfcs(cloud: Cloud, asg: Flavour) -> None:
    """Both packages' templates say by themselves how many VNFCs there are at first."""
    assert asg.base_hot is not None
    size = "desired_capacity: {get_param: [nfv, VDU, VDU1, desired_capacity]}"
    literal = asg.base_hot.template.replace(size, "desired_capacity: 1")
    old = replace(asg, base_hot=replace(asg.base_hot, template=literal))
    new = replace(asg, base_hot=replace(asg.base_hot, template=literal.replace("max_size: 3", "max_size: 9")))
    info, _ = await instantiate(cloud, await asg_order(cloud, old))
    said = {"user-data": {"parameters": {}}}
    out = order_for("SCALE", info, old, **OUT, level=1)
    kept = await carry_out(cloud, out, info, "keep-stack", op_id="op2")
    two = read(await carry_out(cloud, out, info, *UPDATE, op_id="op2", results=kept | said))
    order = order_for("CHANGE_VNFPKG", two, new, old=old, vdus=("VDU1",), vnfdId="vnfd2")
    kept = await carry_out(cloud, order, two, "keep-stack", op_id="op3")
    changed = read(await carry_out(cloud, order, two, *UPDATE, op_id="op3", results=kept | said))
    assert len(server_ids(changed)) == 2


async def test_a_stack_that_was_restored_can_be_kept_for_a_retry(
    cloud: Cloud, asg: Flavour, two: InstantiatedVnfInfo
) -> None:
    """The rollback of a HEAL has failed behind the restoration: a retry begins at the marks, and keeps the stack anew."""
    order = order_for("HEAL", two, asg)
    steps = ("mark-unhealthy", "keep-stack", "update-stack", "await-update")
    results = await carry_out(cloud, order, two, *steps, op_id="op2")
    late = await finish(cloud, job("keep-stack", order, before=two, op_id="op2", attempt=2))
    assert isinstance(late, Failed), "as it is now it is not to be kept"
    await carry_out(cloud, order, two, "restore-stack", "await-restored", results=results, op_id="op2")
    again = await carry_out(cloud, order, two, "mark-unhealthy", "keep-stack", op_id="op2", attempt=2)
    assert again["keep-stack"]["parameters"] == results["keep-stack"]["parameters"]
