"""Reads of instances and operation occurrences: by id never stale, lists as fresh as this process' own writes."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from forestay_events.aggregate import Aggregates
from forestay_events.database import answering
from forestay_events.errors import Rejected
from forestay_events.freshness import caught_up, caught_up_with_all, version_of
from forestay_events.platform import Platform
from forestay_sol.listing import Listed, Listing

from forestay_lcm.catalogue import SCHEMA
from forestay_lcm.domain.commands import VnfCommand
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.events import VnfEvent
from forestay_lcm.domain.state import Vnf

Json = dict[str, Any]
Vnfs = Aggregates[Vnf, VnfCommand, VnfEvent]
STREAM = "LCM"


class Reads:
    """The read model of LCM."""

    def __init__(self, platform: Platform, vnfs: Vnfs) -> None:
        self._platform = platform
        self._vnfs = vnfs

    async def vnf(self, project: str, vnf_id: str) -> Json:
        """VnfInstance without links. :raises Rejected: 404."""
        return (await self.versioned_vnf(project, vnf_id))[0]

    async def versioned_vnf(self, project: str, vnf_id: str) -> tuple[Json, int | None]:
        """VnfInstance without links, and its version if the log tells. :raises Rejected: 404."""
        newest = await caught_up(self._platform, SCHEMA, VNF, vnf_id)
        doc = await self._value(
            "SELECT doc FROM lcm.vnf WHERE id = $1 AND project = $2 AND NOT deleted", vnf_id, project
        )
        if doc is None:
            raise Rejected(404, f"VnfInstance {vnf_id} not found.")
        return msgspec.json.decode(doc), version_of(newest)

    async def op_occ(self, project: str, op_id: str) -> Json:
        """VnfLcmOpOcc without links. :raises Rejected: 404."""
        vnf_id = await self.vnf_of(project, op_id)
        await caught_up(self._platform, SCHEMA, VNF, vnf_id)
        doc = await self._value("SELECT doc FROM lcm.op_occ WHERE id = $1", op_id)
        return msgspec.json.decode(doc)

    async def vnf_of(self, project: str, op_id: str) -> str:
        """The VNF instance of an operation occurrence. :raises Rejected: 404."""
        query = "SELECT vnf_id FROM lcm.op_occ WHERE id = $1 AND project = $2"
        vnf_id = await self._value(query, op_id, project)
        if vnf_id is None:
            # Perhaps started a moment ago at another replica: nothing but the head of the stream tells.
            await caught_up_with_all(self._platform, SCHEMA, STREAM)
            vnf_id = await self._value(query, op_id, project)
        if vnf_id is None:
            raise Rejected(404, f"VnfLcmOpOcc {op_id[:80]} not found.")
        return vnf_id

    async def page(self, listing: Listing, project: str, request: web.Request) -> Listed:
        """The page that a request asks for. :raises Rejected: 400, its filter, selector or marker is not valid."""
        await self._platform.positions.wait(SCHEMA, STREAM, self._vnfs.written)
        with answering():
            return await listing.read(self._platform.pool, project, request)

    async def _value(self, query: str, *parameters: str) -> Any:
        with answering():
            return await self._platform.pool.fetchval(query, *parameters)
