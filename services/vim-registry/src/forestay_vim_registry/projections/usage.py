"""Which VIMs are in use: follows stream LCM into table ``vnf_use``.

A VNF instance uses a VIM from the start of the operation that brings it there until it is terminated; an operation that is
rolled back or given up before it has settled there leaves no use behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from forestay_events.archive import Connection
from forestay_events.commit import Commit, Stored
from forestay_sol.streams.lcm import (
    LcmFact,
    OperationCompleted,
    OperationFailed,
    OperationProcessing,
    OperationRolledBack,
    OperationStarted,
    VimUse,
    VnfDeleted,
    VnfInfoModified,
    facts,
)

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.vnf_use (
    vnf_id text NOT NULL, vim_id text NOT NULL, project text NOT NULL, settled boolean NOT NULL DEFAULT false,
    PRIMARY KEY (vnf_id, vim_id));
CREATE INDEX IF NOT EXISTS vnf_use_vim ON {schema}.vnf_use (vim_id);
"""

_ARRIVES = "INSERT INTO {schema}.vnf_use VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_SETTLES = "UPDATE {schema}.vnf_use SET settled = true WHERE vnf_id = $1"
_TURNS_BACK = "DELETE FROM {schema}.vnf_use WHERE vnf_id = $1 AND NOT settled"
_LEAVES = "DELETE FROM {schema}.vnf_use WHERE vnf_id = $1"

Statements = list[tuple[str, tuple[str, ...]]]


class UsageProjection:
    """Writes table ``vnf_use``: the VIMs on which each VNF instance lives."""

    tables = TABLES

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        for stored in commits:
            for fact in facts(stored.commit):
                for statement, values in _EFFECTS.get(type(fact), _nothing)(fact, stored.commit):
                    await connection.execute(statement.replace("{schema}", schema), *values)


def _nothing(fact: LcmFact, commit: Commit) -> Statements:
    return []


def _started(fact: OperationStarted | OperationProcessing, commit: Commit) -> Statements:
    return _arrives(fact.vim_connections, commit)


def _modified(fact: VnfInfoModified, commit: Commit) -> Statements:
    if fact.vim_connections is None:
        return []
    return [(_LEAVES, (commit.aggregate_id,)), *_arrives(fact.vim_connections, commit)]


def _arrives(connections: Mapping[str, VimUse], commit: Commit) -> Statements:
    vims = {use.vim_id for use in connections.values() if use.vim_id is not None}
    return [(_ARRIVES, (commit.aggregate_id, vim_id, commit.project)) for vim_id in sorted(vims)]


def _completed(fact: OperationCompleted, commit: Commit) -> Statements:
    settles = fact.instantiation_state == "INSTANTIATED"
    return [(_SETTLES if settles else _LEAVES, (commit.aggregate_id,))]


def _ended(fact: OperationFailed | OperationRolledBack, commit: Commit) -> Statements:
    return [(_TURNS_BACK, (commit.aggregate_id,))]


def _deleted(fact: VnfDeleted, commit: Commit) -> Statements:
    return [(_LEAVES, (commit.aggregate_id,))]


_EFFECTS: Mapping[type[LcmFact], Callable[[Any, Commit], Statements]] = {
    OperationStarted: _started,
    OperationProcessing: _started,
    OperationCompleted: _completed,
    OperationFailed: _ended,
    OperationRolledBack: _ended,
    VnfDeleted: _deleted,
    VnfInfoModified: _modified,
}
