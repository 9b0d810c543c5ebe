"""Which VNFDs are in use: follows stream LCM into table ``vnf``, and the views put that, the packages and the progress
of uploads together: ``vnf_package`` for API v1, ``vnf_package_v2``. And which contents in the blob store are not this service's:
table ``fetched``.

``usageState`` is not a fact about the package but about the VNF instances, so it is never written, only seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from forestay_events.commit import Stored
from forestay_events.database import Connection
from forestay_sol.streams.lcm import (
    ModificationStarted,
    OperationCompleted,
    OperationFailed,
    OperationRolledBack,
    OperationStarted,
    VnfCreated,
    VnfDeleted,
    VnfInfoModified,
    facts,
    fetched,
)

from forestay_package_mgmt.projections import SCHEMA

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.vnf (id text PRIMARY KEY, project text NOT NULL, vnfd_id text NOT NULL);
ALTER TABLE {schema}.vnf ADD COLUMN IF NOT EXISTS coming text;
CREATE INDEX IF NOT EXISTS vnf_vnfd ON {schema}.vnf (project, vnfd_id);
CREATE TABLE IF NOT EXISTS {schema}.fetched (digest text PRIMARY KEY);
CREATE INDEX IF NOT EXISTS vnf_coming ON {schema}.vnf (project, coming) WHERE coming IS NOT NULL;
"""

#: ``doc`` is the representation of one API, whole.
_VIEW = """
CREATE OR REPLACE VIEW {schema}.<view> AS
SELECT id, project, package.vnfd_id, state, in_use,
    <doc> || jsonb_build_object('usageState', CASE WHEN in_use THEN 'IN_USE' ELSE 'NOT_IN_USE' END)
    || CASE WHEN upload.package_id IS NULL THEN '{}' ELSE jsonb_build_object('uploadProgress', jsonb_strip_nulls(
        jsonb_build_object('receivedBytes', upload.received, 'totalBytes', upload.total))) END AS doc
FROM {schema}.package LEFT JOIN {schema}.upload ON upload.package_id = package.id, LATERAL (
    SELECT doc ->> 'onboardingState' = 'ONBOARDED' AND EXISTS (
        SELECT FROM {schema}.vnf WHERE vnf.project = package.project
        AND (vnf.vnfd_id = package.vnfd_id OR vnf.coming = package.vnfd_id)) AS in_use) AS usage
WHERE NOT deleted;
"""


_STARTED = (OperationStarted, ModificationStarted)
_ENDED = (OperationCompleted, OperationFailed, OperationRolledBack)


class UsageProjection:
    """Writes table ``vnf``: the VNF instances that exist, the VNFD of each, and the one that an open operation gives it; and
    table ``fetched``: the contents of packages that LCM has fetched from an NFVO.

    Its views need tables ``package`` and ``upload``.
    """

    tables = TABLES + "".join(
        _VIEW.replace("<view>", view).replace("<doc>", doc)
        for view, doc in (("vnf_package", "doc"), ("vnf_package_v2", "doc_v2"))
    )

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        for stored in commits:
            commit = stored.commit
            for package in fetched(commit):
                await connection.execute(
                    f"INSERT INTO {schema}.fetched VALUES ($1) ON CONFLICT DO NOTHING", package.digest
                )
            for fact in facts(commit):
                if isinstance(fact, VnfCreated):
                    await connection.execute(
                        f"INSERT INTO {schema}.vnf VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                        commit.aggregate_id, commit.project, fact.vnfd_id,
                    )  # fmt: skip
                elif isinstance(fact, VnfInfoModified) and fact.vnfd_id is not None:
                    await connection.execute(
                        f"UPDATE {schema}.vnf SET vnfd_id = $2 WHERE id = $1", commit.aggregate_id, fact.vnfd_id
                    )
                elif isinstance(fact, _STARTED) and fact.modification and fact.modification.vnfd_id:
                    await connection.execute(
                        f"UPDATE {schema}.vnf SET coming = $2 WHERE id = $1",
                        commit.aggregate_id, fact.modification.vnfd_id,
                    )  # fmt: skip
                elif isinstance(fact, _ENDED):
                    await connection.execute(
                        f"UPDATE {schema}.vnf SET coming = NULL WHERE id = $1 AND coming IS NOT NULL",
                        commit.aggregate_id,
                    )
                elif isinstance(fact, VnfDeleted):
                    await connection.execute(f"DELETE FROM {schema}.vnf WHERE id = $1", commit.aggregate_id)


async def packages_in_use(connection: Connection, package_ids: Sequence[str]) -> set[str]:
    """Those of the packages that VNF instances were made from, as far as this read model has come."""
    rows = await connection.fetch(
        f"SELECT id FROM {SCHEMA}.vnf_package WHERE in_use AND id = ANY($1)", list(package_ids)
    )
    return {row["id"] for row in rows}
