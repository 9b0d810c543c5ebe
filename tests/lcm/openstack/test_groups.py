"""Groups: how many members there are is what was granted, if the template says their size itself, and if there are to be none."""

from __future__ import annotations

import pytest
import yaml
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.job import Order
from forestay_lcm.executor import Failed
from forestay_simvim import OpenStackSimulator, ResourceFault
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo, ScaleInfo
from msgspec.structs import replace

from .stepping import asg_order, carry_out, finish, instantiate, job, order_for, read, server_ids

UPDATE = ("update-stack", "await-update", "read-back")


@pytest.mark.parametrize("size", ["desired_capacity: 1", "desired_capacity: '2'", ""])
async def test_it_scales_all_the_same(cloud: Cloud, asg: Flavour, size: str) -> None:
    assert asg.base_hot is not None
    asked = "desired_capacity: {get_param: [nfv, VDU, VDU1, desired_capacity]}"
    template = asg.base_hot.template.replace(asked, size)
    assert yaml.safe_load(template)
    flavour = replace(asg, base_hot=replace(asg.base_hot, template=template))
    one, _ = await instantiate(cloud, await asg_order(cloud, flavour))
    assert len(server_ids(one)) == 1
    out = order_for("SCALE", one, flavour, level=2, type="SCALE_OUT", aspectId="VDU1_scale", numberOfSteps=2)
    three = read(await carry_out(cloud, out, one, *UPDATE, op_id="op2"))
    assert server_ids(one) < server_ids(three)
    assert len(server_ids(three)) == 3
    back = order_for("SCALE", three, flavour, level=1, type="SCALE_IN", aspectId="VDU1_scale", numberOfSteps=1)
    two = read(await carry_out(cloud, back, three, *UPDATE, op_id="op3"))
    assert server_ids(two) < server_ids(three)


@pytest.fixture
async def last(cloud: Cloud, asg: Flavour) -> tuple[Order, InstantiatedVnfInfo]:
    """A VNF of one VNFC, and the order that takes it away."""
    assert asg.base_hot is not None
    template = asg.base_hot.template.replace("min_size: 1", "min_size: 0")
    flavour = replace(asg, base_hot=replace(asg.base_hot, template=template))
    one, _ = await instantiate(cloud, await asg_order(cloud, flavour))
    grown = replace(one, scale_status=(ScaleInfo(aspect_id="VDU1_scale", scale_level=1),))
    return order_for("SCALE", grown, flavour, level=0, type="SCALE_IN", aspectId="VDU1_scale"), grown


async def test_the_last_member_leaves(cloud: Cloud, last: tuple[Order, InstantiatedVnfInfo]) -> None:
    """Heat takes a desired capacity of 0 for as many as there are."""
    order, one = last
    none = read(await carry_out(cloud, order, one, *UPDATE, op_id="op2"))
    assert server_ids(none) == set()
    out = order_for("SCALE", none, order.flavour, level=1, type="SCALE_OUT", aspectId="VDU1_scale")
    again = read(await carry_out(cloud, out, none, *UPDATE, op_id="op3"))
    assert len(server_ids(again)) == 1


async def test_the_last_member_that_does_not_go(
    cloud: Cloud, sim: OpenStackSimulator, last: tuple[Order, InstantiatedVnfInfo]
) -> None:
    order, one = last
    sim.faults.add(ResourceFault(name="VDU1", action="DELETE", reason="it is busy"))
    results = await carry_out(cloud, order, one, "update-stack", op_id="op2")
    failed = await finish(cloud, job("await-update", order, before=one, op_id="op2", results=results))
    assert isinstance(failed, Failed)
    assert "it is busy" in failed.detail
    back = await carry_out(
        cloud, order, one, "restore-stack", "await-restored", "read-back", op_id="op2", results=results
    )
    assert len(server_ids(read(back))) == 1
