"""All packages of third parties are read; all bad ones are refused, each by the rule that is meant, and harm nothing."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from forestay_csar import RULES, Policy, inspect, read_package
from forestay_sol.vnfd import Vnfd

from tests.packages import bad, keys, third_party

TRUSTING = Policy(trust_anchors=keys.root().pem.decode())
DEMANDING = Policy(trust_anchors=keys.root().pem.decode(), signature_required=True)


def read(name: str, folder: Path) -> Vnfd:
    return read_package(third_party.write(name, folder), policy=TRUSTING).vnfd


@pytest.mark.parametrize("name", third_party.PACKAGES)
def test_package_of_a_third_party(name: str, tmp_path: Path) -> None:
    vnfd = read(name, tmp_path)
    assert vnfd.product_name == "Sunshine"
    assert vnfd.flavour().vdus


@pytest.mark.parametrize("name", bad.BAD)
def test_bad_package(name: str, tmp_path: Path) -> None:
    package = bad.BAD[name]
    path = bad.write(name, tmp_path)
    policy = DEMANDING if package.rule == "signature-missing" else TRUSTING
    tracemalloc.start()
    report = inspect(path, policy=policy)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    errors = [finding for finding in report.findings if finding.severity == "error"]
    assert report.package is None
    assert errors[0].rule == package.rule, errors
    assert peak < 80 << 20


def test_every_error_has_a_bad_package() -> None:
    errors = {name for name, rule in RULES.items() if rule.severity == "error"}
    # The first takes more than 64 GiB (test_hostile_zip has it with a lower limit), the second two packages (service/).
    assert errors - {package.rule for package in bad.BAD.values()} == {"zip-total-size", "vnfd-id-unique"}


def test_what_a_cnf_is_made_of(tmp_path: Path) -> None:
    charts = {
        "helm-tgz": "Charts/sunshine-1.0.0.tgz",
        "helm-folder": "Charts/sunshine",
        "helm-registry": "oci://registry.example/charts/sunshine",
    }
    for name, chart in charts.items():
        mciop = read(name, tmp_path).flavour().mciops["mciop"]
        assert (mciop.charts, mciop.manifests, mciop.vdu_ids) == ((chart,), (), ("pod",))
    flavour = read("kubernetes-manifest", tmp_path).flavour()
    assert (flavour.mciops["mciop"].charts, flavour.mciops["mciop"].manifests) == ((), ("Files/deployment.yaml",))
    assert flavour.vdu("pod").container_ids == ("web",)
    assert flavour.software_images()["web"].container_format == "docker"


def test_images_in_the_package_and_elsewhere(tmp_path: Path) -> None:
    (image,) = read("image", tmp_path).software_images()
    assert (image.path, image.url) == ("Files/images/sunshine.qcow2", None)
    (image,) = read("external-image", tmp_path).software_images()
    assert (image.path, image.url) == (None, "https://images.example/sunshine.qcow2")


def test_sets_of_artifacts_that_are_not_for_us(tmp_path: Path) -> None:
    package = read_package(third_party.write("non-mano", tmp_path))
    sets = {path: artifact.non_mano_set for path, artifact in package.vnfd.artifacts.items() if artifact.non_mano_set}
    assert sets == {"Files/ves.yaml": "onap_ves_events", "Files/a.txt": "prv.company.docs"}
    assert package.compatible_specification_versions == ("2.7.1", "3.3.1")


def test_addresses_before_others(tmp_path: Path) -> None:
    flavour = read("floating-addresses", tmp_path).flavour()
    vip, service = flavour.vip_cps["vip"], flavour.virtual_cps["service"]
    assert (vip.virtual_link_id, vip.target_ids, service.target_ids) == ("inner", ("worker_cp",), ("worker",))
    assert flavour.ext_cps["outside"].virtual_link_id == "inner"


def test_storages_of_all_kinds(tmp_path: Path) -> None:
    storages = read("storages", tmp_path).flavour().storages
    assert {name: (each.kind, each.size) for name, each in storages.items()} == {
        "boot": ("VirtualBlockStorage", 20 << 30),
        "share": ("VirtualFileStorage", 1 << 40),
        "heap": ("VirtualObjectStorage", None),
    }


def test_size_of_a_vdu(tmp_path: Path) -> None:
    vdu = read("tosca-meta", tmp_path).flavour().vdu("worker")
    assert (vdu.virtual_cpus, vdu.virtual_memory) == (2, 2 << 30)
