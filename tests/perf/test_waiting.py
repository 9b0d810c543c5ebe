"""200 operations that wait for one Heat: how often it is asked, and what waiting costs (``./dev test-perf -s`` prints it)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

import pytest
from forestay_lcm.adapters.openstack.clients.pace import EACH_SECOND

from tests.crash.footprint import Footprint, watched
from tests.crash.stage import Stage, staged

pytestmark = [pytest.mark.perf, pytest.mark.timeout(400)]

INSTANCES = 200
BOOT, WINDOW, PATIENCE = 75.0, 15, 120.0


async def test_heat_is_asked_no_more_often_however_many_wait(record_property: Callable[[str, object], None]) -> None:
    async with staged() as stage:
        worker = Footprint(stage.site.worker)
        vnf_ids = [await stage.client.create(stage.vnfd_id) for _ in range(INSTANCES)]
        await stage.site.simulator.set(build={"server": BOOT})
        async with watched(worker):
            began = time.time()
            await asyncio.gather(*(stage.client.start(vnf_id, "instantiate", stage.instantiate) for vnf_id in vnf_ids))
            while len(await stage.site.simulator.stacks_created()) < INSTANCES:
                assert time.time() - began < BOOT - 2 * WINDOW, "too slow a machine to have them wait all at once"
                await asyncio.sleep(0.5)
            await asyncio.sleep(WINDOW / 2)
            since = time.time()
            await asyncio.sleep(WINDOW)
            looks = [entry for entry in await _looks(stage) if since <= entry < since + WINDOW]
            await stage.site.simulator.set(build={"server": 0.4})
            await stage.all_completed(PATIENCE)
        ended = time.time() - began
        late = await _lateness(stage)
    each_second = [sum(int(at - since) == second for at in looks) for second in range(WINDOW)]
    record_property(
        f"{INSTANCES} operations that wait for one Heat",
        f"{len(looks) / WINDOW:.1f} looks/s, {max(each_second)} in the worst second; done {ended - BOOT:.1f} s behind the last"
        f" server; one operation alone is seen done {late:.2f} s later; worker: {worker.threads} threads,"
        f" {worker.memory:.0f} MiB",
    )
    assert len(looks) / WINDOW <= EACH_SECOND * 1.1
    assert max(each_second) <= EACH_SECOND * 2
    assert late < 1.5
    assert worker.threads <= 10
    assert worker.memory < 150


async def _looks(stage: Stage) -> list[float]:
    """When Heat was asked for something, in Unix seconds."""
    return [entry["time"] for entry in await stage.site.simulator.journal(service="heat", method="GET")]


async def _lateness(stage: Stage) -> float:
    """Seconds from the end of a stack that takes long to that of its operation, while no other operation is under way."""
    await stage.site.simulator.set(build={"server": 8.0})
    vnf_id = await stage.client.create(stage.vnfd_id)
    began = time.time()
    op_occ = await stage.client.operate(vnf_id, "instantiate", stage.instantiate)
    ended = datetime.fromisoformat(op_occ["stateEnteredTime"])
    return ended.timestamp() - began - 8.0
