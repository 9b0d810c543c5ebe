"""A client process that reads VNF instances by id, one request after the other, and measures each.

Reads the URL of the LCM service and the ids from its arguments; when its standard input ends it prints the latencies in
milliseconds as a JSON list.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time

import aiohttp

#: Seconds between two requests: a user interface, not a flood.
PAUSE = 0.02


async def _measure(url: str, ids: list[str], stop: asyncio.Event) -> list[float]:
    latencies: list[float] = []
    async with aiohttp.ClientSession(url, headers={"Version": "2.0.0"}) as session:
        for vnf_id in itertools.cycle(ids):
            if stop.is_set():
                return latencies
            began = time.perf_counter()
            async with session.get(f"/vnflcm/v2/vnf_instances/{vnf_id}") as response:
                await response.read()
                response.raise_for_status()
            latencies.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(PAUSE)
    return latencies


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    print(json.dumps(await _measure(sys.argv[1], sys.argv[2:], stop)))  # noqa: T201 - this is its answer


if __name__ == "__main__":
    asyncio.run(main())
