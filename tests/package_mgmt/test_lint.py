"""Warnings and hints: what does not refuse a package, and would be a surprise later. Each with its place and a remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import forestay_lcm
import pytest
import yaml
from forestay_csar import RULES, Finding, build_csar, inspect
from forestay_csar.lint.scripts import TACKER

from tests.packages.bad.making import HOT
from tests.packages.third_party import csar, tree, with_manifest, zipped
from tests.packages.vnfd import META, NFV, TOP, Files, Json, compute, policy, simple, sw_image, topology, vnf_type, vnfd

HEAT = "heat_template_version: 2018-08-31\n"


def with_template(template: Json) -> Files:
    return csar() | {TOP: vnfd(template)}


def with_policy(index: int, **properties: object) -> Files:
    template = simple()
    next(iter(template["policies"][index].values()))["properties"].update(properties)
    return with_template(template)


def without_default_level() -> Files:
    template = simple()
    del template["policies"][3]["levels"]["properties"]["default_level"]
    return with_template(template)


def with_flavours(*flavours: str) -> Files:
    read = yaml.safe_load(vnfd()) | {"node_types": vnf_type(*flavours)}
    return csar() | {TOP: yaml.safe_dump(read, sort_keys=False).encode()}


def with_wrong_image() -> Files:
    node = compute(image="Files/image.qcow2")
    node["properties"]["sw_image_data"] = sw_image("x", checksum={"algorithm": "sha-256", "hash": "0" * 64})
    return with_template(topology({"worker": node})) | {"Files/image.qcow2": b"image"}


def without_size() -> Files:
    return with_template(topology({"worker": compute(capabilities={})}))


def with_odd_chart() -> Files:
    mciop = {
        "type": f"{NFV}Mciop",
        "artifacts": {"chart": {"type": "tosca.artifacts.nfv.HelmChart", "file": "chart.txt"}},
    }
    return with_template(topology({"worker": compute(), "mciop": mciop})) | {"chart.txt": b"no chart"}


def with_hot(text: str) -> Files:
    return csar() | {HOT: (HEAT + text).encode()}


def with_a_trunk() -> Files:
    cp = {"type": f"{NFV}VduCp", "properties": {"trunk_mode": True}, "requirements": [{"virtual_binding": "worker"}]}
    return with_template(topology({"worker": compute(), "cp": cp}))


def with_bitrates() -> Files:
    profile = {"min_bitrate_requirements": {"root": 1000}}
    link = {"type": f"{NFV}VnfVirtualLink", "properties": {"vl_profile": profile}}
    return with_template(topology({"worker": compute(), "link": link}))


def with_two_host_rules() -> Files:
    template = simple()
    template["policies"] += [policy(name, "AntiAffinityRule", ["worker"], scope="nfvi_node") for name in ("one", "two")]
    return with_template(template)


NFV_OF_NOBODY = (
    "parameters: {nfv: {type: json}}\nresources:\n  a:\n    properties: {flavor: {get_param: [nfv, VDU, other, x]}}\n"
)
CASES: dict[str, tuple[Callable[[], Files], str | None, str | None]] = {
    # rule: (a package, the file, a text of the line)
    "manifest-none": (csar, None, None),
    "manifest-unhashed": (lambda: with_manifest(csar()) | {"Files/x": b"x"}, "Files/x", None),
    "manifest-metadata": (
        lambda: (files := with_manifest(csar())) | {"vnfd.mf": files["vnfd.mf"].replace(b"Sunshine", b"Rain")}, "vnfd.mf", None,
    ),
    "type-unknown-policy": (lambda: with_template(simple() | {"policies": [policy("p", "Tomorrow")]}), TOP, "nfv.Tomorrow"),
    "base-hot-missing": (without_size, TOP, "topology_template:"),
    "base-hot-made": (csar, TOP, "topology_template:"),
    "base-hot-flavour": (lambda: csar() | {"BaseHOT/other/top.yaml": HEAT.encode()}, "BaseHOT/other", None),
    "flavour-undefined": (lambda: with_flavours("simple", "other"), TOP, "- other"),
    "aspect-deltas": (lambda: with_policy(2, aspect="other"), TOP, "workers:"),
    "default-level-missing": (without_default_level, TOP, "small:"),
    "level-instances": (
        lambda: with_policy(1, initial_delta={"number_of_instances": 4}), TOP, "small:",
    ),
    "affinity-host-rules": (with_two_host_rules, TOP, "two:"),
    "chart-form": (with_odd_chart, TOP, "mciop:"),
    "template-nfv-unknown": (lambda: with_hot(NFV_OF_NOBODY), HOT, "get_param"),
    "software-image-external": (csar, TOP, "worker:"),
    "software-image-hash": (with_wrong_image, "Files/image.qcow2", None),
    "script-import": (lambda: csar() | {"Scripts/a.py": b"import os\nimport numpy\n"}, "Scripts/a.py", "import numpy"),
    "vnfd-not-built": (with_a_trunk, TOP, "trunk_mode"),
    "vnfd-quality": (with_bitrates, TOP, "min_bitrate_requirements"),
    "user-data-class": (lambda: csar() | {"UserData/a.py": b"def instantiate(): ...\n"}, "UserData/a.py", None),
}  # fmt: skip


def findings(files: Files, folder: Path) -> list[Finding]:
    zipped(files, folder / "package.zip")
    report = inspect(folder / "package.zip")
    assert report.package, report.findings
    assert report.package.findings == report.findings, "what onboarding keeps is what the linter says"
    return list(report.findings)


@pytest.mark.parametrize("rule", CASES)
def test_rule(rule: str, tmp_path: Path) -> None:
    make, file, text = CASES[rule]
    files = make()
    found = next(finding for finding in findings(files, tmp_path) if finding.rule == rule)
    assert (found.file, found.severity, found.remedy) == (file, RULES[rule].severity, RULES[rule].remedy)
    if text is not None:
        assert file
        assert found.line
        assert text in files[file].decode().splitlines()[found.line - 1]


def test_every_rule_has_a_case() -> None:
    mild = {name for name, rule in RULES.items() if rule.severity != "error"}
    assert mild - CASES.keys() == {"signature-unverified"}, "test_signature has it"


def test_several_mistakes_are_found_at_once(tmp_path: Path) -> None:
    template = simple()
    template["policies"][2]["deltas"]["targets"] = ["none"]
    files = with_manifest(csar() | {TOP: vnfd(template), "Files/x": b"x"}) | {"Files/x": b"y"}
    meta = files[META].replace(b"ETSI-Entry-Manifest", b"ETSI-Entry-Certificate: Files/x\nETSI-Entry-Manifest")
    zipped(files | {META: meta}, tmp_path / "package.zip")
    report = inspect(tmp_path / "package.zip")
    errors = [(finding.rule, finding.file) for finding in report.findings if finding.severity == "error"]
    assert errors == [("delta-target", TOP), ("manifest-hash", META), ("manifest-hash", "Files/x")]


def test_user_data_can_fill_every_parameter(tmp_path: Path) -> None:
    text = b"from tacker.sol_refactored.infra_drivers.openstack import userdata_default as x\nclass Mine(x.Base):\n    pass\n"
    files = with_hot("parameters: {size: {type: string}}\n") | {"UserData/mine.py": text}
    assert {finding.rule for finding in findings(files, tmp_path)} == {"manifest-none", "software-image-external"}


def test_modules_of_the_package_can_be_imported(tmp_path: Path) -> None:
    files = csar() | {
        "Scripts/a.py": b"import json, helper, more.deep\nfrom . import x\nfrom tacker.common import exceptions\n",
        "Scripts/helper.py": b"",
        "Scripts/more/deep.py": b"",
        "UserData/a.py": b"import UserData.words\nfrom Scripts import helper\nclass A:\n    def instantiate(): ...\n",
    }
    assert "script-import" not in {finding.rule for finding in findings(files, tmp_path)}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("from tacker.sol_refactored.common import common_script_utils, vnfd_utils", ""),
        ("import tacker.vnfm.lcm_user_data.utils as tools", ""),
        ("from tacker.vnfm.lcm_user_data.abstract_user_data import AbstractUserData", ""),
        ("from tacker.sol_refactored.common import http_client", "tacker.sol_refactored.common.http_client"),
        ("import tacker.conductor.conductor_server", "tacker.conductor.conductor_server"),
        ("from tacker.vnflcm.utils import x", "tacker.vnflcm.utils"),
        ("from tacker import objects", "tacker.objects"),
    ],
)
def test_tacker_s_modules(tmp_path: Path, line: str, told: str) -> None:
    found = findings(csar() | {"Scripts/a.py": f"{line}\n".encode()}, tmp_path)
    messages = [finding.message for finding in found if finding.rule == "script-import"]
    assert [f" imports {told}, " in message for message in messages] == ([True] if told else [])


def test_they_are_what_scripts_find() -> None:
    shim = Path(forestay_lcm.__file__).parent / "sandbox" / "shim"
    files = [path.relative_to(shim).with_suffix("") for path in (shim / "tacker").rglob("*.py")]
    names = {".".join(path.parent.parts if path.name == "__init__" else path.parts) for path in files}
    assert {name for name in names if "._" not in name} == TACKER


def test_nothing_of_a_package_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    text = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n".encode()
    findings(csar() | {"Scripts/a.py": text, "UserData/b.py": text}, tmp_path)
    assert not mark.exists()


def test_samples_are_clean(tmp_path: Path) -> None:

    for name in ("sample-asg", "sample-two-vdus"):
        path = build_csar(Path(__file__).parents[1] / "packages" / name, tmp_path / f"{name}.zip")
        assert {finding.rule for finding in inspect(path).findings} == {"software-image-external"}


def test_tree_without_any_metadata(tmp_path: Path) -> None:

    for name, files in {"meta": {TOP: vnfd()}, "root": {"vnfd.yaml": vnfd()}}.items():
        path = build_csar(tree(files | {".git/x": b"x"}, tmp_path / name), tmp_path / f"{name}.csar")
        report = inspect(path)
        assert report.package, report.findings
        assert {finding.severity for finding in report.findings} == {"info"}
        assert report.package.single_yaml == (name == "root")
        again = build_csar(tmp_path / name, tmp_path / "again.csar")
        assert path.read_bytes() == again.read_bytes()
