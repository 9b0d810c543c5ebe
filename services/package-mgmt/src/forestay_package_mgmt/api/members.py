"""Members of a stored package, read in threads: its VNFD and its files."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from forestay_csar import Archive, ReadPackage, write_vnfd_zip
from forestay_events.blobs import BlobStore

from forestay_package_mgmt.domain.state import Onboarded


@asynccontextmanager
async def opened(blobs: BlobStore, digest: str) -> AsyncGenerator[Archive]:
    """A stored package, open for reading."""
    path = await blobs.path(digest)
    with await asyncio.to_thread(Archive, path) as archive:
        yield archive


async def member(archive: Archive, name: str, start: int, length: int) -> AsyncIterator[bytes]:
    """``length`` bytes of a member from byte ``start``, in pieces."""
    pieces = archive.chunks(name, start=start, length=length)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


def vnfd_text(archive: Archive, found: Onboarded) -> bytes:
    """The one YAML file of a VNFD that has no other."""
    return archive.text(found.definitions[0]).encode()


def vnfd_zip(archive: Archive, found: Onboarded) -> bytes:
    """The VNFD's files as a zip; they are small, because onboarding refuses long texts."""
    package = ReadPackage(vnfd=found.vnfd, definitions=found.definitions, manifest=None, single_yaml=found.single_yaml)
    out = io.BytesIO()
    write_vnfd_zip(archive, package, out)
    return out.getvalue()
