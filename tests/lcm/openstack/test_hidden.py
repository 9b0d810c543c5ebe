"""What a template hides is known only to who has given it."""

from __future__ import annotations

import msgspec
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.template.wanted import stack_before
from forestay_lcm.executor import Failed
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo

from .stepping import asg_order, carry_out, confirmed, finish, instantiate, job, order_for

PIN = {"parameters": {"pin": "4711"}, "template": {"parameters": {"pin": {"type": "string", "hidden": True}}}}


async def given(cloud: Cloud, asg: Flavour, info: InstantiatedVnfInfo, op_id: str = "op2") -> InstantiatedVnfInfo:
    """The VNF, once its class has given its stack a parameter that nobody is to know."""
    order = order_for("SCALE", info, asg, type="SCALE_OUT", aspectId="VDU1_scale", level=1)
    steps = ("update-stack", "await-update", "read-back")
    results = {
        "keep-stack": await confirmed(cloud, job("keep-stack", order, before=info, op_id="op2")),
        "user-data": PIN,
    }
    read = await carry_out(cloud, order, info, *steps, results=results, op_id=op_id)
    return msgspec.convert(read["read-back"]["instantiated_vnf_info"], InstantiatedVnfInfo)


async def test_it_is_kept_apart_with_what_is_read_back(cloud: Cloud, asg: Flavour) -> None:
    info = await given(cloud, asg, (await instantiate(cloud, await asg_order(cloud, asg)))[0])
    assert (info.metadata or {})["hidden_secret"] == {"pin": "4711"}
    order = order_for("HEAL", info, asg)
    kept = await confirmed(cloud, job("keep-stack", order, before=info, op_id="op3"))
    assert kept["hidden_secret"] == {"pin": "4711"}
    assert "pin" not in kept["parameters"]
    was = stack_before(job("update-stack", order, before=info, op_id="op3", results={"keep-stack": kept}))
    assert was.parameters == {"pin": "4711", "nfv": (info.metadata or {})["nfv"]}


async def test_what_somebody_else_has_given_stops_before_anything_is_touched(cloud: Cloud, asg: Flavour) -> None:
    first, _ = await instantiate(cloud, await asg_order(cloud, asg))
    await given(cloud, asg, first, "op1")  # an operation that the log takes for the last one
    failed = await finish(cloud, job("keep-stack", order_for("HEAL", first, asg), before=first, op_id="op3"))
    assert isinstance(failed, Failed)
    assert (failed.status, "parameter pin of stack" in failed.detail) == (422, True)
