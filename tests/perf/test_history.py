"""A VNF instance with 10,000 operations behind it loads as fast as a new one, in a process that has never seen it.

It has everything that a state can have: images, scripts around the change of its package, a step with a note in hand.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from forestay_events.aggregate import Aggregates, Context, Origin
from forestay_events.commit import Commit, Stored, commit_id
from forestay_events.platform import Platform, open_platform, utc_now
from forestay_events.tasks import stop
from forestay_lcm.app import projectors, vnfs_of
from forestay_lcm.domain.commands import VnfCommand
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.state import Vnf
from forestay_standalone.embedded import EmbeddedNats

from tests.lcm.engine.running import configuration
from tests.lcm.samples import (
    PROJECT,
    SCRIPTED,
    SCRIPTED_COMING,
    WITH_USER_DATA,
    confirmed,
    coordinated,
    create,
    instantiate,
    latest,
    modify,
    noted,
)

pytestmark = pytest.mark.perf

OPERATIONS = 10_000
VNF_ID = "5d3b0a5c-9a0b-4a55-8d3c-0f7f5f3a1c11"


class History:
    """Appends what commands lead to, without asking anybody else."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.state: Vnf | None = None
        self.last: Stored | None = None

    async def add(self, command: VnfCommand | Callable[[Vnf | None], VnfCommand]) -> None:
        version = self.last.commit.version + 1 if self.last else 1
        context = Context(utc_now(), Origin(f"command-{version}", PROJECT, "perf"))
        decision = VNF.decide(self.state, command(self.state) if callable(command) else command, context)
        commit = Commit(
            id=commit_id("perf", VNF_ID, version), stream="LCM", kind="vnf", aggregate_id=VNF_ID, version=version,
            at=context.now, project=PROJECT, actor="perf", reason=decision.reason,
            prev_hash=self.last.hash if self.last else "", events=VNF.codec.encode(decision.events),
        )  # fmt: skip
        self.last = await self.platform.store.append(commit, after=self.last.seq if self.last else 0)
        self.state = VNF.fold(self.state, commit)

    async def settle(self, until: str = "") -> None:
        """Confirm steps until this one is the present one."""
        while (run := latest(self.state).current) is not None and run.step.name != until:
            await self.add(confirmed)


@pytest.mark.timeout(300)
async def test_load(tmp_path: Path, tmp_data_dir: Path, database: str) -> None:
    async with (
        EmbeddedNats(tmp_path, durable=False) as server,
        open_platform(configuration(server.url, database, tmp_data_dir), "perf") as platform,
    ):
        history = History(platform)
        await history.add(create(SCRIPTED))
        await history.add(instantiate(vnfd=SCRIPTED, instantiationLevelId="three", additionalParams=WITH_USER_DATA))
        await history.settle()
        for number in range(OPERATIONS - 2):
            await history.add(modify(metadata={"number": number}))
        await history.add(coordinated(SCRIPTED_COMING, SCRIPTED, **WITH_USER_DATA))
        await history.settle(until="await-vnfc:2")
        await history.add(noted)
        assert history.last is not None
        operation = latest(history.state)
        assert operation.modification is not None
        assert operation.hooks
        assert operation.current is not None
        assert operation.current.result
        projector = projectors(platform, dispatch=False)[0]
        await projector.create_tables()
        projecting = asyncio.create_task(projector.run())
        await platform.positions.wait("lcm", "LCM", history.last.seq, timeout=120)

        took: list[float] = []
        for _ in range(20):
            fresh = vnfs_of(platform)
            begin = time.perf_counter()
            loaded = await fresh.load(VNF_ID)
            took.append(time.perf_counter() - begin)
            assert (loaded.version, loaded.hash) == (history.last.commit.version, history.last.hash)
            assert loaded.state == history.state
        begin = time.perf_counter()
        whole = await Aggregates(platform.store, VNF, platform.clock).load(VNF_ID)
        without = time.perf_counter() - begin
        assert msgspec.json.encode(whole.state) == msgspec.json.encode(history.state)
        await stop([projecting])
    p50 = statistics.median(took)
    figures = f"p50 {p50 * 1e3:.1f} ms, without snapshots {without * 1e3:.0f} ms"
    print(f"\nload behind {OPERATIONS} operations: {figures}", end="")  # noqa: T201
    assert p50 < 0.02
