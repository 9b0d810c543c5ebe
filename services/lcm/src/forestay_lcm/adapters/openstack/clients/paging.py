"""Lists that OpenStack shows page by page.

Rules of this module: a list is at its end where there is no ``next``, not where a page is short: an operator says how much is
shown at once. One that comes back to where it has been, or is longer than any that there is, would never end: it is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec
from forestay_events.errors import Permanent

from forestay_lcm.adapters.openstack.clients.transport import Reply

PAGE = 500
"""Items that are asked for at once."""
LONGEST = 100_000
"""Items that a list may have."""


class Identified(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Identified)

Query = Mapping[str, Any]


class Asked(Protocol):
    """Gives the part of a list that a query asks for: a request to a service."""

    def __call__(self, *, query: Query) -> Awaitable[Reply]: ...


class _Link(msgspec.Struct):
    rel: str


async def pages(ask: Asked, member: str, kind: type[T], query: Query) -> AsyncIterator[list[T]]:
    """A list, page after page.

    :param member: of the answer, that has the list.
    :param kind: what its items are.
    :raises Permanent: 502, it has no end; else as :meth:`Reply.read` and what ``ask`` raises.
    """
    seen, count, marker = set[str](), 0, ""
    while True:
        reply = await ask(query={**query, "marker": marker} if marker else query)
        page = reply.read(list[kind], member)
        yield page
        if not _has_more(reply, member):
            return
        marker, count = page[-1].id if page else "", count + len(page)
        if not marker or marker in seen or count > LONGEST:
            raise Permanent(f"{reply.call}: the list of {member} has no end.", status=502, title="VIM answers nonsense")
        seen.add(marker)


async def items(ask: Asked, member: str, kind: type[T], query: Query) -> list[T]:
    """A list, whole; arguments and errors as of :func:`pages`."""
    return [item async for page in pages(ask, member, kind, query) for item in page]


def _has_more(reply: Reply, member: str) -> bool:
    """Whether a service says so: Glance as ``next``, all others in links that are named after the list."""
    said = reply.read(dict[str, msgspec.Raw])
    links = f"{member}_links"
    return "next" in said or (
        links in said and any(link.rel == "next" for link in reply.read(tuple[_Link, ...], links))
    )
