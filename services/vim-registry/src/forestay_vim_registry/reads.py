"""Reads of the read model, none of them behind what the reader can know of.

Rules: a read by id waits for the VIM's newest commit; a list waits for what this process wrote itself; whether a VIM is in
use is read behind all of stream LCM. If the log does not answer, a read is answered from the rows that are there; a
decision is not.
"""

from __future__ import annotations

from collections.abc import Sequence

from forestay_events.aggregate import Aggregates
from forestay_events.database import Connection, answering
from forestay_events.errors import Rejected, Unavailable
from forestay_events.freshness import caught_up, version_of
from forestay_events.platform import Platform
from forestay_sol.streams.vim import VimEvent

from forestay_vim_registry.domain.commands import Project, VimCommand
from forestay_vim_registry.domain.decide import VIM, owned
from forestay_vim_registry.domain.refusals import not_found
from forestay_vim_registry.domain.state import Vim
from forestay_vim_registry.projections import SCHEMA
from forestay_vim_registry.projections.vims import decode_state

Vims = Aggregates[Vim, VimCommand, VimEvent]


class Reads:
    """Reads tables ``vim`` and ``vnf_use``."""

    def __init__(self, platform: Platform, vims: Vims) -> None:
        self._platform = platform
        self._vims = vims
        self.pool = platform.pool

    async def vim(self, project: str, vim_id: str) -> Vim:
        """The VIM as it is now. :raises as ``versioned``."""
        return (await self.versioned(project, vim_id))[0]

    async def versioned(self, project: str, vim_id: str) -> tuple[Vim, int | None]:
        """The VIM as it is now, and its version if the log tells.

        :raises Rejected: 404.
        :raises Unavailable: PostgreSQL does not answer, or the log does not and the VIM is not in its copy.
        """
        try:
            newest = await caught_up(self._platform, SCHEMA, VIM, vim_id)
        except Rejected:
            raise not_found(vim_id) from None
        with answering():
            state = await self.pool.fetchval("SELECT state FROM vim.vim WHERE id = $1", vim_id)
        if state is None and isinstance(newest, Unavailable):
            raise newest
        return owned(None if state is None else decode_state(state), project, vim_id), version_of(newest)

    async def own_writes(self) -> None:
        """Wait until the read model has what this process wrote."""
        await self._platform.positions.wait(SCHEMA, VIM.stream, self._vims.written)

    async def project(self, connection: Connection, project: str) -> Project:
        """What must be unique in a project, as of all commits that the log has now."""
        await self._whole(VIM.stream)
        rows = await connection.fetch(
            "SELECT id, name, is_default FROM vim.vim WHERE project = $1 AND NOT deleted", project
        )
        default = next((row["id"] for row in rows if row["is_default"]), None)
        return Project({row["name"]: row["id"] for row in rows}, default)

    async def user_of(self, connection: Connection, project: str, vim_id: str) -> str | None:
        """A VNF instance that lives on the VIM, as of all commits that the log has now."""
        await self._whole("LCM")
        return await connection.fetchval(
            "SELECT vnf_id FROM vim.vnf_use WHERE vim_id = $1 AND project = $2 LIMIT 1", vim_id, project
        )

    async def after(self, vim_id: str, limit: int) -> Sequence[Vim]:
        """The next VIMs of all projects behind an id: for the watch, as of whenever."""
        rows = await self.pool.fetch(
            "SELECT state FROM vim.vim WHERE id > $1 AND NOT deleted ORDER BY id LIMIT $2", vim_id, limit
        )
        return [decode_state(row["state"]) for row in rows]

    async def _whole(self, stream: str) -> None:
        await self._platform.positions.wait(SCHEMA, stream, await self._platform.store.head(stream))
