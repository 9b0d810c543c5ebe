"""Follows stream LCM for what differs between VIMs and the log: a fault stands as long as one of its findings does.

Of a VNF instance that is terminated nothing is missing any more. Orphans of one that this log does not have, or not any more,
are no fault: what it has left in a VIM is told by ``/drift/v1``, and may be another VNF manager's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from forestay_events.archive import Connection
from forestay_events.commit import Commit
from forestay_sol.streams import drift, lcm

from forestay_monitor.domain.drift import DELETED, ENDED, FOUND_ANEW, TERMINATED, drifted
from forestay_monitor.projections.faults import Faults, clear_fault, raise_fault

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.instance (id text PRIMARY KEY);
CREATE TABLE IF NOT EXISTS {schema}.finding (
    id text PRIMARY KEY, about text NOT NULL, vnf_id text NOT NULL, orphaned boolean NOT NULL);
CREATE INDEX IF NOT EXISTS finding_about ON {schema}.finding (about);
CREATE INDEX IF NOT EXISTS finding_vnf ON {schema}.finding (vnf_id);
"""

#: Which findings an event ends, given the commit's aggregate: those that it names, all but orphans, all.
_ENDING: Mapping[str, str] = {
    ENDED: "id = ANY($1)",
    FOUND_ANEW: "id = ANY($1)",
    TERMINATED: "vnf_id = ANY($1) AND NOT orphaned",
    DELETED: "vnf_id = ANY($1)",
}


class DriftFaults(Faults):
    """Findings about VNF instances."""

    tables = Faults.tables + TABLES

    async def _apply(self, connection: Connection, schema: str, commit: Commit) -> list[str]:
        if commit.kind == drift.KIND:
            return await self._compared(connection, schema, commit)
        changed: list[str] = []
        for fact in lcm.facts(commit):
            if isinstance(fact, lcm.VnfCreated):
                insert = f"INSERT INTO {schema}.instance VALUES ($1) ON CONFLICT DO NOTHING"
                await connection.execute(insert, commit.aggregate_id)
            elif isinstance(fact, lcm.VnfDeleted):
                changed += await _end(connection, schema, [commit.aggregate_id], DELETED, commit.at)
                await connection.execute(f"DELETE FROM {schema}.instance WHERE id = $1", commit.aggregate_id)
            elif isinstance(fact, lcm.OperationCompleted) and fact.instantiation_state == "NOT_INSTANTIATED":
                changed += await _end(connection, schema, [commit.aggregate_id], TERMINATED, commit.at)
        return changed

    async def _compared(self, connection: Connection, schema: str, commit: Commit) -> list[str]:
        events = drift.facts(commit)
        known = f"SELECT EXISTS (SELECT FROM {schema}.instance WHERE id = $1)"
        ours = await connection.fetchval(known, commit.aggregate_id)
        found = [
            event
            for event in events
            if isinstance(event, drift.DriftFound) and (ours or event.finding.kind != "ORPHANED")
        ]
        ended = [event.finding_id for event in events if isinstance(event, drift.DriftEnded)]
        changed = await _end(connection, schema, ended, FOUND_ANEW if found else ENDED, commit.at)
        orphans = {event.finding_id for event in found if event.finding.kind == "ORPHANED"}
        for raised, findings in drifted(found, commit):
            about = f"{raised.cause} {raised.probable_cause}"
            await connection.executemany(
                f"INSERT INTO {schema}.finding VALUES ($1, $2, $3, $4)",
                [(finding, about, commit.aggregate_id, finding in orphans) for finding in findings],
            )
            changed += await raise_fault(connection, schema, about, raised, commit, name=about)
        return changed


async def _end(connection: Connection, schema: str, which: list[str], why: str, at: datetime) -> list[str]:
    """End findings, and the faults that none is left of; returns the alarms of these."""
    rows = await connection.fetch(f"DELETE FROM {schema}.finding WHERE {_ENDING[why]} RETURNING about", which)
    changed: list[str] = []
    for about in dict.fromkeys(row["about"] for row in rows):
        if not await connection.fetchval(f"SELECT EXISTS (SELECT FROM {schema}.finding WHERE about = $1)", about):
            changed += await clear_fault(connection, schema, about, why, at)
    return changed
