"""The append-only event log, its verified copy, work queue, blobs, secrets and telemetry."""

from __future__ import annotations

import structlog

if not structlog.is_configured():
    # For what is logged before a process says how, and in tests: structlog's own default prints the local variables of a
    # traceback, and with them secrets.
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )
