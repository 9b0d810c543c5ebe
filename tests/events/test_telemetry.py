"""Logs, traces over a real NATS, and metrics. Process-wide set-up runs in processes of its own."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest
import structlog
from forestay_events.connection import connect
from forestay_events.metrics import Metrics
from forestay_events.telemetry import configure_logging, configure_tracing, inject, span
from forestay_standalone.embedded import EmbeddedNats
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families


@pytest.fixture(scope="session", autouse=True)
def _tracing() -> None:
    configure_tracing("test", {})


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("lcm", "info", "json", stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def decoded(stream: io.StringIO) -> list[dict[str, object]]:
    return [msgspec.json.decode(line, type=dict[str, object]) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_context_service_and_trace_and_without_secrets(lines: io.StringIO) -> None:
    log = structlog.get_logger()
    with structlog.contextvars.bound_contextvars(correlation_id="op-1"), span("instantiate") as current:
        log.info("vim.registered", auth={"password": "devstack"}, url="nats://u:pw@host", other=object())
    log.debug("not shown")
    (line,) = decoded(lines)
    assert (line["event"], line["level"], line["service"]) == ("vim.registered", "info", "lcm")
    assert (line["auth"], line["url"], line["correlation_id"]) == ({"password": "***"}, "nats://u:***@host", "op-1")
    assert line["trace_id"] == f"{current.get_span_context().trace_id:032x}"
    assert "at" in line


def test_lines_of_other_libraries_have_the_same_form(lines: io.StringIO) -> None:
    logging.getLogger("aiohttp").info("not shown")
    try:
        raise ValueError("no route to postgresql://u:pw@db")
    except ValueError:
        logging.getLogger("aiohttp").exception("failed %s", "here")
    (line,) = decoded(lines)
    assert (line["event"], line["logger"], line["level"]) == ("failed here", "aiohttp", "error")
    assert "ValueError: no route to postgresql://u:***@db" in str(line["exception"])


def test_a_console_line_is_text_and_masks_too() -> None:
    program = (
        "import structlog; from forestay_events.telemetry import configure_logging;"
        "configure_logging('lcm', 'info', 'console'); log = structlog.get_logger()\n"
        "try:\n 1 / 0\n"
        "except ZeroDivisionError: log.exception('step.failed', client_secret='s3')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == ""
    assert "step.failed" in done.stderr
    assert "client_secret=***" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "'s3'" not in done.stderr


async def test_one_trace_runs_through_a_nats_message(nats_server: EmbeddedNats) -> None:
    async with connect(nats_server.url, name="test") as nats:
        inbox = await nats.client.subscribe("work")
        with span("publish") as publishing:
            await nats.client.publish("work", b"", headers=inject({"Nats-Msg-Id": "1"}))
        message = await inbox.next_msg(timeout=5)
    assert message.headers
    assert message.headers["Nats-Msg-Id"] == "1"
    with span("work", message.headers, attempt=1, vim=None) as working:
        assert working.get_span_context().trace_id == publishing.get_span_context().trace_id
        assert working.get_span_context().span_id != publishing.get_span_context().span_id


def test_inject_makes_a_new_ascii_dict_and_bad_headers_start_a_new_trace() -> None:
    headers = {"a": "b"}
    with span("one") as one:
        carried = inject(headers)
    assert headers == {"a": "b"}
    assert set(carried) == {"a", "traceparent"}
    assert "".join(carried.values()).isascii()
    assert inject() == {}
    for broken in ({"traceparent": "00-zz"}, {"traceparent": object()}, {}, None):
        with span("two", broken) as two:
            assert two.get_span_context().is_valid
            assert two.get_span_context().trace_id != one.get_span_context().trace_id
    with span("three", carried | {"tracestate": "vendor=ü"}):
        assert "tracestate" not in inject()


def test_a_missing_exporter_is_said_and_importing_loads_neither_sdk_nor_prometheus() -> None:
    program = (
        "import sys; import forestay_events.telemetry as t;"
        "assert not {'opentelemetry', 'prometheus_client', 'cryptography'} & set(sys.modules);"
        "t.configure_logging('lcm', log_format='json');"
        "t.configure_tracing('lcm', {'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:1'})()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert "tracing.no_exporter" in done.stderr


def test_metrics_are_shown_by_name_and_registries_do_not_mix() -> None:
    first, second = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    first.appends.labels("LCM").inc()
    first.append_seconds.labels("LCM").observe(0.002)
    first.projection_stopped.labels("lcm.vnf").set(1)
    samples = {
        (sample.name, sample.labels.get("stream") or sample.labels.get("projection")): sample.value
        for family in text_string_to_metric_families(generate_latest(first.registry).decode())
        for sample in family.samples
    }
    assert samples["forestay_log_appends_total", "LCM"] == 1
    assert samples["forestay_log_append_seconds_count", "LCM"] == 1
    assert samples["forestay_projection_stopped", "lcm.vnf"] == 1
    assert b'stream="LCM"' not in generate_latest(second.registry)
