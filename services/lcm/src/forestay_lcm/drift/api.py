"""Forestay's own API for drift (``/drift/v1``, see docs/drift.md)."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from forestay_events.database import answering
from forestay_events.errors import Rejected
from forestay_events.platform import Platform
from forestay_sol.api import Api, Route
from forestay_sol.caller import caller
from forestay_sol.listing import Listing
from forestay_sol.parameters import LIST
from forestay_sol.selectors import Attributes
from forestay_sol.web import answer

from forestay_lcm.catalogue import SCHEMA
from forestay_lcm.drift.projection import COLUMNS, DriftFinding

DRIFT_V1 = Api(name="drift-v1", prefix="/drift/v1")
PATH = "/drift/v1/findings"
LISTING = Listing(
    table=f"{SCHEMA}.drift", attributes=Attributes.of(DriftFinding, excluded=()), alive="NOT ended", columns=COLUMNS
)


class DriftApi:
    """The handlers."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def routes(self) -> list[Route]:
        findings, finding = tuple[DriftFinding, ...], DriftFinding
        return [
            Route("GET", PATH, self.findings, DRIFT_V1, summary="List what differs now", gives=findings, query=LIST),
            Route(
                "GET", f"{PATH}/{{id}}", self.finding, DRIFT_V1, summary="Show a finding, ended or not", gives=finding
            ),
        ]

    async def findings(self, request: web.Request) -> web.Response:
        with answering():
            listed = await LISTING.read(self._platform.pool, caller(request).project, request)
        return answer([listed.selector.apply(self._linked(each)) for each in listed.documents], link=listed.link)

    async def finding(self, request: web.Request) -> web.Response:
        with answering():
            document = await self._platform.pool.fetchval(
                "SELECT doc FROM lcm.drift WHERE id = $1 AND project = $2",
                request.match_info["id"], caller(request).project,
            )  # fmt: skip
        if document is None:
            raise Rejected(404, f"Finding {request.match_info['id'][:80]} not found.")
        return answer(self._linked(msgspec.json.decode(document)))

    def _linked(self, document: dict[str, Any]) -> dict[str, Any]:
        endpoint = self._platform.config.endpoint
        links = {
            "self": {"href": f"{endpoint}{PATH}/{document['id']}"},
            "vnfInstance": {"href": f"{endpoint}/vnflcm/v2/vnf_instances/{document['vnfInstanceId']}"},
        }
        return document | {"_links": links}
