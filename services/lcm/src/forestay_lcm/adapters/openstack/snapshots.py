"""What there is of a VNF snapshot in the cloud: images of servers, and snapshots of volumes.

Rules of this module:

* A snapshot of a VNFC has a name that says of what: ``vnf-<vnf>-<VNF snapshot>-<VNFC>``, that of a volume with the volume's
  id behind it; so that whoever comes next finds it. Of several of one name the oldest counts.
* They are searched by the property ``forestay_snapshot``, but ours by their name only: an image of a server inherits the
  properties of the image that the server was made from.
"""

from __future__ import annotations

import msgspec
from forestay_sol.vnflcm import VnfcResourceInfo

from forestay_lcm.adapters.openstack.cinder import VolumeSnapshot
from forestay_lcm.adapters.openstack.cloud import Cloud
from forestay_lcm.adapters.openstack.transport import NotFound

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
        return next((item for item in self.images if item.name == name), None)

    def volume(self, name: str) -> VolumeSnapshot | None:
        return next((item for item in self.volumes if item.name == name), None)


def prefix_of(vnf_id: str, snapshot_id: str) -> str:
    """How the names of all parts of a VNF snapshot begin."""
    return f"vnf-{vnf_id}-{snapshot_id}-"


def image_name(vnf_id: str, snapshot_id: str, vnfc: VnfcResourceInfo) -> str:
    return f"{prefix_of(vnf_id, snapshot_id)}{vnfc.id}"


def volume_name(vnf_id: str, snapshot_id: str, vnfc: VnfcResourceInfo, volume: str) -> str:
    return f"{image_name(vnf_id, snapshot_id, vnfc)}-{volume}"


async def find(cloud: Cloud, vnf_id: str, snapshot_id: str) -> Found:
    """What there is of a VNF snapshot."""
    ours = prefix_of(vnf_id, snapshot_id)
    reply = await cloud.request("image", "GET", "/v2/images", query={PROPERTY: snapshot_id, "limit": 1000})
    images = msgspec.convert(reply.body["images"], list[Image])
    return Found(
        images=sorted(
            (item for item in images if (item.name or "").startswith(ours)), key=lambda item: (item.created_at, item.id)
        ),
        volumes=[
            item for item in await cloud.cinder.snapshots(PROPERTY, snapshot_id) if (item.name or "").startswith(ours)
        ],
    )


async def delete_image(cloud: Cloud, image: str) -> None:
    """Delete an image; one that is gone is fine."""
    try:
        await cloud.request("image", "DELETE", f"/v2/images/{image}", acts=True)
    except NotFound:
        return
