"""The resources "VNF snapshots" and "Individual VNF snapshot" (SOL003 clauses 5.4.23 and 5.4.24).

A deletion is answered when it has come to an end: 204, or the VIM's refusal, after which the resource is still there, says why,
and can be deleted again. One that takes longer than a client may wait for goes on by itself: 202.
"""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web
from forestay_events.errors import Permanent, Rejected
from forestay_events.platform import Platform
from forestay_sol.api import MERGE_PATCH, VNFLCM_V2, Route
from forestay_sol.body import decode
from forestay_sol.caller import caller
from forestay_sol.listing import Listing
from forestay_sol.parameters import LIST
from forestay_sol.selectors import Attributes
from forestay_sol.vnflcm import (
    CreateVnfSnapshotInfoRequest,
    ListedVnfSnapshotInfo,
    VnfSnapshot,
    VnfSnapshotInfo,
    VnfSnapshotInfoModificationRequest,
)
from forestay_sol.web import answer

from forestay_lcm.api.links import Links
from forestay_lcm.domain.vnf_snapshot import (
    CreateSnapshot,
    DeleteSnapshot,
    ExtractSnapshot,
    SnapshotCommand,
    SnapshotExtracted,
    usable,
)
from forestay_lcm.projections.representation import without_secrets
from forestay_lcm.projections.vnf_snapshots import COLUMNS
from forestay_lcm.vnf_snapshots.reads import SnapshotReads, VnfSnapshots

_BIG = frozenset({"vnfInstance", "vnfcSnapshots"})

VNF_SNAPSHOTS = Listing(
    table="lcm.vnf_snapshot",
    alive="NOT deleted",
    columns=COLUMNS,
    attributes=Attributes.of(
        VnfSnapshotInfo,
        excluded=("vnfSnapshot",),
        kept=[
            ("vnfSnapshot", field.encode_name)
            for field in msgspec.structs.fields(VnfSnapshot)
            if field.encode_name not in _BIG
        ],
    ),
)

_PATH = "/vnflcm/v2/vnf_snapshots"

_PATIENCE = 10.0
"""Seconds that a client waits for a deletion."""

_LOOK = 0.1


class SnapshotsApi:
    """The handlers."""

    def __init__(self, platform: Platform, snapshots: VnfSnapshots, reads: SnapshotReads) -> None:
        self._snapshots = snapshots
        self._reads = reads
        self._links = Links(platform.config.endpoint)

    def routes(self) -> list[Route]:
        one = f"{_PATH}/{{id}}"
        return [
            Route(
                "POST", _PATH, self.create, VNFLCM_V2, summary="Create a VNF snapshot resource",
                takes=CreateVnfSnapshotInfoRequest, gives=VnfSnapshotInfo, status=201,
            ),
            Route(
                "GET", _PATH, self.list_snapshots, VNFLCM_V2, summary="List VNF snapshots",
                gives=tuple[ListedVnfSnapshotInfo, ...], query=LIST,
            ),
            Route("GET", one, self.show, VNFLCM_V2, summary="Show a VNF snapshot", gives=VnfSnapshotInfo, versioned=True),
            Route(
                "PATCH", one, self.modify, VNFLCM_V2, consumes=MERGE_PATCH, summary="Fill a VNF snapshot from its package",
                takes=VnfSnapshotInfoModificationRequest, gives=VnfSnapshotInfoModificationRequest, versioned=True,
            ),
            Route("DELETE", one, self.delete, VNFLCM_V2, summary="Delete a VNF snapshot", status=204, versioned=True),
        ]  # fmt: skip

    async def create(self, request: web.Request) -> web.Response:
        extracted = _extracted(await decode(request, CreateVnfSnapshotInfoRequest))
        snapshot_id = caller(request).new_id("snapshot")
        await self._execute(request, snapshot_id, CreateSnapshot(extracted))
        shown, _ = await self._reads.shown(caller(request).project, snapshot_id)
        return answer(self._links.of_snapshot(shown), status=201, location=self._links.snapshot(snapshot_id))

    async def list_snapshots(self, request: web.Request) -> web.Response:
        listed = await self._reads.page(VNF_SNAPSHOTS, caller(request).project, request)
        return answer(
            [listed.selector.apply(self._links.of_snapshot(doc)) for doc in listed.documents], link=listed.link
        )

    async def show(self, request: web.Request) -> web.Response:
        shown, version = await self._reads.shown(caller(request).project, request.match_info["id"])
        return answer(self._links.of_snapshot(shown), version=version)

    async def modify(self, request: web.Request) -> web.Response:
        body = await decode(request, VnfSnapshotInfoModificationRequest)
        await self._execute(request, request.match_info["id"], ExtractSnapshot(_extracted(body)))
        return answer(without_secrets(msgspec.to_builtins(body)))

    async def delete(self, request: web.Request) -> web.Response:
        project, snapshot_id = caller(request).project, request.match_info["id"]
        snapshot = await self._reads.newest(project, snapshot_id)
        ended = await self._reads.ended(snapshot) if snapshot else None
        await self._execute(request, snapshot_id, DeleteSnapshot(ended))
        return answer(status=204 if await self._gone(project, snapshot_id) else 202)

    async def _gone(self, project: str, snapshot_id: str) -> bool:
        """Wait for the end of a deletion, for a while.

        :raises Permanent: with the VIM's words: it was not deleted.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                while True:
                    snapshot = (await self._snapshots.load(snapshot_id)).state
                    if snapshot is None or not usable(snapshot, project):
                        return True
                    if snapshot.status == "DELETION_FAILED" and snapshot.deletion and snapshot.deletion.error:
                        error = snapshot.deletion.error
                        raise Permanent(f"The VIM did not delete it: {error['detail']}", title=error["title"])
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            return False

    async def _execute(self, request: web.Request, snapshot_id: str, command: SnapshotCommand) -> None:
        await self._snapshots.execute(snapshot_id, command, caller(request).origin())


def _extracted(body: CreateVnfSnapshotInfoRequest | VnfSnapshotInfoModificationRequest) -> SnapshotExtracted | None:
    """What a request says of an extracted snapshot, ``None`` if that is nothing; what is secret in it is left out.

    :raises Rejected: 400, a VNF snapshot without its package; 422, a package without what is in it.
    """
    package_id, content = body.vnf_snapshot_pkg_id, body.vnf_snapshot
    if package_id is None:
        if content is not None:
            raise Rejected(400, "vnfSnapshotPkgId says which package it is from.", pointer="/vnfSnapshotPkgId")
        return None
    if content is None:
        detail = "VNF snapshot packages are not fetched from the NFVO: give what is in it as vnfSnapshot."
        raise Rejected(422, detail, pointer="/vnfSnapshot")
    return SnapshotExtracted(vnf_snapshot_pkg_id=package_id, vnf_snapshot=without_secrets(msgspec.to_builtins(content)))
