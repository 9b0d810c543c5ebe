"""Background work: it runs while a block runs, and an error in it ends the block.

A process that silently does half of its work is worse than one that is restarted. Work that returns has done what it was
for; only an error is a failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import structlog
from forestay_events.errors import ForestayError, Permanent
from forestay_events.tasks import stop

log = structlog.get_logger(__name__)

Background = Callable[[], Awaitable[None]]


@asynccontextmanager
async def background(work: Mapping[str, Background]) -> AsyncGenerator[None]:
    """Run ``work``, by name, while the block runs.

    :raises ForestayError: work ended by this error, or (:class:`Permanent`) by one that nobody expected; the block was
        cancelled.
    """
    block = asyncio.current_task()
    assert block is not None  # noqa: S101 - only a task can be here
    failures: list[ForestayError] = []

    def ended(task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("background.failed", work=task.get_name(), reason=str(error), exc_info=error)
        failures.append(_sentence(task.get_name(), error))
        if len(failures) == 1:
            block.cancel()

    tasks = [asyncio.create_task(_run(run), name=name) for name, run in work.items()]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield
        await asyncio.sleep(0)  # a failure in this very moment cancels here, and not what follows
    except asyncio.CancelledError:
        # Somebody else may have cancelled the block as well: then that is what it ends by.
        if failures and block.uncancel() == 0:
            raise failures[0] from failures[0].__cause__
        raise
    finally:
        for task in tasks:
            task.remove_done_callback(ended)
        await stop(tasks)


async def _run(run: Background) -> None:
    await run()


def _sentence(name: str, error: BaseException) -> ForestayError:
    if isinstance(error, ForestayError):
        return error
    failure = Permanent(f"{name} ended by an error that nobody expected: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
