"""Paging of lists (SOL013 5.4.2): the next page is named in the ``Link`` header, by a marker that is no promise.

Rules: entries are ordered by id and a page starts after the marker, so a page never repeats or skips an entry that stays;
one entry more than the page is fetched, so a link is given only when there is more; the link keeps everything else of the
query: filter, selector and limit. The operator says how many entries a page has (``FORESTAY_PAGE_SIZE``); a client may ask
for fewer with ``limit``, which is our addition.
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
LIMIT = "limit"
PAGE_SIZE: web.AppKey[int] = web.AppKey("page_size", int)
_MOST_DIGITS = 9
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

    :param size: entries of a page, 0 switches paging off; ``None``: what the operator has chosen for all lists.
    :param link: writes the ``Link`` header.
    :param marker: shape of what entries are ordered by.
    :param all_records: whether ``all_records=yes`` switches paging off for a request (API v1 of Tacker).
    """

    size: int | None = None
    link: Callable[[URL], str] = sol_link
    marker: re.Pattern[str] = _ID
    all_records: bool = False

    def page(self, request: web.Request) -> Page:
        """Give the page that a request asks for.

        :raises Rejected: 400, its marker is none of ours, or its limit is not a positive number.
        """
        query = request.query
        marker = query.get(MARKER)
        if marker is not None and not self.marker.fullmatch(marker):
            raise Rejected(400, f"Paging marker value is invalid: follow the Link header, do not make {MARKER} up.")
        size = request.app[PAGE_SIZE] if self.size is None else self.size
        if self.all_records and query.get("all_records") == "yes":
            size = 0
        limit = _limit(query.get(LIMIT))
        wanted = min(filter(None, (size, limit)), default=None)
        return Page(after=marker, fetch=wanted and wanted + 1, url=request.url, link=self.link)


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and int(text) > 0):
        raise Rejected(400, f"{LIMIT} must be a whole number from 1 on: how many entries a page has at most.")
    return int(text)
