"""The files of packages: extracted once and whole, never over the limit, never while in use."""

from __future__ import annotations

import asyncio
import stat
import zipfile
from pathlib import Path

import pytest
from forestay_events.errors import Permanent
from forestay_lcm.sandbox.calls import Package
from forestay_lcm.sandbox.packages import PackageFiles

from tests.packages import third_party


def _package(directory: Path, name: str, **files: bytes) -> Package:
    path = directory / f"{name}.csar"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as csar:
        for member, content in files.items():
            csar.writestr(member, content)
    return Package(digest=name, csar=path)


def _held(files: PackageFiles) -> set[str]:
    return {path.name for path in files.directory.iterdir()} - {".root"}


@pytest.fixture
def files(tmp_path: Path) -> PackageFiles:
    made = PackageFiles(tmp_path / "files", max_bytes=250)
    made.prepare()
    return made


async def test_it_is_extracted_once_for_all(files: PackageFiles, tmp_path: Path) -> None:
    package = _package(tmp_path, "a", x=b"1", **{"d/e/y": b"2"})

    async def used() -> tuple[int, bytes]:
        async with files.use(package) as name:
            await asyncio.sleep(0.01)
            place = files.directory / name / "files"
            return (place / "x").stat().st_ino, (place / "d/e/y").read_bytes()

    first, *others = await asyncio.gather(*(used() for _ in range(5)))
    assert all(other == first for other in others)
    assert stat.S_IMODE(files.directory.stat().st_mode) == 0o700


async def test_the_least_recently_used_goes(files: PackageFiles, tmp_path: Path) -> None:
    packages = {name: _package(tmp_path, name, x=bytes(100)) for name in "abcd"}
    async with files.use(packages["a"]):
        for name in "bcb":
            async with files.use(packages[name]):
                pass
        assert _held(files) == {"a", "b"}
        async with files.use(packages["d"]):
            assert _held(files) == {"a", "d"}


@pytest.mark.parametrize("limit", ["bytes", "link", "climb", "twice"])
async def test_what_is_unsafe_leaves_nothing(files: PackageFiles, tmp_path: Path, limit: str) -> None:
    package = _package(tmp_path, "bad", good=b"1", big=bytes(300) if limit == "bytes" else b"")
    with zipfile.ZipFile(package.csar, "a") as csar:
        if limit == "link":
            link = zipfile.ZipInfo("link")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            csar.writestr(link, "/etc/passwd")
        if limit == "climb":
            csar.writestr("a/../../evil", "x")
        if limit == "twice":
            csar.writestr(zipfile.ZipInfo("good/below"), "x")
    with pytest.raises(Permanent) as caught:
        async with files.use(package):
            pass
    assert caught.value.status == 422
    assert _held(files) == set()
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("name", ["signed-whole", "signed-whole-compressed"])
async def test_a_csar_beside_its_signature_is_the_package(name: str, tmp_path: Path) -> None:
    files = PackageFiles(tmp_path / "files")
    files.prepare()
    async with files.use(Package(digest="signed", csar=third_party.write(name, tmp_path))) as place:
        assert (files.directory / place / "files/Definitions/vnfd.yaml").is_file()
