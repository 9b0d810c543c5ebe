"""What there is of a VNF snapshot in the cloud: images of servers, and snapshots of volumes.

Rules of this module:

* A snapshot of a VNFC has a name that says of what: ``vnf-<vnf>-<VNF snapshot>-<VNFC snapshot>``, that of a volume with the
  volume's id behind it; so that whoever comes next finds it. Of several of one name the oldest counts. The id of a VNFC
  snapshot is that which the VNFC had when it was taken: its server's.
* They are searched by the property ``forestay_snapshot``, but ours by their name only: an image of a server inherits the
  properties of the image that the server was made from.
"""

from __future__ import annotations

from collections.abc import Collection
from types import TracebackType
from typing import Self

import msgspec

from forestay_lcm.adapters.openstack.clients.cinder import VolumeSnapshot
from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_lcm.adapters.openstack.clients.glance import Glance
from forestay_lcm.adapters.openstack.clients.transport import NotFound
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.domain.vnf_snapshot import Place
from forestay_lcm.executor import Fence

PROPERTY = "forestay_snapshot"


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image of a server."""

    id: str
    name: str | None
    status: str
    created_at: str
    updated_at: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a VNF snapshot, each list the oldest first."""

    images: list[Image]
    volumes: list[VolumeSnapshot]

    def image(self, name: str) -> Image | None:
        """The image of a name, ``None`` if there is none."""
        return next((item for item in self.images if item.name == name), None)

    def volume(self, name: str) -> VolumeSnapshot | None:
        """The volume snapshot of a name, ``None`` if there is none."""
        return next((item for item in self.volumes if item.name == name), None)


def prefix_of(vnf_id: str, snapshot_id: str) -> str:
    """How the names of all parts of a VNF snapshot begin."""
    return f"vnf-{vnf_id}-{snapshot_id}-"


def image_name(vnf_id: str, snapshot_id: str, vnfc_snapshot: str) -> str:
    """What the image of a VNFC is called."""
    return f"{prefix_of(vnf_id, snapshot_id)}{vnfc_snapshot}"


def volume_name(vnf_id: str, snapshot_id: str, vnfc_snapshot: str, volume: str) -> str:
    """What the snapshot of a VNFC's volume is called."""
    return f"{image_name(vnf_id, snapshot_id, vnfc_snapshot)}-{volume}"


async def find(cloud: Cloud, vnf_id: str, snapshot_id: str) -> Found:
    """What there is of a VNF snapshot."""
    ours = prefix_of(vnf_id, snapshot_id)
    images = await Glance(cloud).found({PROPERTY: snapshot_id}, Image)
    return Found(
        images=sorted(
            (item for item in images if (item.name or "").startswith(ours)), key=lambda item: (item.created_at, item.id)
        ),
        volumes=[
            item for item in await cloud.cinder.snapshots(PROPERTY, snapshot_id) if (item.name or "").startswith(ours)
        ],
    )


async def remove(
    cloud: Cloud, vnf_id: str, snapshot_id: str, fence: Fence, *, keep: Collection[str] = frozenset()
) -> str:
    """Delete all that there is of a VNF snapshot; gives what is still to be waited for, ``""`` when nothing is left.

    :param keep: ids of parts that stay.
    """
    found = await find(cloud, vnf_id, snapshot_id)
    images = [image for image in found.images if image.id not in keep]
    volumes = [volume for volume in found.volumes if volume.id not in keep]
    for image in images:
        await fence()
        await _delete_image(cloud, image.id)
    for volume in volumes:
        if volume.status != "deleting":
            await fence()
            await cloud.cinder.delete_snapshot(volume.id)
    left = len(images) + len(volumes)
    return f"{left} snapshots are being deleted" if left else ""


class SnapshotRemover:
    """:class:`~forestay_lcm.vnf_snapshots.deletion.Remover` for OpenStack."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._clouds = Clouds(egress=catalogue.egress)

    async def __aenter__(self) -> Self:
        await self._clouds.__aenter__()
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._clouds.close()

    async def remove(self, project: str, snapshot_id: str, place: Place, fence: Fence) -> str:
        connection = await self._catalogue.open_connection(project, snapshot_id, place.key, place.connection)
        return await remove(self._clouds.cloud(connection, project), place.vnf_id, snapshot_id, fence)


async def _delete_image(cloud: Cloud, image: str) -> None:
    """Delete an image; one that is gone is fine."""
    try:
        await cloud.request("image", "DELETE", f"/v2/images/{image}", acts=True)
    except NotFound:
        return
