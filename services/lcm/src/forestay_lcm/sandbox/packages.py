"""The extracted files of packages, once per digest, for all calls of a process.

Rules:

* The directory belongs to one process at a time; only its owner enters it (0700). Inside, files carry the modes that let
  any sandbox write to its own copy-on-write view of them.
* A package is there whole or not at all: extracted beside and renamed. A link, a path out of the package, more files or
  bytes than allowed: nothing of it is kept.
* The least recently used packages go when the directory outgrows its limit; never one in use.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path, PurePosixPath

from forestay_csar import PackageInvalid, open_csar
from forestay_events.errors import Permanent, Unavailable

from forestay_lcm.sandbox.calls import Package

_CHUNK = 1 << 20
_MAX_FILES = 20_000
_UNUSABLE = (
    zipfile.BadZipFile, zlib.error, EOFError, ValueError,
    RuntimeError,  # encrypted
    NotImplementedError,  # another compression
    FileExistsError, NotADirectoryError, IsADirectoryError,  # one name twice
    PackageInvalid,
)  # fmt: skip


class PackageFiles:
    """Extracted packages in ``directory``; ``max_bytes`` for one package and for all that are not in use."""

    def __init__(self, directory: Path, *, max_bytes: int = 4 << 30) -> None:
        self.directory = directory
        self._max_bytes = max_bytes
        self._in_use: Counter[str] = Counter()
        self._sizes: dict[str, int] = {}  # least recently used first
        self._extracting: dict[str, asyncio.Task[int]] = {}

    def prepare(self) -> None:
        """Make the directory, empty: what an earlier process left may be half extracted."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True, mode=0o700)
        (self.directory / ".root").mkdir()

    def remove(self) -> None:
        """Take everything away."""
        shutil.rmtree(self.directory, ignore_errors=True)

    @asynccontextmanager
    async def use(self, package: Package) -> AsyncGenerator[str]:
        """The name of the package's directory, whose ``files`` stays as long as the context.

        :raises Permanent: 422, the archive is damaged, unsafe or too big.
        :raises Unavailable: the disk does not take it.
        """
        name = package.digest
        self._in_use[name] += 1
        try:
            size = self._sizes.pop(name) if name in self._sizes else await self._extracted(package)
            self._sizes[name] = size
            await self._evict()
            yield name
        finally:
            self._in_use[name] -= 1

    async def _extracted(self, package: Package) -> int:
        """Extract once, however many wait for it and whoever of them gives up."""
        name = package.digest
        if name not in self._extracting:
            self._extracting[name] = task = asyncio.create_task(asyncio.to_thread(self._extract, package))
            task.add_done_callback(lambda _: self._extracting.pop(name))
        return await asyncio.shield(self._extracting[name])

    async def _evict(self) -> None:
        for name in list(self._sizes):
            if sum(self._sizes.values()) <= self._max_bytes:
                return
            if not self._in_use[name]:
                del self._sizes[name], self._in_use[name]
                await asyncio.to_thread(shutil.rmtree, self.directory / name, ignore_errors=True)

    def _extract(self, package: Package) -> int:
        beside = Path(tempfile.mkdtemp(dir=self.directory, prefix=".extracting-"))
        try:
            with _opened(package.csar) as csar:
                size = _extract_all(csar, beside / "files", self._max_bytes)
            beside.chmod(0o755)
            beside.rename(self.directory / package.digest)
        except _UNUSABLE as error:
            raise _unusable(package, str(error)) from error
        except OSError as error:
            raise Unavailable(f"The files of package {package.digest} cannot be extracted: {error}") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return size


@contextmanager
def _opened(path: Path) -> Generator[zipfile.ZipFile]:
    """The CSAR itself, also where it lies beside its signature in a zip (SOL004 5.1)."""
    with zipfile.ZipFile(path) as whole:
        if not any(name.endswith((".cms", ".p7s")) and "/" not in name for name in whole.namelist()):
            yield whole
            return
    with open_csar(path) as archive:
        yield archive.zip


def _unusable(package: Package, why: str) -> Permanent:
    return Permanent(
        f"The files of package {package.digest} cannot be used: {why}", status=422, title="Unusable package"
    )


def _extract_all(csar: zipfile.ZipFile, target: Path, max_bytes: int) -> int:
    entries = csar.infolist()
    if len(entries) > _MAX_FILES:
        raise ValueError(f"it has more than {_MAX_FILES} files.")
    _make(target)
    total = 0
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or "\0" in entry.filename:
            raise ValueError(f"{entry.filename!r} leads out of it.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ValueError(f"{entry.filename!r} is a link.")
        place = target.joinpath(*path.parts)
        _make(place if entry.is_dir() else place.parent, above=target)
        if not entry.is_dir():
            total += _extract_one(csar, entry, place, max_bytes - total)
    return total


def _extract_one(csar: zipfile.ZipFile, entry: zipfile.ZipInfo, place: Path, most: int) -> int:
    """Count what really comes out: an archive may lie about sizes."""
    size = 0
    with csar.open(entry) as source, place.open("xb") as file:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > most:
                raise ValueError("it is too big.")
            file.write(chunk)
    place.chmod(0o777 if entry.external_attr >> 16 & stat.S_IXUSR else 0o666)
    return size


def _make(directory: Path, *, above: Path | None = None) -> None:
    if directory.exists():
        return
    if above is not None and directory != above:
        _make(directory.parent, above=above)
    directory.mkdir(parents=above is None)
    os.chmod(directory, 0o777)  # noqa: S103 - nobody reaches it but through a sandbox's own view
