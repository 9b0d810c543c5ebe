"""What LCM knows of VNFDs (stream PKG, and what it fetched itself) and of VIMs (stream VIM), in its own tables.

A VNFD stays here when its package is deleted, because VNF instances made from it go on. A VIM's credentials stay sealed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from forestay_events.archive import Connection
from forestay_events.commit import Stored
from forestay_lcm.domain.fetched import FETCHED_VNFD
from forestay_sol.streams import package, vim
from forestay_sol.vnfd import Vnfd


class KnownVim(msgspec.Struct, frozen=True, kw_only=True):
    """A registered VIM as LCM needs it; secrets in ``auth_cred`` are sealed."""

    id: str
    project: str
    name: str
    vim_type: vim.VimType
    auth_url: str
    auth_cred: dict[str, Any]
    vim_project: dict[str, Any]
    is_default: bool
    placement_attr: dict[str, Any] = {}
    extra: dict[str, Any] = {}


class VnfdProjection:
    """Tables ``vnfd``: the descriptors of onboarded packages, ``state`` is ENABLED, DISABLED or DELETED; ``package_content``:
    the digests of their contents in the blob store."""

    tables = """
    CREATE TABLE IF NOT EXISTS {schema}.vnfd (
        package_id text PRIMARY KEY, vnfd_id text NOT NULL, project text NOT NULL, state text NOT NULL,
        model bytea NOT NULL);
    CREATE INDEX IF NOT EXISTS vnfd_id ON {schema}.vnfd (project, vnfd_id);
    CREATE TABLE IF NOT EXISTS {schema}.package_content (package_id text PRIMARY KEY, digest text NOT NULL);
    """

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        for stored in commits:
            commit = stored.commit
            for event in package.facts(commit):
                if isinstance(event, package.PackageContentStored):
                    await connection.execute(
                        f"INSERT INTO {schema}.package_content VALUES ($1, $2)"
                        " ON CONFLICT (package_id) DO UPDATE SET digest = excluded.digest",
                        commit.aggregate_id, event.digest,
                    )  # fmt: skip
                if isinstance(event, package.PackageOnboarded):
                    await connection.execute(
                        f"INSERT INTO {schema}.vnfd VALUES ($1, $2, $3, 'ENABLED', $4) ON CONFLICT (package_id)"
                        " DO UPDATE SET vnfd_id = excluded.vnfd_id, state = excluded.state, model = excluded.model",
                        commit.aggregate_id, event.vnfd.vnfd_id, commit.project, msgspec.json.encode(event.vnfd),
                    )  # fmt: skip
                state = _state(event)
                if state is not None:
                    await connection.execute(
                        f"UPDATE {schema}.vnfd SET state = $2 WHERE package_id = $1", commit.aggregate_id, state
                    )


class FetchedVnfdProjection:
    """The same tables: what was fetched from the NFVO (stream LCM). ``package_id`` is the id of the aggregate, because several
    projects may have fetched one package."""

    tables = VnfdProjection.tables

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        for stored in commits:
            commit = stored.commit
            if commit.kind != FETCHED_VNFD.kind:
                continue
            for event in FETCHED_VNFD.codec.decode(commit):
                await connection.execute(
                    f"INSERT INTO {schema}.package_content VALUES ($1, $2) ON CONFLICT DO NOTHING",
                    commit.aggregate_id, event.digest,
                )  # fmt: skip
                await connection.execute(
                    f"INSERT INTO {schema}.vnfd VALUES ($1, $2, $3, 'ENABLED', $4) ON CONFLICT DO NOTHING",
                    commit.aggregate_id, event.vnfd.vnfd_id, commit.project, msgspec.json.encode(event.vnfd),
                )  # fmt: skip


def _state(event: package.PackageEvent) -> package.OperationalState | Literal["DELETED"] | None:
    """What an event makes of the VNFD, ``None`` if nothing changes."""
    if isinstance(event, package.PackageDeleted):
        return "DELETED"
    return event.operational_state if isinstance(event, package.PackageModified) else None


class VimProjection:
    """Table ``vim``: registered VIMs."""

    tables = """
    CREATE TABLE IF NOT EXISTS {schema}.vim (
        id text PRIMARY KEY, project text NOT NULL, is_default boolean NOT NULL, model bytea NOT NULL);
    CREATE INDEX IF NOT EXISTS vim_default ON {schema}.vim (project) WHERE is_default;
    """

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        for stored in commits:
            for event in vim.CODEC.decode(stored.commit):
                await self._apply(connection, schema, stored, event)

    async def _apply(self, connection: Connection, schema: str, stored: Stored, event: vim.VimEvent) -> None:
        commit = stored.commit
        if isinstance(event, vim.VimDeleted):
            await connection.execute(f"DELETE FROM {schema}.vim WHERE id = $1", commit.aggregate_id)
            return
        if isinstance(event, vim.VimStatusChanged):
            return
        if isinstance(event, vim.VimRegistered):
            members = msgspec.structs.asdict(event)
            members.pop("description")
            known = KnownVim(id=commit.aggregate_id, project=commit.project, **members)
        else:
            model = await connection.fetchval(f"SELECT model FROM {schema}.vim WHERE id = $1", commit.aggregate_id)
            changes = {
                name: value
                for name, value in msgspec.structs.asdict(event).items()
                if value is not None and name in KnownVim.__struct_fields__
            }
            known = msgspec.structs.replace(msgspec.json.decode(model, type=KnownVim), **changes)
        await connection.execute(
            f"INSERT INTO {schema}.vim VALUES ($1, $2, $3, $4) ON CONFLICT (id)"
            " DO UPDATE SET is_default = excluded.is_default, model = excluded.model",
            known.id, known.project, known.is_default, msgspec.json.encode(known),
        )  # fmt: skip


decode_vnfd = msgspec.json.Decoder(Vnfd).decode
decode_vim = msgspec.json.Decoder(KnownVim).decode
