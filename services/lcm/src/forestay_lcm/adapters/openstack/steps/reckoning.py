"""What takes long to reckon for a large VNF, in two threads: however many operations there are, a worker has no more for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_THREADS = ThreadPoolExecutor(2, thread_name_prefix="reckoning")


async def reckoned(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What a pure function gives, while the loop goes on."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(function, *args, **kwargs))
