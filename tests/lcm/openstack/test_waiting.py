"""How waiting for Heat looks from outside: how often it is asked, and what is told when it fails deep inside."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import pairwise
from uuid import UUID

import pytest
from forestay_events.errors import Unavailable
from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_lcm.adapters.openstack.clients.pace import EACH_SECOND, Pace
from forestay_lcm.adapters.openstack.steps import take
from forestay_lcm.adapters.openstack.steps.waiting import delay
from forestay_lcm.executor import Again, Failed, Outcome, pause
from forestay_simvim import CallFault, OpenStackSimulator, ResourceFault
from forestay_sol.vnfd import Flavour
from msgspec.structs import replace

from .conftest import connection
from .stepping import asg_order, carry_out, finish, job, terminate


class Clock:
    """What time it is, in seconds."""

    now = 1_000_000.7

    def __call__(self) -> float:
        return self.now


def looks(operations: int, seconds: float) -> dict[str, list[float]]:
    """When Heat is asked by each of operations that begin to wait at the same instant, in seconds from then."""
    clock = Clock()
    pace, began = Pace(clock), clock.now
    times: dict[str, list[float]] = {str(UUID(int=number)): [] for number in range(operations)}
    waiting = [(0.0, vnf_id) for vnf_id in times]
    while waiting:
        at, vnf_id = heappop(waiting)
        if at < seconds:
            clock.now = began + at
            times[vnf_id].append(at)
            since = datetime.now(UTC) - timedelta(seconds=at)
            heappush(
                waiting, (at + pace.next(delay(replace(job("await-stack", vnf_id=vnf_id), started_at=since))), vnf_id)
            )
    return times


def test_heat_is_asked_no_more_often_however_many_wait() -> None:
    times = looks(200, 60)
    each_second = Counter(int(at) for one in times.values() for at in one)
    assert each_second[0] <= 220, "a stack that is ready at once is seen at once"
    assert max(each_second[second] for second in range(1, 60)) <= 21
    longest = max(after - at for one in times.values() for at, after in pairwise(one))
    assert longest < 11, "each has its turn"


@pytest.mark.parametrize("operations", [1, 15])
def test_a_few_that_wait_are_done_within_a_second(operations: int) -> None:
    for times in looks(operations, 60).values():
        assert max(after - at for at, after in pairwise(times)) < 1.1


def test_a_slot_of_time_is_one_looks() -> None:
    clock = Clock()
    pace = Pace(clock)
    soon = [pace.next(0.0) for _ in range(100)]
    assert len({round(at, 3) for at in soon}) == 100
    assert soon[-1] == pytest.approx(5.0, abs=0.1)
    assert pace.next(60.0) == pytest.approx(60.0, abs=0.1), "what is wanted late is no reason"
    assert pace.next(0.0) == pytest.approx(5.0, abs=0.1), "to be late with what is wanted soon"
    clock.now += 30
    assert pace.next(0.0) < 0.1, "what is past is free"


@pytest.mark.parametrize("retry_after", [None, 7])
async def test_who_is_turned_away_comes_back_at_the_same_pace(
    sim: OpenStackSimulator, cloud: Cloud, retry_after: int | None
) -> None:
    """After as long as the VIM wants, else as the step's back-off says; and never all at once."""
    sim.faults.add(CallFault(service="heat", status=503, retry_after=retry_after, times=None))
    waiting = [job("await-stack", results={"create-stack": {"stack_name": "vnf", "stack_id": "1"}}) for _ in range(40)]
    clock = Clock()
    pace = Pace(clock)
    outcomes = await asyncio.gather(*(pace.look(take(cloud, one), 0.6) for one in waiting))
    delays = sorted(outcome.delay for outcome in outcomes if isinstance(outcome, Again))
    assert len(delays) == 40
    assert delays[0] >= (retry_after or 0.6)
    assert min(after - at for at, after in pairwise(delays)) == pytest.approx(1 / EACH_SECOND)


@pytest.mark.parametrize(("waited", "seconds"), [(-86_400.0, 0.3), (0.0, 0.3), (2.5, 1.0), (86_400.0, 8.0)])
def test_the_longer_a_step_takes_the_longer_is_its_pause(waited: float, seconds: float) -> None:
    """Another process may have begun it, whose clock is ahead."""
    assert pause(waited) == seconds


async def test_a_server_of_forestay_that_is_away_is_no_server_of_a_cloud() -> None:
    async def away() -> Outcome:
        raise Unavailable("NATS is away")

    with pytest.raises(Unavailable):
        await Pace().look(away(), 0.6)


async def test_operations_in_one_cloud_share_its_pace(sim: OpenStackSimulator, clouds: Clouds) -> None:
    here, also = clouds.cloud(connection(sim)), clouds.cloud(connection(sim, username="admin"))
    assert here.pace is also.pace
    assert clouds.cloud(connection(sim, region="RegionTwo")).pace is not here.pace


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
