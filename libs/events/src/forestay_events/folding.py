"""Folds a batch of commits into the states that a read model keeps: tables with columns ``id`` and ``state``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from forestay_events.aggregate import Definition
from forestay_events.commit import Stored
from forestay_events.database import Connection

S = TypeVar("S")


async def folded(
    connection: Connection,
    table: str,
    definition: Definition[S, Any, Any],
    decode: Callable[[bytes], S],
    commits: Sequence[Stored],
) -> list[S]:
    """The aggregates of a batch as they stand behind it; to be called inside the projector's transaction.

    :param table: with its schema.
    :param decode: reads column ``state``.
    :raises Permanent: a commit has an event that this version does not know.
    """
    ids = list({stored.commit.aggregate_id for stored in commits})
    rows = await connection.fetch(f"SELECT id, state FROM {table} WHERE id = ANY($1)", ids)
    states: dict[str, S | None] = {row["id"]: decode(row["state"]) for row in rows}
    for stored in commits:
        id_ = stored.commit.aggregate_id
        states[id_] = definition.fold(states.get(id_), stored.commit)
    return [state for state in states.values() if state is not None]  # a commit has at least one event
