"""An instance with 10,000 operations: whatever is asked of its past costs the same."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import islice
from statistics import median
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from forestay_events.commit import Commit, Stored, encode
from forestay_events.config import BaseConfig
from forestay_lcm.app import projectors
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.events import VnfEvent
from forestay_lcm.domain.state import Vnf

from tests.lcm.domain.story import Story
from tests.lcm.history.site import Site, site
from tests.lcm.history.test_instance import expected, shown
from tests.lcm.samples import PROJECT, confirmed, create, instantiate, scale

OPERATIONS = 10_000


LIMIT = 0.1
"""Seconds that the quicker quarter of the answers may take: the machine has other work."""

pytestmark = pytest.mark.perf


def history(vnf_id: str, states: dict[int, Vnf]) -> Iterator[Stored]:
    """The commits of an instance that is scaled out and in again; ``states`` gets the state at some versions."""
    story = Story()
    previous = ""

    def decisions() -> Iterator[list[VnfEvent]]:
        turns = (scale("SCALE_OUT" if number % 2 else "SCALE_IN") for number in range(1, OPERATIONS))
        for command in (create(), instantiate(), *turns):
            yield story.do(command)
            while story.vnf.operation is not None and story.operation.current is not None:
                yield story.do(confirmed)

    for version, events in enumerate(decisions(), 1):
        commit = Commit(
            id=str(uuid4()), stream=VNF.stream, kind=VNF.kind, aggregate_id=vnf_id, version=version,
            at=story.commits[-1].at, project=PROJECT, actor="tester", reason="asked for", prev_hash=previous,
            events=VNF.codec.encode(events),
        )  # fmt: skip
        stored = Stored(version, encode(commit), subject=commit.subject)
        if version < 3 or version % 1237 == 0:
            states[version] = msgspec.structs.replace(story.vnf, id=vnf_id)
        previous = stored.hash
        yield stored


async def filled(here: Site, vnf_id: str) -> dict[int, Vnf]:
    """Put the history into the copy, in the largest batches that a projector takes; gives the state at some versions."""
    copy = projectors(here.platform, dispatch=False)[0]
    states: dict[int, Vnf] = {}
    commits = history(vnf_id, states)
    position = 0
    while batch := list(islice(commits, 500)):
        position = await copy.apply(batch, position)
    await here.platform.pool.execute("ANALYZE")
    return states


async def full_scans(here: Site) -> int:
    """How often the tables of the history were read from one end to the other, as every connection has counted it."""
    pool = here.platform.pool
    async with AsyncExitStack() as held:
        connections = [await held.enter_async_context(pool.acquire()) for _ in range(pool.get_size())]
        for connection in connections:
            await connection.execute("SELECT pg_stat_force_next_flush()")
    tables = "schemaname = 'lcm' AND relname IN ('commit', 'history')"
    return await pool.fetchval(f"SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE {tables}")  # noqa: S608


@pytest.mark.timeout(600)
async def test_any_moment_of_10_000_operations(bare: BaseConfig, record_property: Any) -> None:
    async with site(bare) as here:
        vnf_id = str(uuid4())
        states = await filled(here, vnf_id)
        record_property("versions", str((await here.get(f"/vnf_instances/{vnf_id}"))["version"]))
        path = f"/vnf_instances/{vnf_id}"
        scanned = await full_scans(here)
        times: dict[str, list[float]] = defaultdict(list)

        async def timed(name: str, path: str, **query: Any) -> Any:
            started = time.perf_counter()
            answer = await here.get(path, **query)
            times[name].append(time.perf_counter() - started)
            return answer

        for version, state in states.items():
            found = await timed("version", path, version=str(version))
            assert shown(found) == expected(state)
            assert (await timed("at", path, at=found["at"]))["version"] == version
            older = await timed("timeline", f"{path}/timeline", nextpage_opaque_marker=str(version))
            assert [entry["version"] for entry in older] == list(range(version - 1, max(0, version - 101), -1))
            if (operation := state.operation) is not None:
                of_it = await timed("operation", f"/vnf_lcm_op_occs/{operation.id}/timeline")
                assert version in {entry["version"] for entry in of_it}
                assert of_it == await timed("filtered", f"{path}/timeline", vnfLcmOpOccId=operation.id)
            async with here.listening(f"{path}/events", after=str(version - 1)) as ear:
                started = time.perf_counter()
                assert [entry["version"] for entry in await ear.next()] == [version]
                times["first event"].append(time.perf_counter() - started)
        assert await full_scans(here) == scanned
        for name, seconds in times.items():
            record_property(f"{name}: p50, slowest (ms)", f"{median(seconds) * 1e3:.1f}, {max(seconds) * 1e3:.1f}")
            assert sorted(seconds)[len(seconds) // 4] < LIMIT, name
