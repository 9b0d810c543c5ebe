"""Zip files that want to harm: each is refused by the rule that is meant, without its content being unpacked."""

from __future__ import annotations

import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from forestay_csar import Limits, PackageInvalid, read_package

Files = dict[str, str | bytes]
Pack = Callable[[Mapping[str, str | bytes]], Path]
CENTRAL = b"PK\x01\x02"


def refused(path: Path, limits: Limits | None = None) -> PackageInvalid:
    with pytest.raises(PackageInvalid) as caught:
        read_package(path, limits)
    assert caught.value.status == 400
    assert caught.value.extra["rule"] == caught.value.rule
    return caught.value


def with_member(
    path: Path, info: zipfile.ZipInfo | str, content: bytes = b"x", method: int = zipfile.ZIP_STORED
) -> Path:
    with zipfile.ZipFile(path, "a") as csar:
        csar.writestr(info, content, method)
    return path


def patched_directory(path: Path, name: str, offset: int, value: bytes) -> Path:
    """Overwrite bytes of the directory entry of ``name``."""
    data = bytearray(path.read_bytes())
    at = data.find(CENTRAL)
    while not data.startswith(name.encode(), at + 46):
        at = data.index(CENTRAL, at + 4)
    data[at + offset : at + offset + len(value)] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "content", [b"", b"this is no zip", b"PK\x05\x06" + b"\xff" * 18], ids=["empty", "text", "end"]
)
def test_no_zip(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "package.zip"
    path.write_bytes(content)
    assert refused(path).rule == "zip-corrupt"


def test_truncated_zip(files: Files, pack: Pack) -> None:
    path = pack(files)
    path.write_bytes(path.read_bytes()[:-200])
    assert refused(path).rule == "zip-corrupt"


def test_damaged_member_that_no_manifest_lists(files: Files, pack: Pack) -> None:
    path = with_member(pack(files), "Files/data.bin", b"A" * 1000)
    path.write_bytes(path.read_bytes().replace(b"A" * 1000, b"A" * 999 + b"B"))
    error = refused(path)
    assert (error.rule, error.file) == ("zip-corrupt", "Files/data.bin")


def test_size_in_the_directory_is_a_lie(files: Files, pack: Pack) -> None:
    path = with_member(pack(files), "Files/bomb", bytes(64 << 20), zipfile.ZIP_DEFLATED)
    patched_directory(path, "Files/bomb", 24, struct.pack("<L", 10))
    tracemalloc.start()
    error = refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (error.rule, error.file) == ("zip-corrupt", "Files/bomb")
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("../outside", "zip-name-traversal"),
        ("Files/../../outside", "zip-name-traversal"),
        ("./Files/x", "zip-name-traversal"),
        ("Files//x", "zip-name-traversal"),
        ("/etc/passwd", "zip-name-absolute"),
        ("C:/Windows/x", "zip-name-absolute"),
        ("Files\\..\\x", "zip-name-characters"),
        ("Files/\x1b[2J", "zip-name-characters"),
        ("Files/" + "n" * 600, "zip-name-length"),
        ("Definitions/types.yaml/x", "zip-duplicate"),
    ],
)
def test_name(name: str, rule: str, files: Files, pack: Pack) -> None:
    assert refused(with_member(pack(files), name)).rule == rule


def test_null_byte_in_a_name(files: Files, pack: Pack) -> None:
    path = with_member(pack(files), "Files/aXb")
    path.write_bytes(path.read_bytes().replace(b"Files/aXb", b"Files/a\0b"))
    assert refused(path).rule == "zip-name-characters"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate(files: Files, pack: Pack) -> None:
    assert refused(with_member(pack(files), "Definitions/types.yaml")).rule == "zip-duplicate"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_link_and_special_file(kind: int, files: Files, pack: Pack) -> None:
    info = zipfile.ZipInfo("Files/link")
    info.external_attr = (kind | 0o777) << 16
    assert refused(with_member(pack(files), info, b"/etc/passwd")).rule == "zip-link"


def test_encrypted(files: Files, pack: Pack) -> None:
    path = with_member(pack(files), "Files/secret")
    assert refused(patched_directory(path, "Files/secret", 8, b"\x01\x00")).rule == "zip-encrypted"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_whose_output_cannot_be_bounded(method: int, files: Files, pack: Pack) -> None:
    assert refused(with_member(pack(files), "Files/x", b"x" * 100, method)).rule == "zip-compression"


def test_overlapping_members(files: Files, pack: Pack) -> None:
    path = with_member(with_member(pack(files), "Files/one", b"1" * 100), "Files/two", b"2" * 100)
    with zipfile.ZipFile(path) as csar:
        place = csar.getinfo("Files/one").header_offset
    assert refused(patched_directory(path, "Files/two", 42, struct.pack("<L", place))).rule == "zip-overlap"


def test_ratio_of_one_member(files: Files, pack: Pack) -> None:
    path = with_member(pack(files), "Files/zeros", bytes(40 << 20), zipfile.ZIP_DEFLATED)
    assert refused(path).rule == "zip-ratio"


def test_ratio_of_many_small_members(files: Files, pack: Pack) -> None:
    zeros = bytes(8 << 20)
    path = pack({**files, **{f"Files/{number}": zeros for number in range(5)}})
    assert refused(path).rule == "zip-ratio"


def test_total_size(files: Files, pack: Pack) -> None:
    assert refused(pack(files), Limits(total=1000)).rule == "zip-total-size"


def test_member_count(files: Files, pack: Pack) -> None:
    error = refused(pack({**files, **{f"Files/{number}": "" for number in range(Limits().members)}}))
    assert error.rule == "zip-member-count"


def test_huge_directory_is_not_read(files: Files, pack: Pack) -> None:
    path = pack({**files, **{f"Files/{number:0500}": "" for number in range(9000)}})
    assert refused(path).rule == "zip-directory-size"


def test_memory_does_not_grow_with_the_members(files: Files, pack: Pack) -> None:
    path = pack(files)
    with zipfile.ZipFile(path, "a") as csar, csar.open("Files/image.raw", "w") as member:
        for _ in range(128):
            member.write(bytes(1 << 20))
    tracemalloc.start()
    read_package(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20


def test_refused_file_is_closed_and_can_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "package.zip"
    path.write_bytes(b"no zip")
    refused(path)
    open_files = {place.resolve() for place in Path("/proc/self/fd").iterdir() if place.exists()}
    assert path not in open_files
