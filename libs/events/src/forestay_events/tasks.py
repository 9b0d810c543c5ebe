"""The end of tasks that run until they are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

log = structlog.get_logger(__name__)


async def stop(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: ``asyncio.wait_for`` of Python 3.11, which asyncpg and nats-py use, drops a cancellation
    that comes with its result, and the loop around it would go on for ever."""
    pending = every = {*tasks}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1)
    for task in every:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("task.stopped_badly", task=task.get_name(), reason=str(error) or type(error).__name__)
