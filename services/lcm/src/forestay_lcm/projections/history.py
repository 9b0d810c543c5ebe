"""Where the history of VNF instances finds its commits in the copy, and where the fold of an instance may begin.

Rules:

* One row per commit of a VNF instance, so that it is found by project, by instance, by time and by operation. What the commit
  says stays in the copy's own table ``commit``. A commit is about one operation at most.
* The trace is kept here because it is a header of the log's message and no part of the commit: after a restore of a lost log
  those of the old commits are only here, and after a rebuild from such a log nowhere.
* Every now and then the state of an instance is kept as a snapshot, so that no look into the past folds more than
  ``EVERY`` commits and those of one batch.
* Alarms, policies and VNF snapshots that came of an operation carry its id as their correlation id. Their commits are kept here
  whole, as the copies of other streams belong to other services.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from forestay_events.archive import Connection
from forestay_events.commit import Stored
from forestay_events.work import TRACE
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.events import OperationEvent

EVERY = 100
"""Versions between two snapshots of an instance, at least."""


class RelatedProjection:
    """Table ``history_related``: what other aggregates tell of operations."""

    tables = """
    CREATE TABLE IF NOT EXISTS {schema}.history_related (
        stream text NOT NULL, seq bigint NOT NULL, project text NOT NULL, op_id text NOT NULL, at timestamptz NOT NULL,
        trace text, body bytea NOT NULL, PRIMARY KEY (stream, seq));
    CREATE INDEX IF NOT EXISTS history_related_operation ON {schema}.history_related (op_id, at);
    """

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        await connection.executemany(
            f"INSERT INTO {schema}.history_related VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                (commit.stream, stored.seq, commit.project, commit.correlation_id, commit.at, trace_of(stored), stored.body)
                for stored in commits
                if (commit := stored.commit).correlation_id is not None
            ],
        )  # fmt: skip


class HistoryProjection:
    """Tables ``history`` and ``history_snapshot``; to be applied behind the instances, whose rows the snapshots are made of."""

    tables = (
        RelatedProjection.tables
        + """
    CREATE TABLE IF NOT EXISTS {schema}.history (
        project text NOT NULL, seq bigint NOT NULL, vnf_id text NOT NULL, at timestamptz NOT NULL, op_id text, trace text,
        PRIMARY KEY (project, seq));
    CREATE INDEX IF NOT EXISTS history_vnf ON {schema}.history (vnf_id, seq);
    CREATE INDEX IF NOT EXISTS history_time ON {schema}.history (vnf_id, at, seq);
    CREATE INDEX IF NOT EXISTS history_operation ON {schema}.history (op_id, at) WHERE op_id IS NOT NULL;
    CREATE TABLE IF NOT EXISTS {schema}.history_snapshot (
        vnf_id text NOT NULL, version integer NOT NULL, state bytea NOT NULL, PRIMARY KEY (vnf_id, version));
    """
    )

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        await RelatedProjection().apply(connection, schema, [each for each in commits if each.commit.kind != VNF.kind])
        commits = [stored for stored in commits if stored.commit.kind == VNF.kind]
        await connection.executemany(
            f"INSERT INTO {schema}.history VALUES ($1, $2, $3, $4, $5, $6)",
            [
                (stored.commit.project, stored.seq, stored.commit.aggregate_id, stored.commit.at, _operation(stored),
                 trace_of(stored))
                for stored in commits
            ],
        )  # fmt: skip
        due = list({stored.commit.aggregate_id for stored in commits if stored.commit.version % EVERY == 0})
        if due:
            await connection.execute(
                f"INSERT INTO {schema}.history_snapshot SELECT id, version, state FROM {schema}.vnf WHERE id = ANY($1)",
                due,
            )


def trace_of(stored: Stored) -> str | None:
    """The trace id (W3C Trace Context, 32 hexadecimal digits) in which a commit was appended."""
    parts = str(stored.headers.get(TRACE, "")).split("-")
    return parts[1] if len(parts) == 4 else None


def _operation(stored: Stored) -> str | None:
    return next(_operations(stored), None)


def _operations(stored: Stored) -> Iterator[str]:
    return (event.op_id for event in VNF.codec.decode(stored.commit) if isinstance(event, OperationEvent))
