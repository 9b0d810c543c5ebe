"""Healing: the chosen VNFCs are others afterwards, all else is the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from forestay_events.errors import UnknownOutcome
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.steps import take
from forestay_lcm.executor import Failed
from forestay_simvim import CallFault, OpenStackSimulator, ResourceFault
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo, ResourceHandle, VnfcResourceInfo
from msgspec.structs import replace

from .stepping import (
    VNF,
    asg_order,
    carry_out,
    finish,
    instantiate,
    job,
    order_for,
    read,
    server_ids,
    two_vdus_order,
)

UPDATE = ("update-stack", "await-update", "read-back")
HEAL = ("mark-unhealthy", *UPDATE)
ANEW = ("delete-stack", "await-deleted", "create-stack", "await-stack", "read-back")
RESTORE = ("restore-stack", "await-restored", "read-back")


@pytest.fixture
async def pair(cloud: Cloud, two_vdus: Flavour) -> InstantiatedVnfInfo:
    """A VNF of a VDU1, and of a VDU2 on a volume."""
    return (await instantiate(cloud, await two_vdus_order(cloud, two_vdus)))[0]


def by_vdu(info: InstantiatedVnfInfo) -> dict[str, VnfcResourceInfo]:
    return {vnfc.vdu_id: vnfc for vnfc in info.vnfc_resource_info}


def named(info: InstantiatedVnfInfo, vdu: str) -> dict[str, Any]:
    return {"vnfcInstanceId": [vnfc.id for vnfc in info.vnfc_info if vnfc.vdu_id == vdu]}


async def test_one_vnfc_of_the_top_stack(cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo) -> None:
    order = order_for("HEAL", pair, two_vdus, **named(pair, "VDU1"))
    results = await carry_out(cloud, order, pair, *HEAL)
    healed = read(results)
    assert [item["resource"] for item in results["mark-unhealthy"]["marked"]] == ["VDU1"]
    assert by_vdu(healed)["VDU1"].id != by_vdu(pair)["VDU1"].id
    assert by_vdu(healed)["VDU2"] == by_vdu(pair)["VDU2"]
    assert healed.virtual_storage_resource_info == pair.virtual_storage_resource_info
    assert {cp.id for cp in healed.ext_cp_info} == {cp.id for cp in pair.ext_cp_info}  # the ports are the same


@pytest.mark.parametrize("members", [{}, {"additionalParams": {"all": True}}])
async def test_a_server_is_healed_with_the_volume_that_it_boots_from(
    cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo, members: dict[str, Any]
) -> None:
    order = order_for("HEAL", pair, two_vdus, **named(pair, "VDU2"), **members)
    healed = read(await carry_out(cloud, order, pair, *HEAL))
    old, new = by_vdu(pair), by_vdu(healed)
    assert new["VDU1"] == old["VDU1"]
    assert (new["VDU2"].id != old["VDU2"].id, new["VDU2"].storage_resource_ids != old["VDU2"].storage_resource_ids) == (
        True,
        True,
    )
    assert len(healed.virtual_storage_resource_info) == 1


async def test_members_of_a_group(cloud: Cloud, asg: Flavour) -> None:
    first, _ = await instantiate(cloud, await asg_order(cloud, asg))
    out = order_for("SCALE", first, asg, type="SCALE_OUT", aspectId="VDU1_scale", numberOfSteps=2)
    three = read(await carry_out(cloud, out, first, *UPDATE))
    chosen = three.vnfc_info[1]
    order = order_for("HEAL", three, asg, vnfcInstanceId=[chosen.id])
    healed = read(await carry_out(cloud, order, three, *HEAL, op_id="op2"))
    assert server_ids(three) - server_ids(healed) == {chosen.vnfc_resource_info_id}
    assert len(server_ids(healed)) == 3
    everything = order_for("HEAL", healed, asg)
    renewed = read(await carry_out(cloud, everything, healed, *HEAL, op_id="op3"))
    assert len(server_ids(renewed)) == 3
    assert not server_ids(renewed) & server_ids(healed)


async def test_a_lost_answer_to_a_mark_and_a_second_worker(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    order = order_for("HEAL", pair, two_vdus)
    sim.faults.add(CallFault(service="heat", method="PATCH", path="/resources/", effect="reset", when="after"))
    with pytest.raises(UnknownOutcome):
        await take(cloud, job("mark-unhealthy", order, before=pair))
    healed = read(await carry_out(cloud, order, pair, *HEAL))
    assert not server_ids(healed) & server_ids(pair)
    marks = sim.journal.entries(service="heat", method="PATCH", path="/resources/", acted=True)
    assert len(marks) == 3  # two servers and a volume, each once
    # Who comes too late finds the VNFCs gone, and marks no others.
    assert await carry_out(cloud, order, pair, "mark-unhealthy") == {"mark-unhealthy": {"marked": []}}


async def test_marks_of_a_heal_that_did_not_happen_are_taken_away(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    order = order_for("HEAL", pair, two_vdus)
    await carry_out(cloud, order, pair, "mark-unhealthy", "unmark-unhealthy")
    later = order_for("HEAL", pair, two_vdus, **named(pair, "VDU1"))
    healed = read(await carry_out(cloud, later, pair, *HEAL, op_id="op2"))
    assert by_vdu(healed)["VDU2"] == by_vdu(pair)["VDU2"]


async def test_a_heal_that_fails_is_tried_again_or_rolled_back(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    order = order_for("HEAL", pair, two_vdus, **named(pair, "VDU1"))
    sim.faults.add(ResourceFault(name="VDU1", action="CREATE", reason="No valid host was found."))
    results = await carry_out(cloud, order, pair, "mark-unhealthy", "update-stack")
    failed = await finish(cloud, job("await-update", order, before=pair, results=results))
    assert isinstance(failed, Failed)
    assert "No valid host" in failed.detail
    back = read(await carry_out(cloud, order, pair, *RESTORE, results=results))
    assert by_vdu(back)["VDU2"] == by_vdu(pair)["VDU2"]
    assert len(back.vnfc_resource_info) == 2


async def test_the_whole_vnf_is_made_anew(cloud: Cloud, asg: Flavour) -> None:
    first, _ = await instantiate(cloud, await asg_order(cloud, asg))
    out = order_for("SCALE", first, asg, level=2, type="SCALE_OUT", aspectId="VDU1_scale", numberOfSteps=2)
    three = read(await carry_out(cloud, out, first, *UPDATE))
    order = order_for("HEAL", three, asg, additionalParams={"all": True})
    anew = read(await carry_out(cloud, order, three, *ANEW, op_id="op2"))
    assert (anew.metadata or {})["stack_id"] != (three.metadata or {})["stack_id"]
    assert (anew.metadata or {})["nfv"] == (three.metadata or {})["nfv"]
    assert (len(server_ids(anew)), server_ids(anew) & server_ids(three)) == (3, set())
    assert anew.scale_status == three.scale_status
    assert [link.resource_handle for link in anew.ext_virtual_link_info] == [
        link.resource_handle for link in three.ext_virtual_link_info
    ]


async def test_the_whole_vnf_has_the_addresses_that_were_asked_for(
    cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    order = order_for("HEAL", pair, two_vdus, additionalParams={"all": True})
    anew = read(await carry_out(cloud, order, pair, *ANEW, op_id="op2"))
    assert fixed_addresses(anew) == fixed_addresses(pair) == {("10.10.0.77",)}
    assert not server_ids(anew) & server_ids(pair)


async def test_what_a_user_data_class_has_made_is_made_anew_as_it_was(
    cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    """Only Heat knows it: what was kept of it before it is deleted is what comes again."""
    stack = await cloud.heat.find(f"vnf-{VNF}")
    assert stack is not None
    extra = {"resources": {"extra": {"type": "OS::Heat::RandomString"}}}
    made_of = await cloud.heat.made_of(stack)
    merged = made_of.template | {"resources": made_of.template["resources"] | extra["resources"]}
    await cloud.heat.update(stack, {"template": merged, "tags": "forestay,op-op1,step-create-stack,attempt-1"})
    order = order_for("HEAL", pair, two_vdus, additionalParams={"all": True})
    while (stack := await cloud.heat.find(f"vnf-{VNF}")) is None or stack.status == "IN_PROGRESS":
        await asyncio.sleep(0.01)
    await carry_out(cloud, order, pair, "keep-stack", *ANEW, op_id="op2")
    anew = await cloud.heat.find(f"vnf-{VNF}")
    assert anew is not None
    assert anew.id != stack.id
    assert "extra" in {item.name for item in await cloud.heat.resources(anew.name, anew.id)}


async def test_a_large_stack_that_no_class_has_made_is_drawn_again(
    cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    assert two_vdus.base_hot
    long = two_vdus.base_hot.template.replace("A front end", "x" * (600 << 10))
    large = replace(two_vdus, base_hot=replace(two_vdus.base_hot, template=long))
    grown = order_for("CHANGE_FLAVOUR", pair, large, old=two_vdus, newFlavourId="simple")
    before = read(await carry_out(cloud, grown, pair, "update-stack", "await-update", "read-back", op_id="op2"))
    order = order_for("HEAL", before, large, additionalParams={"all": True})
    written = replace(before, metadata={**(before.metadata or {}), "lcm-operation-user-data": "x.py"})
    failed = await finish(cloud, job("keep-stack", order, before=written, op_id="op3"))
    assert isinstance(failed, Failed)
    assert "more than 524288" in failed.detail
    anew = read(await carry_out(cloud, order, before, "keep-stack", *ANEW, op_id="op3"))
    assert fixed_addresses(anew) == fixed_addresses(pair)
    assert not server_ids(anew) & server_ids(pair)


async def test_a_vnf_whose_stack_has_vanished_is_made_anew(
    cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    stack = await cloud.heat.find(f"vnf-{VNF}")
    assert stack is not None
    await cloud.heat.delete(stack)
    while await cloud.heat.find(f"vnf-{VNF}") is not None:
        await asyncio.sleep(0.01)
    order = order_for("HEAL", pair, two_vdus, additionalParams={"all": True})
    anew = read(await carry_out(cloud, order, pair, "keep-stack", *ANEW, op_id="op2"))
    assert fixed_addresses(anew) == fixed_addresses(pair)


async def test_making_anew_goes_on_where_it_failed(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    order = order_for("HEAL", pair, two_vdus, additionalParams={"all": True})
    sim.faults.add(ResourceFault(name="VDU1", action="CREATE", reason="No valid host was found."))
    results = await carry_out(cloud, order, pair, *ANEW[:3], op_id="op2")
    failed = await finish(cloud, job("await-stack", order, before=pair, results=results, op_id="op2"))
    assert isinstance(failed, Failed)
    again = await carry_out(cloud, order, pair, *ANEW[2:], op_id="op2", attempt=2)
    assert len(read(again).vnfc_resource_info) == 2


def fixed_addresses(info: InstantiatedVnfInfo) -> set[tuple[str, ...]]:
    layers = [data.ip_over_ethernet for cp in info.ext_cp_info for data in cp.cp_protocol_info]
    addresses = [address for layer in layers if layer for address in layer.ip_addresses or ()]
    return {address.addresses for address in addresses if not address.is_dynamic and address.addresses}


async def test_an_unknown_vnfc_is_named(cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo) -> None:
    order = order_for("HEAL", pair, two_vdus, **named(pair, "VDU1"))
    outcome = await finish(cloud, job("mark-unhealthy", order, before=replace(pair, vnfc_info=pair.vnfc_info[1:])))
    assert isinstance(outcome, Failed)
    assert (outcome.status, pair.vnfc_info[0].id in outcome.detail) == (400, True)


async def test_a_vnfc_that_an_operation_has_replaced_that_was_given_up_is_healed(
    cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    """The log has another server: what has taken its place is replaced, with its volume."""
    order = order_for("HEAL", pair, two_vdus, **named(pair, "VDU2"))
    lost = read(await carry_out(cloud, order, pair, *HEAL, op_id="op2"))  # nobody has read it: it was given up
    healed = read(await carry_out(cloud, order, pair, *HEAL, op_id="op3"))
    was, between, now = (by_vdu(info) for info in (pair, lost, healed))
    assert now["VDU1"].id == between["VDU1"].id == was["VDU1"].id
    assert len({each["VDU2"].id for each in (was, between, now)}) == 3
    assert len({each["VDU2"].storage_resource_ids for each in (was, between, now)}) == 3


async def test_a_vnfc_that_has_no_server_cannot_be_healed(
    cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    """Nobody has told Heat that it shall have none, so the update of the stack would make none either."""
    gone = replace(pair.vnfc_resource_info[0], compute_resource=ResourceHandle(resource_id="gone"), vdu_id="VDU3")
    info = replace(pair, vnfc_resource_info=(gone, *pair.vnfc_resource_info[1:]))
    refused = await finish(cloud, job("mark-unhealthy", order_for("HEAL", pair, two_vdus), before=info, op_id="op2"))
    assert isinstance(refused, Failed)
    assert (refused.status, gone.id in refused.detail) == (409, True)
