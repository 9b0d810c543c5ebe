"""``/vnffm/v1/alarms`` (SOL003 7.4.2 and 7.4.3, wire section 13): reads of the read model, acknowledgement as a command."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from forestay_events.database import answering
from forestay_events.freshness import caught_up, version_of
from forestay_events.platform import Platform
from forestay_sol.api import MERGE_PATCH, VNFFM_V1, VNFFM_VERSIONS, Route
from forestay_sol.body import decode
from forestay_sol.caller import caller
from forestay_sol.listing import Listing
from forestay_sol.parameters import LIST
from forestay_sol.selectors import Attributes
from forestay_sol.versions import versions
from forestay_sol.vnffm import Alarm, AlarmModifications
from forestay_sol.web import answer

from forestay_monitor.domain.alarm import ALARM, SetAckState, not_found
from forestay_monitor.projections import SCHEMA
from forestay_monitor.reporter import Alarms

Json = dict[str, Any]
PATH = "/vnffm/v1/alarms"
LISTING = Listing(table=f"{SCHEMA}.alarm", attributes=Attributes.of(Alarm, excluded=()))


class AlarmApi:
    """The handlers."""

    def __init__(self, platform: Platform, alarms: Alarms) -> None:
        self._platform = platform
        self._alarms = alarms

    def routes(self) -> list[Route]:
        one = f"{PATH}/{{id}}"
        return [
            Route("GET", PATH, self.list_alarms, VNFFM_V1, summary="List alarms", gives=tuple[Alarm, ...], query=LIST),
            Route("GET", one, self.show, VNFFM_V1, summary="Show an alarm", gives=Alarm, versioned=True),
            Route(
                "PATCH", one, self.modify, VNFFM_V1, consumes=MERGE_PATCH, summary="Acknowledge an alarm",
                takes=AlarmModifications, gives=AlarmModifications, versioned=True,
            ),
            versions(VNFFM_VERSIONS, "/vnffm", sorted(VNFFM_V1.accepted)),
            versions(VNFFM_VERSIONS, "/vnffm/v1", sorted(VNFFM_V1.accepted)),
        ]  # fmt: skip

    async def list_alarms(self, request: web.Request) -> web.Response:
        await self._platform.positions.wait(SCHEMA, ALARM.stream, self._alarms.written)
        with answering():
            listed = await LISTING.read(self._platform.pool, caller(request).project, request)
        shown = [listed.selector.apply(self._linked(document)) for document in listed.documents]
        return answer(shown, link=listed.link)

    async def show(self, request: web.Request) -> web.Response:
        alarm_id = request.match_info["id"]
        newest = await caught_up(self._platform, SCHEMA, ALARM, alarm_id)
        with answering():
            document = await self._platform.pool.fetchval(
                "SELECT doc FROM mon.alarm WHERE id = $1 AND project = $2", alarm_id, caller(request).project
            )
        if document is None:
            raise not_found(alarm_id)
        return answer(self._linked(msgspec.json.decode(document)), version=version_of(newest))

    async def modify(self, request: web.Request) -> web.Response:
        body = await decode(request, AlarmModifications)
        alarm_id = request.match_info["id"]
        await self._alarms.execute(alarm_id, SetAckState(alarm_id, body.ack_state), caller(request).origin())
        return answer(body)

    def _linked(self, document: Json) -> Json:
        """The representation with the server's own address in its links."""
        endpoint = self._platform.config.endpoint
        managed = document["_links"]["objectInstance"]["href"]
        links = {"self": f"{endpoint}{PATH}/{document['id']}", "objectInstance": f"{endpoint}{managed}"}
        return document | {"_links": {name: {"href": href} for name, href in links.items()}}
