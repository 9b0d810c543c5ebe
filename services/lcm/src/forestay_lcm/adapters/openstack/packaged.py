"""The software images that a VNF package ships: what identifies them, and their content out of the CSAR.

Rules of this module: the CSAR is read where it lies, chunk by chunk, in the blob store's few threads; nothing is unpacked to
disk. Two images are the same when their names and the digests of their files are.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import msgspec
from forestay_csar import PackageInvalid, open_csar
from forestay_events.blobs import FileBlobStore
from forestay_events.errors import Permanent
from forestay_sol.vnfd import Flavour, SoftwareImage, Vnfd

from forestay_lcm.adapters.openstack.clients.transport import Content

_DAMAGE = (PackageInvalid, KeyError)


class PackagedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image file of a package.

    :ivar nodes: the VDUs and storages that use it.
    :ivar digest: what its content is known by: letters, digits and ``-``.
    """

    image: SoftwareImage
    path: str
    digest: str
    nodes: tuple[str, ...]


def packaged_images(
    vnfd: Vnfd, flavour: Flavour, package: str, *, without: Collection[str] = ()
) -> tuple[PackagedImage, ...]:
    """The images of a flavour whose files are in the package, one for all nodes that use it.

    :param package: the CSAR's digest.
    :param without: nodes that use another image.
    """
    found: dict[tuple[str, str], PackagedImage] = {}
    for node, image in flavour.software_images().items():
        if image.path is None or node in without:
            continue
        digest = _digest(vnfd, image.path, package)
        known = found.get((image.name, digest))
        nodes = (*known.nodes, node) if known else (node,)
        found[image.name, digest] = PackagedImage(image=image, path=image.path, digest=digest, nodes=nodes)
    return tuple(found.values())


def _digest(vnfd: Vnfd, path: str, package: str) -> str:
    # What sw_image_data says of the checksum is never verified; what the manifest promises was, at onboarding.
    promised = vnfd.artifacts.get(path)
    if promised:
        return f"{promised.checksum.algorithm}-{promised.checksum.hash}".lower()
    return f"file-{hashlib.sha256(f'{package}/{path}'.encode()).hexdigest()}"


class Package:
    """A CSAR in the blob store."""

    def __init__(self, blobs: FileBlobStore, digest: str) -> None:
        self._blobs = blobs
        self._digest = digest
        self.damage: Permanent | None = None
        """Why a content could not be read to its end: whoever sends it only sees that the sending failed."""

    async def content(self, path: str) -> Content:
        """A file of the package. :raises Permanent: the package has no such file, or is damaged."""
        try:
            size = await self._blobs.run("read a package", _size, await self._blobs.path(self._digest), path)
        except _DAMAGE as error:
            raise self._damaged(path, error) from error
        return Content(lambda: self._chunks(path), size)

    async def _chunks(self, path: str) -> AsyncIterator[bytes]:
        run = self._blobs.run
        try:
            archive = await run("read a package", open_csar, await self._blobs.path(self._digest))
            try:
                chunks = archive.chunks(path)
                while chunk := await run("read a package", next, chunks, b""):
                    yield chunk
            finally:
                archive.close()
        except _DAMAGE as error:
            self.damage = self._damaged(path, error)
            raise self.damage from error

    def _damaged(self, path: str, error: Exception) -> Permanent:
        return Permanent(f"{path} of package {self._digest} cannot be read: {error}", title="VNF package is damaged")


def _size(archive: Path, path: str) -> int:
    with open_csar(archive) as csar:
        return csar.size(path)
