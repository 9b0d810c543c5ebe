"""Health and metrics over HTTP, and that a request leaves a log line, a measurement and a span of its caller's trace."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web
from forestay_sol import health
from forestay_sol.api import LEGACY, VNFLCM_V2, Route
from forestay_sol.health import Health
from forestay_sol.web import answer
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from .serving import serving


async def works() -> None:
    """A component that works."""


async def test_ready_says_which_component_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "DEADLINE", 1.0)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    async def refused() -> None:
        await asyncio.open_connection("127.0.0.1", port)

    async def hangs() -> None:
        await asyncio.Event().wait()

    registry = Health()
    registry.register("works", works)
    async with serving(registry.routes()) as client:
        assert (await client.get("/health/live")).status == 200
        response = await client.get("/health/ready")
        assert (response.status, await response.json()) == (200, {"ready": True, "components": {"works": "ok"}})
        registry.register("nats", refused)
        registry.register("postgresql", hangs)
        response = await client.get("/health/ready")
        members = await response.json()
        assert (response.status, members["ready"], members["components"]["works"]) == (503, False, "ok")
        assert "refused" in members["components"]["nats"] or str(port) in members["components"]["nats"]
        assert members["components"]["postgresql"] == "no answer within 1 s"
        assert (await client.get("/health/live")).status == 200
    with pytest.raises(ValueError, match="works has a health check already"):
        registry.register("works", works)


async def show(request: web.Request) -> web.Response:
    return answer({"trace": format(trace.get_current_span().get_span_context().trace_id, "032x")})


ROUTES = [Route("GET", "/v1.0/measured/{id}", show, LEGACY), Route("GET", "/vnflcm/v2/seen/{id}", show, VNFLCM_V2)]


async def test_metrics_count_by_template_and_never_by_path() -> None:
    async with serving([*ROUTES, *Health().routes()]) as client:
        for path in ("/v1.0/measured/one", "/v1.0/measured/two.json", "/vnflcm/v2/seen/three", "/nowhere/four"):
            await client.get(path)
        await client.request("PROPFIND", "/nowhere/four")
        metrics = await (await client.get("/metrics")).text()
    name = "forestay_http_request_duration_seconds_count"
    assert f'{name}{{method="GET",route="/v1.0/measured/{{id}}",service="test",status="200"}} 2.0' in metrics
    assert f'{name}{{method="GET",route="/vnflcm/v2/seen/{{id}}",service="test",status="400"}} 1.0' in metrics
    assert 'method="GET",route="unmatched",service="test",status="404"' in metrics
    assert 'method="other",route="unmatched"' in metrics
    assert not [
        raw for raw in ("one", "two", "three", "four", "PROPFIND") if f'{raw}"' in metrics or f"/{raw}" in metrics
    ]


async def test_each_request_leaves_one_line_with_its_id() -> None:
    async with serving(ROUTES) as client:
        with capture_logs() as lines:
            await client.get("/v1.0/measured/1?password=hunter2", headers={"X-Request-ID": "r-1"})
    line = next(line for line in lines if line["event"] == "http_request")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1.0/measured/1", 200)
    assert "hunter2" not in str(lines)


async def test_the_span_continues_the_trace_of_the_caller() -> None:
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    async with serving(ROUTES) as client:
        response = await client.get("/v1.0/measured/1", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
        assert (await response.json())["trace"] == trace_id
    spans = [span for span in exporter.get_finished_spans() if span.name == "GET /v1.0/measured/{id}"]
    assert len(spans) == 1
    assert spans[0].parent is not None
    assert spans[0].parent.span_id == 0xB7AD6B7169203331
    assert (spans[0].attributes or {})["http.response.status_code"] == 200
