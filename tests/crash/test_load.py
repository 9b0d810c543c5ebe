"""200 VNF instances instantiated at once on a slow VIM: all come to their end, and nobody else has to wait for them."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.crash.checker import check
from tests.crash.footprint import Footprint, watched
from tests.crash.stage import Stage

pytestmark = [pytest.mark.crash, pytest.mark.perf, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="session")]

INSTANCES = 200
LATENCY = 2.0
PATIENCE = 180.0
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def _reading(url: str, ids: list[str]) -> AsyncGenerator[list[float]]:
    """The latencies (ms) of a reader that runs as long as the block, known behind it."""
    latencies: list[float] = []
    reader = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.crash.reader", url, *ids, cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield latencies
        answer, _ = await reader.communicate(b"")
        latencies += json.loads(answer)
    finally:
        with suppress(ProcessLookupError):
            reader.kill()
        await reader.wait()


async def test_many_at_once_on_a_slow_vim(new_stage: Stage, record_property: Callable[[str, object], None]) -> None:
    stage, site, client = new_stage, new_stage.site, new_stage.client
    vnf_ids = [await client.create(stage.vnfd_id) for _ in range(INSTANCES)]
    await site.simulator.set(latency={"*": LATENCY})
    api, worker = Footprint(site.api), Footprint(site.worker)
    api.look()
    worker.look()
    threads_before = api.threads, worker.threads
    async with watched(api, worker), _reading(site.api.url, vnf_ids) as latencies:
        began = time.monotonic()
        await asyncio.gather(*(client.start(vnf_id, "instantiate", stage.instantiate) for vnf_id in vnf_ids))
        accepted = time.monotonic() - began
        await stage.all_completed(PATIENCE)
        total = time.monotonic() - began
    p50, p99 = statistics.median(latencies), statistics.quantiles(latencies, n=100)[98]
    record_property(
        f"{INSTANCES} instantiations on a VIM of {LATENCY:.0f} s",
        f"all accepted after {accepted:.1f} s, COMPLETED after {total:.1f} s; {len(latencies)} reads by id: median"
        f" {p50:.1f} ms, 99 % {p99:.1f} ms; threads {threads_before} -> {(api.threads, worker.threads)}; memory"
        f" {api.memory:.0f} and {worker.memory:.0f} MiB (API, worker)",
    )
    await site.simulator.calm()
    await check(site, client, *vnf_ids)
    assert p50 < 50
    assert max(api.threads, worker.threads) <= 10
    assert worker.memory < 150
