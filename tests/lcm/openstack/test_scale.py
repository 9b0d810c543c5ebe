"""Scaling a group: as many instances as granted, those that stay are the same, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from forestay_events.errors import Retryable, UnknownOutcome
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.steps import take
from forestay_lcm.executor import Again, Confirmed, Failed, Superseded
from forestay_simvim import CallFault, OpenStackSimulator, ResourceFault
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo, LcmOperationState
from msgspec.structs import replace

from .stepping import (
    asg_order,
    carry_out,
    confirmed,
    finish,
    instantiate,
    job,
    operation,
    order_for,
    read,
    server_ids,
    terminate,
)

UPDATE = ("update-stack", "await-update", "read-back")
RESTORE = ("restore-stack", "await-restored", "read-back")
OUT: dict[str, Any] = {"type": "SCALE_OUT", "aspectId": "VDU1_scale"}
IN: dict[str, Any] = {"type": "SCALE_IN", "aspectId": "VDU1_scale"}


@pytest.fixture
async def one(cloud: Cloud, asg: Flavour) -> InstantiatedVnfInfo:
    """A VNF of one VNFC."""
    return (await instantiate(cloud, await asg_order(cloud, asg)))[0]


@pytest.fixture
async def three(cloud: Cloud, asg: Flavour, one: InstantiatedVnfInfo) -> InstantiatedVnfInfo:
    order = order_for("SCALE", one, asg, **OUT, numberOfSteps=2, level=2)
    return read(await carry_out(cloud, order, one, *UPDATE))


#: The VNF's own stack, not those nested in it.
OWN_STACK = r"/stacks/vnf-[0-9a-f-]{36}/[^/]*$"


def updates(sim: OpenStackSimulator) -> int:
    acted = sim.journal.entries(service="heat", method="PATCH", acted=True)
    return len([entry for entry in acted if re.search(OWN_STACK, entry.path)])


async def test_out_keeps_what_there_was(cloud: Cloud, one: InstantiatedVnfInfo, three: InstantiatedVnfInfo) -> None:
    assert server_ids(one) < server_ids(three)
    assert len(three.vnfc_resource_info) == len(three.ext_cp_info) == 3
    made = [(vnfc.metadata or {})["creation_time"] for vnfc in three.vnfc_resource_info]
    assert made == sorted(made, reverse=True)
    assert (three.metadata or {})["nfv"]["VDU"]["VDU1"]["desired_capacity"] == 3
    assert three.scale_status[0].scale_level == 2
    assert (
        three.ext_virtual_link_info[0].current_vnf_ext_cp_data == one.ext_virtual_link_info[0].current_vnf_ext_cp_data
    )


async def test_in_removes_those_that_the_grant_names(cloud: Cloud, asg: Flavour, three: InstantiatedVnfInfo) -> None:
    order = order_for("SCALE", three, asg, **IN)
    results = await carry_out(cloud, order, three, *UPDATE, op_id="op2")
    removed = order.grant_request.remove_resources[0].resource
    assert removed is not None
    assert server_ids(three) - server_ids(read(results)) == {removed.resource_id}
    assert results["update-stack"]["before"]["nfv"]["VDU"]["VDU1"]["desired_capacity"] == 3
    assert read(results).scale_status == three.scale_status  # told with the order; it tells none


async def test_to_a_level(cloud: Cloud, asg: Flavour, three: InstantiatedVnfInfo) -> None:
    info = [{"aspectId": "VDU1_scale", "scaleLevel": 1}]
    order = order_for("SCALE_TO_LEVEL", three, asg, scaleInfo=info)
    two = read(await carry_out(cloud, order, three, *UPDATE, op_id="op2"))
    assert len(two.vnfc_resource_info) == 2
    assert await terminate(cloud, before=two) == Confirmed({})


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (CallFault(effect="reset", when="after"), UnknownOutcome),
        (CallFault(effect="reset", when="before"), UnknownOutcome),
        (CallFault(effect="hang", when="after"), UnknownOutcome),
        (CallFault(status=503, when="before"), Retryable),
        (CallFault(status=409, message="Stack vnf already has an action: ActionInProgress"), Retryable),
    ],
)
async def test_a_lost_answer_makes_no_second_update(
    sim: OpenStackSimulator,
    cloud: Cloud,
    asg: Flavour,
    one: InstantiatedVnfInfo,
    fault: CallFault,
    error: type[Exception],
) -> None:
    order = order_for("SCALE", one, asg, **OUT)
    sim.faults.add(msgspec.structs.replace(fault, service="heat", method="PATCH"))
    with pytest.raises(error):
        await take(cloud, job("update-stack", order, before=one))
    assert len(read(await carry_out(cloud, order, one, *UPDATE)).vnfc_resource_info) == 2
    assert updates(sim) == 1


async def test_a_second_worker_adopts_the_update(
    sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, one: InstantiatedVnfInfo
) -> None:
    order = order_for("SCALE", one, asg, **OUT)
    stuck = sim.faults.add(ResourceFault(name="VDU1_scale_group", action="UPDATE", effect="stuck"))
    first = await confirmed(cloud, job("update-stack", order, before=one))
    assert await confirmed(cloud, job("update-stack", order, before=one)) == first
    assert updates(sim) == 1
    # Who retries sends it again: Heat goes on with it, or takes up what it has forgotten.
    assert await confirmed(cloud, job("update-stack", order, before=one, attempt=2)) == first
    assert updates(sim) == 2
    sim.faults.remove(stuck.id)
    assert len(read(await carry_out(cloud, order, one, *UPDATE, attempt=2)).vnfc_resource_info) == 2


async def test_workers_at_the_same_step_scale_once(cloud: Cloud, asg: Flavour, one: InstantiatedVnfInfo) -> None:
    order = order_for("SCALE", one, asg, **OUT)
    await asyncio.gather(*(confirmed(cloud, job("update-stack", order, before=one)) for _ in range(4)))
    assert len(read(await carry_out(cloud, order, one, *UPDATE)).vnfc_resource_info) == 2


async def test_somebody_elses_update_is_waited_for(
    sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, one: InstantiatedVnfInfo
) -> None:
    order = order_for("SCALE", one, asg, **OUT)
    stack = await cloud.heat.find(f"vnf-{job('x').vnf_id}")
    assert stack is not None
    stuck = sim.faults.add(ResourceFault(name="VDU1_scale_group", action="UPDATE", effect="stuck"))
    await cloud.heat.update(stack, {"tags": "theirs"})
    outcome = await take(cloud, job("update-stack", order, before=one))
    assert isinstance(outcome, Again)
    assert "UPDATE_IN_PROGRESS (by somebody else)" in outcome.note
    sim.faults.remove(stuck.id)
    assert len(read(await carry_out(cloud, order, one, *UPDATE)).vnfc_resource_info) == 2


async def test_an_update_that_has_not_begun_is_waited_for(cloud: Cloud, asg: Flavour, one: InstantiatedVnfInfo) -> None:
    outcome = await take(cloud, job("await-update", order_for("SCALE", one, asg, **OUT), before=one))
    assert isinstance(outcome, Again)
    assert "CREATE_COMPLETE" in outcome.note


async def failed_scale_out(
    sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, one: InstantiatedVnfInfo
) -> tuple[Any, dict[str, Any]]:
    order = order_for("SCALE", one, asg, **OUT, numberOfSteps=2)
    sim.faults.add(ResourceFault(name="VDU1", action="CREATE", reason="No valid host was found."))
    results = await carry_out(cloud, order, one, "update-stack")
    failed = await finish(cloud, job("await-update", order, before=one, results=results))
    assert isinstance(failed, Failed)
    assert (failed.title, failed.status) == ("Stack update failed", 422)
    assert "VDU1 (OS::Nova::Server): " in failed.detail
    assert "No valid host was found." in failed.detail
    return order, results


async def test_a_failure_can_be_tried_again(
    sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, one: InstantiatedVnfInfo
) -> None:
    order, _ = await failed_scale_out(sim, cloud, asg, one)
    three = read(await carry_out(cloud, order, one, *UPDATE, attempt=2))
    assert len(three.vnfc_resource_info) == 3
    assert server_ids(one) < server_ids(three)
    assert updates(sim) == 2


async def test_a_failure_can_be_rolled_back_to_the_same_vnfcs(
    sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, one: InstantiatedVnfInfo
) -> None:
    order, results = await failed_scale_out(sim, cloud, asg, one)
    back = read(await carry_out(cloud, order, one, *RESTORE, results=results))
    assert back == one


async def test_a_success_can_be_rolled_back_to_the_same_vnfcs(
    cloud: Cloud, asg: Flavour, one: InstantiatedVnfInfo
) -> None:
    order = order_for("SCALE", one, asg, **OUT, numberOfSteps=2)
    results = await carry_out(cloud, order, one, "update-stack", "await-update")
    assert read(await carry_out(cloud, order, one, *RESTORE, results=results)) == one


async def test_restoring_what_was_not_touched_does_nothing(
    sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, three: InstantiatedVnfInfo
) -> None:
    order = order_for("SCALE", three, asg, **IN)
    before = updates(sim)
    sim.faults.add(CallFault(service="heat", method="PATCH", path=OWN_STACK, status=400))
    refused = await finish(cloud, job("update-stack", order, before=three, op_id="op2"))
    assert isinstance(refused, Failed)
    # The VNFC that should have gone was marked; the mark is taken away, so that no later update replaces it.
    results = await carry_out(cloud, order, three, *RESTORE, op_id="op2")
    assert read(results) == three
    assert updates(sim) == before
    await carry_out(cloud, order_for("HEAL", three, asg), three, *UPDATE, op_id="op3")
    assert server_ids(read(await carry_out(cloud, order, three, "read-back", op_id="op3"))) == server_ids(three)


async def test_a_lost_answer_to_a_restoration(
    sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, one: InstantiatedVnfInfo
) -> None:
    order = order_for("SCALE", one, asg, **OUT)
    results = await carry_out(cloud, order, one, "update-stack", "await-update")
    sim.faults.add(CallFault(service="heat", method="PATCH", path=OWN_STACK, effect="reset", when="after"))
    with pytest.raises(UnknownOutcome):
        await finish(cloud, job("restore-stack", order, before=one, results=results))
    assert read(await carry_out(cloud, order, one, *RESTORE, results=results)) == one
    assert updates(sim) == 2


async def test_a_superseded_worker_touches_nothing(
    sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, three: InstantiatedVnfInfo
) -> None:
    async def closed() -> None:
        raise Superseded(None)

    before = len(sim.journal.entries(service="heat", method="PATCH"))
    for step, order in (
        ("update-stack", order_for("SCALE", three, asg, **IN)),
        ("update-stack", order_for("SCALE", three, asg, **IN, numberOfSteps=2)),
        ("mark-unhealthy", order_for("HEAL", three, asg)),
    ):
        with pytest.raises(Superseded):
            await take(cloud, job(step, order, before=three, op_id="op2", fence=closed))
    assert len(sim.journal.entries(service="heat", method="PATCH")) == before


@pytest.mark.parametrize(
    ("state", "undone"), [("ROLLED_BACK", ()), ("ROLLING_BACK", ("restore-stack", "await-restored"))]
)
async def test_an_update_that_came_too_late_is_taken_back(
    sim: OpenStackSimulator,
    cloud: Cloud,
    asg: Flavour,
    one: InstantiatedVnfInfo,
    state: LcmOperationState,
    undone: Sequence[str],
) -> None:
    """The worker slept between the fence and its call to Heat; meanwhile the operation was rolled back, or its stack is."""
    order = order_for("SCALE", one, asg, **OUT)

    async def closes() -> None:
        if updates(sim):
            raise Superseded(operation("op1", state, undone=undone))

    with pytest.raises(Superseded):
        await take(cloud, job("update-stack", order, before=one, fence=closes))
    assert updates(sim) == 2
    results = {"restore-stack": {"stack_id": "any"}}
    await carry_out(cloud, order, one, "await-restored", results=results)
    assert server_ids(read(await carry_out(cloud, order, one, "read-back", results=results))) == server_ids(one)


async def test_an_update_that_came_during_the_rollback_is_restored_again(
    sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, one: InstantiatedVnfInfo
) -> None:
    order = order_for("SCALE", one, asg, **OUT)
    results = await carry_out(cloud, order, one, "update-stack", "await-update", "restore-stack", "await-restored")
    late = await cloud.heat.show(*(results["update-stack"][key] for key in ("stack_name", "stack_id")))
    assert late is not None
    nfv = {"VDU": {"VDU1": (one.metadata or {})["nfv"]["VDU"]["VDU1"] | {"desired_capacity": 2}}}
    nfv["CP"] = (one.metadata or {})["nfv"]["CP"]
    await cloud.heat.update(late, {"parameters": {"nfv": nfv}, "tags": "forestay,op-op1,step-update-stack,attempt-1"})
    again = await carry_out(cloud, order, one, "await-restored", "read-back", results=results)
    assert server_ids(read(again)) == server_ids(one)


async def test_a_group_stays_in_its_zone_and_that_is_told(cloud: Cloud, asg: Flavour) -> None:
    one, _ = await instantiate(cloud, await asg_order(cloud, asg))
    out = order_for("SCALE", one, asg, level=1, type="SCALE_OUT", aspectId="VDU1_scale")
    elsewhere = tuple(replace(zone, zone_id="az2") for zone in out.grant.zones)
    granted = replace(out, grant=replace(out.grant, zones=elsewhere))
    results = await carry_out(cloud, granted, one, *UPDATE, op_id="op2")
    two = read(results)
    assert results["read-back"]["zones_not_kept"] == {"VDU1": ["az2"]}
    assert (server_ids(one) < server_ids(two), {vnfc.zone_id for vnfc in two.vnfc_resource_info}) == (True, {"nova"})
    again = order_for("SCALE", two, asg, level=2, type="SCALE_OUT", aspectId="VDU1_scale")
    results = await carry_out(cloud, again, two, *UPDATE, op_id="op3")
    assert "zones_not_kept" not in results["read-back"]
