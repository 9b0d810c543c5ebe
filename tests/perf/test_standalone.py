"""How fast ``forestay up`` starts, and how much memory its whole process tree takes (issue 1).

The measured figures are printed (``pytest -m perf -s``).
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import pytest

from tests.standalone.command import client, forestay, servers_of, up

pytestmark = pytest.mark.perf

COLD_SECONDS = 8.0
WARM_SECONDS = 3.0
TREE_MIB = 500


async def timed_start(data_dir: Path) -> float:
    """Seconds from the command to an API that answers."""
    began = time.monotonic()
    async with up(data_dir) as running, client(running.url) as api:
        await api.send("GET", "/vnflcm/v2/api_versions")
        took = time.monotonic() - began
        assert (await running.stop()).status == 0
    return took


def pss(pid: int) -> float:
    """Memory of a process in MiB, with its share of what several have in common."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("\nPss:")[1].split()[0]) / 1024


def tree(pid: int) -> list[int]:
    """A process with all below it."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    below = [int(child) for listing in children for child in listing.read_text().split()]
    return [pid, *(each for child in below for each in tree(child))]


async def test_cold_and_warm_start(tmp_data_dir: Path) -> None:
    cold = await timed_start(tmp_data_dir)
    warm = [await timed_start(tmp_data_dir) for _ in range(3)]
    print(f"\ncold start {cold:.2f} s, warm starts {', '.join(f'{each:.2f}' for each in warm)} s")  # noqa: T201
    assert cold < COLD_SECONDS
    assert statistics.median(warm) < WARM_SECONDS


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the memory from /proc")
async def test_memory_of_the_whole_tree(tmp_data_dir: Path) -> None:
    await forestay("demo", "--data-dir", tmp_data_dir)
    async with up(tmp_data_dir) as running, client(running.url) as api:
        for _ in range(200):
            await api.list("/vnflcm/v2/vnf_instances")
        processes = tree(running.pid)
        assert set(servers_of(tmp_data_dir).values()) < set(processes)
        used = {pid: pss(pid) for pid in processes}
        total = sum(used.values())
        print(f"\n{len(used)} processes, {total:.0f} MiB, of which Forestay {used[running.pid]:.0f}")  # noqa: T201
        assert total < TREE_MIB
