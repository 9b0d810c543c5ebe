"""VNF instances and operation occurrences over real HTTP, from the first request to the last."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from forestay_events.config import BaseConfig
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.executor import Failed
from forestay_sol.streams import package

from tests.lcm.api.client import INSTANCES, OP_OCCS, Client, client
from tests.lcm.engine.running import VIM_ID, append, onboard, register, running
from tests.lcm.engine.scripted_vim import Hitch, ScriptedVim
from tests.lcm.samples import OPENSTACK, VNFD

ENDPOINT = "http://forestay.example:9890"
UNKNOWN = "11111111-2222-4333-8444-555555555555"
INLINE = {
    "vim1": {
        "vimType": OPENSTACK,
        "interfaceInfo": {"endpoint": "http://keystone.example:5000/v3"},
        "accessInfo": {
            "username": "nfv_user", "password": "hunter2-open-sesame", "project": "nfv",
            "deep": {"client_secret": "hunter3-open-sesame", "region": "RegionOne"},
        },
    }
}  # fmt: skip


async def operation(api: Client, op_id: str, state: str) -> dict[str, Any]:
    """The operation occurrence as soon as it is in this state."""
    async with asyncio.timeout(60):
        while (shown := (await api.get(f"{OP_OCCS}/{op_id}")).body)["operationState"] != state:
            await asyncio.sleep(0.02)
    return shown


def to_vim(connection: dict[str, Any]) -> dict[str, Any]:
    """An InstantiateVnfRequest to one VIM, with key ``a``."""
    return {"flavourId": "simple", "vimConnectionInfo": {"a": connection}}


async def test_the_whole_life(config: BaseConfig) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        created = await api.post(INSTANCES, {"vnfdId": "vnfd-1", "vnfInstanceName": "edge", "metadata": {"a": "b"}})
        assert created.status == 201
        uri = created.headers["Location"]
        assert uri == f"{ENDPOINT}{INSTANCES}/{created.body['id']}"
        assert created.headers["Version"] == "2.0.0"
        assert created.headers["Accept-Ranges"] == "none"
        assert created.headers["Content-Type"].startswith("application/json")
        assert created.body == {
            "id": created.body["id"], "vnfInstanceName": "edge", "vnfdId": "vnfd-1", "vnfProvider": "Forestay",
            "vnfProductName": "Sample", "vnfSoftwareVersion": "1.0", "vnfdVersion": "1.0",
            "instantiationState": "NOT_INSTANTIATED", "metadata": {"maturity": "test", "a": "b"},
            "extensions": {"region": "north"}, "vnfConfigurableProperties": {"autoscale": False},
            "_links": {"self": {"href": uri}, "instantiate": {"href": f"{uri}/instantiate"}},
        }  # fmt: skip
        path = f"{INSTANCES}/{created.body['id']}"

        accepted = await api.post(f"{path}/instantiate", {"flavourId": "simple", "unknownMember": 1})
        assert accepted.body is None
        op_id = accepted.op_id
        assert accepted.headers["Location"] == f"{ENDPOINT}{OP_OCCS}/{op_id}"
        done = await operation(api, op_id, "COMPLETED")
        assert (done["operation"], done["vnfInstanceId"]) == ("INSTANTIATE", created.body["id"])
        assert done["operationParams"] == {"flavourId": "simple"}
        assert (done["isAutomaticInvocation"], done["isCancelPending"]) == (False, False)
        assert done["grantId"]
        assert done["startTime"].endswith("Z")
        assert done["stateEnteredTime"] >= done["startTime"]
        assert done["resourceChanges"]["affectedVnfcs"][0]["changeType"] == "ADDED"
        assert set(done["_links"]) == {"self", "vnfInstance", "retry", "rollback", "fail"}

        shown = (await api.get(path)).body
        assert shown["instantiationState"] == "INSTANTIATED"
        assert shown["instantiatedVnfInfo"]["vnfState"] == "STARTED"
        assert set(shown["_links"]) == {
            "self", "terminate", "scale", "scaleToLevel", "changeFlavour", "heal", "operate", "changeExtConn",
            "createSnapshot", "revertToSnapshot",
        }  # fmt: skip
        connection = shown["vimConnectionInfo"]["default"]
        assert (connection["vimId"], connection["vimType"]) == (VIM_ID, OPENSTACK)
        assert connection["accessInfo"]["username"] == "nfv_user"
        assert "password" not in connection["accessInfo"]

        ended = await api.post(f"{path}/terminate", {"terminationType": "FORCEFUL"})
        assert (await operation(api, ended.op_id, "COMPLETED"))["resourceChanges"]["affectedVnfcs"][0][
            "changeType"
        ] == "REMOVED"
        shown = (await api.get(path)).body
        assert shown["instantiatedVnfInfo"] == {"flavourId": "simple", "vnfState": "STOPPED"}
        assert "vimConnectionInfo" not in shown

        deleted = await api.delete(path)
        assert (deleted.status, deleted.body) == (204, None)
        (await api.get(path)).problem(404)
        kept = {op["operation"] for op in (await api.get(OP_OCCS)).body}
        assert kept == {"INSTANTIATE", "TERMINATE"}


async def test_handling_a_failed_operation(config: BaseConfig) -> None:
    vim = ScriptedVim()
    broken = Hitch(instead=Failed("Stack create failed", 422, "No valid host was found."))
    vim.next("await-stack", broken, broken, broken)
    async with running(config, vim) as lcm, client(lcm.url) as api:
        path = f"{INSTANCES}/{await api.create()}"
        op_id = (await api.post(f"{path}/instantiate", {"flavourId": "simple"})).op_id
        failed = await operation(api, op_id, "FAILED_TEMP")
        assert failed["error"] == {
            "title": "Stack create failed", "status": 422, "detail": "No valid host was found.", "step": "await-stack",
        }  # fmt: skip

        busy = (await api.delete(path)).problem(409)
        assert busy["detail"] == f"Other LCM operation of vnfInstance {failed['vnfInstanceId']} is in progress."
        assert busy["lcmOpOcc"] == {"id": op_id, "operation": "INSTANTIATE", "operationState": "FAILED_TEMP"}

        retried = await api.post(f"{OP_OCCS}/{op_id}/retry")
        assert (retried.status, retried.body) == (202, None)
        assert "Location" not in retried.headers
        await operation(api, op_id, "FAILED_TEMP")
        assert (await api.post(f"{OP_OCCS}/{op_id}/rollback")).status == 202
        assert (await operation(api, op_id, "ROLLED_BACK"))["error"]["step"] == "await-stack"
        detail = (await api.post(f"{OP_OCCS}/{op_id}/fail")).problem(409)["detail"]
        assert detail == f"LCM operation {op_id} not FAILED_TEMP."

        op_id = (await api.post(f"{path}/instantiate", {"flavourId": "simple"})).op_id
        await operation(api, op_id, "FAILED_TEMP")
        given_up = await api.post(f"{OP_OCCS}/{op_id}/fail")
        assert (given_up.status, given_up.body["operationState"], given_up.body["id"]) == (200, "FAILED", op_id)
        assert (await api.delete(path)).status == 204


async def test_no_credential_is_anywhere(config: BaseConfig) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        vnf_id = await api.create()
        path = f"{INSTANCES}/{vnf_id}"
        op_id = (await api.post(f"{path}/instantiate", {"flavourId": "simple", "vimConnectionInfo": INLINE})).op_id
        done = await operation(api, op_id, "COMPLETED")
        given = {"username": "nfv_user", "project": "nfv", "deep": {"region": "RegionOne"}}
        shown = (await api.get(path)).body
        assert done["operationParams"]["vimConnectionInfo"]["vim1"]["accessInfo"] == given
        assert shown["vimConnectionInfo"]["vim1"]["accessInfo"] == given
        lists = [await api.get(f"{INSTANCES}?all_fields"), await api.get(f"{OP_OCCS}?all_fields")]
        state = (await lcm.vnfs.load(vnf_id)).state
        assert state is not None
        key, info = next(iter(state.vim_connections.items()))
        log = b"".join(stored.body for stored in await lcm.platform.store.load(f"lcm.vnf.{vnf_id}"))
        tables = await lcm.platform.pool.fetch(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema IN ('lcm', 'vault')"
        )
        rows = [str(row) for (table,) in tables for row in await lcm.platform.pool.fetch(f"SELECT * FROM {table}")]  # noqa: S608
    everywhere = [log.decode(), *map(str, [done, shown, *(answer.body for answer in lists)]), *rows]
    assert len(rows) > 10
    assert not [text for text in everywhere if "open-sesame" in text]
    assert not [text for text in everywhere if "devstack" in text]
    async with running(config) as lcm:
        opened = await Catalogue(lcm.platform).open_connection("nfv", vnf_id, key, info)
        assert opened.access_info == INLINE["vim1"]["accessInfo"], "the driver can read them"


def inline(**members: Any) -> dict[str, Any]:
    """INSTANTIATE to a VIM whose ``interfaceInfo`` or ``accessInfo`` has other members."""
    known: dict[str, Any] = INLINE["vim1"]
    return to_vim(known | {name: known[name] | given for name, given in members.items()})


BODIES_AT_FAULT: tuple[tuple[str, dict[str, Any], int, str], ...] = (
    ("", {}, 400, "/vnfdId"),
    ("", {"vnfdId": 1}, 400, "/vnfdId"),
    ("", {"vnfdId": "vnfd-1", "vnfInstanceName": "x" * 256}, 400, "/vnfInstanceName"),
    ("", {"vnfdId": "vnfd-1", "metadata": {"k%y": 1}}, 400, "/metadata/k%y"),
    ("", {"vnfdId": "vnfd-1", "metadata": {"VDU_VNFc_mapping": {"VDU1": "a"}}}, 400, "/metadata/VDU_VNFc_mapping"),
    ("", {"vnfdId": "nobody's"}, 422, "/vnfdId"),
    ("/{id}/instantiate", {}, 400, "/flavourId"),
    ("/{id}/instantiate", {"flavourId": "big"}, 400, "/flavourId"),
    ("/{id}/instantiate", to_vim({}), 400, "/vimConnectionInfo/a/vimType"),
    ("/{id}/instantiate", to_vim({"vimType": OPENSTACK}), 400, "/vimConnectionInfo/a"),
    ("/{id}/instantiate", to_vim({"vimType": OPENSTACK, "vimId": UNKNOWN}), 404, "/vimConnectionInfo/a/vimId"),
    ("/{id}/instantiate", to_vim(INLINE["vim1"] | {"vimType": "ETSINFV.OPENVIM.V_1"}), 422, "/vimConnectionInfo"),
    ("/{id}/instantiate", inline(accessInfo={"username": ["x"]}), 400, "/vimConnectionInfo/a/accessInfo/username"),
    ("/{id}/instantiate", inline(interfaceInfo={"ssl_ca_cert": 5}), 400, "/vimConnectionInfo/a/interfaceInfo/ssl_ca_cert"),
    ("/{id}/instantiate", inline(interfaceInfo={"endpoint": "http://h/admin?x="}), 400,
     "/vimConnectionInfo/a/interfaceInfo/endpoint"),
    ("/{id}/instantiate", inline(interfaceInfo={"endpoint": "file:///etc/passwd"}), 400,
     "/vimConnectionInfo/a/interfaceInfo/endpoint"),
    ("/{id}/instantiate", inline(interfaceInfo={"endpoint": "http://169.254.169.254/v3"}), 422,
     "/vimConnectionInfo/a/interfaceInfo/endpoint"),
    ("/{id}/terminate", {"terminationType": "SOFT"}, 400, "/terminationType"),
    ("/{id}/terminate", {"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 0}, 400,
     "/gracefulTerminationTimeout"),
)  # fmt: skip

NOT_FOUND: tuple[tuple[str, str, Any, str], ...] = (
    ("GET", f"{INSTANCES}/{UNKNOWN}", None, f"VnfInstance {UNKNOWN} not found."),
    ("DELETE", f"{INSTANCES}/{UNKNOWN}", None, f"VnfInstance {UNKNOWN} not found."),
    ("POST", f"{INSTANCES}/{UNKNOWN}/instantiate", {"flavourId": "simple"}, f"VnfInstance {UNKNOWN} not found."),
    ("POST", f"{INSTANCES}/{UNKNOWN}/terminate", {"terminationType": "FORCEFUL"}, f"VnfInstance {UNKNOWN} not found."),
    ("GET", f"{OP_OCCS}/{UNKNOWN}", None, f"VnfLcmOpOcc {UNKNOWN} not found."),
    ("POST", f"{OP_OCCS}/{UNKNOWN}/retry", None, f"VnfLcmOpOcc {UNKNOWN} not found."),
    ("POST", f"{OP_OCCS}/{UNKNOWN}/rollback", None, f"VnfLcmOpOcc {UNKNOWN} not found."),
    ("POST", f"{OP_OCCS}/{UNKNOWN}/fail", None, f"VnfLcmOpOcc {UNKNOWN} not found."),
    ("POST", f"{OP_OCCS}/{UNKNOWN}/cancel", {"cancelMode": "GRACEFUL"}, f"VnfLcmOpOcc {UNKNOWN} not found."),
    ("POST", f"{INSTANCES}/{UNKNOWN}/sing", {}, "The resource could not be found."),
)


class TestRefusals:
    async def test_a_body_at_fault_is_pointed_at(self, refusing: tuple[Client, str]) -> None:
        api, vnf_id = refusing
        for path, body, status, pointer in BODIES_AT_FAULT:
            problem = (await api.post(INSTANCES + path.replace("{id}", vnf_id), body)).problem(status)
            assert [param["pointer"] for param in problem["invalidParams"]] == [pointer], body

    async def test_what_is_unknown_is_not_found(self, refusing: tuple[Client, str]) -> None:
        api, _ = refusing
        for method, path, body, detail in NOT_FOUND:
            assert (await api.send(method, path, body)).problem(404)["detail"] == detail

    async def test_a_weird_id_is_not_found(self, refusing: tuple[Client, str]) -> None:
        api, _ = refusing
        for weird in ("a.b", "*", ">", "x" * 200, "%20"):
            (await api.get(f"{INSTANCES}/{weird}")).problem(404)
            (await api.get(f"{OP_OCCS}/{weird}")).problem(404)

    async def test_states(self, refusing: tuple[Client, str]) -> None:
        api, vnf_id = refusing
        detail = (await api.post(f"{INSTANCES}/{vnf_id}/terminate", {"terminationType": "FORCEFUL"})).problem(409)[
            "detail"
        ]
        assert detail == f"VnfInstance {vnf_id} is not instantiated."

    async def test_version(self, refusing: tuple[Client, str]) -> None:
        api, _ = refusing
        wrong = {"": 400, "two": 400, "2.0": 400, "02.0.0": 400, "1.3.0": 406, "2.0.1": 406}
        for version, status in wrong.items():
            (await api.get(INSTANCES, Version=version)).problem(status)
        assert (await api.get(INSTANCES, Version="2.0.0-impl:tacker:1")).status == 200

    async def test_negotiation(self, refusing: tuple[Client, str]) -> None:
        api, _ = refusing
        (await api.send("POST", INSTANCES, b"<xml/>", **{"Content-Type": "application/xml"})).problem(415)
        (await api.send("POST", INSTANCES, b"{")).problem(400)
        (await api.get(INSTANCES, Accept="text/html")).problem(406)
        (await api.post(INSTANCES)).problem(400)
        assert (await api.send("PUT", INSTANCES, {})).problem(405)["detail"] == "Method PUT is not supported."

    async def test_api_versions(self, refusing: tuple[Client, str]) -> None:
        api, _ = refusing
        assert (await api.get("/vnflcm/api_versions", Version="9.9.9")).body == {
            "uriPrefix": "/vnflcm",
            "apiVersions": [
                {"version": number, "isDeprecated": False} for number in ("1.3.0", "2.0.0", "2.1.0", "2.2.0", "2.3.0")
            ],
        }
        answer = await api.get("/vnflcm/v2/api_versions", Version="")
        assert answer.body["uriPrefix"] == "/vnflcm/v2"
        assert [entry["version"] for entry in answer.body["apiVersions"]] == ["2.0.0", "2.1.0", "2.2.0", "2.3.0"]
        assert answer.headers["Version"] == "2.0.0"


async def test_packages_and_vims_that_cannot_be_used(config: BaseConfig) -> None:
    async with running(config) as lcm, client(lcm.url) as api:
        platform = lcm.platform
        package_id = await onboard(platform, msgspec.structs.replace(VNFD, vnfd_id="vnfd-2"))
        vnf_id = await api.create(vnfdId="vnfd-2")
        await append(platform, "PKG", "package", package_id, package.CODEC,
                     package.PackageModified(operational_state="DISABLED"))  # fmt: skip
        await platform.positions.wait("lcm", "PKG", await platform.store.head("PKG"), timeout=60)
        refused = await api.post(INSTANCES, {"vnfdId": "vnfd-2"})
        assert refused.problem(422)["detail"] == "VnfId vnfd-2 not ENABLED."

        enabled = package.PackageModified(operational_state="ENABLED")
        await append(platform, "PKG", "package", package_id, package.CODEC, enabled)
        await api.create(vnfdId="vnfd-2")

        await append(platform, "PKG", "package", package_id, package.CODEC, package.PackageDeleted())
        await platform.positions.wait("lcm", "PKG", await platform.store.head("PKG"), timeout=60)
        refused = await api.post(INSTANCES, {"vnfdId": "vnfd-2"})
        assert refused.problem(422)["detail"] == "VnfPackage of vnfdId vnfd-2 is not found or not operational."
        assert (await api.post(f"{INSTANCES}/{vnf_id}/instantiate", {"flavourId": "simple"})).status == 202, (
            "VNFs go on"
        )

        await onboard(platform, msgspec.structs.replace(VNFD, vnfd_id="vnfd-3"), project="other")
        (await api.post(INSTANCES, {"vnfdId": "vnfd-3"})).problem(422)
        await register(platform, UNKNOWN, project="other")
        other = await api.create()
        there = to_vim({"vimType": OPENSTACK, "vimId": UNKNOWN})
        (await api.post(f"{INSTANCES}/{other}/instantiate", there)).problem(404)


async def test_without_a_default_vim_one_has_to_be_named(bare: BaseConfig) -> None:
    async with running(bare) as lcm, client(lcm.url) as api:
        await onboard(lcm.platform)
        path = f"{INSTANCES}/{await api.create()}/instantiate"
        problem = (await api.post(path, {"flavourId": "simple"})).problem(400)
        assert "no default VIM" in problem["detail"]
        await register(lcm.platform, default=False)
        named = {"vim1": {"vimId": VIM_ID, "vimType": OPENSTACK}}
        assert (await api.post(path, {"flavourId": "simple", "vimConnectionInfo": named})).status == 202


async def test_another_project_sees_nothing(config: BaseConfig) -> None:
    strangers = msgspec.structs.replace(config, default_project="other")
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        vnf_id = await api.create()
        op_id = (await api.post(f"{INSTANCES}/{vnf_id}/instantiate", {"flavourId": "simple"})).op_id
        await operation(api, op_id, "COMPLETED")
        async with running(strangers) as elsewhere, client(elsewhere.url) as stranger:
            for method, path, body in (
                ("GET", f"{INSTANCES}/{vnf_id}", None),
                ("DELETE", f"{INSTANCES}/{vnf_id}", None),
                ("POST", f"{INSTANCES}/{vnf_id}/terminate", {"terminationType": "FORCEFUL"}),
                ("GET", f"{OP_OCCS}/{op_id}", None),
                ("POST", f"{OP_OCCS}/{op_id}/fail", None),
            ):
                (await stranger.send(method, path, body)).problem(404)
            assert (await stranger.get(INSTANCES)).body == []
            assert (await stranger.get(OP_OCCS)).body == []


async def test_a_second_replica_reads_what_was_written_at_the_first(config: BaseConfig) -> None:
    vim = ScriptedVim(latency=0.5)  # busy for as long as the test asks
    async with (
        running(config, vim) as one,
        running(config) as two,
        client(one.url) as first,
        client(two.url) as second,
    ):
        for _ in range(10):
            vnf_id = await first.create()
            assert (await second.get(f"{INSTANCES}/{vnf_id}")).status == 200
            op_id = (await second.post(f"{INSTANCES}/{vnf_id}/instantiate", {"flavourId": "simple"})).op_id
            assert (await first.get(f"{OP_OCCS}/{op_id}")).status == 200
            (await first.delete(f"{INSTANCES}/{vnf_id}")).problem(409)
            assert op_id in {op["id"] for op in (await second.get(OP_OCCS)).body}
