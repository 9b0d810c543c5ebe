"""The steps against the simulated OpenStack: one stack whatever goes wrong on the way, and what it really holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from forestay_events.errors import Permanent, Retryable, UnknownOutcome
from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_lcm.adapters.openstack.clients.telling import told
from forestay_lcm.adapters.openstack.steps import take
from forestay_lcm.executor import Again, Confirmed, Failed, Outcome, Superseded
from forestay_simvim import CallFault, OpenStackSimulator, ResourceFault, SimConfig
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo, LcmOperationState, VimConnectionInfo

from .conftest import connection, ext_cp, ext_link, order_of
from .stepping import (
    VNF,
    asg_order,
    confirmed,
    finish,
    instantiate,
    job,
    network,
    operation,
    ports_of,
    terminate,
    two_vdus_order,
)


def created(sim: OpenStackSimulator) -> int:
    """How many top stacks Heat was asked for and made."""
    return len(sim.journal.entries(service="heat", method="POST", path="/stacks$", acted=True))


async def test_two_vdus_come_and_go(sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour) -> None:
    info, _ = await instantiate(cloud, await two_vdus_order(cloud, two_vdus))
    assert {vnfc.vdu_id for vnfc in info.vnfc_resource_info} == {"VDU1", "VDU2"}
    assert {vnfc.zone_id for vnfc in info.vnfc_resource_info} == {"nova"}
    front, back = sorted(info.vnfc_resource_info, key=lambda vnfc: vnfc.vdu_id)
    assert back.storage_resource_ids == (info.virtual_storage_resource_info[0].id,)
    assert {cp.cpd_id for cp in front.vnfc_cp_info} == {"VDU1_CP1", "VDU1_CP2"}
    assert {port.cp_instance_id for port in info.vnf_virtual_link_resource_info[0].vnf_link_ports} == {
        f"VDU1_CP2-{front.id}",
        f"VDU2_CP2-{back.id}",
    }
    addresses = {
        cp.cpd_id: cp.cp_protocol_info[0].ip_over_ethernet.ip_addresses[0]
        for cp in info.ext_cp_info
        if cp.cp_protocol_info[0].ip_over_ethernet
    }
    assert (addresses["VDU1_CP1"].addresses, addresses["VDU1_CP1"].is_dynamic) == (("10.10.0.77",), False)
    assert addresses["VDU2_CP1"].is_dynamic
    assert addresses["VDU2_CP1"].addresses[0].startswith("10.10.0.")
    assert info.metadata is not None
    assert info.metadata["tenant"] == "demo"
    assert info.metadata["tenant_id"] == (await cloud.token()).project_id
    assert info.metadata["nfv"]["VDU"]["VDU1"]["computeFlavourId"] == "m1.tiny"
    assert await terminate(cloud, before=info) == Confirmed({})
    assert await cloud.heat.find(f"vnf-{VNF}") is None
    assert (await ports_of(cloud, [front.id, back.id]), created(sim)) == ([], 1)


async def test_a_group_is_read_to_its_members(cloud: Cloud, asg: Flavour) -> None:
    level = next(level for level in asg.instantiation_levels.values() if level.vdu_counts["VDU1"] > 1)
    link = ext_link(ext_cp("VDU1_CP1"), network=(await network(cloud, "private"))["id"])
    info, _ = await instantiate(cloud, order_of(asg, extVirtualLinks=[link], instantiationLevelId=level.id))
    assert len(info.vnfc_resource_info) == level.vdu_counts["VDU1"]
    homes = {(vnfc.metadata or {})["stack_id"] for vnfc in info.vnfc_resource_info}
    parents = {(vnfc.metadata or {})["parent_resource_name"] for vnfc in info.vnfc_resource_info}
    assert len(homes) == len(parents) == len(info.vnfc_resource_info)
    assert len({(vnfc.metadata or {})["parent_stack_id"] for vnfc in info.vnfc_resource_info}) == 1
    assert len(info.ext_virtual_link_info[0].ext_link_ports) == len(info.vnfc_resource_info)
    assert {item.scale_level for item in info.scale_status} == set(level.scale_info.values())


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (CallFault(effect="reset", when="after"), UnknownOutcome),
        (CallFault(effect="reset", when="before"), UnknownOutcome),
        (CallFault(effect="hang", when="after"), UnknownOutcome),
        (CallFault(status=500, when="after"), UnknownOutcome),
        (CallFault(status=503, when="before"), Retryable),
        (CallFault(status=429, retry_after=1), Retryable),
    ],
)
async def test_a_lost_answer_never_makes_a_second_stack(
    sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, fault: CallFault, error: type[Exception]
) -> None:
    order = await asg_order(cloud, asg)
    sim.faults.add(msgspec.structs.replace(fault, service="heat", method="POST", path="/stacks$"))
    with pytest.raises(error):
        await take(cloud, job("create-stack", order))
    made = await confirmed(cloud, job("create-stack", order))
    assert created(sim) == 1
    assert sim.journal.effects("stack created") == [f"stack created {made['stack_id']}"]


async def test_workers_at_the_same_step_make_one_stack(sim: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    order = await asg_order(cloud, asg)
    made = await asyncio.gather(*(confirmed(cloud, job("create-stack", order)) for _ in range(8)))
    assert len({result["stack_id"] for result in made}) == 1
    assert created(sim) == 1
    await confirmed(cloud, job("await-stack", order, results={"create-stack": made[0]}))


async def test_failure_tells_the_reason_and_a_retry_makes_it_anew(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour
) -> None:
    order = await two_vdus_order(cloud, two_vdus)
    sim.faults.add(ResourceFault(name="VDU1", reason="Went to status ERROR due to no valid host"))
    made = await confirmed(cloud, job("create-stack", order))
    failed = await finish(cloud, job("await-stack", order, results={"create-stack": made}))
    assert isinstance(failed, Failed)
    assert (failed.title, failed.status) == ("Stack create failed", 422)
    assert "VDU1 (OS::Nova::Server): " in failed.detail
    assert "no valid host" in failed.detail
    # A second look by the same try adopts what it made; the next try makes a new one.
    assert await confirmed(cloud, job("create-stack", order)) == made
    again = await confirmed(cloud, job("create-stack", order, attempt=2))
    assert again["stack_id"] != made["stack_id"]
    await confirmed(cloud, job("await-stack", order, results={"create-stack": again}, attempt=2))
    assert await cloud.heat.show(made["stack_name"], made["stack_id"]) is None


async def test_no_failure_tells_more_than_can_be_read(sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour) -> None:
    order = await two_vdus_order(cloud, two_vdus)
    sim.faults.add(ResourceFault(type="OS::Nova::Server", reason="No valid host. " * 100_000, times=None))
    made = await confirmed(cloud, job("create-stack", order))
    failed = await finish(cloud, job("await-stack", order, results={"create-stack": made}))
    assert isinstance(failed, Failed)
    assert "VDU1 (OS::Nova::Server): " in failed.detail
    assert len(failed.detail) < 2000


def test_the_first_of_many_reasons_are_told() -> None:
    assert told(["a", "b"]) == "a; b"
    words = told([f"VDU1-{number}: {'no valid host ' * 1000}" for number in range(500)])
    assert "VDU1-19: no valid host" in words
    assert words.endswith("...; and 480 more")
    assert len(words) < 11_000


async def test_a_retry_adopts_a_stack_that_is_still_in_the_making(cloud: Cloud, asg: Flavour) -> None:
    order = await asg_order(cloud, asg)
    made = await confirmed(cloud, job("create-stack", order))
    assert await confirmed(cloud, job("create-stack", order, attempt=2)) == made


async def test_the_stack_of_an_abandoned_operation_is_replaced(cloud: Cloud, asg: Flavour) -> None:
    order = await asg_order(cloud, asg)
    left = await confirmed(cloud, job("create-stack", order, op_id="op0"))
    made = await confirmed(cloud, job("create-stack", order))
    assert made["stack_id"] != left["stack_id"]


async def test_a_foreign_stack_is_left_alone(cloud: Cloud, asg: Flavour) -> None:
    empty = {"template": "{heat_template_version: 2018-08-31, resources: {}}", "tags": "mine"}
    stack_id = await cloud.heat.create(f"vnf-{VNF}", empty)
    outcome = await finish(cloud, job("create-stack", await asg_order(cloud, asg)))
    assert isinstance(outcome, Failed)
    assert (outcome.status, stack_id in outcome.detail) == (409, True)
    assert await terminate(cloud) == Confirmed({})
    assert await cloud.heat.find(f"vnf-{VNF}") is not None
    # Unless it is the one that the VNF is known to live in, as for one that came from Tacker.
    before = InstantiatedVnfInfo(flavour_id="simple", vnf_state="STARTED", metadata={"stack_id": stack_id})
    assert await terminate(cloud, before=before) == Confirmed({})
    assert await cloud.heat.find(f"vnf-{VNF}") is None


async def test_delete_that_fails_says_why_and_can_be_taken_again(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour
) -> None:
    await instantiate(cloud, await two_vdus_order(cloud, two_vdus))
    sim.faults.add(ResourceFault(name="VDU2_Storage", action="DELETE", reason="volume is in use"))
    failed = await terminate(cloud)
    assert isinstance(failed, Failed)
    assert (failed.title, "volume is in use" in failed.detail) == ("Stack delete failed", True)
    assert await terminate(cloud) == Confirmed({})


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_answer_to_a_delete(sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, when: Any) -> None:
    await instantiate(cloud, await asg_order(cloud, asg))
    # aiohttp itself repeats a DELETE on a connection that was kept open, so twice.
    sim.faults.add(CallFault(service="heat", method="DELETE", effect="reset", when=when, times=2))
    with pytest.raises(UnknownOutcome):
        await take(cloud, job("delete-stack"))
    assert await terminate(cloud) == Confirmed({})
    assert await cloud.heat.find(f"vnf-{VNF}") is None


async def test_a_template_may_hide_its_parameters(cloud: Cloud, asg: Flavour) -> None:
    """Heat shows asterisks then; an update of the stack needs what it was made with."""
    hot = asg.base_hot
    assert hot is not None
    hides = msgspec.structs.replace(hot, template=hot.template.replace("type: json", "type: json, hidden: true", 1))
    shown, _ = await instantiate(cloud, await asg_order(cloud, asg))
    await terminate(cloud)
    hidden, results = await instantiate(cloud, await asg_order(cloud, msgspec.structs.replace(asg, base_hot=hides)))
    stack = await cloud.heat.show(results["create-stack"]["stack_name"], results["create-stack"]["stack_id"])
    assert stack is not None
    assert stack.parameters["nfv"] == "******"
    assert (hidden.metadata or {})["nfv"] == (shown.metadata or {})["nfv"]


async def test_nothing_to_delete_is_done(cloud: Cloud) -> None:
    assert await terminate(cloud) == Confirmed({})


async def test_a_stack_that_vanished_is_a_failure(cloud: Cloud, asg: Flavour) -> None:
    order = await asg_order(cloud, asg)
    _, results = await instantiate(cloud, order)
    assert await terminate(cloud) == Confirmed({})
    for step in ("await-stack", "read-back"):
        outcome = await finish(cloud, job(step, order, results=results))
        assert isinstance(outcome, Failed)
        assert "has vanished" in outcome.detail


async def test_a_superseded_step_does_nothing(sim: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    async def closed() -> None:
        raise Superseded(None)

    order = await asg_order(cloud, asg)
    with pytest.raises(Superseded):
        await take(cloud, job("create-stack", order, fence=closed))
    assert created(sim) == 0
    await instantiate(cloud, order)
    with pytest.raises(Superseded):
        await take(cloud, job("delete-stack", fence=closed))
    assert sim.journal.entries(service="heat", method="DELETE") == []


@pytest.mark.parametrize(
    ("op_id", "state", "taken", "undone", "stays"),
    [
        ("op1", "PROCESSING", "this", (), True),  # a rival was faster to see and to report it
        ("op1", "COMPLETED", "this", (), True),
        ("op1", "FAILED_TEMP", "", (), True),  # a retry adopts it, a rollback deletes it
        ("op1", "FAILED", "", (), False),
        ("op1", "ROLLING_BACK", "", ("script:instantiate_rollback_start",), True),
        ("op1", "ROLLING_BACK", "", ("delete-stack",), False),  # it has looked already, and deletes images now
        ("op1", "ROLLED_BACK", "another", (), False),
        ("op2", "PROCESSING", "", (), False),
    ],
)
async def test_a_stack_that_was_made_too_late_is_taken_away(
    sim: OpenStackSimulator,
    cloud: Cloud,
    asg: Flavour,
    op_id: str,
    state: LcmOperationState,
    taken: str,
    undone: Sequence[str],
    stays: bool,
) -> None:
    """The worker slept between the fence and its call to Heat."""

    async def closes() -> None:
        if made := sim.journal.effects("stack created"):
            raise Superseded(operation(op_id, state, made[0].split()[-1] if taken == "this" else taken, undone))

    with pytest.raises(Superseded):
        await take(cloud, job("create-stack", await asg_order(cloud, asg), fence=closes))
    assert len(sim.journal.effects("stack delete started")) == (0 if stays else 1)


async def test_waiting_slows_down(sim: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    order = await asg_order(cloud, asg)
    sim.faults.add(ResourceFault(type="OS::Nova::Server", effect="stuck"))
    results = {"create-stack": await confirmed(cloud, job("create-stack", order))}

    async def delay_after(seconds: float) -> float:
        since = datetime.now(UTC) - timedelta(seconds=seconds)
        outcome = await take(cloud, job("await-stack", order, results=results, started_at=since))
        assert isinstance(outcome, Again)
        assert "CREATE_IN_PROGRESS" in outcome.note
        return outcome.delay

    first, later, last = [await delay_after(seconds) for seconds in (0, 2, 600)]
    assert 0.3 == first < later < last == 1


async def test_the_vims_own_words_about_a_bad_template(cloud: Cloud, asg: Flavour) -> None:
    order = order_of(asg, extVirtualLinks=[ext_link(ext_cp("VDU1_CP1"), network="no-such-network")])
    outcome = await finish(cloud, job("create-stack", order))
    if isinstance(outcome, Confirmed):
        outcome = await finish(cloud, job("await-stack", order, results={"create-stack": outcome.result}))
    assert isinstance(outcome, Failed)
    assert "no-such-network" in outcome.detail


async def test_a_wrong_password_is_named(sim: OpenStackSimulator, clouds: Clouds, asg: Flavour) -> None:
    wrong = clouds.cloud(connection(sim, password="guessed"))
    outcome: Outcome = await take(wrong, job("create-stack", order_of(asg)))
    assert isinstance(outcome, Failed)
    assert (outcome.title, outcome.status) == ("VIM authentication failed", 401)
    assert "'demo'" in outcome.detail
    assert "guessed" not in outcome.detail


async def test_one_token_serves_all_and_is_renewed_when_refused(sim: OpenStackSimulator, cloud: Cloud) -> None:
    await asyncio.gather(*(cloud.heat.find(f"vnf-{number}") for number in range(20)))
    assert len(sim.journal.entries(service="keystone", method="POST")) == 1
    sim.cloud.identity.tokens.clear()
    await asyncio.gather(*(cloud.heat.find(f"vnf-{number}") for number in range(20)))
    assert len(sim.journal.entries(service="keystone", method="POST")) == 2


async def test_a_token_is_renewed_before_its_end(clouds: Clouds) -> None:
    async with OpenStackSimulator(SimConfig(token_lifetime=1.0)).serve() as sim:
        cloud = clouds.cloud(connection(sim))
        for _ in range(6):
            await cloud.heat.find("vnf-x")
            await asyncio.sleep(0.25)
        logins = len(sim.journal.entries(service="keystone", method="POST"))
        refused = [entry for entry in sim.journal.entries(service="heat") if entry.status == 401]
    assert (logins, refused) == (2, [])


async def test_an_unknown_region_and_a_missing_member_are_named(sim: OpenStackSimulator, clouds: Clouds) -> None:
    with pytest.raises(Permanent, match=r"orchestration.*region 'Elsewhere'"):
        await clouds.cloud(connection(sim, region="Elsewhere")).heat.find("x")
    with pytest.raises(Permanent, match=r"lacks interfaceInfo\.endpoint, accessInfo\.password"):
        clouds.cloud(VimConnectionInfo(vim_type="x", access_info={"username": "u", "project": "p"}))
