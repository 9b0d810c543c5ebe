"""Signatures of packages: who made them, with what, and whether that is enough."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from forestay_csar import Policy, Report, Signing, build_csar, inspect
from forestay_events.errors import Rejected

from tests.packages import keys
from tests.packages.third_party import csar, tree, with_manifest, zipped
from tests.packages.vnfd import META

RSA = rsa.generate_private_key(65537, 2048)


def judged(path: Path, *anchors: keys.Holder, required: bool = True) -> Report:
    trusted = b"".join(anchor.pem for anchor in anchors).decode()
    return inspect(path, policy=Policy(signature_required=required, trust_anchors=trusted))


def signer(report: Report) -> str | None:
    assert report.package, report.findings
    return report.package.signer


@pytest.mark.parametrize("option", ["manifest", "whole"])
@pytest.mark.parametrize("key", [RSA, ec.generate_private_key(ec.SECP384R1())], ids=["RSA", "EC"])
def test_built_package(option: str, key: keys.Key, tmp_path: Path) -> None:
    holder = keys.issued("Vendor", keys.root(), key=key)
    signing = Signing(key=holder.key_pem, certificate=holder.pem, option="whole" if option == "whole" else "manifest")
    path = build_csar(tree(csar(), tmp_path / "tree"), tmp_path / "signed.zip", signing)
    report = judged(path, keys.root())
    assert signer(report) == "CN=Vendor"
    assert {finding.severity for finding in report.findings} == {"info"}
    assert judged(path, keys.vendor()).package is None
    assert judged(path, holder).package, "a signer can be an anchor"


def test_key_of_another_certificate(tmp_path: Path) -> None:
    signing = Signing(key=keys.impostor().key_pem, certificate=keys.vendor().pem)
    with pytest.raises(Rejected, match="does not belong"):
        build_csar(tree(csar(), tmp_path / "tree"), tmp_path / "signed.zip", signing)


def test_authority_between(tmp_path: Path) -> None:
    between = keys.issued("Between", keys.root(), authority=True)
    holder = keys.issued("Vendor", between)
    signing = Signing(key=holder.key_pem, certificate=holder.pem + between.pem)
    path = build_csar(tree(csar(), tmp_path / "tree"), tmp_path / "signed.zip", signing)
    assert signer(judged(path, keys.root())) == "CN=Vendor"


def test_without_anchors_the_signer_is_told_and_not_trusted(tmp_path: Path) -> None:
    signing = Signing(key=keys.vendor().key_pem, certificate=keys.vendor().pem)
    path = build_csar(tree(csar(), tmp_path / "tree"), tmp_path / "signed.zip", signing)
    report = judged(path)
    assert signer(report) == "CN=Vendor"
    assert "signature-unverified" in {finding.rule for finding in report.findings}


@pytest.mark.parametrize(
    "options",
    [
        ["-binary"],
        [],
        ["-binary", "-nocerts"],
        ["-binary", "-noattr"],
        ["-binary", "-md", "sha512"],
        ["-binary", "-keyopt", "rsa_padding_mode:pss"],
    ],
    ids=" ".join,
)
def test_what_openssl_signs(options: list[str], tmp_path: Path) -> None:
    holder = keys.issued("Vendor", keys.root(), key=RSA)
    (tmp_path / "key.pem").write_bytes(holder.key_pem)
    (tmp_path / "vnfd.cert").write_bytes(holder.pem)
    meta = csar()[META] + b"ETSI-Entry-Certificate: vnfd.cert\n"
    files = with_manifest(csar() | {META: meta}) | {"vnfd.cert": holder.pem}
    (tmp_path / "vnfd.mf").write_bytes(files["vnfd.mf"])
    command = [
        "openssl",
        "cms",
        "-sign",
        "-signer",
        "vnfd.cert",
        "-inkey",
        "key.pem",
        "-in",
        "vnfd.mf",
        "-outform",
        "PEM",
    ]
    made = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr
    zipped(files | {"vnfd.mf": files["vnfd.mf"] + made.stdout}, tmp_path / "signed.zip")
    assert signer(judged(tmp_path / "signed.zip", keys.root())) == "CN=Vendor"


def test_openssl_reads_what_we_sign(tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    root.write_bytes(keys.root().pem)
    signing = Signing(key=keys.vendor().key_pem, certificate=keys.vendor().pem, option="whole")
    path = build_csar(tree(csar(), tmp_path / "tree"), tmp_path / "signed.zip", signing)
    subprocess.run(["unzip", "-q", str(path)], cwd=tmp_path, check=True)
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "PEM", "-in", "tree.cms", "-content", "tree.csar"]
    command += ["-certfile", "tree.cert", "-CAfile", str(root), "-purpose", "any", "-out", "/dev/null"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
