"""Members of a stored package, read in threads: single files, and several as a zip of their own.

A zip is made on disk beside the blobs, in a file without a name that is gone with the answer. The same members always give
the same bytes, so its ranges may come from different requests.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from forestay_csar import Archive, open_csar
from forestay_events.blobs import CHUNK, BlobStore

_EPOCH = (1980, 1, 1, 0, 0, 0)
_SECURITY = (".sig", ".cms", ".p7s", ".cert", ".cer", ".crt", ".pem")


@asynccontextmanager
async def opened(blobs: BlobStore, digest: str) -> AsyncGenerator[Archive]:
    """A stored package, open for reading: the CSAR itself, also where it is signed from outside."""
    path = await blobs.path(digest)
    with await asyncio.to_thread(open_csar, path) as archive:
        yield archive


async def member(archive: Archive, name: str, start: int, length: int) -> AsyncIterator[bytes]:
    """``length`` bytes of a member from byte ``start``, in pieces."""
    pieces = archive.chunks(name, start=start, length=length)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


def signatures_of(archive: Archive, names: Sequence[str]) -> list[str]:
    """The signatures and certificates that lie beside files: ``file.sig``, ``file.ext.cms`` (SOL004 clauses 5.2 and 5.3)."""
    stems = {stem for name in names for stem in (name, name.rpartition(".")[0])}
    return [name for name in archive.names if name.endswith(_SECURITY) and _stems(name) & stems and name not in names]


def _stems(name: str) -> set[str]:
    stem = name.rpartition(".")[0]
    return {stem, stem.rpartition(".")[0] if stem.endswith(_SECURITY) else stem}


async def packed(archive: Archive, names: Sequence[str], directory: Path, files: Mapping[str, Path]) -> IO[bytes]:
    """Members as a zip of their own, open for reading; close it.

    :param directory: on whose disk it is made.
    :param files: other files to put in, by their names there.
    """
    return await asyncio.to_thread(_pack, archive, names, directory, files)


def _pack(archive: Archive, names: Sequence[str], directory: Path, files: Mapping[str, Path]) -> IO[bytes]:
    sources = [(name, archive.size(name), archive.chunks(name)) for name in names]
    sources += [(name, path.stat().st_size, _chunks(path)) for name, path in files.items()]
    file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - whoever asked for it closes it, or forgets it
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name, size, chunks in sources:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            with out.open(info, "w", force_zip64=size >= 1 << 31) as target:
                for chunk in chunks:
                    target.write(chunk)
    return file


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def size_of(file: IO[bytes]) -> int:
    """The size of an open file in bytes."""
    return os.fstat(file.fileno()).st_size


async def pieces(file: IO[bytes], start: int, length: int) -> AsyncIterator[bytes]:
    """``length`` bytes of an open file from byte ``start``, in pieces."""
    while length > 0 and (piece := await asyncio.to_thread(os.pread, file.fileno(), min(CHUNK, length), start)):
        start, length = start + len(piece), length - len(piece)
        yield piece
