"""The shim's user data: the default one agrees with the driver's own ``nfv``; the standard one manages single VNFCs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from forestay_csar import read_package
from forestay_lcm.adapters.openstack.template.blueprint import blueprint_after
from forestay_lcm.adapters.openstack.template.hot import without_nulls
from forestay_lcm.adapters.openstack.template.parsing import parsed_text
from forestay_lcm.sandbox.calls import Limits, Package, ScriptCall
from forestay_lcm.sandbox.runner import ScriptRunner
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import Grant

from tests.lcm.openstack.conftest import TESTS, ext_cp, ext_link, order_of
from tests.packages.build import build_csar

Json = dict[str, Any]
_CLASSES = """
from tacker.sol_refactored.infra_drivers.openstack import userdata_default, userdata_standard
class Default(userdata_default.DefaultUserData): pass
class Standard(userdata_standard.StandardUserData): pass
"""
_STANDARD_HOT = """
heat_template_version: 2018-08-31
parameters: {nfv: {type: json}}
resources:
  VDU1:
    type: VDU1.yaml
    properties:
      flavor: {get_param: [nfv, VDU, VDU1, computeFlavourId]}
      image: {get_param: [nfv, VDU, VDU1, vcImageId]}
      zone: {get_param: [nfv, VDU, VDU1, locationConstraints]}
      network: {get_param: [nfv, CP, VDU1_CP1, network]}
"""


def _package(name: str, tmp: Path, hot: str | None = None) -> tuple[Package, Flavour]:
    tree = tmp / f"{name}-{'standard' if hot else 'default'}"
    shutil.copytree(TESTS / "packages" / name, tree)
    (tree / "UserData").mkdir()
    (tree / "UserData" / "own.py").write_text(_CLASSES)
    if hot:
        next((tree / "BaseHOT" / "simple").glob("*.yaml")).write_text(hot)
    csar = build_csar(tree, tmp / f"{tree.name}.zip")
    return Package(digest=tree.name, csar=csar), read_package(csar).vnfd.flavour()


async def _ask(runner: ScriptRunner, package: Package, name: str, **arguments: Any) -> Json:
    class_name, _, method = name.partition(".")
    call = ScriptCall(
        package=package,
        kind="user-data",
        script="UserData/own.py",
        class_name=class_name,
        method=method,
        arguments={"req": {}, "inst": {"vnfdId": "d"}, "grant_req": {}, "grant": {}} | arguments,
        limits=Limits(seconds=20),
    )
    return (await runner.run(call)).value


_BOTH = ext_link(ext_cp("VDU1_CP1", fixed="10.10.0.7", subnet="sub-1"), ext_cp("VDU2_CP1"))
_ALIAS = ext_link(ext_cp("virtual_link_external_1", subnet="sub-2"), ext_cp("virtual_link_external_2"))
_MANAGED = {"id": "m", "vnfVirtualLinkDescId": "internalVL1", "resourceId": "net-9"}
_OVERLAY = {"nfv": {"VDU": {"VDU1": {"computeFlavourId": "huge", "own": 7}}, "CP": {"VDU2_CP1": None}}}


@pytest.mark.parametrize(
    ("sample", "request_", "granted"),
    [
        ("sample-asg", {"extVirtualLinks": [ext_link(ext_cp("VDU1_CP1"))]}, {}),
        ("sample-asg", {"extVirtualLinks": [ext_link(ext_cp("VDU1_CP1"))]}, {"zones": []}),
        ("sample-two-vdus", {"extVirtualLinks": [_BOTH]}, {}),
        ("sample-two-vdus", {"extVirtualLinks": [_BOTH]}, {"extVirtualLinks": [_BOTH | {"resourceId": "net-g"}]}),
        ("sample-two-vdus", {"extVirtualLinks": [_ALIAS]}, {"zones": []}),
        ("sample-two-vdus", {"extVirtualLinks": [_BOTH], "extManagedVirtualLinks": [_MANAGED]}, {}),
        ("sample-two-vdus", {"extVirtualLinks": [_BOTH], "additionalParams": _OVERLAY},
         {"additionalParams": {"nfv": {"VDU": {"VDU1": {"computeFlavourId": "granted"}}}}}),
        ("sample-two-vdus", {"extVirtualLinks": [_BOTH]},
         {"vimAssets": {
             "softwareImages": [{"vnfdSoftwareImageId": "VDU2_Storage", "vimSoftwareImageId": "img-7"}],
             "computeResourceFlavours": [{"vnfdVirtualComputeDescId": "VDU2", "vimFlavourId": "f-7"}]}}),
    ],
)  # fmt: skip
async def test_default_user_data_agrees_with_the_driver(
    runner: ScriptRunner, tmp_path: Path, sample: str, request_: Json, granted: Json
) -> None:
    package, flavour = _package(sample, tmp_path)
    order = order_of(flavour, **request_)
    grant = msgspec.convert(msgspec.to_builtins(order.grant) | granted, Grant)
    ours = blueprint_after(msgspec.structs.replace(order, grant=grant), None)
    theirs = await _ask(
        runner,
        package,
        "Default.instantiate",
        req=msgspec.to_builtins(order.request),
        grant_req=msgspec.to_builtins(order.grant_request),
        grant=msgspec.to_builtins(grant),
    )
    assert theirs["parameters"] == ours.parameters
    assert without_nulls(parsed_text(theirs["template"]), theirs["parameters"]) == ours.template
    assert {name: yaml.safe_load(text) for name, text in theirs["files"].items()} == {
        name: yaml.safe_load(text) for name, text in ours.files.items()
    }


def _added(number: int) -> Json:
    return {"addResources": [{"id": f"a{at}", "type": "COMPUTE", "resourceTemplateId": "VDU1"} for at in range(number)]}


def _vnfc(index: int) -> Json:
    resource = {"resourceId": f"server-{index}"}
    return {
        "id": f"c{index}",
        "vduId": "VDU1",
        "computeResource": resource,
        "metadata": {"vdu_idx": index, "zone": f"z{index}"},
    }


_NFV = {
    "VDU": {"VDU1": {"desired_capacity": 2, "computeFlavourId": "old", "vcImageId": "old"}},
    "CP": {"VDU1_CP1": {"network": "net-1"}},
}
_INST: Json = {
    "vnfdId": "d",
    "instantiatedVnfInfo": {
        "flavourId": "simple",
        "vnfcResourceInfo": [_vnfc(1), _vnfc(0)],
        "extVirtualLinkInfo": [
            {"id": "l", "resourceHandle": {"resourceId": "net-1"}, "currentVnfExtCpData": [ext_cp("VDU1_CP1")]}
        ],
        "metadata": {"nfv": _NFV},
    },
}
_REMOVED = {
    "removeResources": [
        {"id": "r", "type": "COMPUTE", "resourceTemplateId": "VDU1", "resource": {"resourceId": "server-1"}}
    ]
}
_NEW_LINK = {"extVirtualLinks": [ext_link(ext_cp("VDU1_CP1"), network="net-2")]}
_GRANT = {
    "zones": [{"id": "z", "zoneId": "az-2"}],
    "addResources": [{"resourceDefinitionId": "a0", "zoneId": "z"}],
    "vimAssets": {"computeResourceFlavours": [{"vnfdVirtualComputeDescId": "VDU1", "vimFlavourId": "new"}]},
}


def _with(**nfv: Any) -> Json:
    return {"parameters": {"nfv": nfv}}


@pytest.mark.parametrize(
    ("method", "arguments", "result"),
    [
        ("scale", {"grant_req": _added(2)}, _with(VDU={"VDU1": {"desired_capacity": 4}})),
        ("scale", {"grant_req": _REMOVED}, _with(VDU={"VDU1": {"desired_capacity": 1}})),
        ("scale_to_level", {"grant_req": _added(2) | _REMOVED}, _with(VDU={"VDU1": {"desired_capacity": 3}})),
        ("scale_rollback", {"grant_req": _added(2)}, _with(VDU={"VDU1": {"desired_capacity": 2}})),
        ("change_ext_conn", {"req": _NEW_LINK}, _with(CP={"VDU1_CP1": {"network": "net-2"}})),
        ("change_ext_conn_rollback", {"req": _NEW_LINK}, _with(CP={"VDU1_CP1": {"network": "net-1"}})),
        ("heal", {}, _with()),
        ("change_vnfpkg", {"req": {"vnfdId": "e"}, "grant": _GRANT},
         _with(VDU={"VDU1": {"computeFlavourId": "new", "vcImageId": "cirros"}})),
        ("change_vnfpkg_rollback", {},
         _with(VDU={"VDU1": {"computeFlavourId": "old", "vcImageId": "old"}}, CP=_NFV["CP"])),
    ],
)  # fmt: skip
async def test_default_user_data_of_the_other_operations(
    runner: ScriptRunner, tmp_path: Path, method: str, arguments: Json, result: Json
) -> None:
    package, _ = _package("sample-asg", tmp_path)
    assert await _ask(runner, package, f"Default.{method}", inst=_INST, **arguments) == result


def _resource(index: int) -> Json:
    vdu = {"flavor": "computeFlavourId", "image": "vcImageId", "zone": "locationConstraints"}
    properties = {name: {"get_param": ["nfv", "VDU", f"VDU1-{index}", leaf]} for name, leaf in vdu.items()}
    network = {"get_param": ["nfv", "CP", f"VDU1_CP1-{index}", "network"]}
    return {"type": "VDU1.yaml", "properties": properties | {"network": network}}


def _values(zone: str | None, flavour: str = "m1.tiny") -> Json:
    return {"computeFlavourId": flavour, "vcImageId": "cirros", "locationConstraints": zone}


async def test_standard_user_data_makes_a_resource_for_each_vnfc(runner: ScriptRunner, tmp_path: Path) -> None:
    package, _ = _package("sample-asg", tmp_path, _STANDARD_HOT)
    request = {"flavourId": "simple", "extVirtualLinks": [ext_link(ext_cp("VDU1_CP1"))]}
    grant = {name: _GRANT[name] for name in ("zones", "addResources")}
    made = await _ask(runner, package, "Standard.instantiate", req=request, grant_req=_added(2), grant=grant)
    assert yaml.safe_load(made["template"])["resources"] == {"VDU1-0": _resource(0), "VDU1-1": _resource(1)}
    assert made["parameters"]["nfv"] == {
        "VDU": {"VDU1-0": _values("az-2"), "VDU1-1": _values(None)},
        "CP": {"VDU1_CP1-0": {"network": "net-1"}, "VDU1_CP1-1": {"network": "net-1"}},
    }
    assert list(made["files"]) == ["VDU1.yaml"]


@pytest.mark.parametrize(
    ("method", "arguments", "result"),
    [
        ("scale", {"grant_req": _added(1), "grant": _GRANT},
         _with(VDU={"VDU1-2": _values("az-2", "new")}, CP={"VDU1_CP1-2": {"network": "net-1"}})
         | {"template": {"resources": {"VDU1-2": _resource(2)}}}),
        ("scale", {"grant_req": _REMOVED},
         _with(VDU={"VDU1-1": None}, CP={"VDU1_CP1-1": None}) | {"template": {"resources": {"VDU1-1": None}}}),
        ("scale_to_level", {"grant_req": _added(1) | _REMOVED, "grant": _GRANT},
         _with(VDU={"VDU1-2": _values("az-2", "new"), "VDU1-1": None},
               CP={"VDU1_CP1-2": {"network": "net-1"}, "VDU1_CP1-1": None})
         | {"template": {"resources": {"VDU1-2": _resource(2), "VDU1-1": None}}}),
        ("scale_rollback", {"grant_req": _added(1)},
         _with(VDU={"VDU1-2": None}, CP={"VDU1_CP1-2": None}) | {"template": {"resources": {"VDU1-2": None}}}),
        ("change_ext_conn", {"req": _NEW_LINK},
         _with(CP={"VDU1_CP1-0": {"network": "net-2"}, "VDU1_CP1-1": {"network": "net-2"}})),
        ("change_ext_conn_rollback", {"req": _NEW_LINK},
         _with(CP={"VDU1_CP1-0": {"network": "net-1"}, "VDU1_CP1-1": {"network": "net-1"}})),
        ("heal", {}, _with()),
    ],
)  # fmt: skip
async def test_standard_user_data_of_the_other_operations(
    runner: ScriptRunner, tmp_path: Path, method: str, arguments: Json, result: Json
) -> None:
    package, _ = _package("sample-asg", tmp_path, _STANDARD_HOT)
    assert await _ask(runner, package, f"Standard.{method}", inst=_INST, **arguments) == result


async def test_standard_user_data_replaces_everything_with_the_package(runner: ScriptRunner, tmp_path: Path) -> None:
    package, _ = _package("sample-asg", tmp_path, _STANDARD_HOT)
    asked = {"req": {"vnfdId": "e"}, "inst": _INST, "grant": _GRANT}
    made = await _ask(runner, package, "Standard.change_vnfpkg", **asked)
    assert made["existing"] is False
    assert yaml.safe_load(made["template"])["resources"] == {"VDU1-0": _resource(0), "VDU1-1": _resource(1)}
    assert made["parameters"]["nfv"] == {
        "VDU": {"VDU1-0": _values("z0", "new"), "VDU1-1": _values("z1", "new")},
        "CP": {"VDU1_CP1-0": {"network": "net-1"}, "VDU1_CP1-1": {"network": "net-1"}},
    }
    back = await _ask(runner, package, "Standard.change_vnfpkg_rollback", **asked)
    assert (back["existing"], back["parameters"]["nfv"]) == (False, _NFV)
    assert yaml.safe_load(back["template"]) == yaml.safe_load(made["template"])
