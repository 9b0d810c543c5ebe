"""What a process takes while it works: threads and memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from tests.crash.processes import Process


class Footprint:
    """The largest number of threads and the largest resident memory (MiB) of a process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.threads, self.memory = 0, 0.0

    def look(self) -> None:
        threads, kib = self._process.threads_and_memory()
        self.threads, self.memory = max(self.threads, threads), max(self.memory, kib / 1024)


@asynccontextmanager
async def watched(*footprints: Footprint) -> AsyncGenerator[None]:
    async def look() -> None:
        while True:
            for footprint in footprints:
                footprint.look()
            await asyncio.sleep(0.25)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
