"""Starting and stopping: the servers that are chosen, whatever state they are in."""

from __future__ import annotations

import pytest
from forestay_events.errors import UnknownOutcome
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.steps import take
from forestay_lcm.executor import Failed
from forestay_simvim import CallFault, OpenStackSimulator
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo

from .stepping import carry_out, finish, instantiate, job, order_for, read, two_vdus_order

OPERATE = ("operate-servers", "await-servers", "read-back")
RESTORE = ("restore-servers", "await-restored-servers", "read-back")


@pytest.fixture
async def pair(cloud: Cloud, two_vdus: Flavour) -> InstantiatedVnfInfo:
    return (await instantiate(cloud, await two_vdus_order(cloud, two_vdus)))[0]


def states(info: InstantiatedVnfInfo) -> tuple[str, dict[str, str]]:
    return info.vnf_state, {vnfc.vdu_id: vnfc.vnfc_state for vnfc in info.vnfc_info}


async def test_one_stops_then_all_then_all_start(cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo) -> None:
    chosen = [vnfc.id for vnfc in pair.vnfc_info if vnfc.vdu_id == "VDU1"]
    order = order_for("OPERATE", pair, two_vdus, changeStateTo="STOPPED", vnfcInstanceId=chosen)
    half = read(await carry_out(cloud, order, pair, *OPERATE))
    assert states(half) == ("STARTED", {"VDU1": "STOPPED", "VDU2": "STARTED"})
    stop = order_for("OPERATE", half, two_vdus, changeStateTo="STOPPED")
    stopped = read(await carry_out(cloud, stop, half, *OPERATE, op_id="op2"))
    assert states(stopped) == ("STOPPED", {"VDU1": "STOPPED", "VDU2": "STOPPED"})
    start = order_for("OPERATE", stopped, two_vdus, changeStateTo="STARTED")
    assert read(await carry_out(cloud, start, stopped, *OPERATE, op_id="op3")) == pair


async def test_taken_back_each_server_is_as_it_was(cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo) -> None:
    chosen = [vnfc.id for vnfc in pair.vnfc_info if vnfc.vdu_id == "VDU1"]
    one = order_for("OPERATE", pair, two_vdus, changeStateTo="STOPPED", vnfcInstanceId=chosen)
    half = read(await carry_out(cloud, one, pair, *OPERATE))
    for state in ("STARTED", "STOPPED"):
        order = order_for("OPERATE", half, two_vdus, changeStateTo=state)
        # The operation is rolled back while Nova still works on what it has begun.
        begun = await carry_out(cloud, order, half, "operate-servers", op_id=f"op-{state}")
        undone = await carry_out(cloud, order, half, *RESTORE, op_id=f"op-{state}", results=begun)
        assert read(undone) == half


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_answer_stops_once(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo, when: str
) -> None:
    order = order_for("OPERATE", pair, two_vdus, changeStateTo="STOPPED")
    fault = CallFault(service="nova", method="POST", path="/action", effect="reset", when="after")
    fault.when = "before" if when == "before" else "after"
    sim.faults.add(fault)
    with pytest.raises(UnknownOutcome):
        await take(cloud, job("operate-servers", order, before=pair))
    assert states(read(await carry_out(cloud, order, pair, *OPERATE)))[0] == "STOPPED"
    assert len(sim.journal.effects("server os-stop")) == 2


async def test_a_server_that_cannot_start_is_a_failure(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    server = pair.vnfc_resource_info[0].id
    await cloud.nova.act(server, "os-resetState", {"state": "error"})
    order = order_for("OPERATE", pair, two_vdus, changeStateTo="STARTED")
    refused = await finish(cloud, job("operate-servers", order, before=pair))
    assert isinstance(refused, Failed)
    assert (refused.status, "vm_state error" in refused.detail) == (409, True)
    failed = await finish(cloud, job("await-servers", order, before=pair))
    assert isinstance(failed, Failed)
    assert server in failed.detail


async def test_no_fault_is_told_at_more_length_than_can_be_read(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    server = pair.vnfc_resource_info[0].id
    await cloud.nova.act(server, "os-resetState", {"state": "error"})
    fault = {"code": 500, "message": "The host is gone. " * 100_000}
    [row] = sim.cloud.nova.servers.find(id=server)
    sim.cloud.nova.servers.change(row, fault=fault)
    order = order_for("OPERATE", pair, two_vdus, changeStateTo="STARTED")
    failed = await finish(cloud, job("await-servers", order, before=pair))
    assert isinstance(failed, Failed)
    assert f"{server}: The host is gone. " in failed.detail
    assert len(failed.detail) < 600
    # Whoever tells it by itself, as a comparison does.
    assert len((await cloud.nova.servers([server]))[server].fault) < 600


async def test_a_server_that_vanished_is_named(cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo) -> None:
    server = pair.vnfc_resource_info[0].id
    await cloud.request("compute", "DELETE", f"/servers/{server}")
    order = order_for("OPERATE", pair, two_vdus, changeStateTo="STOPPED")
    outcome = await finish(cloud, job("operate-servers", order, before=pair))
    assert isinstance(outcome, Failed)
    assert (outcome.status, server in outcome.detail) == (404, True)
