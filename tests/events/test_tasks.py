"""The end of tasks, also of those that a library keeps from hearing of it."""

from __future__ import annotations

import asyncio

from forestay_events.tasks import stop


async def test_a_task_that_loses_a_cancellation_ends_with_the_next() -> None:
    async def deaf() -> None:
        for _ in range(2):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                heard.append(True)
        await asyncio.sleep(60)

    heard: list[bool] = []
    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await stop([task])
    assert task.cancelled()
    assert len(heard) == 2


async def test_an_error_at_the_end_keeps_no_other_from_ending() -> None:
    async def fail() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("at the end")

    tasks = [asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(60))]
    await asyncio.sleep(0)
    await stop(tasks)
    assert all(task.done() for task in tasks)


async def test_nothing_to_stop_is_no_error() -> None:
    await stop([])
