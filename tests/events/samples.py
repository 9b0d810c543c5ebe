"""What the tests of the log append, decide and project: a tally, the smallest aggregate that can count wrongly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
from forestay_events.aggregate import Context, Decision, Definition
from forestay_events.archive import Connection
from forestay_events.commit import Commit, EventCodec, Stored, commit_id
from forestay_events.errors import Rejected
from forestay_events.store import EventStore

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def commit(aggregate: str, version: int = 1, previous: Stored | None = None, *, command: str = "") -> Commit:
    """A commit that follows ``previous``, decided by ``command`` (by default one of its own)."""
    return Commit(
        id=commit_id(command or f"command-{version}", aggregate, version),
        stream="LCM",
        kind="vnf",
        aggregate_id=aggregate,
        version=version,
        at=NOON,
        project="project",
        actor="tester",
        reason="the test wants it",
        prev_hash=previous.hash if previous else "",
        events=(msgspec.Raw(b'{"type":"Added","number":1}'),),
    )


async def fill(store: EventStore, aggregate: str, count: int, previous: Stored | None = None) -> Stored:
    """Append ``count`` commits to an aggregate; returns the last one."""
    version = previous.commit.version if previous else 0
    for number in range(version + 1, version + count + 1):
        previous = await store.append(commit(aggregate, number, previous), after=previous.seq if previous else 0)
    assert previous is not None
    return previous


class Added(msgspec.Struct, frozen=True, tag_field="type", tag="Added"):
    number: int


class Tally(msgspec.Struct, frozen=True):
    total: int
    closed: bool = False


def decide(state: Tally | None, number: int, _: Context) -> Decision[Added]:
    if number < 0:
        raise Rejected(409, f"The total is {state.total if state else 0}: nothing can be taken away.")
    return Decision([Added(number)] if number else [], "somebody counted")


def evolve(state: Tally | None, event: Added, _: Commit) -> Tally:
    return Tally((state.total if state else 0) + event.number)


TALLY: Definition[Tally, int, Added] = Definition("LCM", "vnf", EventCodec[Added](Added), decide, evolve)


class Counting:
    """Adds one per commit: a commit that is applied twice or never shows for ever."""

    tables = "CREATE TABLE IF NOT EXISTS {schema}.tally (aggregate text PRIMARY KEY, commits integer NOT NULL);"

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        await connection.executemany(
            f"INSERT INTO {schema}.tally VALUES ($1, 1)"  # noqa: S608
            " ON CONFLICT (aggregate) DO UPDATE SET commits = tally.commits + 1",
            [(stored.commit.aggregate_id,) for stored in commits],
        )


async def until(condition: Callable[[], object], within: float = 60.0) -> float:
    """Wait until ``condition`` holds; returns the seconds that it took."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < within, f"not within {within} s"
        await asyncio.sleep(0.005)
    return time.monotonic() - begin
