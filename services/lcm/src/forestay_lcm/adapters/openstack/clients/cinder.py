"""Cinder v3: volumes as they really are, and their snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from functools import partial

import msgspec
from forestay_events.errors import Permanent

from forestay_lcm.adapters.openstack.clients.heat import Caller
from forestay_lcm.adapters.openstack.clients.paging import PAGE, Query, items, pages
from forestay_lcm.adapters.openstack.clients.picking import FEW, picked
from forestay_lcm.adapters.openstack.clients.transport import NotFound

SERVICE = "block-storage"

_BY_METADATA = "volume 3.22"
_REVERT = "volume 3.40"


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A volume; ``servers`` are those that it is attached to."""

    id: str
    status: str
    servers: tuple[str, ...] = ()
    metadata: dict[str, str] = {}


class VolumeSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of a volume."""

    id: str
    name: str | None
    status: str
    volume_id: str
    created_at: str
    metadata: dict[str, str] = {}


class _Attachment(msgspec.Struct):
    server_id: str


class _Shown(msgspec.Struct):
    """A volume as Cinder shows it."""

    id: str
    status: str
    attachments: tuple[_Attachment, ...] | None = None
    metadata: dict[str, str] | None = None


class _Named(msgspec.Struct):
    id: str
    name: str | None = None


class Cinder:
    """The volumes of a project. All methods raise as :meth:`Transport.request` does."""

    def __init__(self, cloud: Caller) -> None:
        self._cloud = cloud

    async def volumes(self, ids: Iterable[str]) -> dict[str, Volume]:
        """These volumes by id; one that is gone is left out."""
        return await picked(ids, self._listed, self._volume)

    async def _listed(self, query: Query) -> AsyncIterator[list[Volume]]:
        ask = partial(self._cloud.request, SERVICE, "GET", "/volumes/detail")
        async for page in pages(ask, "volumes", _Shown, query):
            yield [_volume(shown) for shown in page]

    async def named(self, names: Iterable[str]) -> list[str]:
        """The ids of the volumes that have one of these names. Of more than a few, all volumes are listed."""
        wanted = set(names)
        asked = [{"name": name} for name in sorted(wanted)] if len(wanted) <= FEW else [dict[str, str]()]
        ask = partial(self._cloud.request, SERVICE, "GET", "/volumes")
        found = await asyncio.gather(*(items(ask, "volumes", _Named, {**query, "limit": PAGE}) for query in asked))
        return [volume.id for volumes in found for volume in volumes if volume.name in wanted]

    async def delete(self, volume: str) -> None:
        """Start to delete a volume; one that is gone is fine, as is one that Cinder is at work on: it says 400 to that."""
        try:
            await self._cloud.request(SERVICE, "DELETE", f"/volumes/{volume}", acts=True)
        except Permanent as error:
            if error.status not in (400, 404):
                raise

    async def note(self, volume: str, key: str, value: str) -> None:
        """Write into a volume's metadata."""
        body = {"metadata": {key: value}}
        await self._cloud.request(SERVICE, "POST", f"/volumes/{volume}/metadata", body=body, acts=True)

    async def snapshots(self, key: str, value: str) -> list[VolumeSnapshot]:
        """The snapshots that have this in their metadata, the oldest first."""
        return await self._snapshots({"metadata": str({key: value})})

    async def snapshots_of(self, volume: str) -> list[VolumeSnapshot]:
        """The snapshots of a volume, the oldest first."""
        return await self._snapshots({"volume_id": volume})

    async def _snapshots(self, query: Query) -> list[VolumeSnapshot]:
        ask = partial(self._cloud.request, SERVICE, "GET", "/snapshots/detail", version=_BY_METADATA)
        found = await items(ask, "snapshots", VolumeSnapshot, {**query, "limit": PAGE})
        return sorted(found, key=lambda item: (item.created_at, item.id))

    async def snapshot(self, volume: str, name: str, metadata: dict[str, str]) -> None:
        """Start to make a snapshot of a volume, also of one that a server uses."""
        body = {"snapshot": {"volume_id": volume, "name": name, "metadata": metadata, "force": True}}
        await self._cloud.request(SERVICE, "POST", "/snapshots", body=body, acts=True)

    async def delete_snapshot(self, snapshot: str) -> None:
        """Start to delete a snapshot; one that is gone is fine."""
        try:
            await self._cloud.request(SERVICE, "DELETE", f"/snapshots/{snapshot}", acts=True)
        except NotFound:
            return

    async def revert(self, volume: str, snapshot: str) -> None:
        """Start to bring a volume back to its latest snapshot.

        :raises Permanent: it is attached, or a later snapshot exists.
        """
        body = {"revert": {"snapshot_id": snapshot}}
        await self._cloud.request(SERVICE, "POST", f"/volumes/{volume}/action", body=body, acts=True, version=_REVERT)

    async def _volume(self, volume: str) -> Volume | None:
        try:
            reply = await self._cloud.request(SERVICE, "GET", f"/volumes/{volume}")
        except NotFound:
            return None
        return _volume(reply.read(_Shown, "volume"))


def _volume(shown: _Shown) -> Volume:
    return Volume(
        id=shown.id,
        status=shown.status,
        servers=tuple(attachment.server_id for attachment in shown.attachments or ()),
        metadata=shown.metadata or {},
    )
