"""An executor that no process serves."""

from __future__ import annotations

from datetime import timedelta

from forestay_events.config import BaseConfig
from forestay_events.metrics import METRICS
from forestay_lcm.staffing import Staffing

from tests.lcm.engine.running import Clock, Lcm, running
from tests.lcm.engine.scripted_vim import Hitch, Pause, ScriptedVim


def unstaffed() -> float:
    return METRICS.work_unstaffed.labels("openstack")._value.get()  # pyright: ignore[reportPrivateUsage]


async def stranded(lcm: Lcm) -> str:
    """A VNF instance whose first step of the openstack executor waits in vain."""
    vnf_id = await lcm.instantiate()
    await lcm.at(vnf_id, "create-stack")
    await copied(lcm)
    return vnf_id


async def copied(lcm: Lcm) -> None:
    """Wait until the copy has all of the log: who looks for work looks there."""
    await lcm.platform.positions.wait("lcm", "LCM", await lcm.platform.store.head("LCM"), timeout=60)


async def test_a_step_that_nobody_takes_fails_when_its_time_is_over(config: BaseConfig) -> None:
    clock = Clock()
    async with running(config, clock=clock, without=("staffing",)) as lcm:
        vnf_id = await stranded(lcm)
        staffing = Staffing(lcm.platform, lcm.vnfs, patience=0)
        await staffing.look()
        assert unstaffed() == 1
        assert (await lcm.operation(vnf_id)).state == "PROCESSING", "its time is not over"
        clock.ahead = timedelta(seconds=601)
        await staffing.look()
        operation = await lcm.until(vnf_id, "FAILED_TEMP")
        assert operation.error is not None
        assert operation.error["status"] == 504
        assert operation.error["step"] == "create-stack"
        assert "no process takes the work of executor openstack" in operation.error["detail"]
        assert "openstack-worker" in operation.error["detail"], "what to do"
        await copied(lcm)
        await staffing.look()
        assert unstaffed() == 0, "nothing waits any more"

    async with running(config, ScriptedVim(), clock=clock) as lcm:
        await lcm.handle(vnf_id, "retry")
        await lcm.until(vnf_id, "COMPLETED")


async def test_who_may_be_about_to_start_is_waited_for(config: BaseConfig) -> None:
    clock = Clock()
    async with running(config, clock=clock, without=("staffing",)) as lcm:
        vnf_id = await stranded(lcm)
        clock.ahead = timedelta(hours=1)
        await Staffing(lcm.platform, lcm.vnfs, patience=30).look()
        assert (await lcm.operation(vnf_id)).state == "PROCESSING"


async def test_where_a_worker_is_there_it_judges(config: BaseConfig) -> None:
    clock, vim, pause = Clock(), ScriptedVim(), Pause()
    vim.next("create-stack", Hitch(before=pause))
    async with running(config, vim, clock=clock, without=("staffing",)) as lcm:
        vnf_id = await lcm.instantiate()
        await pause.reached.wait()
        assert await lcm.platform.queue.is_staffed("openstack")
        assert not await lcm.platform.queue.is_staffed("nobody")
        clock.ahead = timedelta(minutes=11)
        await Staffing(lcm.platform, lcm.vnfs, patience=0).look()
        assert (await lcm.operation(vnf_id)).state == "PROCESSING"
        pause.go_on.set()
        await lcm.until(vnf_id, "COMPLETED")
