"""Lists out of a read model: filter, selector and page of a request, answered by one keyset query.

Rules: the table has columns ``id`` (its primary key), ``project`` and ``doc`` (the representation without links, JSONB).
Attributes that lists are often filtered by stand in columns of their own, made from ``doc`` by the database. Each has an index
that gives the rows of a project with one value in the order of their ids; one more index has all of them in that order, for
filters that most rows pass. So a page is found in indexes, and only its own documents are read; and a change of ``doc`` that
leaves the columns as they are touches no index. What takes too long is refused, not waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec
from aiohttp import web
from forestay_events.errors import Rejected

from forestay_sol import filters, selectors
from forestay_sol.filter_sql import Column, Columns, Condition, Kind, where
from forestay_sol.paging import Paging

Json = dict[str, Any]

# A plan for any value would walk all rows for a rare one.
_SETTINGS = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL statement_timeout = {milliseconds:.0f}"

# A cast to a moment would depend on settings of the session, which no generated column may; a function in SQL costs ten times
# as much as these. The documents' date-times are always written alike (see :mod:`forestay_sol.types`).
_PLACES = ((1, 4), (6, 2), (9, 2), (12, 2), (15, 2))
_PARTS = ", ".join(f"substr({{text}}, {first}, {length})::int" for first, length in _PLACES)
_VALUES = {
    Kind.TEXT: "{text}",
    Kind.MOMENT: f"make_timestamp({_PARTS}, substr({{text}}, 18, 6)::float8) AT TIME ZONE 'UTC'",
}

_ID: Columns = {("id",): Column("id", Kind.KEY)}


class Listed(msgspec.Struct, frozen=True):
    """A page: its documents, not yet cut by the selector (links come first), and the ``Link`` header if there is more."""

    documents: list[Json]
    link: str | None
    selector: selectors.Selector


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """How one resource is listed.

    :param table: ``schema.table``; SQL of the program.
    :param alive: further SQL condition that every listed row meets.
    :param columns: attributes that stand in columns of their own, see :func:`generated`.
    :param parse: reads the text of a filter.
    :param patience: seconds that the database may look for a page.
    """

    table: str
    attributes: selectors.Attributes
    paging: Paging = Paging()
    alive: str = "true"
    columns: Columns | None = None
    parse: Callable[[str], filters.Filter] = filters.parse
    patience: float = 3.0

    async def read(self, pool: asyncpg.Pool, project: str, request: web.Request) -> Listed:
        """The page that a request asks for.

        :raises Rejected: 400, its filter, selector, marker or limit is not valid, or its filter takes too long.
        """
        selector = selectors.parse(request.query, self.attributes)
        page = self.paging.page(request)
        query = self.query(project, after=page.after, fetch=page.fetch, text=request.query.get("filter"))
        try:
            async with pool.acquire() as connection, connection.transaction(readonly=True):
                await connection.execute(_SETTINGS.format(milliseconds=self.patience * 1000))
                rows = await connection.fetch(query.sql, *query.parameters)
        except asyncpg.QueryCanceledError as error:
            raise Rejected(400, self._too_long()) from error
        shown, link = page.close(rows, lambda row: row["id"])
        return Listed([msgspec.json.decode(row["doc"]) for row in shown], link, selector)

    def query(self, project: str, *, after: str | None, fetch: int | None, text: str | None) -> Condition:
        """The query for a page. :raises Rejected: 400, the filter ``text`` is not valid."""
        columns = {**(self.columns or {}), **_ID}
        condition = where(self.parse(text), document="doc", columns=columns, first=4) if text else Condition("true")
        return Condition(
            f"SELECT id, doc FROM {self.table} WHERE id IN (SELECT id FROM {self.table}"  # noqa: S608
            f" WHERE project = $1 AND {self.alive} AND ($2::text IS NULL OR id > $2) AND {condition.sql}"
            " ORDER BY id LIMIT $3) ORDER BY id",
            (project, after, fetch, *condition.parameters),
        )

    def _too_long(self) -> str:
        quick = ", ".join("/".join(path) for path in self.columns or {})
        return (
            f"The list takes longer than {self.patience:g} seconds. Narrow the filter down"
            f"{f' with a comparison of {quick}' if quick else ''}, or follow smaller pages."
        )


def generated(table: str, columns: Columns, *, alive: str = "true") -> str:
    """DDL for the columns of a table and their indexes; ``{schema}`` stands for the schema's name.

    :param alive: as of the :class:`Listing`.
    """
    ddl = ""
    if any(column.in_parts for column in columns.values()):
        ddl += "CREATE EXTENSION IF NOT EXISTS pg_trgm;\n"
    names = ", ".join(column.name for column in columns.values())
    for path, column in columns.items():
        text = " -> ".join(("doc", *(f"'{name}'" for name in path[:-1]))) + f" ->> '{path[-1]}'"
        value, index = _VALUES[column.kind].format(text=text), f"CREATE INDEX IF NOT EXISTS {table}_{column.name}"
        ddl += (
            f"ALTER TABLE {{schema}}.{table} ADD COLUMN IF NOT EXISTS {column.name} {column.kind.value}"
            f" GENERATED ALWAYS AS ({value}) STORED;\n"
            f"{index} ON {{schema}}.{table} (project, {column.sql}, id) WHERE {alive};\n"
        )
        if column.in_parts:
            ddl += f"{index}_in_parts ON {{schema}}.{table} USING gin ({column.sql} gin_trgm_ops) WHERE {alive};\n"
    return (
        ddl
        + f"CREATE INDEX IF NOT EXISTS {table}_page ON {{schema}}.{table} (project, id) INCLUDE ({names}) WHERE {alive};\n"
    )
