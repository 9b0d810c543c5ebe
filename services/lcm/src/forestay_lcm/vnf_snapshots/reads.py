"""Reads of VNF snapshots, for the API and for the operations that use one."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from forestay_events.aggregate import Aggregates
from forestay_events.database import answering
from forestay_events.errors import Rejected
from forestay_events.freshness import caught_up, version_of
from forestay_events.platform import Platform
from forestay_sol.listing import Listed, Listing

from forestay_lcm.catalogue import SCHEMA
from forestay_lcm.domain.vnf_snapshot import VNF_SNAPSHOT, SnapshotCommand, SnapshotEvent, VnfSnapshot, usable
from forestay_lcm.reads import STREAM, Vnfs

Json = dict[str, Any]
VnfSnapshots = Aggregates[VnfSnapshot, SnapshotCommand, SnapshotEvent]


class SnapshotReads:
    """What there is of VNF snapshots.

    :param vnfs: they know which operations have ended.
    """

    def __init__(self, platform: Platform, snapshots: VnfSnapshots, vnfs: Vnfs) -> None:
        self._platform = platform
        self._snapshots = snapshots
        self._vnfs = vnfs

    async def newest(self, project: str, snapshot_id: str) -> VnfSnapshot | None:
        """A snapshot as the log has it now, ``None`` if the project has none of this id."""
        try:
            snapshot = (await self._snapshots.load(snapshot_id)).state
        except Rejected:  # no aggregate has such an id
            return None
        return snapshot if usable(snapshot, project) else None

    async def ended(self, snapshot: VnfSnapshot) -> str | None:
        """The operation that has claimed the snapshot, if it is over."""
        claim = snapshot.claim
        if claim is None:
            return None
        vnf = (await self._vnfs.load(claim.vnf_id)).state
        operation = vnf.open_operation if vnf and not vnf.deleted else None
        return None if operation and operation.id == claim.op_id else claim.op_id

    async def shown(self, project: str, snapshot_id: str) -> tuple[Json, int | None]:
        """VnfSnapshotInfo without links, and its version if the log tells. :raises Rejected: 404."""
        newest = await caught_up(self._platform, SCHEMA, VNF_SNAPSHOT, snapshot_id)
        with answering():
            doc = await self._platform.pool.fetchval(
                "SELECT doc FROM lcm.vnf_snapshot WHERE id = $1 AND project = $2 AND NOT deleted", snapshot_id, project
            )
        if doc is None:
            raise Rejected(404, f"VnfSnapshot {snapshot_id[:80]} not found.")
        return msgspec.json.decode(doc), version_of(newest)

    async def page(self, listing: Listing, project: str, request: web.Request) -> Listed:
        """The page that a request asks for. :raises Rejected: 400, its filter, selector or marker is not valid."""
        written = max(self._snapshots.written, self._vnfs.written)
        await self._platform.positions.wait(SCHEMA, STREAM, written)
        with answering():
            return await listing.read(self._platform.pool, project, request)
