"""Logs (structlog) and traces (OpenTelemetry), set up once per process.

Rules:

* A log line is one JSON object, or coloured text on a terminal; lines of other libraries come out in the same form.
  Secrets are masked by name before a line is written. A line within a span carries its ``trace_id`` and ``span_id``.
* One trace runs from the REST call over NATS to the VIM call and the notification: ``inject`` puts ``traceparent``
  (W3C Trace Context) into headers, ``span(name, headers)`` goes on from there. Values are ASCII, as NATS needs them.
* Spans exist without an exporter too, because their ids join log lines across processes; they then cost no I/O.
* Importing this module is cheap: SDK and exporter are loaded by the function that needs them.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO

import msgspec
import structlog

from forestay_events.sealing import mask

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from structlog.typing import EventDict, Processor

LogFormat = Literal["auto", "json", "console"]
_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


def configure_logging(
    service: str, level: str = "info", log_format: LogFormat = "auto", stream: TextIO | None = None
) -> None:
    """Send structlog and the standard library's logging to ``stream`` (standard error by default).

    :param service: stands in every line as ``service`` unless the context names another one.
    :param level: debug, info, warning or error; other libraries' lines start at warning unless it is debug.
    :param log_format: ``auto`` is console on a terminal and JSON elsewhere.
    """
    out = stream or sys.stderr
    console = log_format == "console" or (log_format == "auto" and out.isatty())
    threshold = logging.getLevelNamesMapping()[level.upper()]

    def add_service(_logger: object, _method: str, line: EventDict) -> EventDict:
        line.setdefault("service", service)
        return line

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        add_service,
        _add_trace_ids,
    ]
    # Plain tracebacks: pretty ones print local variables, and with them secrets.
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    rendering: list[Processor] = [structlog.processors.format_exc_info, _mask_secrets, renderer]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    without_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    foreign: list[Processor] = [structlog.stdlib.add_logger_name, *shared]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=foreign, processors=[without_meta, *rendering])
    )
    logging.basicConfig(handlers=[handler], level=logging.DEBUG if level == "debug" else logging.WARNING, force=True)


def _json(line: EventDict, **_options: object) -> str:
    return msgspec.json.encode(line, enc_hook=repr).decode()


def _mask_secrets(_logger: object, _method: str, line: EventDict) -> EventDict:
    return mask(line)


def _add_trace_ids(_logger: object, _method: str, line: EventDict) -> EventDict:
    if tracing := sys.modules.get("opentelemetry.trace"):
        context = tracing.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"], line["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return line


def configure_tracing(service: str, environ: Mapping[str, str] = os.environ) -> Callable[[], None]:
    """Set up the tracer provider; call the returned function at the end to send what is buffered.

    Spans are exported over OTLP/HTTP when ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set and the package
    ``opentelemetry-exporter-otlp-proto-http`` is installed; its other settings are OpenTelemetry's own variables.
    """
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    if endpoint := environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        if _importable(_EXPORTER):
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            exporter = importlib.import_module(_EXPORTER).OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
            provider.add_span_processor(BatchSpanProcessor(exporter))
        else:
            structlog.get_logger().warning("tracing.no_exporter", endpoint=endpoint, missing=_EXPORTER)
    trace.set_tracer_provider(provider)
    return provider.shutdown


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def inject(headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give a new dict: ``headers`` and the current span's ``traceparent`` (and ``tracestate`` if there is one)."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(context)
    return {**(headers or {}), **{name: value for name, value in context.items() if value.isascii()}}


@contextmanager
def span(name: str, carrier: Mapping[str, Any] | None = None, /, **attributes: Any) -> Generator[Span]:
    """Run a block as a span; an exception that leaves it is recorded and marks the span as failed.

    :param carrier: headers of what caused this block: their ``traceparent`` is the parent, else the current span is.
    :param attributes: strings, numbers, booleans; others are written as text, ``None`` is left out.
    """
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = None
    if carrier and "traceparent" in carrier:
        # nats-py gives Header objects where a sender broke the ASCII rule: text of them is refused as malformed.
        known = {key: str(carrier[key]) for key in ("traceparent", "tracestate") if key in carrier}
        parent = TraceContextTextMapPropagator().extract(known)
    plain = {
        key: value if isinstance(value, str | int | float | bool) else str(value)
        for key, value in attributes.items()
        if value is not None
    }
    with trace.get_tracer("forestay").start_as_current_span(name, context=parent, attributes=plain) as current:
        yield current
