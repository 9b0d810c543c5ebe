"""One attempt for all who want the same at the same time: they succeed or fail together, who comes later tries anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Shared(Generic[K, V]):
    """The attempts that are under way."""

    def __init__(self) -> None:
        self._under_way: dict[K, asyncio.Task[V]] = {}

    async def result(self, key: K, attempt: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """What the attempt gives that is under way for ``key``, else this one; raises what it does. Who goes away ends none."""
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(attempt())
            task.add_done_callback(lambda done: self._over(key, done))
        return await asyncio.shield(task)

    def _over(self, key: K, done: asyncio.Task[V]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # heard, though all may have gone who wanted to know
