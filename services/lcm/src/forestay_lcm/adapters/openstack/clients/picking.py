"""Resources by their ids, from a service that lists those of a project, but not by id.

Rules of this module: a few are asked for one by one. Of many, the list is read, the newest first, page by page, until to ask for
what is missing costs less than what was read. What it does not have need not be gone (Nova leaves out what is in a cell that does
not answer): it is asked for, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from forestay_lcm.adapters.openstack.clients.paging import PAGE, Query, T

FEW = 4
"""Resources that are asked for one by one."""
LISTED = 20
"""Resources in a list that cost as much as one that is asked for by itself."""


async def picked(
    ids: Iterable[str],
    listed: Callable[[Query], AsyncIterator[list[T]]],
    single: Callable[[str], Awaitable[T | None]],
) -> dict[str, T]:
    """What there is of these, by id.

    :param listed: gives the list page by page.
    :param single: gives one, ``None`` if it is gone.
    """
    missing, cost = set(ids), float(FEW)
    found: dict[str, T] = {}
    if len(missing) > cost:
        async for page in listed({"limit": PAGE}):
            found |= {item.id: item for item in page if item.id in missing}
            missing -= found.keys()
            cost += len(page) / LISTED
            if len(missing) <= cost:
                break
    alone = await asyncio.gather(*(single(item) for item in sorted(missing)))
    return found | {item.id: item for item in alone if item}
