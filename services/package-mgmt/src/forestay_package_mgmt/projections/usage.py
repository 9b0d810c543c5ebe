"""Which VNFDs are in use: follows stream LCM into table ``vnf``, and view ``vnf_package`` puts both together.

``usageState`` is not a fact about the package but about the VNF instances, so it is never written, only seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from forestay_events.commit import Stored
from forestay_events.database import Connection
from forestay_sol.streams.lcm import VnfCreated, VnfDeleted, VnfInfoModified, facts

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.vnf (id text PRIMARY KEY, project text NOT NULL, vnfd_id text NOT NULL);
CREATE INDEX IF NOT EXISTS vnf_vnfd ON {schema}.vnf (project, vnfd_id);
CREATE OR REPLACE VIEW {schema}.vnf_package AS
SELECT id, project, state, in_use,
    doc || jsonb_build_object('usageState', CASE WHEN in_use THEN 'IN_USE' ELSE 'NOT_IN_USE' END) AS doc
FROM {schema}.package, LATERAL (
    SELECT doc ->> 'onboardingState' = 'ONBOARDED' AND EXISTS (
        SELECT FROM {schema}.vnf WHERE vnf.project = package.project AND vnf.vnfd_id = package.vnfd_id) AS in_use) AS usage
WHERE NOT deleted;
"""


class UsageProjection:
    """Writes table ``vnf``: the VNF instances that exist and the VNFD of each. Needs table ``package`` for its view."""

    tables = TABLES

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        for stored in commits:
            commit = stored.commit
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
                elif isinstance(fact, VnfDeleted):
                    await connection.execute(f"DELETE FROM {schema}.vnf WHERE id = $1", commit.aggregate_id)
