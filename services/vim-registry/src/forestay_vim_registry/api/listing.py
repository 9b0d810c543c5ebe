"""Lists as the legacy API has them (wire section 1.7): ``fields``, any attribute as equality filter, ``limit``, ``marker``.

Several values of one attribute mean any of them. A page has at most ``MOST`` VIMs, ordered by id; if there are more, the next
one is named both in ``vims_links`` and in the ``Link`` header, for the two kinds of clients there are. Sorting is not offered and
its parameters are ignored, as Tacker does by default.
"""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec
from aiohttp import web
from forestay_sol.parameters import Query
from multidict import MultiMapping

from forestay_vim_registry.domain.refusals import bad_input
from forestay_vim_registry.projections.representation import ATTRIBUTES

MOST = 1000
_IGNORED = frozenset({"sort_key", "sort_dir", "page_reverse"})
PARAMETERS = (
    Query(name="fields", description="Attribute to show; may be given several times."),
    Query(name="limit", description="VIMs that the page has at most.", schema={"type": "integer", "minimum": 0}),
    Query(name="marker", description="Id of the last VIM of the page before."),
    *(
        Query(name=name, description="Show the VIMs that have this.")
        for name in ("name", "type", "status", "is_default")
    ),
)
_PARAMETERS = frozenset({"fields", "limit", "marker"}) | _IGNORED

Json = dict[str, Any]


class Page(msgspec.Struct, frozen=True):
    """VIMs, and the URL of the next page if there is one."""

    vims: list[Json]
    next: str | None


async def page(pool: asyncpg.Pool, project: str, request: web.Request) -> Page:
    """The page that a request asks for. :raises Rejected: 400, it asks for what there is not."""
    query = request.query
    limit = _limit(query)
    names = [name for name in dict.fromkeys(query) if name not in _PARAMETERS]
    if unknown := [name for name in names if name not in ATTRIBUTES]:
        raise bad_input(f"There is no attribute {unknown[0]!r} to filter by; there are {', '.join(ATTRIBUTES)}.", "")
    conditions = "".join(f" AND doc ->> '{name}' = ANY(${number})" for number, name in enumerate(names, start=4))
    rows = await pool.fetch(
        "SELECT id, doc FROM vim.vim WHERE project = $1 AND NOT deleted AND id > $2"  # noqa: S608 - names are ATTRIBUTES
        f"{conditions} ORDER BY id LIMIT $3",
        project, query.get("marker", ""), limit + 1, *(_values(query, name) for name in names),
    )  # fmt: skip
    shown = [msgspec.json.decode(row["doc"]) for row in rows[:limit]]
    more = len(rows) > limit
    following = str(request.url.update_query(marker=shown[-1]["id"], limit=str(limit))) if more else None
    return Page([cut(vim, query) for vim in shown], following)


def cut(vim: Json, query: MultiMapping[str]) -> Json:
    """The attributes that the request wants to see."""
    wanted = query.getall("fields", [])
    return {name: value for name, value in vim.items() if name in wanted} if wanted else vim


def _values(query: MultiMapping[str], name: str) -> list[str]:
    values = query.getall(name)
    return [value.lower() for value in values] if name == "is_default" else list(values)


def _limit(query: MultiMapping[str]) -> int:
    text = query.get("limit", "0")
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise bad_input("limit must be a whole number, 0 or more.", "")
    return min(int(text) or MOST, MOST)
