"""Folds the packages of stream PKG into table ``package``, and puts what is to be done about them on the outbox: to fetch a
content, to onboard one, to destroy the secrets of a package that is gone.

A row holds the folded state itself and its representation. ``claim`` is the sequence of the commit that claimed the VNFD id:
of all packages of a project that claim the same id, the one with the lowest wins (see :mod:`..onboarding.worker`). Table
``upload`` has a row for each content that is being sent or fetched; how far it has come is not in the log, whoever takes it in
writes it, and lets ``beat`` grow for as long as he lives. Table ``external`` names the blobs of external artifacts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import msgspec
from forestay_events.commit import Stored
from forestay_events.database import Connection
from forestay_events.outbox import OUTBOX_TABLE, post
from forestay_events.work import Work
from forestay_sol.streams.package import KIND

from forestay_package_mgmt.domain.decide import PACKAGE
from forestay_package_mgmt.domain.state import Package
from forestay_package_mgmt.projections.representation import info, info_v2

EXECUTOR = "onboarding"
FETCHER = "package-upload"

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.package (
    id text PRIMARY KEY, project text NOT NULL, deleted boolean NOT NULL, vnfd_id text, claim bigint, digest text,
    awaits boolean NOT NULL, touched timestamptz NOT NULL, state bytea NOT NULL, doc jsonb NOT NULL,
    doc_v2 jsonb NOT NULL);
CREATE INDEX IF NOT EXISTS package_project ON {schema}.package (project, id) WHERE NOT deleted;
CREATE INDEX IF NOT EXISTS package_claim ON {schema}.package (project, vnfd_id, claim) WHERE vnfd_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS package_digest ON {schema}.package (digest) WHERE digest IS NOT NULL;
CREATE INDEX IF NOT EXISTS package_awaits ON {schema}.package (touched) WHERE awaits;
CREATE TABLE IF NOT EXISTS {schema}.external (package_id text NOT NULL, digest text NOT NULL);
CREATE INDEX IF NOT EXISTS external_digest ON {schema}.external (digest);
CREATE INDEX IF NOT EXISTS external_package ON {schema}.external (package_id);
CREATE TABLE IF NOT EXISTS {schema}.upload (
    package_id text PRIMARY KEY, received bigint NOT NULL DEFAULT 0, total bigint);
ALTER TABLE {schema}.upload ADD COLUMN IF NOT EXISTS beat bigint NOT NULL DEFAULT 0;
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


class Change(msgspec.Struct, frozen=True):
    """What a commit did to a package."""

    stored: Stored
    before: Package | None
    after: Package


Watch = Callable[[Connection, Sequence[Change]], Awaitable[None]]


class PackageProjection:
    """Writes tables ``package``, ``external`` and ``upload``.

    :param dispatch: put work on the outbox; off while a read model is rebuilt from old commits.
    :param watch: is told the changes of each batch, inside its transaction; not if ``dispatch`` is off.
    """

    tables = OUTBOX_TABLE + TABLES

    def __init__(self, *, dispatch: bool = True, watch: Watch | None = None) -> None:
        self._dispatch = dispatch
        self._watch = watch

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        commits = [stored for stored in commits if stored.commit.kind == KIND]
        ids = list({stored.commit.aggregate_id for stored in commits})
        known = await connection.fetch(
            f"SELECT id, state, claim, touched FROM {schema}.package WHERE id = ANY($1)", ids
        )
        rows = {row["id"]: Row(decode_state(row["state"]), row["claim"], row["touched"]) for row in known}
        changes: list[Change] = []
        for stored in commits:
            id_ = stored.commit.aggregate_id
            before, rows[id_] = rows.get(id_), Row.after(rows.get(id_), stored)
            changes.append(Change(stored, before.package if before else None, rows[id_].package))
        await connection.executemany(
            f"INSERT INTO {schema}.package VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO UPDATE"
            " SET deleted = excluded.deleted, vnfd_id = excluded.vnfd_id, claim = excluded.claim,"
            " digest = excluded.digest, awaits = excluded.awaits, touched = excluded.touched, state = excluded.state,"
            " doc = excluded.doc, doc_v2 = excluded.doc_v2",
            [_values(rows[id_]) for id_ in ids],
        )
        packages = [rows[id_].package for id_ in ids]
        uploading = {each.id for each in packages if each.onboarding_state == "UPLOADING"}
        await connection.execute(f"DELETE FROM {schema}.upload WHERE package_id = ANY($1)", list({*ids} - uploading))
        await connection.executemany(
            f"INSERT INTO {schema}.upload VALUES ($1) ON CONFLICT DO NOTHING", [(id_,) for id_ in uploading]
        )
        await connection.execute(f"DELETE FROM {schema}.external WHERE package_id = ANY($1)", ids)
        await connection.executemany(
            f"INSERT INTO {schema}.external VALUES ($1, $2)",
            [(each.id, external.digest) for each in packages for external in each.external.values()],
        )
        if self._dispatch:
            due = [(work, 0.0) for each in packages if (work := due_for(each)) is not None]
            await post(connection, schema, due)
            if self._watch is not None:
                await self._watch(connection, changes)


def due_for(package: Package) -> Work | None:
    """The work that a package waits for. It names the package only: who takes it reads in the log what is to be done."""
    shreds = package.deleted and package.secrets
    if not (package.source or package.awaited or shreds):
        return None
    executor = FETCHER if package.source else EXECUTOR
    return Work(executor=executor, lane="csar", key=package.id, body=msgspec.Raw(b"{}"))


def _values(row: Row) -> tuple[object, ...]:
    package = row.package
    return (
        package.id,
        package.project,
        package.deleted,
        package.vnfd_id,
        row.claim,
        package.content.digest if package.content else None,
        due_for(package) is not None and not package.deleted,
        row.touched,
        encode_state(package),
        msgspec.json.encode(info(package)).decode(),
        msgspec.json.encode(info_v2(package)).decode(),
    )
