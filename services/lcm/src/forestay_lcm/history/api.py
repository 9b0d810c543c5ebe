"""Forestay's own API for what happened (``/history/v1``, see docs/streams.md); the paths of ETSI stay as ETSI has them."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import structlog
from aiohttp import hdrs, web
from forestay_events.errors import Rejected, Unavailable
from forestay_sol.api import Api, Handler, Route
from forestay_sol.caller import caller
from forestay_sol.paging import Paging
from forestay_sol.parameters import PAGE, Query
from forestay_sol.types import parse_rfc3339
from forestay_sol.web import answer

from forestay_lcm.history.entries import Entry
from forestay_lcm.history.live import Live
from forestay_lcm.history.reads import History, InstanceThen, Order, Place

log = structlog.get_logger(__name__)

HISTORY_V1 = Api(name="history-v1", prefix="/history/v1")
EVENT_STREAM = "text/event-stream"

_PATIENCE = 30.0
"""Seconds in which a listener must take what it is sent."""
_COME_BACK = b"retry: 1000\n\n"

_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_SEQUENCE = re.compile(r"[0-9]{1,18}", re.ASCII)
_PLACE = re.compile(r"([0-9]{1,17})\.([A-Z]{1,16})\.([0-9]{1,18})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BY_VERSION = Paging(marker=_VERSION)
_BY_PLACE = Paging(marker=_PLACE)


VERSION = Query(
    name="version",
    description="The version as of which it is shown.",
    schema={"type": "integer", "minimum": 1, "maximum": 999_999_999},
)
AT = Query(name="at", description="The time as of which it is shown.", schema={"type": "string", "format": "date-time"})
ORDER = Query(
    name="order", description="What comes first: `newest` if it is not given.", schema={"enum": list(get_args(Order))}
)
OPERATION = Query(name="vnfLcmOpOccId", description="Only what happened in this operation.")
LISTED = (ORDER, *PAGE)
_ENTRIES = tuple[Entry, ...]


class HistoryApi:
    """The handlers."""

    def __init__(self, history: History, live: Live) -> None:
        self._history = history
        self._live = live

    def routes(self) -> list[Route]:
        instance, operation = "/history/v1/vnf_instances/{id}", "/history/v1/vnf_lcm_op_occs/{id}"
        return [
            _read(instance, self.instance, "Show a VNF instance as it was", InstanceThen, VERSION, AT),
            _read(
                f"{instance}/timeline", self.timeline, "What happened to a VNF instance", _ENTRIES, *LISTED, OPERATION
            ),
            _read(f"{operation}/timeline", self.operation, "What happened in an operation", _ENTRIES, *LISTED),
            # An OpenAPI document has no words for an answer that does not end: docs/streams.md has.
            Route("GET", f"{instance}/events", self.events, HISTORY_V1, produces=(EVENT_STREAM,)),
            Route("GET", "/history/v1/events", self.events, HISTORY_V1, produces=(EVENT_STREAM,)),
        ]

    async def instance(self, request: web.Request) -> web.Response:
        """As of ``version`` or ``at``; without either, as it is."""
        version, at = _given(request, "version", _VERSION), request.query.get("at")
        if version is not None and at is not None:
            raise Rejected(400, "Ask for a version or for a time (at), not for both.")
        moment = None if at is None else _moment(at)
        number = None if version is None else int(version)
        return answer(await self._history.instance(*_whose(request), version=number, at=moment))

    async def timeline(self, request: web.Request) -> web.Response:
        page = _BY_VERSION.page(request)
        entries = await self._history.timeline(
            *_whose(request),
            request.query.get("vnfLcmOpOccId"),
            order=_order(request),
            after=None if page.after is None else int(page.after),
            limit=page.fetch,
        )
        shown, link = page.close(entries, lambda entry: str(entry.version))
        return answer(shown, link=link)

    async def operation(self, request: web.Request) -> web.Response:
        page = _BY_PLACE.page(request)
        after = None if page.after is None else _place(page.after)
        entries = await self._history.operation(*_whose(request), order=_order(request), after=after, limit=page.fetch)
        shown, link = page.close(entries, _marker)
        return answer(shown, link=link)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events (WHATWG HTML, 9.2): of one instance if the path names one, else of the project."""
        vnf_id = request.match_info.get("id")
        if vnf_id is not None:
            await self._history.find(caller(request).project, vnf_id)
        response = web.StreamResponse(headers={hdrs.CACHE_CONTROL: "no-cache", "X-Accel-Buffering": "no"})
        response.content_type = EVENT_STREAM
        told = self._live.listen(caller(request).project, vnf_id, _after(request), lambda: _abort(request))
        await response.prepare(request)
        try:
            async with aclosing(told):
                await response.write(_COME_BACK)
                async for frame in told:
                    async with asyncio.timeout(_PATIENCE):
                        await response.write(frame)
        except (ConnectionError, TimeoutError, Unavailable) as error:
            # Whoever listens comes back with the last id; an answer that has begun cannot become an error.
            log.info("events.interrupted", reason=str(error) or type(error).__name__)
            _abort(request)
        return response


def _read(path: str, handler: Handler, summary: str, gives: Any, *query: Query) -> Route:
    return Route("GET", path, handler, HISTORY_V1, summary=summary, gives=gives, query=query)


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _whose(request: web.Request) -> tuple[str, str]:
    return caller(request).project, request.match_info["id"]


def _given(request: web.Request, name: str, shape: re.Pattern[str]) -> str | None:
    """A query parameter. :raises Rejected: 400, it has another shape."""
    value = request.query.get(name)
    if value is not None and not shape.fullmatch(value):
        raise Rejected(400, f"{name} must be a whole number{' from 1 on' if shape is _VERSION else ''}.")
    return value


def _after(request: web.Request) -> int | None:
    """The last event that the listener has: the header is what it has seen since it asked with ``after``."""
    last = request.headers.get("Last-Event-ID")
    if last is not None and not _SEQUENCE.fullmatch(last):
        raise Rejected(400, "Last-Event-ID is none of ours: send the id of the last event that you have.")
    value = last or _given(request, "after", _SEQUENCE)
    return None if value is None else int(value)


def _moment(text: str) -> datetime:
    try:
        return parse_rfc3339(text.replace(" ", "+")).astimezone(UTC)  # a plus sign that nobody has escaped
    except (ValueError, OverflowError) as error:
        raise Rejected(400, f"at: {error}") from error


def _order(request: web.Request) -> Order:
    order: Any = request.query.get("order", "newest")
    if order not in get_args(Order):
        raise Rejected(400, f"order is one of {', '.join(get_args(Order))}.")
    return order


def _marker(entry: Entry) -> str:
    return f"{(entry.at - _EPOCH) // timedelta(microseconds=1)}.{entry.stream}.{entry.sequence}"


def _place(marker: str) -> Place:
    match = _PLACE.fullmatch(marker)
    assert match is not None, "the page has checked it"  # noqa: S101
    microseconds, stream, sequence = match.groups()
    return _EPOCH + timedelta(microseconds=int(microseconds)), stream, int(sequence)
