"""The tasks of an instantiated VNF over real HTTP: accepted, cancelled, refused with a pointer, planned without a trace."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import msgspec
import pytest
from forestay_events.config import BaseConfig
from forestay_events.platform import Platform
from forestay_lcm.executor import Failed
from forestay_sol.vnfd import Vnfd

from tests.lcm.api.client import INSTANCES, OP_OCCS, Client, client
from tests.lcm.api.test_instances import operation
from tests.lcm.engine.running import Lcm, onboard, running
from tests.lcm.engine.scripted_vim import Hitch, Pause, ScriptedVim
from tests.lcm.samples import ASPECT, VNFD, ext_link

BODIES: dict[str, dict[str, Any]] = {
    "scale": {"type": "SCALE_OUT", "aspectId": ASPECT},
    "scale_to_level": {"instantiationLevelId": "two"},
    "heal": {"vnfcInstanceId": ["VDU1-server-1"], "cause": "high load"},
    "change_ext_conn": {"extVirtualLinks": [ext_link()]},
    "change_flavour": {"newFlavourId": "large", "instantiationLevelId": "two"},
    "operate": {"changeStateTo": "STOPPED", "stopType": "GRACEFUL", "gracefulStopTimeout": 0},
    "terminate": {"terminationType": "FORCEFUL"},
}
"""A request for each task of an instance with one VNFC; each leaves a state in which the next is legal."""

SECRET = {"password": f"{'x' * 1000}-open-sesame", "deep": {"api_key": "hunter3-open-sesame"}, "shown": "yes"}


async def instantiated(api: Client, **members: Any) -> str:
    """The path of a new instance with one VNFC."""
    path = f"{INSTANCES}/{await api.create(**members)}"
    await completed(api, path, "instantiate", {"flavourId": "simple"})
    return path


async def completed(api: Client, path: str, task: str, body: Any) -> dict[str, Any]:
    return await operation(api, (await api.post(f"{path}/{task}", body)).op_id, "COMPLETED")


async def everything(platform: Platform) -> tuple[Any, ...]:
    """Where the log and the queue end."""
    jetstream = platform.nats.js
    streams = ("LCM", "WORK", "DEAD")
    return tuple([(await jetstream.stream_info(name)).state.last_seq for name in streams])


async def texts(lcm: Lcm) -> list[str]:
    """All that is kept: the log and the tables."""
    tables = await lcm.platform.pool.fetch(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema IN ('lcm', 'vault')"
    )
    rows = [str(row) for (table,) in tables for row in await lcm.platform.pool.fetch(f"SELECT * FROM {table}")]  # noqa: S608
    head = await lcm.platform.store.head("LCM")
    messages = [await lcm.platform.nats.js.get_msg("LCM", seq) for seq in range(1, head + 1)]
    return [*rows, *(str(message.data) for message in messages)]


async def test_every_task_in_turn(config: BaseConfig) -> None:
    vim = ScriptedVim()
    async with running(config, vim) as lcm, client(lcm.url) as api:
        path = await instantiated(api)
        for task, body in BODIES.items():
            body = {"vnfcInstanceId": ["VDU1-server-2"]} if task == "heal" else body
            accepted = await api.post(f"{path}/{task}", body)
            assert (accepted.status, accepted.body) == (202, None), accepted.body
            assert accepted.headers["Location"].endswith(f"{OP_OCCS}/{accepted.op_id}")
            done = await operation(api, accepted.op_id, "COMPLETED")
            assert done["operation"] == task.upper()
            assert done["operationParams"].items() >= body.items()
            assert (done["isCancelPending"], "cancelMode" in done, "error" in done) == (False, False, False)
            assert set(done["_links"]) == {"self", "vnfInstance", "retry", "rollback", "fail"}
        operations = {entry["operation"] for entry in (await api.get(OP_OCCS)).body}
        assert operations == {"INSTANTIATE", *(task.upper() for task in BODIES)}


async def test_dry_run_of_every_task_leaves_no_trace(config: BaseConfig) -> None:
    vim = ScriptedVim()
    async with running(config, vim) as lcm, client(lcm.url) as api:
        new, path = f"{INSTANCES}/{await api.create()}", await instantiated(api)
        await lcm.platform.positions.wait("lcm", "LCM", await lcm.platform.store.head("LCM"), timeout=60)
        async with asyncio.timeout(60):
            while (await lcm.platform.nats.js.stream_info("WORK")).state.messages:
                await asyncio.sleep(0.02)
        before, calls = await everything(lcm.platform), len(vim.calls)
        shown = [(await api.get(where)).body for where in (new, path, OP_OCCS)]
        for where, task, body in (
            (new, "instantiate", {"flavourId": "simple"}),
            *((path, *task) for task in BODIES.items()),
        ):
            answer = await api.post(f"{where}/{task}?dry_run=true", body)
            assert answer.status == 200, answer.body
            assert "Location" not in answer.headers
            plan = answer.body
            assert (plan["operation"], plan["operationState"]) == (task.upper(), "STARTING")
            assert plan["steps"][0] == {"name": "grant", "executor": "engine", "timeout": 600.0}
            assert len(plan["steps"]) > 2
        patched = await api.send("PATCH", f"{path}?dry_run", {"vnfInstanceName": "x"}, **{"Content-Type": MERGE_PATCH})
        assert (patched.body["operationState"], patched.body["changedInfo"]) == ("COMPLETED", {"vnfInstanceName": "x"})
        assert await everything(lcm.platform) == before
        assert [(await api.get(where)).body for where in (new, path, OP_OCCS)] == shown
        assert len(vim.calls) == calls

        plan = (await api.post(f"{path}/scale?dry_run=true", BODIES["scale"])).body
        assert plan["scaleStatus"] == [{"aspectId": ASPECT, "scaleLevel": 1}]
        assert [(item["type"], item["resourceTemplateId"]) for item in plan["addResources"]] == [
            ("COMPUTE", "VDU1"), ("LINKPORT", "CP1"),
        ]  # fmt: skip
        assert plan["removeResources"] == []
        assert [step["name"] for step in plan["steps"]] == ["grant", "update-stack", "await-update", "read-back"]
        assert plan["steps"][1]["undo"] == ["restore-stack", "await-restored", "read-back"]
        plan = (await api.post(f"{path}/terminate?dry_run=true", BODIES["terminate"])).body
        assert [item["type"] for item in plan["removeResources"]] == ["COMPUTE"]
        assert [step["name"] for step in plan["steps"] if step.get("final")] == ["delete-stack"]

        (await api.post(f"{path}/instantiate?dry_run=true", {"flavourId": "simple"})).problem(409)
        (await api.post(f"{path}/scale?dry_run=true", BODIES["scale"] | {"numberOfSteps": 9})).problem(400)
        (await api.post(f"{path}/scale?dry_run=perhaps", BODIES["scale"])).problem(400)


async def test_dry_run_of_what_can_be_done_about_an_operation(config: BaseConfig) -> None:
    vim = ScriptedVim()
    vim.next("await-update", Hitch(instead=Failed("VIM says no", 422, "No valid host was found.")))
    async with running(config, vim) as lcm, client(lcm.url) as api:
        path = await instantiated(api)
        op_id = (await api.post(f"{path}/scale", BODIES["scale"])).op_id
        await operation(api, op_id, "FAILED_TEMP")
        before = await everything(lcm.platform)

        async def planned(how: str) -> tuple[str, list[str]]:
            plan = (await api.post(f"{OP_OCCS}/{op_id}/{how}?dry_run=true")).body
            assert plan["operation"] == "SCALE"
            return plan["operationState"], [step["name"] for step in plan["steps"]]

        assert await planned("retry") == ("PROCESSING", ["update-stack", "await-update", "read-back"])
        assert await planned("rollback") == ("ROLLING_BACK", ["restore-stack", "await-restored", "read-back"])
        assert await planned("fail") == ("FAILED", [])
        (await api.post(f"{OP_OCCS}/{op_id}/cancel?dry_run=true", {"cancelMode": "GRACEFUL"})).problem(409)
        assert await everything(lcm.platform) == before


class TestCancel:
    async def test_forceful(self, config: BaseConfig) -> None:
        vim, stuck = ScriptedVim(), Pause()
        async with running(config, vim) as lcm, client(lcm.url) as api:
            path = await instantiated(api)
            vim.next("update-stack", Hitch(after=stuck))
            op_id = (await api.post(f"{path}/scale", BODIES["scale"])).op_id
            await asyncio.wait_for(stuck.reached.wait(), 60)
            shown = (await api.get(f"{OP_OCCS}/{op_id}")).body
            assert shown["_links"]["cancel"]["href"].endswith(f"{OP_OCCS}/{op_id}/cancel")
            answer = await api.post(f"{OP_OCCS}/{op_id}/cancel", {"cancelMode": "FORCEFUL"})
            assert (answer.status, answer.body, "Location" in answer.headers) == (202, None, False)
            shown = (await api.get(f"{OP_OCCS}/{op_id}")).body
            assert (shown["operationState"], shown["isCancelPending"]) == ("FAILED_TEMP", False)
            assert (shown["error"]["title"], shown["error"]["step"]) == ("Cancelled", "update-stack")
            assert "cancel" not in shown["_links"]
            stuck.go_on.set()
            assert (await api.post(f"{OP_OCCS}/{op_id}/rollback")).status == 202
            await operation(api, op_id, "ROLLED_BACK")
            assert (await api.get(path)).body["instantiatedVnfInfo"]["scaleStatus"][0]["scaleLevel"] == 0

    async def test_graceful(self, config: BaseConfig) -> None:
        vim, slow = ScriptedVim(), Pause()
        async with running(config, vim) as lcm, client(lcm.url) as api:
            path = await instantiated(api)
            vim.next("update-stack", Hitch(after=slow))
            op_id = (await api.post(f"{path}/scale", BODIES["scale"])).op_id
            await asyncio.wait_for(slow.reached.wait(), 60)
            for _ in range(2):
                assert (await api.post(f"{OP_OCCS}/{op_id}/cancel", {"cancelMode": "GRACEFUL"})).status == 202
            shown = (await api.get(f"{OP_OCCS}/{op_id}")).body
            assert (shown["operationState"], shown["isCancelPending"], shown["cancelMode"]) == (
                "PROCESSING", True, "GRACEFUL",
            )  # fmt: skip
            slow.go_on.set()
            shown = await operation(api, op_id, "FAILED_TEMP")
            assert (shown["isCancelPending"], "cancelMode" in shown) == (False, False)
            assert "await-update/1" not in vim.calls, "no other step was begun"
            assert (await api.post(f"{OP_OCCS}/{op_id}/retry")).status == 202
            await operation(api, op_id, "COMPLETED")
            assert [entry.partition(" ")[0] for entry in vim.journal] == ["create", "update"]

    async def test_refused(self, config: BaseConfig) -> None:
        async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
            path = f"{INSTANCES}/{await api.create()}"
            op_id = (await completed(api, path, "instantiate", {"flavourId": "simple"}))["id"]
            problem = (await api.post(f"{OP_OCCS}/{op_id}/cancel", {"cancelMode": "FORCEFUL"})).problem(409)
            assert problem["lcmOpOcc"] == {"id": op_id, "operation": "INSTANTIATE", "operationState": "COMPLETED"}
            wrong = (await api.post(f"{OP_OCCS}/{op_id}/cancel", {"cancelMode": "SOON"})).problem(400)
            assert wrong["invalidParams"][0]["pointer"] == "/cancelMode"
            (await api.post(f"{OP_OCCS}/{op_id}/cancel")).problem(400)


@pytest.mark.parametrize("task", [task for task in BODIES if task != "terminate"])
async def test_secrets_of_additional_params_are_sealed(config: BaseConfig, task: str) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        path = await instantiated(api)
        done = await completed(api, path, task, BODIES[task] | {"additionalParams": SECRET})
        assert done["operationParams"]["additionalParams"] == {"shown": "yes", "deep": {}}
        plan = await api.post(f"{path}/terminate?dry_run=true", BODIES["terminate"] | {"additionalParams": SECRET})
        assert plan.body["operationParams"]["additionalParams"] == {"shown": "yes", "deep": {}}
        kept = await texts(lcm)
    assert len(kept) > 20
    assert not [text for text in (*kept, str(done)) if "open-sesame" in text]


async def test_credentials_of_a_vim_that_a_change_brings_are_sealed(config: BaseConfig) -> None:
    more = {
        "vim2": {
            "vimType": "ETSINFV.OPENSTACK_KEYSTONE.V_3", "interfaceInfo": {"endpoint": "http://k.example/v3"},
            "accessInfo": {"username": "nfv", "password": "hunter2-open-sesame"},
        }
    }  # fmt: skip
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        path = await instantiated(api)
        done = await completed(api, path, "change_ext_conn", BODIES["change_ext_conn"] | {"vimConnectionInfo": more})
        assert done["operationParams"]["vimConnectionInfo"]["vim2"]["accessInfo"] == {"username": "nfv"}
        shown = (await api.get(path)).body
        assert set(shown["vimConnectionInfo"]) == {"default", "vim2"}
        assert not [text for text in (*await texts(lcm), str(shown), str(done)) if "open-sesame" in text]
        unknown = {"vim3": {"vimType": "ETSINFV.OPENSTACK_KEYSTONE.V_3", "vimId": "nobody"}}
        for task in ("change_ext_conn", "change_flavour"):
            await pointed(
                api,
                f"{path}/{task}",
                BODIES[task] | {"vimConnectionInfo": unknown},
                404,
                "/vimConnectionInfo/vim3/vimId",
            )


MERGE_PATCH = "application/merge-patch+json"

AT_FAULT: tuple[tuple[str, dict[str, Any], int, str], ...] = (
    ("scale", {"type": "UP", "aspectId": ASPECT}, 400, "/type"),
    ("scale", {"type": "SCALE_OUT"}, 400, "/aspectId"),
    ("scale", BODIES["scale"] | {"numberOfSteps": 0}, 400, "/numberOfSteps"),
    ("scale", BODIES["scale"] | {"numberOfSteps": 3}, 400, "/numberOfSteps"),
    ("scale", BODIES["scale"] | {"aspectId": "x"}, 400, "/aspectId"),
    ("scale", BODIES["scale"] | {"additionalParams": {"k%y": 1}}, 400, "/additionalParams/k%y"),
    ("scale_to_level", {}, 400, ""),
    ("scale_to_level", {"instantiationLevelId": "x"}, 400, "/instantiationLevelId"),
    ("scale_to_level", {"scaleInfo": [{"aspectId": "x", "scaleLevel": 1}]}, 400, "/scaleInfo/0/aspectId"),
    ("scale_to_level", {"scaleInfo": [{"aspectId": ASPECT, "scaleLevel": 9}]}, 400, "/scaleInfo/0/scaleLevel"),
    ("heal", {"vnfcInstanceId": ["x"]}, 400, "/vnfcInstanceId/0"),
    ("heal", {"cause": "x" * 256}, 400, "/cause"),
    ("heal", {"additionalParams": {"all": 1}}, 400, "/additionalParams/all"),
    ("change_ext_conn", {}, 400, "/extVirtualLinks"),
    ("change_ext_conn", {"extVirtualLinks": [ext_link("x")]}, 400, "/extVirtualLinks/0/extCps/0/cpdId"),
    ("change_flavour", {"newFlavourId": "x"}, 400, "/newFlavourId"),
    ("change_flavour", {"newFlavourId": "bare"}, 422, "/newFlavourId"),
    ("change_flavour", BODIES["change_flavour"] | {"extensions": {"x": 1}}, 400, "/extensions/x"),
    ("operate", {"changeStateTo": "PAUSED"}, 400, "/changeStateTo"),
    ("operate", {"changeStateTo": "STARTED", "stopType": "FORCEFUL"}, 400, "/stopType"),
    ("operate", {"changeStateTo": "STOPPED", "vnfcInstanceId": ["x"]}, 400, "/vnfcInstanceId/0"),
)  # fmt: skip


async def pointed(api: Client, path: str, body: Any, status: int, pointer: str) -> None:
    problem = (await api.post(path, body)).problem(status)
    assert [param["pointer"] for param in problem["invalidParams"]] == [pointer], (path, body)


async def test_what_can_be_checked_is_checked_before_the_202(config: BaseConfig) -> None:
    bare = msgspec.structs.replace(VNFD.flavours["large"], id="bare", base_hot=None, vdus={})
    vnfd: Vnfd = msgspec.structs.replace(VNFD, vnfd_id="vnfd-9", flavours=VNFD.flavours | {"bare": bare})
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        await onboard(lcm.platform, vnfd)
        path = await instantiated(api, vnfdId="vnfd-9")
        head = await lcm.platform.store.head("LCM")
        for task, body, status, pointer in AT_FAULT:
            await pointed(api, f"{path}/{task}", body, status, pointer)
        assert await lcm.platform.store.head("LCM") == head


async def test_a_script_that_the_package_lacks_is_refused(config: BaseConfig) -> None:
    async with running(config) as lcm, client(lcm.url) as api:
        blobs = lcm.platform.blobs
        csar = BytesIO()
        with ZipFile(csar, "w") as package:
            package.writestr("UserData/mine.py", "class Mine: ...")
        async with blobs.writer(limit=1 << 20) as writer:
            await writer.write(csar.getvalue())
            blob = await writer.commit()
        await onboard(lcm.platform, msgspec.structs.replace(VNFD, vnfd_id="vnfd-8"), content=blob)
        path = f"{INSTANCES}/{await api.create(vnfdId='vnfd-8')}/instantiate"
        script, class_ = "lcm-operation-user-data", "lcm-operation-user-data-class"
        asked = {"flavourId": "simple", "additionalParams": {script: "UserData/yours.py", class_: "Mine"}}
        await pointed(api, path, asked, 400, f"/additionalParams/{script}")
        for name in ("./UserData/mine.py", "UserData/mine.py"):
            asked["additionalParams"] = {script: name, class_: "Mine"}
            assert (await api.post(f"{path}?dry_run=true", asked)).status == 200


async def test_of_two_contradictory_requests_at_two_replicas_one_is_accepted(config: BaseConfig) -> None:
    pairs = (("scale", "scale"), ("heal", "terminate"), ("operate", "change_flavour"))
    async with (
        running(config, ScriptedVim()) as one,
        running(config) as two,
        client(one.url) as first,
        client(two.url) as second,
    ):
        for left, right in pairs * 2:
            path = await instantiated(first)
            answers = await asyncio.gather(
                first.post(f"{path}/{left}", BODIES[left]), second.post(f"{path}/{right}", BODIES[right])
            )
            assert sorted(answer.status for answer in answers) == [202, 409]
            accepted = next(answer for answer in answers if answer.status == 202)
            problem = next(answer for answer in answers if answer.status == 409).problem(409)
            assert problem["lcmOpOcc"]["id"] == accepted.op_id
            assert problem["detail"] == f"Other LCM operation of vnfInstance {path.rpartition('/')[2]} is in progress."
            await operation(first, accepted.op_id, "COMPLETED")
