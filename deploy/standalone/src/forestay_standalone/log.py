"""``forestay log``: look into the log, check it, and make the one store again from the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from forestay_events.commit import Commit, Stored
from forestay_events.errors import Rejected
from forestay_events.platform import STREAMS
from forestay_events.sealing import mask
from forestay_events.store import EventStore, read

Json = dict[str, Any]

#: Kind of the aggregates of each stream, to find one by its id alone.
KINDS = {"PKG": "package", "VIM": "vim", "LCM": "vnf", "MON": "alarm", "POL": "policy"}


async def history(store: EventStore, aggregate_id: str) -> Sequence[Stored]:
    """All commits of the aggregate with this id, whatever it is.

    :raises Rejected: 404, the log has no such aggregate.
    """
    for stream, kind in KINDS.items():
        found = await store.load(f"{stream.lower()}.{kind}.{aggregate_id}")
        if found:
            return found
    raise Rejected(404, f"The log has nothing about {aggregate_id}.")


async def tail(store: EventStore, stream: str, *, last: int, follow: bool) -> AsyncIterator[Stored]:
    """The ``last`` commits of a stream, then, with ``follow``, every new one."""
    if stream not in STREAMS:
        raise Rejected(400, f"There is no stream {stream}: {', '.join(STREAMS)}.")
    after = max(0, await store.head(stream) - last)
    if not follow:
        async for stored in read(store, stream, after=after):
            yield stored
        return
    async for batch in store.follow(stream, after=after):
        for stored in batch:
            yield stored


def event_names(commit: Commit) -> list[str]:
    """The events of a commit with what tells them apart, such as ``StepIntended(create-stack)``."""
    return [_name(msgspec.json.decode(raw)) for raw in commit.events]


def event_documents(commit: Commit) -> list[Json]:
    """The events of a commit in full, secrets masked."""
    return [mask(msgspec.json.decode(raw)) for raw in commit.events]


def _name(event: Json) -> str:
    detail = event.get("step") or event.get("operation") or ""
    return f"{event['type']}({detail})" if detail else str(event["type"])
