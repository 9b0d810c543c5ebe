"""``forestay package`` as an author uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.packages import bad, keys, third_party
from tests.packages.third_party import csar, tree


def forestay(*arguments: object) -> tuple[int, str, str]:
    """Exit status, output and complaints of ``forestay package``."""
    command = [sys.executable, "-m", "forestay_standalone.cli", "package", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_built_package_is_clean_and_shown(tmp_path: Path) -> None:
    source, out = tree(csar(), tmp_path / "sunshine"), tmp_path / "out.csar"
    (tmp_path / "key.pem").write_bytes(keys.vendor().key_pem)
    (tmp_path / "cert.pem").write_bytes(keys.vendor().pem)
    (tmp_path / "root.pem").write_bytes(keys.root().pem)
    signing = ("--sign-key", tmp_path / "key.pem", "--sign-cert", tmp_path / "cert.pem")
    for whole in ((), ("--sign-whole",)):
        status, printed, _ = forestay("build", source, "-o", out, *signing, *whole)
        assert (status, str(out) in printed) == (0, True)
        status, printed, _ = forestay("lint", out, "--signature-required", "--trust-anchors", tmp_path / "root.pem")
        assert (status, "0 errors, 0 warnings" in printed) == (0, True)
    status, printed, _ = forestay("show", out)
    assert status == 0
    for part in (
        "Company Sunshine 1.0.0",
        "CN=Vendor",
        "flavour simple",
        "VDU worker",
        "2 CPUs 2 GiB",
        "aspect workers",
        "level large",
    ):
        assert part in printed


def test_findings_of_a_bad_package(tmp_path: Path) -> None:
    path = bad.write("affinity of an unknown VDU", tmp_path)
    status, printed, _ = forestay("lint", path)
    assert status == 1
    assert "error [affinity-target]" in printed
    status, printed, _ = forestay("lint", path, "--json")
    (error,) = (finding for finding in json.loads(printed) if finding["severity"] == "error")
    assert (error["rule"], error["file"]) == ("affinity-target", "Definitions/vnfd.yaml")
    assert error["line"] > 1
    assert error["remedy"]
    assert forestay("show", path)[0] == 1


def test_build_says_what_is_wrong(tmp_path: Path) -> None:
    status, _, complaint = forestay("build", tmp_path / "nowhere")
    assert (status, "is not a folder" in complaint) == (2, True)
    (tmp_path / "empty").mkdir()
    status, _, complaint = forestay("build", tmp_path / "empty")
    assert (status, "no TOSCA-Metadata/TOSCA.meta" in complaint) == (2, True)
    status, _, complaint = forestay("lint", tmp_path / "nowhere.csar")
    assert (status, "cannot be read" in complaint) == (2, True)
    status, _, complaint = forestay(
        "lint", third_party.write("tosca-meta", tmp_path), "--trust-anchors", tmp_path / "no.pem"
    )
    assert (status, "cannot be read" in complaint) == (2, True)
