"""Bad packages, uploaded to the whole of Forestay: refused with a reason, their content gone, everybody else served."""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path
from random import randbytes

import pytest
import pytest_asyncio

from tests.flow.scenario import PACKAGES, SAMPLES, onboard
from tests.packages.build import build_csar
from tests.standalone.site import TestSite, site

pytestmark = pytest.mark.asyncio(loop_scope="module")

PKGS = "/vnfpkgm/v1/vnf_packages"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ready(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestSite]:
    async with site() as started:
        yield started
        # After all of it, a good package is onboarded as if nothing had been.
        await onboard(started.api, SAMPLES[0], tmp_path_factory.mktemp("csar"))


def _with(name: str, content: bytes | str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: files | {name: content.encode() if isinstance(content, str) else content}


def _zipped(files: dict[str, bytes]) -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as csar:
        for name, content in files.items():
            csar.writestr(name, content)
    return target.getvalue()


def _bare(files: dict[str, bytes]) -> dict[str, bytes]:
    """Without the manifest, so that a changed file is not refused for its digest."""
    meta = files["TOSCA-Metadata/TOSCA.meta"].replace(b"ETSI-Entry-Manifest: sample-asg.mf\n", b"")
    return {name: content for name, content in files.items() if name != "sample-asg.mf"} | {
        "TOSCA-Metadata/TOSCA.meta": meta
    }


def _changed(
    files: dict[str, bytes], old: bytes, new: bytes, name: str = "Definitions/top.vnfd.yaml"
) -> dict[str, bytes]:
    assert old in files[name], files[name]
    return files | {name: files[name].replace(old, new)}


_VNFD = "Definitions/top.vnfd.yaml"
_LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))

PACKAGES_REFUSED: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes] | bytes], tuple[str, ...]]] = {
    "no zip": (lambda _: b"this is no zip", ("zip-corrupt",)),
    "cut zip": (lambda files: _zipped(files)[:-300], ("zip-corrupt",)),
    "bomb": (_with("Files/zeros", bytes(64 << 20)), ("zip-ratio",)),
    "traversal": (_with("../../../tmp/evil", "x"), ("zip-name",)),
    "absolute path": (_with("/tmp/evil", "x"), ("zip-name",)),
    "backslash": (_with("..\\..\\evil", "x"), ("zip-name",)),
    "no entry": (
        lambda files: _bare(files) | {
            "TOSCA-Metadata/TOSCA.meta": _bare(files)["TOSCA-Metadata/TOSCA.meta"].replace(b"Entry-Definitions", b"Entry")
        },
        ("entry-definitions",),
    ),
    "entry not there": (lambda files: {n: c for n, c in _bare(files).items() if n != _VNFD}, (_VNFD,)),
    "yaml bomb": (lambda files: _with(_VNFD, _LAUGHS)(_bare(files)), ("yaml",)),
    "yaml deep": (lambda files: _with(_VNFD, "a: " + "[" * 3000 + "]" * 3000)(_bare(files)), ("yaml",)),
    "yaml code": (lambda files: _with(_VNFD, "a: !!python/object/apply:os.system [id]")(_bare(files)), ("yaml",)),
    "nul": (lambda files: _changed(_bare(files), b"product_name: sample-asg", b'product_name: "a\\0b"'), ("U+0000",)),
    "nul in a template": (
        lambda files: _changed(_bare(files), b"description:", b'x: "a\\0b"\ndescription:', "BaseHOT/simple/nested/VDU1.yaml"),
        ("U+0000",),
    ),
    "endless id": (
        lambda files: _changed(_bare(files), b"4f1a6b2e-0001-4c0e-9c52-5a9e00000001", b"v" + randbytes(3000).hex().encode()),
        ("descriptor_id",),
    ),
    "endless number": (
        lambda files: _changed(_bare(files), b"software_version: '1.0'", b"software_version: " + b"9" * 140_000), ("140000",)),
    "wrong digest": (lambda files: files | {_VNFD: files[_VNFD] + b"\n# changed\n"}, (_VNFD,)),
}  # fmt: skip


@pytest.mark.parametrize("name", PACKAGES_REFUSED)
async def test_a_bad_package_is_refused_with_a_reason_and_its_content_is_gone(
    ready: TestSite, name: str, tmp_path: Path
) -> None:
    with zipfile.ZipFile(build_csar(PACKAGES / "sample-asg", tmp_path / "good.zip")) as good:
        files = {info.filename: good.read(info) for info in good.infolist()}
    spoil, words = PACKAGES_REFUSED[name]
    spoilt = spoil(files)
    content = spoilt if isinstance(spoilt, bytes) else _zipped(spoilt)
    before = await ready.stored()
    package_id = (await ready.ask("POST", PKGS, {})).body["id"]
    path = f"{PKGS}/{package_id}"
    reply = await ready.ask("PUT", f"{path}/package_content", content, **{"Content-Type": "application/zip"})
    assert reply.status == 202, reply
    shown = await ready.api.until(path, "onboardingState", {"CREATED"}, {"ONBOARDED"}, patience=30)
    failure = shown["onboardingFailureDetails"]
    assert failure["status"] == 400
    assert failure["detail"]
    for word in words:
        assert word in str(failure), failure
    assert (await ready.ask("DELETE", path)).status == 204
    after = await ready.stored()
    assert {key: after[key] for key in ("blobs", "unfinished", "cloud")} == {
        key: before[key] for key in ("blobs", "unfinished", "cloud")
    }
    assert after["heads"] | {"PKG": 0} == before["heads"] | {"PKG": 0}
