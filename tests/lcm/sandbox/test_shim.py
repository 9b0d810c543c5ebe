"""The other modules that scripts import: the coordination client, the VNFD and the helpers around it."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from forestay_lcm.sandbox.calls import Package
from forestay_lcm.sandbox.runner import ScriptRunner

from tests.lcm.openstack.conftest import TESTS
from tests.packages.build import build_csar

from .conftest import HOOK, Packages, answer, failure, hook

_COORDINATE = """
from tacker.sol_refactored.common import coord_client
made = coord_client.create_coordination(
    arguments["endpoint"], arguments["authentication"], arguments["LcmCoordRequest"], timeout=5)
assert made["coordinationResult"] == "CONTINUE", made
"""
_BASIC = {"authType": ["BASIC"], "paramsBasic": {"userName": "u", "password": "p4ssword"}}


class _Coordinator:
    """The EM of a test: BASIC or OAuth 2.0, an answer after some polls."""

    def __init__(self, polls: int, result: str = "CONTINUE") -> None:
        self.polls, self.result = polls, result
        self.asked: list[tuple[str, str, Any]] = []

    async def start(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers["Authorization"], request.headers["Version"], await request.json()))
        if not self.polls:
            return web.json_response({"coordinationResult": self.result}, status=201)
        return web.Response(status=202, headers={"Location": "/lcmcoord/v1/coordinations/7"})

    async def poll(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers["Authorization"], request.headers["Version"], None))
        self.polls -= 1
        if self.polls:
            return web.Response(status=202, headers={"Retry-After": "0"})
        return web.json_response({"coordinationResult": self.result})

    async def token(self, request: web.Request) -> web.Response:
        assert (await request.post())["grant_type"] == "client_credentials"
        return web.json_response({"access_token": "t0ken"})


async def _coordinated(runner: ScriptRunner, package: Package, em: _Coordinator, oauth2: bool = False) -> str | None:
    app = web.Application()
    app.router.add_post("/lcmcoord/v1/coordinations", em.start)
    app.router.add_get("/lcmcoord/v1/coordinations/7", em.poll)
    app.router.add_post("/token", em.token)
    serving = web.AppRunner(app)
    await serving.setup()
    site = web.TCPSite(serving, "127.0.0.1", 0)
    await site.start()
    endpoint = f"http://127.0.0.1:{serving.addresses[0][1]}"
    credentials = {"clientId": "c", "clientPassword": "p4ssword", "tokenEndpoint": f"{endpoint}/token"}
    by_token = {"authType": ["OAUTH2_CLIENT_CREDENTIALS"], "paramsOauth2ClientCredentials": credentials}
    call = hook(
        package,
        endpoint=endpoint,
        authentication=by_token if oauth2 else _BASIC,
        LcmCoordRequest={"vnfInstanceId": "v", "coordinationActionName": "a"},
    )
    call = msgspec.structs.replace(call, kind="coordination")
    try:
        return await failure(runner, call) if em.result != "CONTINUE" else (await runner.run(call)).errors or None
    finally:
        await serving.cleanup()


async def test_a_coordination_that_is_answered_at_once(runner: ScriptRunner, package: Packages) -> None:
    em = _Coordinator(polls=0)
    assert await _coordinated(runner, package(_COORDINATE), em) is None
    basic = f"Basic {base64.b64encode(b'u:p4ssword').decode()}"
    assert em.asked == [(basic, "1.0.0", {"vnfInstanceId": "v", "coordinationActionName": "a"})]


async def test_a_coordination_that_takes_time(runner: ScriptRunner, package: Packages) -> None:
    em = _Coordinator(polls=2)
    patient = _COORDINATE.replace("made =", "coord_client.DEFAULT_INTERVAL = 0.1\nmade =", 1)
    assert await _coordinated(runner, package(patient), em, oauth2=True) is None
    assert [asked[0] for asked in em.asked] == ["Bearer t0ken"] * 3


async def test_a_coordination_that_says_no(runner: ScriptRunner, package: Packages) -> None:
    text = await _coordinated(runner, package(_COORDINATE), _Coordinator(polls=0, result="ABORT"))
    assert text is not None
    assert "'coordinationResult': 'ABORT'" in text


_LOOK = """
import io, pathlib, yaml, zipfile
from tacker.sol_refactored.common import common_script_utils, vnfd_utils
from tacker.common import exceptions
from tacker.sol_refactored.common import exceptions as sol_ex
from tacker.sol_refactored.infra_drivers.openstack.userdata_utils import get_param_zone_by_vnfc
assert issubclass(sol_ex.CoordinateVNFExecutionFailed, sol_ex.SolException)
assert str(sol_ex.VMRunningFailed(error_info=["x"])) and issubclass(exceptions.NotAuthorized, Exception)
vnfd = vnfd_utils.Vnfd("d")
vnfd.init_from_csar_dir(arguments["tmp_csar_dir"])
inst = {"instantiatedVnfInfo": {"flavourId": "simple"}}
level = vnfd.get_default_instantiation_level("simple")
seen = {
    "vdus": list(vnfd.get_vdu_nodes("simple")),
    "storages": vnfd.get_vdu_storages(vnfd.get_vdu_nodes("simple")["VDU2"]),
    "cps": vnfd.get_vdu_cps("simple", "VDU1"),
    "links": list(vnfd.get_virtual_link_nodes("simple")),
    "images": vnfd.get_sw_image("simple"),
    "level": [level, vnfd.get_vdu_num("simple", "VDU2", level)],
    "info": common_script_utils.get_vdu_info({}, inst, vnfd),
    "none": vnfd.get_base_hot("other"),
    "link": vnfd.get_vl_name_from_cp("simple", vnfd.get_vducp_nodes("simple")["VDU1_CP2"]),
    "script": vnfd.get_interface_script("simple", "instantiate_start"),
    "files": sorted(vnfd.get_vnf_artifact_files(), key=len)[:1],
    "defaults": vnfd.get_vnfd_properties(),
    "copied": sorted(os.listdir(vnfd.make_tmp_csar_dir())),
}
with open(vnfd.csar_dir + "/BaseHOT/simple/" + os.listdir(vnfd.csar_dir + "/BaseHOT/simple")[0]) as file:
    hot = yaml.safe_load(file)
inst["instantiatedVnfInfo"]["extManagedVirtualLinkInfo"] = [
    {"vnfVirtualLinkDescId": "internalVL1", "networkResource": {"resourceId": "net-9"}}]
common_script_utils.apply_ext_managed_vls_from_inst(hot, inst)
assert "internalVL1" not in hot["resources"] and "net-9" in str(hot)
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w") as csar:
    for path in pathlib.Path(vnfd.csar_dir, "Definitions").iterdir():
        csar.write(path, f"Definitions/{path.name}")
again = vnfd_utils.Vnfd("d")
again.init_from_zip_file(packed.getvalue())
assert again.definitions == vnfd.definitions
again.delete()
"""


async def test_the_vnfd_as_scripts_read_it(runner: ScriptRunner, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(TESTS / "packages" / "sample-two-vdus", tree)
    (tree / "Scripts").mkdir()
    (tree / "Scripts" / "hook.py").write_text(HOOK + _LOOK + answer("seen"))
    package = Package(digest="look", csar=build_csar(tree, tmp_path / "look.csar"))
    assert (await runner.run(hook(package))).value["vnf_instance"]["value"] == {
        "vdus": ["VDU1", "VDU2"],
        "storages": ["VDU2_Storage"],
        "cps": ["VDU1_CP1", "VDU1_CP2"],
        "links": ["internalVL1"],
        "images": {"VDU1": "cirros", "VDU2_Storage": "cirros"},
        "level": ["instantiation_level_1", 1],
        "info": {
            "VDU1": {"image": "cirros", "flavor": "m1.tiny"},
            "VDU2": {"image": "cirros", "flavor": "m1.small"},
        },
        "none": {},
        "link": "internalVL1",
        "script": None,
        "files": ["Scripts/hook.py"],
        "defaults": {"vnfConfigurableProperties": {}, "extensions": {}, "metadata": {}},
        "copied": ["BaseHOT", "Definitions", "Scripts", "TOSCA-Metadata", "sample-two-vdus.mf"],
    }


_POLICIES = """
from tacker.sol_refactored.common import common_script_utils
vnfd = common_script_utils.get_vnfd("d", arguments["tmp_csar_dir"])
level = "instantiation_level_2"
seen = {
    "scaled": vnfd.get_scale_vdu_and_num("simple", "VDU1_scale"),
    "levels": vnfd.get_scale_info_from_inst_level("simple", level),
    "most": [vnfd.get_max_scale_level("simple", aspect) for aspect in ("VDU1_scale", "other")],
    "apart": vnfd.get_anti_affinity_targets("simple"),
    "together": vnfd.get_affinity_targets("simple"),
}
"""


async def test_the_policies_as_scripts_read_them(runner: ScriptRunner, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(TESTS / "packages" / "sample-vnfcs", tree)
    (tree / "Scripts").mkdir()
    (tree / "Scripts" / "hook.py").write_text(HOOK + _POLICIES + answer("seen"))
    package = Package(digest="policies", csar=build_csar(tree, tmp_path / "policies.csar"))
    assert (await runner.run(hook(package))).value["vnf_instance"]["value"] == {
        "scaled": {"VDU1": 1},
        "levels": {"VDU1_scale": {"scale_level": 2}},
        "most": [2, 0],
        "apart": [[["VDU1"], "nfvi_node"]],
        "together": [],
    }
