"""The resource over HTTP: its representation, lists, changes and refusals; and its tasks' refusals, with a pointer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from forestay_events.aggregate import Origin
from forestay_events.config import BaseConfig
from forestay_lcm.domain.vnf_snapshot import CreateSnapshot
from jsonschema import Draft202012Validator

from tests import exchanges
from tests.lcm.api.client import INSTANCES, Client, client
from tests.lcm.api.test_instances import operation
from tests.lcm.api.test_manners import tag_of
from tests.lcm.api.test_operations import MERGE_PATCH, completed, instantiated
from tests.lcm.engine.running import Lcm, running
from tests.lcm.engine.scripted_vim import Hitch, Pause, ScriptedVim
from tests.lcm.samples import snapshot_content

SNAPSHOTS = "/vnflcm/v2/vnf_snapshots"
EXTRACTED = {"vnfSnapshotPkgId": "pkg-1", "vnfSnapshot": snapshot_content("vnf-1", userDefinedData={"a": "b"})}

#: Members that ETSI's document requires under names that it does not have; and one that the sample VNF has none of.
SLIPS = {"triggeredAt", "vnfInfo", "vnfcResourceId", "extCpInfo"}


@pytest_asyncio.fixture
async def site(config: BaseConfig) -> AsyncIterator[tuple[Lcm, Client, ScriptedVim]]:
    vim = ScriptedVim()
    async with running(config, vim) as lcm, client(lcm.url) as api:
        yield lcm, api, vim


async def empty(api: Client) -> str:
    created = await api.post(SNAPSHOTS, {})
    assert created.status == 201, created.body
    assert created.headers["Location"] == created.body["_links"]["self"]["href"]
    assert created.headers["Location"].endswith(f"{SNAPSHOTS}/{created.body['id']}")
    return created.body["id"]


async def taken(api: Client, path: str) -> str:
    snapshot = await empty(api)
    await completed(api, path, "create_snapshot", {"vnfSnapshotInfoId": snapshot})
    return snapshot


async def test_representation_is_that_of_the_standard(site: tuple[Lcm, Client, ScriptedVim]) -> None:
    _, api, _ = site
    snapshot = await taken(api, await instantiated(api))
    shown = await api.get(f"{SNAPSHOTS}/{snapshot}")
    assert tag_of(shown)
    if not exchanges.MISSING:
        document = msgspec.json.decode((exchanges.DOCUMENTS / "SOL003/VNFLifecycleManagement.json").read_bytes())
        schema = document | {"$ref": "#/components/schemas/VnfSnapshotInfo"}
        errors = [error.message for error in Draft202012Validator(schema).iter_errors(shown.body)]
        assert {message.partition("'")[2].partition("'")[0] for message in errors} <= SLIPS, errors


async def test_lists_are_filtered_cut_and_paged(site: tuple[Lcm, Client, ScriptedVim]) -> None:
    _, api, _ = site
    path = await instantiated(api)
    full, other = await taken(api, path), await empty(api)
    listed = {entry["id"]: entry for entry in (await api.get(SNAPSHOTS)).body}
    assert set(listed) == {full, other}
    assert set(listed[full]["vnfSnapshot"]) == {
        "id", "vnfInstanceId", "vnfdId", "creationStartedAt", "creationFinishedAt",
    }  # fmt: skip
    assert set(listed[other]) == {"id", "_links"}
    [whole] = (await api.get(f"{SNAPSHOTS}?all_fields&filter=(eq,id,{full})")).body
    assert whole == (await api.get(f"{SNAPSHOTS}/{full}")).body
    vnf_id = path.rpartition("/")[2]
    for text, found in (
        (f"(eq,vnfSnapshot/vnfInstanceId,{vnf_id})", {full}),
        (f"(neq,vnfSnapshot/vnfInstanceId,{vnf_id})", set[str]()),
        ("(eq,vnfSnapshot/vnfdId,vnfd-1)", {full}),
        ("(eq,vnfSnapshot/vnfcSnapshots/vnfcResourceInfoId,server-9)", set[str]()),
    ):
        assert {entry["id"] for entry in (await api.get(f"{SNAPSHOTS}?filter={text}")).body} == found, text
    first = await api.get(f"{SNAPSHOTS}?limit=1")
    assert len(first.body) == 1
    assert 'rel="next"' in first.headers["Link"]
    (await api.get(f"{SNAPSHOTS}?filter=(eq,id")).problem(400)


async def test_what_is_extracted_from_a_package(site: tuple[Lcm, Client, ScriptedVim]) -> None:
    lcm, api, _ = site
    secret = snapshot_content("vnf-1")
    secret["vnfInstance"] |= {"vimConnectionInfo": {"a": {"vimType": "x", "accessInfo": {"password": "open-sesame"}}}}
    created = await api.post(SNAPSHOTS, EXTRACTED | {"vnfSnapshot": secret})
    assert (created.status, created.body["vnfSnapshotPkgId"], set(created.body["_links"])) == (201, "pkg-1", {"self"})
    assert "open-sesame" not in str(created.body)
    for body, status, pointer in (
        ({"vnfSnapshot": EXTRACTED["vnfSnapshot"]}, 400, "/vnfSnapshotPkgId"),
        ({"vnfSnapshotPkgId": "pkg-1"}, 422, "/vnfSnapshot"),
        ({"vnfSnapshotPkgId": ""}, 400, "/vnfSnapshotPkgId"),
        ({"vnfSnapshotPkgId": "pkg-1", "vnfSnapshot": {"id": "x"}}, 400, "/vnfSnapshot"),
    ):
        assert (await api.post(SNAPSHOTS, body)).problem(status)["invalidParams"][0]["pointer"].startswith(pointer)
    later = f"{SNAPSHOTS}/{await empty(api)}"
    tag = tag_of(await api.get(later))
    patched = await api.send("PATCH", later, EXTRACTED, **{"Content-Type": MERGE_PATCH, "If-Match": tag})
    assert (patched.status, patched.body) == (200, EXTRACTED)
    assert (await api.get(later)).body["vnfSnapshot"] == EXTRACTED["vnfSnapshot"]
    (await api.send("PATCH", later, EXTRACTED, **{"Content-Type": MERGE_PATCH})).problem(409)
    other = f"{SNAPSHOTS}/{await empty(api)}"
    (await api.send("PATCH", other, EXTRACTED, **{"Content-Type": MERGE_PATCH, "If-Match": '"9"'})).problem(412)
    for path in (later, other):
        assert (await api.delete(path)).status == 204, "no VIM has anything of it"
    history = [str(stored.body) for stored in await lcm.platform.store.load(f"lcm.snapshot.{created.body['id']}")]
    assert "open-sesame" not in str(history)


async def test_what_does_not_exist(site: tuple[Lcm, Client, ScriptedVim]) -> None:
    lcm, api, _ = site
    path = await instantiated(api)
    foreign = str(uuid4())
    await lcm.snapshots.execute(foreign, CreateSnapshot(), Origin(str(uuid4()), "other", "tester"))
    gone = await empty(api)
    assert (await api.delete(f"{SNAPSHOTS}/{gone}")).status == 204
    for snapshot in (str(uuid4()), foreign, gone, "no.such-id", "x" * 200):
        (await api.get(f"{SNAPSHOTS}/{snapshot}")).problem(404)
        (await api.delete(f"{SNAPSHOTS}/{snapshot}")).problem(404)
        (await api.send("PATCH", f"{SNAPSHOTS}/{snapshot}", EXTRACTED, **{"Content-Type": MERGE_PATCH})).problem(404)
        for task in ("create_snapshot", "revert_to_snapshot"):
            answer = await api.post(f"{path}/{task}", {"vnfSnapshotInfoId": snapshot})
            assert answer.problem(422)["invalidParams"][0]["pointer"] == "/vnfSnapshotInfoId"
    assert (await api.get(SNAPSHOTS)).body == []


async def test_what_the_tasks_refuse(site: tuple[Lcm, Client, ScriptedVim]) -> None:
    _, api, _ = site
    new, path, snapshot = f"{INSTANCES}/{await api.create()}", await instantiated(api), await empty(api)
    for where, task, body, status in (
        (new, "create_snapshot", {"vnfSnapshotInfoId": snapshot}, 409),
        (path, "create_snapshot", {}, 400),
        (path, "create_snapshot", {"vnfSnapshotInfoId": 7}, 400),
        (path, "create_snapshot", {"vnfSnapshotInfoId": snapshot, "userDefinedData": {"k%y": 1}}, 400),
        (path, "revert_to_snapshot", {"vnfSnapshotInfoId": snapshot}, 409),
        (f"{INSTANCES}/{uuid4()}", "create_snapshot", {"vnfSnapshotInfoId": snapshot}, 404),
    ):
        (await api.post(f"{where}/{task}", body)).problem(status)


async def test_dry_run_shows_plan_and_resources_and_claims_nothing(site: tuple[Lcm, Client, ScriptedVim]) -> None:
    lcm, api, _ = site
    path = await instantiated(api)
    snapshot = await taken(api, path)
    for task, id_, names in (
        ("create_snapshot", await empty(api), "grant claim-snapshot create-snapshot await-snapshot fill-snapshot"),
        ("revert_to_snapshot", snapshot, "grant claim-snapshot revert-snapshot read-back release-snapshot"),
    ):
        plan = (await api.post(f"{path}/{task}?dry_run=true", {"vnfSnapshotInfoId": id_})).body
        assert " ".join(step["name"] for step in plan["steps"]) == names
        [updated] = plan["updateResources"]
        assert updated["resource"]["resourceId"] == "server-1"
        part = {"vnfcSnapshotId": "server-1"} if task == "revert_to_snapshot" else {}
        assert updated["snapshotResDef"] == {"vnfSnapshotId": id_} | part
        assert (await lcm.snapshot(snapshot_id=id_)).claim is None


async def test_of_two_vnfs_at_once_one_gets_it(site: tuple[Lcm, Client, ScriptedVim]) -> None:
    """Both are accepted before either has claimed it; the log of the snapshot decides, and nothing of the other is left."""
    lcm, api, vim = site
    paths = [await instantiated(api) for _ in range(2)]
    for _ in range(3):
        snapshot = await empty(api)
        answers = await asyncio.gather(
            *(api.post(f"{path}/create_snapshot", {"vnfSnapshotInfoId": snapshot}) for path in paths)
        )
        accepted = [answer.op_id for answer in answers if answer.status == 202]
        assert all(answer.status in (202, 409) for answer in answers)
        async with asyncio.timeout(60):
            while "PROCESSING" in (states := [await state(api, op_id) for op_id in accepted]) or "STARTING" in states:
                await asyncio.sleep(0.02)
        assert states.count("COMPLETED") == 1
        for op_id, ended in zip(accepted, states, strict=True):
            if ended == "FAILED_TEMP":
                shown = (await api.get(f"/vnflcm/v2/vnf_lcm_op_occs/{op_id}")).body
                assert (shown["error"]["status"], shown["error"]["step"]) == (409, "claim-snapshot")
                await api.post(f"/vnflcm/v2/vnf_lcm_op_occs/{op_id}/rollback")
                await operation(api, op_id, "ROLLED_BACK")
        kept = await lcm.snapshot(snapshot_id=snapshot)
        assert (kept.status, kept.filled_by in accepted) == ("FILLED", True)
    assert len([entry for entry in vim.journal if entry.startswith("save")]) == 3


async def state(api: Client, op_id: str) -> str:
    return (await api.get(f"/vnflcm/v2/vnf_lcm_op_occs/{op_id}")).body["operationState"]


async def test_what_is_in_use_is_kept(site: tuple[Lcm, Client, ScriptedVim]) -> None:
    _, api, vim = site
    path = await instantiated(api)
    snapshot = await taken(api, path)
    pause = Pause()
    vim.next("revert-snapshot", Hitch(before=pause))
    accepted = await api.post(f"{path}/revert_to_snapshot", {"vnfSnapshotInfoId": snapshot})
    await asyncio.wait_for(pause.reached.wait(), 60)
    refused = (await api.delete(f"{SNAPSHOTS}/{snapshot}")).problem(409)
    assert refused["lcmOpOcc"] == {"id": accepted.op_id}
    (await api.send("PATCH", f"{SNAPSHOTS}/{snapshot}", EXTRACTED, **{"Content-Type": MERGE_PATCH})).problem(409)
    pause.go_on.set()
    await operation(api, accepted.op_id, "COMPLETED")


@pytest.mark.parametrize("how", ["FORCEFUL", "GRACEFUL"])
async def test_cancelled_and_rolled_back_leaves_it_empty(site: tuple[Lcm, Client, ScriptedVim], how: str) -> None:
    lcm, api, vim = site
    path, snapshot, pause = await instantiated(api), await empty(api), Pause()
    vim.next("create-snapshot", Hitch(after=pause))
    accepted = await api.post(f"{path}/create_snapshot", {"vnfSnapshotInfoId": snapshot})
    await asyncio.wait_for(pause.reached.wait(), 60)
    occurrence = f"/vnflcm/v2/vnf_lcm_op_occs/{accepted.op_id}"
    assert (await api.post(f"{occurrence}/cancel", {"cancelMode": how})).status == 202
    pause.go_on.set()
    await operation(api, accepted.op_id, "FAILED_TEMP")
    assert (await api.post(f"{occurrence}/rollback")).status == 202
    await operation(api, accepted.op_id, "ROLLED_BACK")
    assert ((await lcm.snapshot(snapshot_id=snapshot)).status, vim.snapshots) == ("EMPTY", set())


async def test_the_read_model_is_the_fold(site: tuple[Lcm, Client, ScriptedVim]) -> None:
    lcm, api, _ = site
    path = await instantiated(api)
    await taken(api, path)
    await api.post(SNAPSHOTS, EXTRACTED)
    await empty(api)
    query = "SELECT id, version, state, doc FROM lcm.vnf_snapshot ORDER BY id"
    rows: list[Any] = await lcm.platform.pool.fetch(query)
    for row in rows:
        folded = await lcm.snapshots.load(row["id"])
        assert (folded.version, msgspec.json.encode(folded.state)) == (row["version"], row["state"])
    assert len(rows) == 3
