"""Read model of drift: a row per finding, which stays when the finding has ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import get_args

import msgspec
from forestay_events.archive import Connection
from forestay_events.commit import Commit, Stored
from forestay_sol.filter_sql import Column, Columns
from forestay_sol.listing import generated
from forestay_sol.streams.drift import DriftFound, Healing, Kind, OrphanRemovalIntended, facts

COLUMNS: Columns = {("vnfInstanceId",): Column("vnf_id"), ("kind",): Column("kind", values=get_args(Kind))}

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.drift (
    id text PRIMARY KEY, project text NOT NULL, vim text NOT NULL, ended boolean NOT NULL, doc jsonb NOT NULL);
CREATE INDEX IF NOT EXISTS drift_open ON {schema}.drift (vim) WHERE NOT ended;
"""


class DriftFinding(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A difference between a VIM and the log.

    :ivar id: of the finding.
    :ivar vnf_instance_id: the VNF instance that it is about, or was made for.
    :ivar kind: MISSING, the log has it and the VIM does not; CHANGED, they differ; ORPHANED, only the VIM has it.
    :ivar vim: the VIM's address, project and region.
    :ivar vim_level_resource_type: as the VIM calls it.
    :ivar resource_id: the VIM's.
    :ivar detail: what is different.
    :ivar vnfc_instance_id: the VNFC whose server it is.
    :ivar healing: the HEAL that mends it: of the VNFC, or of ALL; without it none does.
    :ivar found_at: when it was found first.
    :ivar removal_intended_at: when the removal of the orphan began.
    :ivar ended_at: when it was not found any more.
    """

    id: str
    vnf_instance_id: str
    kind: Kind
    vim: str
    vim_level_resource_type: str
    resource_id: str
    detail: str
    vnfc_instance_id: str | None = None
    healing: Healing | None = None
    found_at: datetime
    removal_intended_at: datetime | None = None
    ended_at: datetime | None = None


_decode = msgspec.json.Decoder(DriftFinding).decode


class DriftProjection:
    """Table ``drift``."""

    tables = TABLES + generated("drift", COLUMNS, alive="NOT ended")

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        for stored in commits:
            await self._apply(connection, schema, stored.commit)

    async def _apply(self, connection: Connection, schema: str, commit: Commit) -> None:
        for event in facts(commit):
            if isinstance(event, DriftFound):
                found = event.finding
                shown = DriftFinding(
                    id=event.finding_id,
                    vnf_instance_id=commit.aggregate_id,
                    kind=found.kind,
                    vim=found.vim,
                    vim_level_resource_type=found.resource_type,
                    resource_id=found.resource_id,
                    detail=found.detail,
                    vnfc_instance_id=found.vnfc_instance_id,
                    healing=found.healing,
                    found_at=commit.at,
                )
            else:
                query = f"SELECT doc FROM {schema}.drift WHERE id = $1"  # noqa: S608
                shown = _decode(await connection.fetchval(query, event.finding_id))
                when = "removal_intended_at" if isinstance(event, OrphanRemovalIntended) else "ended_at"
                shown = msgspec.structs.replace(shown, **{when: commit.at})
            await connection.execute(
                f"INSERT INTO {schema}.drift VALUES ($1, $2, $3, $4, $5)"  # noqa: S608
                " ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, doc = excluded.doc",
                shown.id, commit.project, shown.vim, shown.ended_at is not None, msgspec.json.encode(shown).decode(),
            )  # fmt: skip
