"""``kill -9`` at every step: one walk through each operation, in which whoever does a step is killed before, while and after
it. The operation completes by itself, and a TERMINATE leaves nothing.

What each of the other processes does to an operation is in :mod:`tests.crash.test_kill`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.crash.checker import check
from tests.crash.repertoire import USER_DATA, Repertoire
from tests.crash.scenario import killing, walk
from tests.crash.stage import Stage

pytestmark = [pytest.mark.crash, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="session")]

Json = dict[str, Any]
SNAPSHOTS = "/vnflcm/v2/vnf_snapshots"


def of(process: str, *failpoints: str) -> list[str]:
    """Instants of one process; those to be passed keep their ``~``."""
    return [f"{'~' if name.startswith('~') else ''}{process}:{name.removeprefix('~')}" for name in failpoints]


async def completed(stage: Stage, vnf_id: str, task: str, body: Json, *instants: str) -> Json:
    """Walk through an operation and see it COMPLETED; all histories agree."""
    op_occ = await walk(stage, vnf_id, task, body, *instants)
    assert op_occ["operationState"] == "COMPLETED", op_occ
    await stage.site.healthy()
    await check(stage.site, stage.client, vnf_id)
    return op_occ


async def gone(stage: Stage, vnf_id: str) -> None:
    """Terminate it; nothing is left of it."""
    await stage.client.operate(vnf_id, "terminate", stage.terminate)
    await check(stage.site, stage.client, vnf_id)


async def vnfcs(stage: Stage, vnf_id: str) -> dict[str, Json]:
    info = (await stage.client.show(vnf_id))["instantiatedVnfInfo"]
    return {vnfc["id"]: vnfc for vnfc in info["vnfcResourceInfo"]}


async def test_instantiate_and_terminate_with_images(repertoire: Repertoire) -> None:
    stage, vnf_id = repertoire.stage, await repertoire.create()
    before_made, before_filled = "upload-images.fenced", ("~upload-images.fenced", "upload-images.fenced")
    await completed(
        stage, vnf_id, "instantiate", stage.instantiate,
        *of("worker", before_made, *before_filled, "upload-images.done", "upload-images.reported"),
    )  # fmt: skip
    await completed(
        stage, vnf_id, "terminate", stage.terminate,
        *of("worker", "delete-images.fenced", "delete-images.done", "delete-images.reported"),
    )  # fmt: skip


async def test_instantiate_with_scripts(repertoire: Repertoire) -> None:
    stage, vnf_id = repertoire.stage, await repertoire.create()
    instants = ("script.before", "script.fenced", "script.done", "script.reported", "user-data.done", "script.done")
    request = stage.instantiate | {"additionalParams": USER_DATA}
    await completed(stage, vnf_id, "instantiate", request, *of("scripts", *instants))
    assert [*dict.fromkeys(repertoire.listener.hooks)] == ["instantiate_start", "instantiate_end"]
    await gone(stage, vnf_id)


@pytest.mark.parametrize(
    "instants",
    [
        of("worker", "add-images.fenced", "add-images.done", "update-vnfc.fenced", "update-vnfc.done", "await-vnfc.done"),
        [
            *of("worker", "update-vnfc.reported"), *of("scripts", "coordinate-new.fenced", "coordinate-new.done"),
            *of("worker", "update-stack.fenced", "update-stack.done", "await-update.done", "read-back.done"),
        ],
        of("worker", "drop-images.fenced", "drop-images.done", "drop-images.reported"),
    ],
    ids=["VNFC by VNFC", "coordination and the rest", "the former image"],
)  # fmt: skip
async def test_change_vnfpkg(repertoire: Repertoire, instants: list[str]) -> None:
    stage, vnf_id = repertoire.stage, await repertoire.instantiated()
    before = await vnfcs(stage, vnf_id)
    await completed(stage, vnf_id, "change_vnfpkg", repertoire.change, *instants)
    after = await vnfcs(stage, vnf_id)
    assert len(after) == len(before) == 3
    assert {vnfc["metadata"]["flavor"] for vnfc in after.values()} == {"m1.small"}
    assert (await stage.client.show(vnf_id))["vnfdId"] == repertoire.coming
    await gone(stage, vnf_id)


async def test_rollback_of_change_vnfpkg(repertoire: Repertoire) -> None:
    """The first new VNFC is coordinated, the second refused: both go back, one after the other."""
    stage, listener, vnf_id = repertoire.stage, repertoire.listener, await repertoire.instantiated()
    before = await vnfcs(stage, vnf_id)
    async with killing(stage.site, *of("scripts", "coordinate-new.reported")):
        op_id = await stage.client.start(vnf_id, "change_vnfpkg", repertoire.change)
        while not any("is_rollback" in call for call in listener.seen):
            await asyncio.sleep(0.02)
        listener.orders[""] = {"error": "not this one"}
    failed = await stage.client.ended(op_id)
    assert (failed["operationState"], failed["error"]["step"]) == ("FAILED_TEMP", "coordinate-new:1"), failed
    listener.orders.clear()
    instants = [
        *of("scripts", "script.done"), *of("worker", "restore-stack.fenced", "restore-stack.done", "await-restored.done"),
        *of("worker", "read-back.done"), *of("scripts", "coordinate-old.done"),
        *of("worker", "drop-images.fenced", "drop-images.done"),
    ]  # fmt: skip
    async with killing(stage.site, *instants):
        await stage.client.handle(op_id, "rollback")
    ended = await stage.client.ended(op_id)
    assert ended["operationState"] == "ROLLED_BACK", ended
    await stage.site.healthy()
    assert {vnfc["metadata"]["flavor"] for vnfc in (await vnfcs(stage, vnf_id)).values()} == {"m1.tiny"}
    assert len(await vnfcs(stage, vnf_id)) == len(before)
    assert (await stage.client.show(vnf_id))["vnfdId"] == repertoire.vnfd_id
    await check(stage.site, stage.client, vnf_id)
    await gone(stage, vnf_id)


async def test_rollback_asks_the_class(repertoire: Repertoire) -> None:
    """A class scales to what cannot be made, and says what the way back is."""
    stage, vnf_id = repertoire.stage, await repertoire.create()
    named = {"additionalParams": USER_DATA}
    await stage.client.operate(vnf_id, "instantiate", stage.instantiate | named)
    before = await vnfcs(stage, vnf_id)
    scale = {"type": "SCALE_OUT", "aspectId": "VDU1_scale"} | named
    failed = await walk(stage, vnf_id, "scale", scale, *of("scripts", "user-data.fenced", "user-data.done"))
    assert failed["operationState"] == "FAILED_TEMP", failed
    instants = of("scripts", *(f"user-data-rollback.{at}" for at in ("before", "fenced", "done", "reported")))
    async with killing(stage.site, *instants, *of("worker", "restore-stack.fenced", "await-restored.done")):
        await stage.client.handle(failed["id"], "rollback")
    assert (await stage.client.ended(failed["id"]))["operationState"] == "ROLLED_BACK"
    await stage.site.healthy()
    assert (await vnfcs(stage, vnf_id)).keys() == before.keys()
    await check(stage.site, stage.client, vnf_id)
    await gone(stage, vnf_id)


async def test_heal_that_makes_the_stack_anew(stage: Stage) -> None:
    vnf_id = await stage.instantiated()
    before = await vnfcs(stage, vnf_id)
    await completed(
        stage, vnf_id, "heal", {"additionalParams": {"all": True}},
        *of("worker", "keep-stack.done", "delete-stack.fenced", "delete-stack.done", "await-deleted.done"),
        *of("worker", "create-stack.fenced", "create-stack.done", "await-stack.done", "read-back.done"),
    )  # fmt: skip
    assert not before.keys() & (await vnfcs(stage, vnf_id)).keys()
    await gone(stage, vnf_id)


async def test_scale_and_heal_update_the_stack(stage: Stage) -> None:
    vnf_id = await stage.instantiated()
    update = of("worker", "update-stack.fenced", "update-stack.done", "await-update.done")
    await completed(stage, vnf_id, "scale", {"type": "SCALE_OUT", "aspectId": "VDU1_scale"}, *update)
    assert len(await vnfcs(stage, vnf_id)) == 2
    before = await vnfcs(stage, vnf_id)
    marked = of("worker", "mark-unhealthy.fenced", "mark-unhealthy.done", "update-stack.done")
    await completed(stage, vnf_id, "heal", {}, *marked)
    assert not before.keys() & (await vnfcs(stage, vnf_id)).keys()
    await gone(stage, vnf_id)


async def test_operate_and_its_rollback(stage: Stage) -> None:
    """Killed between two servers; then Nova refuses to stop one, and the others are started again."""
    vnf_id = await stage.instantiated(instantiationLevelId="instantiation_level_2")
    stop = {"changeStateTo": "STOPPED", "stopType": "FORCEFUL"}
    await stage.site.simulator.fault(
        service="nova", method="POST", path="/action$", effect="status", status=403, message="Not this one.", skip=2
    )
    second = of("worker", "~operate-servers.fenced", "operate-servers.fenced")
    failed = await walk(stage, vnf_id, "operate", stop, *second)
    assert (failed["operationState"], failed["error"]["step"]) == ("FAILED_TEMP", "operate-servers"), failed
    restore = of(
        "worker", "restore-servers.fenced", "restore-servers.done", "await-restored-servers.done", "read-back.done"
    )
    async with killing(stage.site, *restore):
        await stage.client.handle(failed["id"], "rollback")
    ended = await stage.client.ended(failed["id"])
    assert ended["operationState"] == "ROLLED_BACK", ended
    assert (await stage.client.show(vnf_id))["instantiatedVnfInfo"]["vnfState"] == "STARTED"
    await completed(
        stage, vnf_id, "operate", stop, *of("worker", "operate-servers.done", "await-servers.done", "read-back.done")
    )
    assert (await stage.client.show(vnf_id))["instantiatedVnfInfo"]["vnfState"] == "STOPPED"
    await gone(stage, vnf_id)


async def test_snapshots(stage: Stage) -> None:
    vnf_id = await stage.instantiated()
    snapshot: str = (await stage.client.send("POST", SNAPSHOTS, {}))["id"]
    named = {"vnfSnapshotInfoId": snapshot}
    await completed(
        stage, vnf_id, "create_snapshot", named, *of("api", "claim-snapshot.fenced", "claim-snapshot.done"),
        *of("worker", "create-snapshot.fenced", "create-snapshot.done", "await-snapshot.done"),
        *of("api", "fill-snapshot.done"),
    )  # fmt: skip
    await completed(
        stage, vnf_id, "revert_to_snapshot", named,
        *of("worker", "revert-snapshot.fenced", "revert-snapshot.done", "read-back.done"),
        *of("api", "release-snapshot.done"),
    )  # fmt: skip
    async with killing(stage.site, *of("worker", "delete-vnf-snapshot.before", "delete-vnf-snapshot.done")):
        deletion = asyncio.create_task(stage.client.send("DELETE", f"{SNAPSHOTS}/{snapshot}"))
    await deletion
    async with asyncio.timeout(60):
        while await stage.client.api.list(f"{SNAPSHOTS}?filter=(eq,id,{snapshot})"):
            await asyncio.sleep(0.1)
    await stage.site.healthy()
    await gone(stage, vnf_id)
