"""Folds stream PKG into table ``package``, and puts the onboarding of stored content on the outbox.

A row holds the folded state itself and its representation. ``claim`` is the sequence of the commit that claimed the VNFD id:
of all packages of a project that claim the same id, the one with the lowest wins (see :mod:`..onboarding.worker`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from forestay_events.commit import Stored
from forestay_events.database import Connection
from forestay_events.outbox import OUTBOX_TABLE, post
from forestay_events.work import Work

from forestay_package_mgmt.domain.decide import PACKAGE
from forestay_package_mgmt.domain.state import Package
from forestay_package_mgmt.projections.representation import document

EXECUTOR = "onboarding"

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.package (
    id text PRIMARY KEY, project text NOT NULL, deleted boolean NOT NULL, vnfd_id text, claim bigint, digest text,
    awaits boolean NOT NULL, touched timestamptz NOT NULL, state bytea NOT NULL, doc jsonb NOT NULL);
CREATE INDEX IF NOT EXISTS package_project ON {schema}.package (project, id) WHERE NOT deleted;
CREATE INDEX IF NOT EXISTS package_claim ON {schema}.package (project, vnfd_id, claim) WHERE vnfd_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS package_digest ON {schema}.package (digest) WHERE digest IS NOT NULL;
CREATE INDEX IF NOT EXISTS package_awaits ON {schema}.package (touched) WHERE awaits;
"""

encode_state = msgspec.json.Encoder().encode
decode_state = msgspec.json.Decoder(Package).decode


class Row(msgspec.Struct, frozen=True):
    """A package as its row holds it."""

    package: Package
    claim: int | None
    touched: datetime

    @classmethod
    def after(cls, row: Row | None, stored: Stored) -> Row:
        package = PACKAGE.fold(row.package if row else None, stored.commit)
        assert package is not None, "a commit has at least one event"  # noqa: S101
        claimed_before = row is not None and row.package.vnfd_id is not None
        claim = row.claim if row and claimed_before else stored.seq
        return cls(package, None if package.vnfd_id is None else claim, stored.commit.at)


class PackageProjection:
    """Writes table ``package``.

    :param dispatch: put work on the outbox; off while a read model is rebuilt from old commits.
    """

    tables = OUTBOX_TABLE + TABLES

    def __init__(self, *, dispatch: bool = True) -> None:
        self._dispatch = dispatch

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        ids = list({stored.commit.aggregate_id for stored in commits})
        known = await connection.fetch(
            f"SELECT id, state, claim, touched FROM {schema}.package WHERE id = ANY($1)", ids
        )
        rows = {row["id"]: Row(decode_state(row["state"]), row["claim"], row["touched"]) for row in known}
        for stored in commits:
            id_ = stored.commit.aggregate_id
            rows[id_] = Row.after(rows.get(id_), stored)
        await connection.executemany(
            f"INSERT INTO {schema}.package VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO UPDATE"
            " SET deleted = excluded.deleted, vnfd_id = excluded.vnfd_id, claim = excluded.claim,"
            " digest = excluded.digest, awaits = excluded.awaits, touched = excluded.touched, state = excluded.state,"
            " doc = excluded.doc",
            [_values(rows[id_]) for id_ in ids],
        )
        if self._dispatch:
            due = [onboarding_of(id_) for id_ in ids if rows[id_].package.awaited]
            await post(connection, schema, [(work, 0.0) for work in due])


def onboarding_of(package_id: str) -> Work:
    """The work of onboarding a package. It names the package only: who takes it reads in the log what is awaited."""
    return Work(executor=EXECUTOR, lane="csar", key=package_id, body=msgspec.Raw(b"{}"))


def _values(row: Row) -> tuple[object, ...]:
    package = row.package
    return (
        package.id,
        package.project,
        package.deleted,
        package.vnfd_id,
        row.claim,
        package.content.digest if package.content else None,
        package.awaited is not None,
        row.touched,
        encode_state(package),
        document(package),
    )
