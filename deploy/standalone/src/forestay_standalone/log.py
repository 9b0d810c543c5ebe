"""What ``forestay log`` reads: the history of one aggregate, the commits of a stream, events as text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from forestay_events.commit import TOKEN, Commit, Stored
from forestay_events.errors import Rejected
from forestay_events.platform import STREAMS
from forestay_events.sealing import mask
from forestay_events.store import EventStore, read

Json = dict[str, Any]

#: Kind of the aggregates of each stream, to find one by its id alone.
KINDS = {"PKG": "package", "VIM": "vim", "LCM": "vnf", "MON": "alarm", "POL": "policy"}


async def history(store: EventStore, name: str) -> Sequence[Stored]:
    """All commits of an aggregate, whatever it is.

    :param name: its id or its subject.
    :raises Rejected: 404, the log has no such aggregate.
    """
    subjects = [name] if "." in name else [f"{stream.lower()}.{kind}.{name}" for stream, kind in KINDS.items()]
    for subject in subjects:
        tokens = subject.split(".")
        if tokens[0].upper() in STREAMS and all(map(TOKEN.fullmatch, tokens)) and (found := await store.load(subject)):
            return found
    raise Rejected(404, f"The log has nothing about {name}.")


async def tail(store: EventStore, stream: str, *, last: int, follow: bool) -> AsyncIterator[Stored]:
    """The ``last`` commits of a stream, then, with ``follow``, every new one.

    :raises Rejected: 400, there is no such stream.
    """
    if stream not in STREAMS:
        raise Rejected(400, f"There is no stream {stream}. The streams are {', '.join(STREAMS)}.")
    after = max(0, await store.head(stream) - last)
    if not follow:
        async for stored in read(store, stream, after=after):
            yield stored
        return
    async with aclosing(store.follow(stream, after=after)) as batches:
        async for batch in batches:
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
