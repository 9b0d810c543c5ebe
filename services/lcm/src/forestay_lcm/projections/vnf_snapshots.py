"""Read model of VNF snapshots, and the work that follows from a deletion.

A row of ``vnf_snapshot`` holds the folded state and its SOL003 representation without links. Work for a deletion goes into the
outbox in the same transaction: it leaves only when the intent lies in both stores.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from forestay_events.archive import Connection
from forestay_events.commit import Stored
from forestay_events.outbox import post
from forestay_events.work import Work
from forestay_lcm.domain.vnf_snapshot import VNF_SNAPSHOT, VnfSnapshot
from forestay_sol.filter_sql import Column, Columns
from forestay_sol.listing import generated
from forestay_sol.types import rfc3339

#: Attributes that lists are filtered by quickly.
COLUMNS: Columns = {
    ("vnfSnapshot", "vnfInstanceId"): Column("vnf_id"),
    ("vnfSnapshot", "vnfdId"): Column("vnfd_id"),
}

_TABLE = """
CREATE TABLE IF NOT EXISTS {schema}.vnf_snapshot (
    id text PRIMARY KEY, project text NOT NULL, version integer NOT NULL, seq bigint NOT NULL, deleted boolean NOT NULL,
    state bytea NOT NULL, doc jsonb NOT NULL, work_executor text, work_lane text, touched timestamptz NOT NULL);
CREATE INDEX IF NOT EXISTS vnf_snapshot_open ON {schema}.vnf_snapshot (id) WHERE work_executor IS NOT NULL;
"""

decode_state = msgspec.json.Decoder(VnfSnapshot).decode


def deletion_executor(driver: str) -> str:
    """The executor that deletes snapshots on a kind of VIM."""
    return f"{driver}-snapshots"


class VnfSnapshotProjection:
    """Table ``vnf_snapshot``: the VNF snapshots of stream LCM; to be applied behind the instances, whose outbox it uses.

    :param dispatch: put work into the outbox, and the data keys of deleted snapshots into ``shredding``; off while a read model
        is rebuilt from old commits.
    """

    tables = _TABLE + generated("vnf_snapshot", COLUMNS, alive="NOT deleted")

    def __init__(self, *, dispatch: bool = True) -> None:
        self._dispatch = dispatch

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        for stored in commits:
            if stored.commit.kind == VNF_SNAPSHOT.kind:
                await self._apply(connection, schema, stored)

    async def _apply(self, connection: Connection, schema: str, stored: Stored) -> None:
        snapshot_id = stored.commit.aggregate_id
        state = await connection.fetchval(f"SELECT state FROM {schema}.vnf_snapshot WHERE id = $1", snapshot_id)
        snapshot = VNF_SNAPSHOT.fold(decode_state(state) if state else None, stored.commit)
        assert snapshot is not None, "a commit has an event"  # noqa: S101
        work, deleted = pending_work(snapshot), snapshot.status == "DELETED"
        await connection.execute(
            f"INSERT INTO {schema}.vnf_snapshot VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id)"
            " DO UPDATE SET version = excluded.version, seq = excluded.seq, deleted = excluded.deleted,"
            " state = excluded.state, doc = excluded.doc, work_executor = excluded.work_executor,"
            " work_lane = excluded.work_lane, touched = excluded.touched",
            snapshot_id, snapshot.project, stored.commit.version, stored.seq, deleted, msgspec.json.encode(snapshot),
            document(snapshot), work and work.executor, work and work.lane, stored.commit.at,
        )  # fmt: skip
        if self._dispatch and work is not None:
            await post(connection, schema, [(work, 0.0)], causes={snapshot_id: stored})
        if self._dispatch and deleted:
            await connection.execute(f"INSERT INTO {schema}.shredding VALUES ($1) ON CONFLICT DO NOTHING", snapshot_id)


def pending_work(snapshot: VnfSnapshot) -> Work | None:
    """The work that the snapshot waits for. It names the snapshot only: what to do is read in the log."""
    if snapshot.status != "DELETING" or snapshot.place is None:
        return None
    executor = deletion_executor(snapshot.place.driver)
    return Work(executor=executor, lane=snapshot.place.lane, key=snapshot.id, body=msgspec.Raw(b"{}"))


def document(snapshot: VnfSnapshot) -> str:
    """VnfSnapshotInfo (SOL003 5.5.2.22) as JSON text, without links."""
    shown = {"id": snapshot.id, "vnfSnapshotPkgId": snapshot.package_id, "vnfSnapshot": snapshot.content}
    if snapshot.deletion is not None and snapshot.status != "DELETED":
        deletion = snapshot.deletion
        state = "PROCESSING" if snapshot.status == "DELETING" else "FAILED"
        shown["deletion"] = {"state": state, "startedAt": rfc3339(deletion.since)}
        shown["deletion"] |= {"error": deletion.error} if deletion.error else {}
    return msgspec.json.encode({name: value for name, value in shown.items() if value is not None}).decode()
