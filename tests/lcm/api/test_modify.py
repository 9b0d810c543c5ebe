"""PATCH of a VNF instance over real HTTP: a merge patch, an operation that has ended when it is looked at."""

from __future__ import annotations

from typing import Any

import msgspec
from forestay_events.config import BaseConfig
from forestay_lcm.catalogue import Catalogue
from forestay_sol.streams import package

from tests.lcm.api.client import INSTANCES, OP_OCCS, Answer, Client, client
from tests.lcm.api.test_instances import INLINE, UNKNOWN, operation
from tests.lcm.api.test_operations import MERGE_PATCH, instantiated, texts
from tests.lcm.engine.running import append, onboard, register, running
from tests.lcm.engine.scripted_vim import Hitch, Pause, ScriptedVim
from tests.lcm.samples import OPENSTACK, VNFD

OTHER = msgspec.structs.replace(
    VNFD, vnfd_id="vnfd-2", provider="Backstay", product_name="Other", software_version="2.0", vnfd_version="2.1"
)


async def patch(api: Client, path: str, body: Any, content_type: str = MERGE_PATCH) -> Answer:
    return await api.send("PATCH", path, body, **{"Content-Type": content_type})


async def patched(api: Client, path: str, body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The instance and the operation occurrence after an accepted patch."""
    accepted = await patch(api, path, body)
    assert (accepted.status, accepted.body) == (202, None), accepted.body
    assert accepted.headers["Location"].endswith(f"{OP_OCCS}/{accepted.op_id}")
    done = (await api.get(f"{OP_OCCS}/{accepted.op_id}")).body
    assert (done["operation"], done["operationState"], "grantId" in done) == ("MODIFY_INFO", "COMPLETED", False)
    return (await api.get(path)).body, done


async def test_of_an_instance_that_is_not_instantiated(config: BaseConfig) -> None:
    async with running(config) as lcm, client(lcm.url) as api:
        path = f"{INSTANCES}/{await api.create(vnfInstanceName='edge', metadata={'owner': {'name': 'ops'}})}"
        body = {
            "vnfInstanceName": "core", "vnfInstanceDescription": "of the north", "unknownMember": 1,
            "metadata": {"owner": {"name": None, "mail": "ops@example"}, "maturity": None},
            "extensions": {"region": "south"}, "vnfConfigurableProperties": {"autoscale": True},
        }  # fmt: skip
        shown, done = await patched(api, path, body)
        assert (shown["vnfInstanceName"], shown["vnfInstanceDescription"]) == ("core", "of the north")
        assert shown["metadata"] == {"owner": {"mail": "ops@example"}}
        assert (shown["extensions"], shown["vnfConfigurableProperties"]) == ({"region": "south"}, {"autoscale": True})
        assert done["changedInfo"] == {
            "vnfInstanceName": "core", "vnfInstanceDescription": "of the north", "metadata": shown["metadata"],
            "extensions": {"region": "south"}, "vnfConfigurableProperties": {"autoscale": True},
        }  # fmt: skip
        assert done["operationParams"] == {name: value for name, value in body.items() if name != "unknownMember"}
        shown, _ = await patched(api, path, {"vnfInstanceName": None, "metadata": None})
        assert "vnfInstanceName" not in shown
        assert "metadata" not in shown


async def test_of_another_vnfd(config: BaseConfig) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        path = await instantiated(api)
        package_id = await onboard(lcm.platform, OTHER)
        shown, done = await patched(api, path, {"vnfdId": "vnfd-2"})
        names = {
            "vnfdId": "vnfd-2", "vnfProvider": "Backstay", "vnfProductName": "Other", "vnfSoftwareVersion": "2.0",
            "vnfdVersion": "2.1",
        }  # fmt: skip
        assert {name: shown[name] for name in names} == names == done["changedInfo"]
        assert shown["instantiationState"] == "INSTANTIATED"

        without = msgspec.structs.replace(OTHER, vnfd_id="vnfd-3", flavours={"large": VNFD.flavours["large"]})
        await onboard(lcm.platform, without)
        await append(lcm.platform, "PKG", "package", package_id, package.CODEC,
                     package.PackageModified(operational_state="DISABLED"))  # fmt: skip
        await lcm.platform.positions.wait("lcm", "PKG", await lcm.platform.store.head("PKG"), timeout=60)
        for vnfd_id in ("nobody's", "vnfd-2", "vnfd-3"):
            problem = (await patch(api, path, {"vnfdId": vnfd_id})).problem(422)
            assert problem["invalidParams"][0]["pointer"] == "/vnfdId", problem


async def test_of_vim_connections(config: BaseConfig) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        vnf_id = await api.create()
        path = f"{INSTANCES}/{vnf_id}"
        problem = (await patch(api, path, {"vimConnectionInfo": INLINE})).problem(400)
        assert problem["invalidParams"][0]["pointer"] == "/vimConnectionInfo"
        started = await api.post(f"{path}/instantiate", {"flavourId": "simple", "vimConnectionInfo": INLINE})
        await operation(api, started.op_id, "COMPLETED")

        access = {"password": "hunter4-open-sesame", "username": None, "deep": {"client_secret": None}}
        shown, done = await patched(api, path, {"vimConnectionInfo": {"vim1": {"accessInfo": access}}})
        given = {"project": "nfv", "deep": {"region": "RegionOne"}}
        assert shown["vimConnectionInfo"]["vim1"]["accessInfo"] == given
        assert shown["vimConnectionInfo"]["vim1"]["interfaceInfo"] == INLINE["vim1"]["interfaceInfo"]
        assert done["changedInfo"]["vimConnectionInfo"] == shown["vimConnectionInfo"]
        assert done["operationParams"]["vimConnectionInfo"]["vim1"]["accessInfo"] == {"username": None, "deep": {}}
        assert not [text for text in (*await texts(lcm), str(shown), str(done)) if "open-sesame" in text]
        state = (await lcm.vnfs.load(vnf_id)).state
        assert state is not None
        opened = await Catalogue(lcm.platform).open_connection("nfv", vnf_id, "vim1", state.vim_connections["vim1"])
        assert opened.access_info == given | {"password": "hunter4-open-sesame"}, "the driver can read it"

        await register(lcm.platform, UNKNOWN, project="other")
        for entry, status, pointer in (
            ({"vim1": None}, 400, "/vimConnectionInfo"),
            ({"vim2": {"interfaceInfo": {}}}, 400, "/vimConnectionInfo"),
            ({"vim1": {"vimType": "ETSINFV.OPENVIM.V_1"}}, 422, "/vimConnectionInfo"),
            ({"vim2": {"vimType": OPENSTACK, "vimId": UNKNOWN}}, 404, "/vimConnectionInfo/vim2/vimId"),
            ({"vim2": 1}, 400, "/vimConnectionInfo/vim2"),
            ({"vim1": {"accessInfo": {"username": ["x"]}}}, 400, "/vimConnectionInfo/vim1/accessInfo/username"),
            (
                {"vim1": {"interfaceInfo": {"endpoint": "http://169.254.169.254"}}},
                422,
                "/vimConnectionInfo/vim1/interfaceInfo/endpoint",
            ),
        ):
            problem = (await patch(api, path, {"vimConnectionInfo": entry})).problem(status)
            assert problem["invalidParams"][0]["pointer"] == pointer, entry
        complete = {"vim2": INLINE["vim1"] | {"vimId": "nobody's"}}
        shown, _ = await patched(api, path, {"vimConnectionInfo": complete})
        assert shown["vimConnectionInfo"]["vim2"]["vimId"] == "nobody's", "one that says all needs no registered VIM"


async def test_of_single_vnfcs(config: BaseConfig) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        path = await instantiated(api)
        item = {"id": "VDU1-server-1", "vnfcConfigurableProperties": {"log": "debug"}}
        shown, done = await patched(api, path, {"vnfcInfoModifications": [item]})
        assert shown["instantiatedVnfInfo"]["vnfcInfo"][0]["vnfcConfigurableProperties"] == {"log": "debug"}
        assert done["changedInfo"]["vnfcInfoModifications"] == [item]
        await patched(api, path, {"vnfcInfoModifications": []})
        for wrong, pointer in (
            ({"id": "server-1", "vnfcConfigurableProperties": {}}, "/vnfcInfoModifications/0/id"),
            ({"id": "VDU1-server-1"}, "/vnfcInfoModifications/0/vnfcConfigurableProperties"),
        ):
            problem = (await patch(api, path, {"vnfcInfoModifications": [wrong]})).problem(400)
            assert problem["invalidParams"][0]["pointer"] == pointer


AT_FAULT: tuple[tuple[Any, str], ...] = (
    ({"vnfInstanceName": "x" * 256}, "/vnfInstanceName"),
    ({"extensions": {"zone": "x"}}, "/extensions/zone"),
    ({"extensions": {"region": 1}}, "/extensions/region"),
    ({"vnfConfigurableProperties": {"autoscale": "x"}}, "/vnfConfigurableProperties/autoscale"),
    ({"metadata": {"VDU_VNFc_mapping": []}}, "/metadata/VDU_VNFc_mapping"),
    ([], ""),
)


async def test_what_is_refused_leaves_no_trace(config: BaseConfig) -> None:
    async with running(config) as lcm, client(lcm.url) as api:
        path = f"{INSTANCES}/{await api.create()}"
        head = await lcm.platform.store.head("LCM")
        for body, pointer in AT_FAULT:
            problem = (await patch(api, path, body)).problem(400)
            assert problem["invalidParams"][0]["pointer"] == pointer, body
        (await patch(api, path, {"vnfInstanceName": "x"}, "application/xml")).problem(415)
        (await patch(api, f"{INSTANCES}/{UNKNOWN}", {"vnfInstanceName": "x"})).problem(404)
        assert await lcm.platform.store.head("LCM") == head


async def test_of_a_busy_instance_is_refused(config: BaseConfig) -> None:
    vim, slow = ScriptedVim(), Pause()
    vim.next("create-stack", Hitch(after=slow))
    async with running(config, vim) as lcm, client(lcm.url) as api:
        path = f"{INSTANCES}/{await api.create()}"
        op_id = (await api.post(f"{path}/instantiate", {"flavourId": "simple"})).op_id
        await slow.reached.wait()
        problem = (await patch(api, path, {"vnfInstanceName": "x"})).problem(409)
        assert problem["lcmOpOcc"] == {"id": op_id, "operation": "INSTANTIATE", "operationState": "PROCESSING"}
        slow.go_on.set()
        await operation(api, op_id, "COMPLETED")
        await patched(api, path, {"vnfInstanceName": "x"})
