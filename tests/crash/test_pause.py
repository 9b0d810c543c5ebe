"""Two workers, one of which sleeps (SIGSTOP) until its work has gone to the other and is done: it must do no harm when it wakes.

The work queue gives work away when its worker has been silent for 8 s, so each of these tests takes that long.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from forestay_events.worker import ACK_WAIT

from tests.crash.checker import check
from tests.crash.processes import Process, first_held
from tests.crash.repertoire import Repertoire
from tests.crash.stage import Stage

pytestmark = [pytest.mark.crash, pytest.mark.asyncio(loop_scope="session")]

#: Seconds in which a worker that woke has done what it was about to do.
AWAKE = 1.0

SNAPSHOTS = "/vnflcm/v2/vnf_snapshots"


@pytest_asyncio.fixture(loop_scope="session")
async def workers(stage: Stage) -> AsyncIterator[tuple[Process, Process]]:
    stage.site.rival.start()
    await stage.site.rival.ready()
    yield stage.site.worker, stage.site.rival
    stage.site.rival.kill()


@pytest.mark.parametrize(
    "failpoint",
    [
        "create-stack.before",
        "create-stack.fenced",
        "create-stack.done",
        "create-stack.reported",
        "await-stack.done",
        "read-back.done",
    ],
)
async def test_one_stack_however_long_a_worker_sleeps(
    stage: Stage, workers: tuple[Process, Process], failpoint: str
) -> None:
    vnf_id = await stage.client.create(stage.vnfd_id)
    sleeper, op_id = await first_held(workers, failpoint, stage.client.start(vnf_id, "instantiate", stage.instantiate))
    since = time.monotonic()
    op_occ = await stage.client.ended(op_id)
    assert op_occ["operationState"] == "COMPLETED"
    await asyncio.sleep(max(0.0, ACK_WAIT + 1 - (time.monotonic() - since)))
    sleeper.resume()
    await asyncio.sleep(AWAKE)
    await check(stage.site, stage.client, vnf_id)


@pytest.mark.parametrize("failpoint", ["delete-stack.before", "delete-stack.fenced", "delete-stack.done"])
async def test_an_old_terminate_spares_the_stack_of_a_later_instantiate(
    stage: Stage, workers: tuple[Process, Process], failpoint: str
) -> None:
    vnf_id = await stage.instantiated()
    sleeper, op_id = await first_held(workers, failpoint, stage.client.start(vnf_id, "terminate", stage.terminate))
    assert (await stage.client.ended(op_id))["operationState"] == "COMPLETED"
    await stage.client.operate(vnf_id, "instantiate", stage.instantiate)
    sleeper.resume()
    await asyncio.sleep(AWAKE)
    first, second = [made for made in await stage.site.simulator.stacks_created() if made.stack_name.endswith(vnf_id)]
    deleted = await stage.site.simulator.stacks_deleted()
    assert deleted.count(first.stack_id) == 1
    assert second.stack_id not in deleted
    await check(stage.site, stage.client, vnf_id)


@pytest.mark.parametrize("failpoint", ["create-stack.before", "create-stack.fenced", "create-stack.done"])
async def test_an_old_instantiate_leaves_nothing_behind_a_later_terminate(
    stage: Stage, workers: tuple[Process, Process], failpoint: str
) -> None:
    """Heat knows no fence: a worker that slept right before its call makes a stack nobody wants. It has to take it away."""
    vnf_id = await stage.client.create(stage.vnfd_id)
    sleeper, op_id = await first_held(workers, failpoint, stage.client.start(vnf_id, "instantiate", stage.instantiate))
    assert (await stage.client.ended(op_id))["operationState"] == "COMPLETED"
    await stage.client.operate(vnf_id, "terminate", stage.terminate)
    simulator = stage.site.simulator
    before = len(await simulator.stacks_created())
    sleeper.resume()
    unwanted = 1 if failpoint == "create-stack.fenced" else 0
    async with asyncio.timeout(60):
        while len(late := (await simulator.stacks_created())[before:]) < unwanted or (
            {made.stack_id for made in late} - set(await simulator.stacks_deleted())
        ):
            await asyncio.sleep(0.05)
    await asyncio.sleep(AWAKE)
    assert len((await simulator.stacks_created())[before:]) == unwanted
    await simulator.control("DELETE", "/journal")  # has two stacks of one operation, never at the same time
    await check(stage.site, stage.client, vnf_id)


@pytest.mark.parametrize("failpoint", ["upload-images.fenced", "upload-images.done"])
async def test_an_old_upload_leaves_no_image_behind_a_later_terminate(
    repertoire: Repertoire, workers: tuple[Process, Process], failpoint: str
) -> None:
    stage, vnf_id = repertoire.stage, await repertoire.create()
    sleeper, op_id = await first_held(workers, failpoint, stage.client.start(vnf_id, "instantiate", stage.instantiate))
    assert (await stage.client.ended(op_id))["operationState"] == "COMPLETED"
    await stage.client.operate(vnf_id, "terminate", stage.terminate)
    sleeper.resume()
    await asyncio.sleep(AWAKE)
    await check(stage.site, stage.client, vnf_id)


async def test_an_old_snapshot_is_not_made_behind_its_deletion(stage: Stage, workers: tuple[Process, Process]) -> None:
    vnf_id = await stage.instantiated()
    snapshot: str = (await stage.client.send("POST", SNAPSHOTS, {}))["id"]
    sleeper, op_id = await first_held(
        workers,
        "create-snapshot.fenced",
        stage.client.start(vnf_id, "create_snapshot", {"vnfSnapshotInfoId": snapshot}),
    )
    assert (await stage.client.ended(op_id))["operationState"] == "COMPLETED"
    await stage.client.send("DELETE", f"{SNAPSHOTS}/{snapshot}")
    sleeper.resume()
    await asyncio.sleep(AWAKE)
    await check(stage.site, stage.client, vnf_id)


@pytest.mark.parametrize("end", ["COMPLETED", "ROLLED_BACK"])
async def test_an_old_update_of_a_vnfc_changes_nothing(
    repertoire: Repertoire, workers: tuple[Process, Process], end: str
) -> None:
    """Behind the end of its operation: the VNFs are as that has left them, in the old version or in the new one."""
    stage, listener, vnf_id = repertoire.stage, repertoire.listener, await repertoire.instantiated()
    if end == "ROLLED_BACK":
        listener.orders["change_current_package_end"] = {"error": "not this version"}
    sleeper, op_id = await first_held(
        workers, "update-vnfc.fenced", stage.client.start(vnf_id, "change_vnfpkg", repertoire.change)
    )
    ended = await stage.client.ended(op_id)
    if end == "ROLLED_BACK":
        assert ended["operationState"] == "FAILED_TEMP", ended
        await stage.client.handle(op_id, "rollback")
        ended = await stage.client.ended(op_id)
    assert ended["operationState"] == end, ended
    sleeper.resume()
    await asyncio.sleep(2 * AWAKE)
    await check(stage.site, stage.client, vnf_id)
    assert await _flavors(stage, vnf_id) == {"m1.small" if end == "COMPLETED" else "m1.tiny"}


async def _flavors(stage: Stage, vnf_id: str) -> set[str]:
    """The flavors that the VNF's servers have in Nova."""
    info = (await stage.client.show(vnf_id))["instantiatedVnfInfo"]
    ids = {vnfc["computeResource"]["resourceId"] for vnfc in info["vnfcResourceInfo"]}
    servers, flavors = await stage.site.simulator.cloud.resources(
        ("compute", "/servers/detail", "servers"), ("compute", "/flavors", "flavors")
    )
    names = {flavor["id"]: flavor["name"] for flavor in flavors}
    return {names[server["flavor"]["id"]] for server in servers if server["id"] in ids}


async def test_workers_that_sleep_in_turns(stage: Stage, workers: tuple[Process, Process]) -> None:
    """At whatever instants they are caught."""
    vnf_ids = [await stage.client.create(stage.vnfd_id) for _ in range(8)]
    running = [
        asyncio.create_task(stage.client.operate(vnf_id, "instantiate", stage.instantiate)) for vnf_id in vnf_ids
    ]
    for worker in workers:
        await asyncio.sleep(0.25)
        worker.pause()
        await asyncio.sleep(ACK_WAIT + 1)
        worker.resume()
    await asyncio.gather(*running)
    await asyncio.sleep(AWAKE)
    await check(stage.site, stage.client, *vnf_ids)
