"""Folds stream VIM into table ``vim``; a deleted VIM's data key becomes due in table ``shredding`` with the same commit.

A row of ``vim`` holds the folded state itself, secrets sealed, and its representation, secrets masked.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from forestay_events.archive import Connection
from forestay_events.commit import Stored
from forestay_events.folding import folded

from forestay_vim_registry.domain.decide import VIM
from forestay_vim_registry.domain.state import Vim
from forestay_vim_registry.projections.representation import document

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.vim (
    id text PRIMARY KEY, project text NOT NULL, name text NOT NULL, is_default boolean NOT NULL,
    deleted boolean NOT NULL, state bytea NOT NULL, doc jsonb NOT NULL);
CREATE INDEX IF NOT EXISTS vim_project ON {schema}.vim (project, id) WHERE NOT deleted;
CREATE INDEX IF NOT EXISTS vim_name ON {schema}.vim (project, name) WHERE NOT deleted;
CREATE INDEX IF NOT EXISTS vim_default ON {schema}.vim (project) WHERE is_default;
CREATE TABLE IF NOT EXISTS {schema}.shredding (id text PRIMARY KEY);
"""

encode_state = msgspec.json.Encoder().encode
decode_state = msgspec.json.Decoder(Vim).decode


class VimProjection:
    """Writes tables ``vim`` and ``shredding``."""

    tables = TABLES

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        vims = await folded(connection, f"{schema}.vim", VIM, decode_state, commits)
        await connection.executemany(
            f"INSERT INTO {schema}.vim VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET"
            " name = excluded.name, is_default = excluded.is_default, deleted = excluded.deleted,"
            " state = excluded.state, doc = excluded.doc",
            [
                (vim.id, vim.project, vim.name, vim.is_default, vim.deleted, encode_state(vim), document(vim))
                for vim in vims
            ],
        )
        await connection.executemany(
            f"INSERT INTO {schema}.shredding VALUES ($1) ON CONFLICT DO NOTHING",
            [(vim.id,) for vim in vims if vim.deleted],
        )
