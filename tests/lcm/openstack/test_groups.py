"""Groups whose size the template says itself: how many members there are is what was granted."""

from __future__ import annotations

import pytest
import yaml
from forestay_lcm.adapters.openstack.cloud import Cloud
from forestay_sol.vnfd import Flavour
from msgspec.structs import replace

from .stepping import asg_order, carry_out, instantiate, order_for, read, server_ids

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
