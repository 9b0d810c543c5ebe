"""The circuit breaker at a VIM: a few pieces of work at the same time, and none any more once it is silent.

Rule of this module: what goes wrong with one thing in a VIM (a credential, a VNF instance) is logged and harms no other. When
nothing answers any more, no work is begun at this VIM. Only a log or a copy that does not answer ends more than that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

import structlog
from forestay_events.errors import ForestayError, Retryable, Unavailable

log = structlog.get_logger(__name__)
T = TypeVar("T")

AT_ONCE = 8
"""Pieces of work at the same time; and those without an answer, one behind the other, that make a VIM silent."""

PATIENCE = 60.0
"""Seconds for a piece of work, however many calls it makes."""


async def passing_over(work: Callable[[], Awaitable[T]], **what: str) -> T | None:
    """What comes of some work; ``None`` if it failed, which is logged with ``what`` it was about.

    :raises Unavailable: the log or the copy does not answer.
    """
    try:
        return await work()
    except Unavailable:
        raise
    except (ForestayError, TimeoutError) as error:
        log.warning("drift.passed_over", **what, reason=str(error) or "no answer in time")
    except Exception as error:
        # What a VIM answers must not end the worker: others of its jobs are worth more than this one.
        log.error("drift.failed", **what, reason=str(error) or type(error).__name__, exc_info=True)
    return None


async def at_once(jobs: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Do several things at the same time.

    :raises Unavailable: one of them did; the others are cancelled.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
    except* Unavailable as lost:
        raise Unavailable(str(lost.exceptions[0])) from lost


class CircuitBreaker:
    """Of one VIM in one comparison; it does not close again."""

    def __init__(self, vim: str) -> None:
        self._vim = vim
        self._free = asyncio.Semaphore(AT_ONCE)
        self._unanswered = 0

    async def call(self, work: Callable[[], Awaitable[T]], **what: str) -> T | None:
        """What comes of some work, once there is room for it; ``None``: it was passed over. As :func:`passing_over`."""
        async with self._free:
            if self._unanswered >= AT_ONCE:
                return None
            return await passing_over(lambda: self._counted(work), vim=self._vim, **what)

    async def _counted(self, work: Callable[[], Awaitable[T]]) -> T:
        answered = True
        try:
            async with asyncio.timeout(PATIENCE):
                return await work()
        except (Retryable, TimeoutError):
            answered = False
            raise
        finally:
            self._unanswered = 0 if answered else self._unanswered + 1
            if self._unanswered == AT_ONCE:
                log.warning("drift.silent", vim=self._vim, reason=f"{AT_ONCE} turns without an answer")
