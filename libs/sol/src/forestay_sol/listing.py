"""Lists out of a read model: filter, selector and page of a request, answered by one keyset query.

The table has columns ``id``, ``project`` and ``doc`` (the representation without links, JSONB).
"""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec
from aiohttp import web

from forestay_sol import filters, selectors
from forestay_sol.filter_sql import Columns, Condition, where
from forestay_sol.paging import Paging

Json = dict[str, Any]


class Listed(msgspec.Struct, frozen=True):
    """A page: its documents, not yet cut by the selector (links come first), and the ``Link`` header if there is more."""

    documents: list[Json]
    link: str | None
    selector: selectors.Selector


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """How one resource is listed.

    :param table: ``schema.table``; SQL of the program.
    :param alive: further SQL condition that every listed row meets.
    :param columns: attributes that stand in columns of their own, for filters.
    """

    table: str
    attributes: selectors.Attributes
    paging: Paging
    alive: str = "true"
    columns: Columns | None = None

    async def read(self, pool: asyncpg.Pool, project: str, request: web.Request) -> Listed:
        """The page that a request asks for.

        :raises Rejected: 400, its filter, selector or marker is not valid.
        """
        selector = selectors.parse(request.query, self.attributes)
        page = self.paging.page(request)
        text = request.query.get("filter")
        condition = (
            where(filters.parse(text), document="doc", columns=self.columns, first=4) if text else Condition("true")
        )
        rows = await pool.fetch(
            f"SELECT id, doc FROM {self.table} WHERE project = $1 AND {self.alive} AND ($2::text IS NULL OR id > $2)"  # noqa: S608
            f" AND {condition.sql} ORDER BY id LIMIT $3",
            project, page.after, page.fetch, *condition.parameters,
        )  # fmt: skip
        shown, link = page.close(rows, lambda row: row["id"])
        return Listed([msgspec.json.decode(row["doc"]) for row in shown], link, selector)
