"""A zip file on disk whose sender is not trusted.

Rules of this module:

* The directory is judged before any member is opened: number, names, kinds, sizes and places of the members.
* Members are streamed. What is held in memory is one chunk, or a text below the limit that its reader names.
* Only the two compression methods whose decompressors can be told when to stop are accepted.
* Nothing is written to disk, so that no name of a member can reach a file of this machine.

Form of the package: ETSI GS NFV-SOL 004 clause 4.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import msgspec

from forestay_csar.findings import PackageInvalid

CHUNK = 1 << 20
_MIB = 1 << 20
_LOCAL_HEADER = 30
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a package may ask of the reader; sizes are bytes, of the unpacked content where nothing else is said.

    ``ratio`` (unpacked to packed) counts from ``ratio_from`` on: a few well-compressed megabytes harm nobody.
    ``yaml_nodes`` are the values in all YAML files together. ``named`` are the elements of a topology's section, the steps of an
    aspect and a type's ancestors, ``levels`` the flavours, aspects and levels: what is read of them grows with their product.
    ``model`` is the encoded VNFD, which has to fit into one event. ``vnfcs`` are those that a flavour may come to.
    """

    members: int = 10_000
    directory: int = 4 * _MIB
    name: int = 512
    total: int = 64 << 30
    ratio: int = 200
    ratio_from: int = 32 * _MIB
    text: int = 2 * _MIB
    texts: int = 16 * _MIB
    yaml_nodes: int = 150_000
    yaml_depth: int = 64
    named: int = 1000
    levels: int = 100
    model: int = 900_000
    vnfcs: int = 10_000


class _Window(io.RawIOBase):
    """A part of a file, as a file. It refuses a single read above ``limit``: ``zipfile`` reads a directory of any declared
    size at once."""

    def __init__(self, file: IO[bytes], start: int, size: int, limit: int) -> None:
        super().__init__()
        self._file = file
        self._start = start
        self._size = size
        self._limit = limit
        self._at = 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if at < 0:
            raise OSError("a place before the beginning")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(self._size - self._at, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        if (asked := size or 0) > self._limit or wanted > self._limit:
            message = f"The zip's directory takes {max(asked, wanted)} bytes; at most {self._limit} are read."
            raise PackageInvalid("zip-directory-size", message)
        self._file.seek(self._start + self._at)
        content = self._file.read(wanted)
        self._at += len(content)
        return content

    def close(self) -> None:
        self._file.close()
        super().close()


class Archive:
    """The judged members of a zip file; use it as a context manager.

    :param path: the zip file.
    :param part: first byte and size of the zip in the file, when it is not all of it.
    :raises PackageInvalid: the file is no zip, or its directory breaks a rule.
    """

    def __init__(self, path: Path, limits: Limits | None = None, *, part: tuple[int, int] | None = None) -> None:
        self._begin(path, path.open("rb"), part or (0, path.stat().st_size), limits or Limits())

    def _begin(self, path: Path, file: IO[bytes], part: tuple[int, int], limits: Limits) -> None:
        self.limits = limits
        self.outer: Archive | None = None
        self._path = path
        self._file = _Window(file, *part, limits.directory)
        try:
            self._zip = zipfile.ZipFile(cast("IO[bytes]", self._file))
            infos = _judged(self._zip.infolist(), self.limits)
        except _DAMAGE as error:
            self._file.close()
            raise PackageInvalid("zip-corrupt", f"The file is not a readable zip archive: {error}.") from error
        except PackageInvalid:
            self._file.close()
            raise
        self._members = {info.filename: info for info in infos if not info.is_dir()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, and the one around it."""
        self._zip.close()
        self._file.close()
        if self.outer is not None:
            self.outer.close()

    def inner(self, name: str) -> Archive:
        """A member that is a zip itself: where it lies if it is stored, else unpacked into a file without a name.

        The outer archive is closed with it. :raises KeyError: no such member. :raises PackageInvalid: see the class.
        """
        info = self._members[name]
        if info.compress_type == zipfile.ZIP_STORED:
            found = Archive(self._path, self.limits, part=(self._content(info), info.file_size))
        else:
            beside = self._path.parent if os.access(self._path.parent, os.W_OK) else None
            file: IO[bytes] = tempfile.TemporaryFile(dir=beside)  # noqa: SIM115 - the inner archive closes it
            try:
                for chunk in self.chunks(name):
                    file.write(chunk)
                found = Archive.__new__(Archive)
                found._begin(self._path, file, (0, info.file_size), self.limits)
            except BaseException:
                file.close()
                raise
        found.outer = self
        return found

    def _content(self, info: zipfile.ZipInfo) -> int:
        """The first byte of a member's content: behind its header, whose length only the header itself says."""
        with self._path.open("rb") as file:
            file.seek(info.header_offset)
            header = file.read(_LOCAL_HEADER)
        if len(header) < _LOCAL_HEADER:
            raise PackageInvalid("zip-corrupt", f"{info.filename} has no header.", file=info.filename)
        return info.header_offset + _LOCAL_HEADER + sum(struct.unpack("<HH", header[-4:]))

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def zip(self) -> zipfile.ZipFile:
        """The judged zip, for who unpacks all of it."""
        return self._zip

    @property
    def names(self) -> tuple[str, ...]:
        """The paths of all files in the package, in its order."""
        return tuple(self._members)

    def size(self, name: str) -> int:
        """The unpacked size of a member in bytes. :raises KeyError: no such member."""
        return self._members[name].file_size

    def chunks(self, name: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The content of a member from byte ``start``, at most ``length`` bytes, in pieces of at most 1 MiB.

        :raises KeyError: no such member. :raises PackageInvalid: the member is damaged.
        """
        info = self._members[name]
        left = info.file_size - start if length is None else min(length, info.file_size - start)
        try:
            with self._zip.open(info) as member:
                member.seek(start)
                while left > 0 and (piece := member.read(min(CHUNK, left))):
                    left -= len(piece)
                    yield piece
        except _DAMAGE as error:
            raise PackageInvalid("zip-corrupt", f"{name} cannot be unpacked: {error}.", file=name) from error
        if left > 0:
            raise PackageInvalid("zip-corrupt", f"{name} ends {left} bytes before its declared size.", file=name)

    def content(self, name: str) -> bytes:
        """A small member whole. :raises PackageInvalid: above ``limits.text``, or damaged."""
        if self.size(name) > self.limits.text:
            raise PackageInvalid(
                "text-size",
                f"{name} has {self.size(name)} bytes; a YAML, manifest or metadata file may have {self.limits.text}.",
                file=name,
            )
        return b"".join(self.chunks(name))

    def text(self, name: str) -> str:
        """A member as text. :raises PackageInvalid: see ``content``; not UTF-8, or with U+0000."""
        return decoded(self.content(name), name)


def decoded(content: bytes, name: str) -> str:
    """The text of a member. :raises PackageInvalid: not UTF-8, or with U+0000."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        detail = f"{name} is not UTF-8 (byte {error.start})."
        raise PackageInvalid("text-encoding", detail, file=name) from error
    if "\0" in text:
        raise PackageInvalid("text-nul", f"{name} holds the character U+0000.", file=name)
    return text


def _judged(infos: list[zipfile.ZipInfo], limits: Limits) -> list[zipfile.ZipInfo]:
    if len(infos) > limits.members:
        raise PackageInvalid("zip-member-count", f"The package has {len(infos)} members; at most {limits.members}.")
    seen: set[str] = set()
    for info in infos:
        _judge_name(info, limits)
        _judge_kind(info)
        _judge_ratio(info.filename, info.file_size, info.compress_size, limits)
        path = info.filename.rstrip("/")
        if path in seen:
            detail = f"{path} is in the package twice."
            raise PackageInvalid("zip-duplicate", detail, file=path)
        seen.add(path)
    _judge_tree(infos, seen)
    _judge_places(infos)
    total = sum(info.file_size for info in infos)
    if total > limits.total:
        raise PackageInvalid("zip-total-size", f"The package unpacks to {total} bytes; at most {limits.total}.")
    _judge_ratio("the package", total, sum(info.compress_size for info in infos), limits)
    return infos


def _judge_name(info: zipfile.ZipInfo, limits: Limits) -> None:
    name = info.orig_filename
    parts = name.removesuffix("/").split("/")
    shown = ascii(name[:80])
    if len(name) > limits.name:
        raise PackageInvalid("zip-name-length", f"{shown}... has a name of more than {limits.name} characters.")
    if "\\" in name or not name.isprintable():
        raise PackageInvalid("zip-name-characters", f"{shown} holds a backslash or a control character.")
    if name.startswith("/") or parts[0].endswith(":"):
        raise PackageInvalid("zip-name-absolute", f"{shown} is an absolute path.")
    if not all(part.strip(".") or part.startswith("...") for part in parts):
        raise PackageInvalid("zip-name-traversal", f"{shown} has an empty, '.' or '..' part.")


def _judge_kind(info: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        name = "a symbolic link" if kind == stat.S_IFLNK else "a special file"
        detail = f"{info.filename} is {name}."
        raise PackageInvalid("zip-link", detail, file=info.filename)
    if info.flag_bits & _ENCRYPTED:
        detail = f"{info.filename} is encrypted."
        raise PackageInvalid("zip-encrypted", detail, file=info.filename)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        detail = f"{info.filename} uses compression method {info.compress_type}."
        raise PackageInvalid("zip-compression", detail, file=info.filename)


def _judge_ratio(what: str, unpacked: int, packed: int, limits: Limits) -> None:
    if unpacked > limits.ratio_from and unpacked > limits.ratio * max(packed, 1):
        raise PackageInvalid(
            "zip-ratio",
            f"{what} unpacks from {packed} to {unpacked} bytes, more than {limits.ratio} to 1.",
        )


def _judge_tree(infos: list[zipfile.ZipInfo], paths: set[str]) -> None:
    files = {info.filename for info in infos if not info.is_dir()}
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent:
            if parent in files:
                raise PackageInvalid("zip-duplicate", f"{parent} is both a file and the folder of {path}.", file=parent)
            parent = parent.rpartition("/")[0]


def _judge_places(infos: list[zipfile.ZipInfo]) -> None:
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            detail = f"{info.filename} shares its bytes with another member."
            raise PackageInvalid("zip-overlap", detail, file=info.filename)
        end = info.header_offset + _LOCAL_HEADER + info.compress_size
