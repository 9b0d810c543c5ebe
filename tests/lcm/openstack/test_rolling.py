"""Updating VNFC by VNFC: one after the other, in a group and outside of one, and all of them back."""

from __future__ import annotations

from typing import Any

import pytest
from forestay_events.errors import UnknownOutcome
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.steps import take
from forestay_simvim import CallFault, OpenStackSimulator
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo
from msgspec.structs import replace

from .stepping import asg_order, carry_out, instantiate, job, order_for, read, server_ids, two_vdus_order

UPDATE = ("update-stack", "await-update", "read-back")
RESTORE = ("restore-stack", "await-restored", "read-back")
PACKAGE: dict[str, Any] = {"vnfdId": "vnfd2"}


def newer(flavour: Flavour) -> Flavour:
    """The flavour of a new package: its VDU1 is another size."""
    vdu = replace(flavour.vdus["VDU1"], requested_capability="m1.medium")
    return replace(flavour, vdus=flavour.vdus | {"VDU1": vdu})


async def sizes(cloud: Cloud, info: InstantiatedVnfInfo) -> list[str]:
    """Of the VNFC that is updated first, and so on."""
    found: list[str] = []
    for vnfc in info.vnfc_resource_info:
        reply = await cloud.request("compute", "GET", f"/servers/{vnfc.id}", version="compute 2.47")
        found.append(reply.body["server"]["flavor"]["original_name"])
    return found


@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_members_of_a_group(sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, when: Any) -> None:
    one, _ = await instantiate(cloud, await asg_order(cloud, asg))
    out = order_for("SCALE", one, asg, type="SCALE_OUT", aspectId="VDU1_scale")
    two = read(await carry_out(cloud, out, one, *UPDATE, op_id="op1"))
    order = order_for("CHANGE_VNFPKG", two, newer(asg), old=asg, vdus=("VDU1",), **PACKAGE)
    sim.faults.add(CallFault(service="heat", method="PATCH", effect="reset", when=when))
    with pytest.raises(UnknownOutcome):
        await take(cloud, job("update-vnfc:0", order, before=two, op_id="op2"))
    results = await carry_out(cloud, order, two, "update-vnfc:0", "await-vnfc:0", op_id="op2")
    assert await sizes(cloud, two) == ["m1.medium", "m1.tiny"]
    # A member that was updated is restored too, though the VNF's own stack was not touched yet.
    back = await carry_out(cloud, order, two, *RESTORE, op_id="op2", results=results)
    assert await sizes(cloud, read(back)) == ["m1.tiny", "m1.tiny"]
    results = await carry_out(
        cloud, order, two, *(f"{step}-vnfc:{n}" for n in (0, 1) for step in ("update", "await")), *UPDATE, op_id="op3"
    )
    after = read(results)
    assert await sizes(cloud, after) == ["m1.medium", "m1.medium"]
    assert server_ids(after) == server_ids(two)
    assert (after.metadata or {})["nfv"]["VDU"]["VDU1"]["computeFlavourId"] == "m1.medium"


async def test_vnfcs_of_the_top_stack(sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour) -> None:
    pair, _ = await instantiate(cloud, await two_vdus_order(cloud, two_vdus))
    vdu = replace(two_vdus.vdus["VDU2"], requested_capability="m1.large")
    flavour = replace(newer(two_vdus), vdus=newer(two_vdus).vdus | {"VDU2": vdu})
    order = order_for("CHANGE_VNFPKG", pair, flavour, old=two_vdus, vdus=("VDU1", "VDU2"), **PACKAGE)
    results = await carry_out(cloud, order, pair, "update-vnfc:0", "await-vnfc:0", op_id="op2")
    assert await sizes(cloud, pair) == ["m1.medium", "m1.small"]
    results = await carry_out(cloud, order, pair, "update-vnfc:1", "await-vnfc:1", op_id="op2", results=results)
    assert await sizes(cloud, pair) == ["m1.medium", "m1.large"]
    results = await carry_out(cloud, order, pair, *RESTORE, op_id="op2", results=results)
    assert await sizes(cloud, read(results)) == ["m1.tiny", "m1.small"]
