"""Serving APIs with aiohttp: routes in, application out.

A service gives a list of :class:`~forestay_sol.api.Route`; several lists can be served by one application. Each request
passes: observation, then errors into answers, then what its API asks for (see :mod:`forestay_sol.api`), then its handler, and
this only once under an ``Idempotency-Key``.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from forestay_events.config import DEFAULT_PAGE_SIZE
from forestay_events.errors import Rejected

from forestay_sol import body, idempotency, preconditions
from forestay_sol.api import ROOT, Api, Route, covers, media_type, negotiate
from forestay_sol.caller import CALLER, Authenticator
from forestay_sol.idempotency import KeptAnswers
from forestay_sol.observe import REQUEST_ID, TEMPLATE, observing
from forestay_sol.paging import PAGE_SIZE
from forestay_sol.problem import CLIENT_LEFT, answer_to, bug, rejected

BODY_LIMIT = 1 << 20

_API = web.RequestKey("api", Api)
_STARTED = web.RequestKey("started", bool)
_VERSION = web.RequestKey("version", str)
_BODIES = frozenset({hdrs.METH_POST, hdrs.METH_PATCH, hdrs.METH_PUT})
_encoder = msgspec.json.Encoder()
_log = structlog.stdlib.get_logger("forestay.http")


def application(
    routes: Iterable[Route],
    *,
    service: str,
    authenticator: Authenticator,
    body_limit: int = BODY_LIMIT,
    page_size: int = DEFAULT_PAGE_SIZE,
    kept: KeptAnswers | None = None,
) -> web.Application:
    """Make the application that serves routes.

    :param routes: of one service or of several.
    :param service: label of the metrics.
    :param authenticator: finds the caller.
    :param body_limit: bytes that a body may have unless its route is streamed; more is 413.
    :param page_size: entries of a page of a list, 0: all.
    :param kept: the answers to requests with an ``Idempotency-Key``, which is not heeded without them.
    :raises ValueError: two routes are for the same method and path.
    """
    served = tuple(routes)
    twice = [request for request, count in Counter((it.method, it.path) for it in served).items() if count > 1]
    if twice:
        raise ValueError(f"served twice: {', '.join(' '.join(request) for request in twice)}")
    apis = sorted({route.api.prefix: route.api for route in served}.values(), key=lambda api: -len(api.prefix))
    app = web.Application(middlewares=[observing(service), _answering(apis)], client_max_size=body_limit)
    app[PAGE_SIZE] = page_size
    for route in served:
        endpoint = functools.partial(_serve, route, authenticator, kept)
        for suffix in sorted({"", route.api.suffix}, reverse=True):
            app.router.add_route(route.method, route.path + suffix, endpoint)
    app.on_response_prepare.append(_complete)
    return app


def answer(
    content: Any = None,
    *,
    status: int = 200,
    location: str | None = None,
    link: str | None = None,
    version: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Make a successful answer: JSON of ``content`` (anything msgspec encodes), or no body when it is ``None``.

    :param location: ``Location`` header: URI of the resource or of the operation occurrence.
    :param link: ``Link`` header of a page.
    :param version: of the aggregate that is shown, for the ``ETag``.
    """
    encoded = None if content is None else _encoder.encode(content)
    etag = None if version is None or encoded is None else preconditions.tag(version, encoded)
    named = {hdrs.LOCATION: location, hdrs.LINK: link, preconditions.ETAG: etag}
    given = dict(headers or {}) | {name: value for name, value in named.items() if value is not None}
    if encoded is None:
        return web.Response(status=status, headers=given)
    return web.Response(status=status, headers=given, body=encoded, content_type="application/json")


async def _serve(
    route: Route, authenticator: Authenticator, kept: KeptAnswers | None, request: web.Request
) -> web.StreamResponse:
    request[_API], request[TEMPLATE] = route.api, route.path
    body.refuse_nul(request)
    if route.api.authenticated:
        sender = await authenticator.authenticate(request)
        expected = preconditions.expected(request)
        request[CALLER] = msgspec.structs.replace(sender, command_id=str(uuid4()), expected=expected)
    if request.method in _BODIES:
        await _read_body(route, request)
    if route.answer_types:
        negotiate(",".join(request.headers.getall(hdrs.ACCEPT, ())), route.answer_types)
    if agreed := route.api.check_version(request):
        request[_VERSION] = agreed
    if (
        kept is not None
        and request.method == hdrs.METH_POST
        and idempotency.HEADER in request.headers
        and CALLER in request
    ):
        return await kept.once(request, functools.partial(_decided, route, request))
    return preconditions.unless_known(request, await route.handler(request))


async def _decided(route: Route, request: web.Request) -> web.StreamResponse:
    """What a handler answers, its refusals too. Other errors say nothing for good: they go on as errors."""
    try:
        return await route.handler(request)
    except Rejected as refusal:
        return route.api.failure(rejected(refusal))


async def _read_body(route: Route, request: web.Request) -> None:
    if route.streamed:
        _check_content_type(route, request)
        return
    raw = await request.read()
    if raw.strip():
        _check_content_type(route, request)
        body.parse_into(request, raw)


def _check_content_type(route: Route, request: web.Request) -> None:
    given = request.headers.get(hdrs.CONTENT_TYPE)
    if given is not None and not any(covers(allowed, media_type(given)) for allowed in route.request_types):
        raise Rejected(415, f"Content-Type {media_type(given)} is not one of {', '.join(route.request_types)}.")


def _answering(apis: list[Api]) -> Middleware:
    def api_of(request: web.Request) -> Api:
        below = (api for api in apis if f"{request.path}/".startswith(api.prefix.rstrip("/") + "/"))
        return request.get(_API) or next(below, ROOT)

    @web.middleware
    async def answering(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            failure: Exception = error
        except Exception as error:  # noqa: BLE001  the edge: whatever it is, the client gets an answer
            failure = error
        found = answer_to(failure)
        if found is None and request.transport is None:
            found = CLIENT_LEFT
        elif found is None:
            _log.error("request_failed", path=request.path, exc_info=failure)
        if request.get(_STARTED, False):
            # The status line is out: cutting the connection is the only way left to tell the client.
            if request.transport is not None:
                request.transport.close()
            raise failure
        return api_of(request).failure(found or bug(request[REQUEST_ID]))

    return answering


async def _complete(request: web.Request, response: web.StreamResponse) -> None:
    request[_STARTED] = True
    response.headers["x-openstack-request-id"] = request.get(REQUEST_ID, "")
    api = request.get(_API)
    if api is None:
        return
    if version := request.get(_VERSION, api.version):
        response.headers["Version"] = version
    if api.ranges is not None:
        response.headers.setdefault(hdrs.ACCEPT_RANGES, api.ranges)
