"""Follows streams LCM and VIM into table ``fault``: what is or was wrong, and puts reporting it on the outbox.

A row is how a fault stands; at most one fault about a thing is open. The work names the alarm only: who takes it reads here how
the fault stands then, so it does not matter how often or in which order work arrives. The alarm's id is made from the commit
that told of the fault, so the same fact always means the same alarm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5

import msgspec
from forestay_events.archive import Connection
from forestay_events.commit import Commit, Stored
from forestay_events.outbox import OUTBOX_TABLE, post
from forestay_events.work import Work
from forestay_sol.streams import lcm, vim
from forestay_sol.streams.alarm import AlarmCleared, AlarmRaised

from forestay_monitor.domain.alarm import ReportFault
from forestay_monitor.domain.faults import (
    OPERATION_CLEARED,
    OPERATION_ENDS,
    VIM_CLEARED,
    VIM_DELETED,
    decode_fault,
    encode_fault,
    operation_failed,
    vim_unreachable,
)

EXECUTOR = "alarms"
_ALARM_NAMESPACE = UUID("9f0a7f0e-3f52-5b0c-9c52-6f4f0f3f6a1d")

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.fault (
    alarm_id text PRIMARY KEY, about text NOT NULL, project text NOT NULL, commit_id text NOT NULL, raised bytea NOT NULL,
    cleared_at timestamptz, clearing text, touched timestamptz NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS fault_open ON {schema}.fault (about) WHERE cleared_at IS NULL;
CREATE TABLE IF NOT EXISTS {schema}.operation (id text PRIMARY KEY, operation text NOT NULL);
"""


class Fault(msgspec.Struct, frozen=True):
    """A fault as its row holds it."""

    alarm_id: str
    project: str
    commit_id: str
    report: ReportFault


class Faults(ABC):
    """The faults of one stream, written inside the projector's transaction.

    :param dispatch: put work into the outbox; off while a read model is rebuilt from old commits.
    """

    tables = OUTBOX_TABLE + TABLES

    def __init__(self, *, dispatch: bool = True) -> None:
        self._dispatch = dispatch

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        changed: list[str] = []
        for stored in commits:
            changed += await self._apply(connection, schema, stored.commit)
        if self._dispatch:
            await post(connection, schema, [(report_of(alarm_id), 0.0) for alarm_id in dict.fromkeys(changed)])

    @abstractmethod
    async def _apply(self, connection: Connection, schema: str, commit: Commit) -> list[str]:
        """Write what a commit tells; returns the alarms that it changes."""


class OperationFaults(Faults):
    """Operations that stand in FAILED_TEMP."""

    async def _apply(self, connection: Connection, schema: str, commit: Commit) -> list[str]:
        changed: list[str] = []
        for fact in lcm.facts(commit):
            if isinstance(fact, lcm.OperationStarted | lcm.ModificationStarted):
                insert = f"INSERT INTO {schema}.operation VALUES ($1, $2) ON CONFLICT DO NOTHING"
                await connection.execute(insert, fact.op_id, fact.operation)
            elif isinstance(fact, lcm.OperationFailedTemp):
                kind = await connection.fetchval(f"SELECT operation FROM {schema}.operation WHERE id = $1", fact.op_id)
                raised = operation_failed(kind or "UNKNOWN", fact, commit)
                changed += await raise_fault(connection, schema, fact.op_id, raised, commit)
            elif not isinstance(fact, lcm.VnfCreated | lcm.VnfInfoModified | lcm.VnfDeleted):
                changed += await clear_fault(connection, schema, fact.op_id, OPERATION_CLEARED[type(fact)], commit.at)
                if type(fact) in OPERATION_ENDS:
                    await connection.execute(f"DELETE FROM {schema}.operation WHERE id = $1", fact.op_id)
        return changed


class VimFaults(Faults):
    """VIMs that do not answer."""

    async def _apply(self, connection: Connection, schema: str, commit: Commit) -> list[str]:
        changed: list[str] = []
        for event in vim.CODEC.decode(commit):
            if isinstance(event, vim.VimDeleted):
                changed += await clear_fault(connection, schema, commit.aggregate_id, VIM_DELETED, commit.at)
            elif isinstance(event, vim.VimStatusChanged):
                over = VIM_CLEARED[event.status]
                if over is None:
                    raised = vim_unreachable(event, commit)
                    changed += await raise_fault(connection, schema, commit.aggregate_id, raised, commit)
                else:
                    changed += await clear_fault(connection, schema, commit.aggregate_id, over, commit.at)
        return changed


async def raise_fault(
    connection: Connection, schema: str, about: str, raised: AlarmRaised, commit: Commit, *, name: str | None = None
) -> list[str]:
    """Write a fault, unless there is one about the same that is open; returns its alarm.

    :param name: what the alarm's id is made from, if the commit tells of several faults.
    """
    rows = await connection.fetch(
        f"INSERT INTO {schema}.fault VALUES ($1, $2, $3, $4, $5, NULL, NULL, $6) ON CONFLICT DO NOTHING RETURNING alarm_id",
        str(uuid5(_ALARM_NAMESPACE, name or raised.cause)), about, commit.project, commit.id, encode_fault(raised), commit.at,
    )  # fmt: skip
    return [row["alarm_id"] for row in rows]


async def clear_fault(connection: Connection, schema: str, about: str, why: str, at: datetime) -> list[str]:
    """Close the fault that is open about something, if there is one; returns its alarm."""
    rows = await connection.fetch(
        f"UPDATE {schema}.fault SET cleared_at = $2, clearing = $3, touched = $2"
        " WHERE about = $1 AND cleared_at IS NULL RETURNING alarm_id",
        about, at, why,
    )  # fmt: skip
    return [row["alarm_id"] for row in rows]


def report_of(alarm_id: str) -> Work:
    """The work of reporting how the fault behind an alarm stands."""
    return Work(executor=EXECUTOR, lane="fault", key=alarm_id, body=msgspec.Raw(b"{}"))


async def find_fault(connection: Connection, schema: str, alarm_id: str) -> Fault | None:
    """How the fault behind an alarm stands; ``None`` while the read model is being rebuilt."""
    row = await connection.fetchrow(f"SELECT * FROM {schema}.fault WHERE alarm_id = $1", alarm_id)
    if row is None:
        return None
    over = None if row["cleared_at"] is None else AlarmCleared(cleared_at=row["cleared_at"], reason=row["clearing"])
    return Fault(alarm_id, row["project"], row["commit_id"], ReportFault(decode_fault(row["raised"]), over))
