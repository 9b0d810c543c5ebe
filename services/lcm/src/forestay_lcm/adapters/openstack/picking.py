"""Resources by their ids, from a service that lists those of a project, but not by id.

Rules of this module: a few are asked for one by one. Of many, the list is read, the newest first, page by page, until to ask for
what is missing costs less than what was read. What it does not have need not be gone (Nova leaves out what is in a cell that does
not answer): it is asked for, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

PAGE = 500
FEW = 4
"""Resources that are asked for one by one."""
LISTED = 20
"""Resources in a list that cost as much as one that is asked for by itself."""


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Identified)

Query = Mapping[str, str | int]


async def picked(
    ids: Iterable[str],
    listed: Callable[[Query], Awaitable[tuple[Sequence[T], bool]]],
    single: Callable[[str], Awaitable[T | None]],
) -> dict[str, T]:
    """What there is of these, by id.

    :param listed: gives a page of the list, and whether there is another one behind it.
    :param single: gives one, ``None`` if it is gone.
    """
    missing, cost = set(ids), float(FEW)
    found: dict[str, T] = {}
    query: dict[str, str | int] = {"limit": PAGE}
    while len(missing) > cost:
        page, more = await listed(query)
        found |= {item.id: item for item in page if item.id in missing}
        missing -= found.keys()
        cost += len(page) / LISTED
        if not page or not more:
            break
        query["marker"] = page[-1].id
    alone = await asyncio.gather(*(single(item) for item in sorted(missing)))
    return found | {item.id: item for item in alone if item}
