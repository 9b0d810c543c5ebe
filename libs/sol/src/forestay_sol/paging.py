"""Paging of lists (SOL013 5.4.2): the next page is named in the ``Link`` header, by a marker that is no promise.

Rules: entries are ordered by id and a page starts after the marker, so a page never repeats or skips an entry that stays;
one entry more than the page is fetched, so a link is given only when there is more; the link keeps filter and selector.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from aiohttp import web
from forestay_events.errors import Rejected
from yarl import URL

T = TypeVar("T")

MARKER = "nextpage_opaque_marker"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def sol_link(url: URL) -> str:
    """Write a link as SOL013 and API v2 do: an absolute URI."""
    return f'<{url}>;rel="next"'


def v1_link(url: URL) -> str:
    """Write a link as API v1 does: a path."""
    return f'<{url.relative()}>; rel="next"'


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The page that a request asks for.

    :param after: id that all entries come after, ``None`` for the first page.
    :param fetch: how many entries to fetch at most, one more than is shown; ``None`` for all.
    """

    after: str | None
    fetch: int | None
    url: URL
    link: Callable[[URL], str]

    def close(self, entries: Sequence[T], id_of: Callable[[T], str]) -> tuple[Sequence[T], str | None]:
        """Give the entries to show, and the ``Link`` header when there are more.

        :param entries: what was fetched: at most ``fetch``, ordered by id.
        """
        if self.fetch is None or len(entries) < self.fetch:
            return entries, None
        shown = entries[: self.fetch - 1]
        return shown, self.link(self.url.update_query({MARKER: id_of(shown[-1])}))


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """How a list is paged.

    :param size: entries of a page, chosen by the operator; 0 switches paging off.
    :param link: writes the ``Link`` header.
    :param all_records: whether ``all_records=yes`` switches paging off for a request (API v1 of Tacker).
    """

    size: int
    link: Callable[[URL], str] = sol_link
    all_records: bool = False

    def page(self, request: web.Request) -> Page:
        """Give the page that a request asks for; ``Rejected(400)`` when its marker is none of ours."""
        query = request.query
        marker = query.get(MARKER)
        if marker is not None and not _ID.fullmatch(marker):
            raise Rejected(400, f"Paging marker value is invalid: follow the Link header, do not make {MARKER} up.")
        whole = self.size == 0 or (self.all_records and query.get("all_records") == "yes")
        return Page(after=marker, fetch=None if whole else self.size + 1, url=request.url, link=self.link)
