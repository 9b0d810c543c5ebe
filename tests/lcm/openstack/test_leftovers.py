"""What an operation has left that was given up: the next one is about its own request, and no VNFC that serves pays for it."""

from __future__ import annotations

from typing import Any

import pytest
from forestay_lcm.adapters.openstack.cloud import Cloud
from forestay_lcm.adapters.openstack.groups import surplus
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo

from .conftest import ext_cp, ext_link
from .stepping import (
    VNF,
    asg_order,
    carry_out,
    instantiate,
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
