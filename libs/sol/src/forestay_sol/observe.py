"""One request seen from outside: its id, its span, its line in the access log, its time in the metrics.

Rules: labels carry route templates, never raw paths (``unmatched`` when there is none); a request id given by the
client is kept when it is short and plain, and is bound to every log line that the request causes.
"""

from __future__ import annotations

import re
import time
import uuid

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Histogram

REQUEST_ID = web.RequestKey("request_id", str)
TEMPLATE = web.RequestKey("template", str)

_PLAIN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_UNMATCHED = "unmatched"
_log = structlog.stdlib.get_logger("forestay.http")
_tracer = trace.get_tracer("forestay.http")
_propagator = TraceContextTextMapPropagator()
_seconds = Histogram(
    "forestay_http_request_duration_seconds",
    "Time from the request's header to the end of its answer.",
    ("service", "method", "route", "status"),
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _request_id(request: web.Request) -> str:
    given = request.headers.get("X-Request-ID", "")
    return given if _PLAIN_ID.fullmatch(given) else f"req-{uuid.uuid4()}"


def observing(service: str) -> Middleware:
    """Give the outermost middleware, which observes every request of ``service``."""

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        request[REQUEST_ID] = _request_id(request)
        method = request.method if request.method in _METHODS else "other"
        status = 499
        with (
            structlog.contextvars.bound_contextvars(request_id=request[REQUEST_ID]),
            _tracer.start_as_current_span(
                method, context=_propagator.extract(request.headers), kind=SpanKind.SERVER
            ) as span,
        ):
            try:
                response = await handler(request)
                status = response.status
                return response
            finally:
                seconds = time.perf_counter() - started
                route = request.get(TEMPLATE, _UNMATCHED)
                _seconds.labels(service, method, route, status).observe(seconds)
                span.update_name(f"{method} {route}")
                span.set_attributes(
                    {"http.request.method": method, "http.route": route, "http.response.status_code": status}
                )
                if status >= 500:
                    span.set_status(Status(StatusCode.ERROR))
                _log.info(
                    "http_request",
                    method=method,
                    path=request.path,
                    status=status,
                    milliseconds=round(seconds * 1e3, 1),
                )

    return observe
