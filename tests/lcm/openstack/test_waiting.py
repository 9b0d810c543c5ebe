"""How waiting for Heat looks from outside: how often it is asked, and what is told when it fails deep inside."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

from forestay_lcm.adapters.openstack.cloud import Cloud
from forestay_lcm.adapters.openstack.steps.waiting import delay
from forestay_lcm.executor import Failed
from forestay_simvim import OpenStackSimulator, ResourceFault
from forestay_sol.vnfd import Flavour
from msgspec.structs import replace

from .stepping import asg_order, carry_out, finish, job, terminate


def looks(operations: int, seconds: float) -> list[float]:
    """When Heat is asked by operations that begin to wait at the same instant, in seconds from then."""
    times: list[float] = []
    for number in range(operations):
        waiting, at = job("await-stack", vnf_id=str(UUID(int=number))), 0.0
        while at < seconds:
            times.append(at)
            at += delay(replace(waiting, started_at=datetime.now(UTC) - timedelta(seconds=at)))
    return times


def test_two_hundred_operations_that_wait_do_not_ask_in_step() -> None:
    times = looks(200, 60)
    each_second = Counter(int(at) for at in times)
    assert each_second[0] <= 1000, "a stack that is ready at once is seen at once"
    assert max(each_second[second] for second in range(10, 60)) <= 120
    assert max(each_second[second] for second in range(25, 60)) <= 70
    each_tenth = Counter(int(at * 10) for at in times)
    assert max(each_tenth[tenth] for tenth in range(300, 600)) <= 20


async def test_a_failure_two_levels_deep_says_what_the_service_said(
    sim: OpenStackSimulator, cloud: Cloud, asg: Flavour
) -> None:
    """The stack of the VNF has a group, the group's stack has members, a member's stack has the server that failed."""
    words = "Quota exceeded for cores: Requested 1, but already used 20 of 20 cores"
    sim.faults.add(ResourceFault(name="VDU1", type="OS::Nova::Server", error="Forbidden", reason=words))
    results = await carry_out(cloud, await asg_order(cloud, asg), None, "create-stack")
    failed = await finish(cloud, job("await-stack", results=results))
    assert isinstance(failed, Failed)
    assert f"VDU1 (OS::Nova::Server): Forbidden: resources.VDU1: {words}" in failed.detail
    resources = await cloud.heat.resources(results["create-stack"]["stack_name"], results["create-stack"]["stack_id"])
    [server] = [item for item in resources if item.type == "OS::Nova::Server"]
    homes = {item.physical_id: item.stack.rpartition("/")[2] for item in resources}
    member = server.stack.rpartition("/")[2]
    assert homes[homes[member]] == results["create-stack"]["stack_id"]
    await terminate(cloud)
