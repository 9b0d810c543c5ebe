"""What was sent to a subscriber and what was not, as its log tells: newest last, filtered as lists are, and paged."""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec
from aiohttp import web
from forestay_events.database import answering
from forestay_sol import filters
from forestay_sol.filter_sql import Condition, where
from forestay_sol.paging import Paging
from forestay_sol.types import Identifier, Sol

from forestay_notify.outgoing import Outgoing

Json = dict[str, Any]

_ENTRIES = """
SELECT item.seq, item.id, jsonb_strip_nulls(jsonb_build_object(
    'notificationId', item.id, 'notificationType', kind, 'objectInstanceId', item.lane, 'state', state, 'attempts', attempts,
    'timeStamp', {made_at}, 'lastTryTime', {tried_at}, 'endTime', {ended_at}, 'lastError', last_error,
    'nextTryTime', CASE WHEN state = 'PENDING' AND isfinite(lane.due) THEN {lane.due} END)) AS doc
FROM {notify}.notification AS item LEFT JOIN {notify}.lane USING (subscription_id, lane) WHERE subscription_id = $1
"""
_PAGE = """
SELECT id, doc FROM ({entries}) AS entry
WHERE ($2::text IS NULL OR seq > (SELECT seq FROM {notify}.notification WHERE subscription_id = $1 AND id = $2))
    AND {condition} ORDER BY seq LIMIT $3
"""
_DATE_TIME = """to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


class Delivery(Sol, frozen=True, kw_only=True):
    """One notification and how far it has come; times are RFC 3339."""

    notification_id: Identifier
    notification_type: str
    object_instance_id: str
    state: str
    attempts: int
    time_stamp: str
    last_try_time: str | None = None
    end_time: str | None = None
    last_error: str | None = None
    next_try_time: str | None = None


class DeliveryLog:
    """Reads the outbox of a service."""

    def __init__(self, pool: asyncpg.Pool, outgoing: Outgoing) -> None:
        self._pool = pool
        self._paging = Paging()
        entries = _ENTRIES
        for column in ("made_at", "tried_at", "ended_at", "lane.due"):
            entries = entries.replace(f"{{{column}}}", _DATE_TIME.replace("{column}", column))
        self._query = outgoing.sql(_PAGE.replace("{entries}", entries))

    async def page(self, subscription_id: str, request: web.Request) -> tuple[list[Json], str | None]:
        """The page that a request asks for, and the ``Link`` header if there are more.

        :raises Rejected: 400, its filter or marker is not valid.
        :raises Unavailable: PostgreSQL does not answer.
        """
        page = self._paging.page(request)
        text = request.query.get("filter")
        condition = where(filters.parse(text), document="doc", first=4) if text else Condition("true")
        with answering():
            rows = await self._pool.fetch(
                self._query.replace("{condition}", condition.sql),
                subscription_id, page.after, page.fetch, *condition.parameters,
            )  # fmt: skip
        shown, link = page.close(rows, lambda row: row["id"])
        return [msgspec.json.decode(row["doc"]) for row in shown], link
