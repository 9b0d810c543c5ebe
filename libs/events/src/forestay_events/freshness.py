"""How fresh a read by id is: never behind the log, and answered from what is there while the log is away.

Whoever reads is not who wrote: the commit may have been appended by another process a moment ago. Without the log nobody
can have written, so the read model is all there is.
"""

from __future__ import annotations

from typing import Any

import structlog

from forestay_events.aggregate import Definition
from forestay_events.commit import Stored
from forestay_events.errors import Unavailable
from forestay_events.platform import Platform

log = structlog.get_logger(__name__)


async def caught_up(
    platform: Platform, schema: str, definition: Definition[Any, Any, Any], aggregate_id: str
) -> Stored | Unavailable | None:
    """Wait until read model ``schema`` has the newest commit of an aggregate.

    :returns: that commit, ``None`` if there is none; or why it cannot be known.
    :raises Rejected: 404, the id cannot be an aggregate's.
    :raises Unavailable: the read model does not get there.
    """
    subject = definition.subject(aggregate_id)
    try:
        last = await platform.store.last(subject)
    except Unavailable as error:
        log.warning("read.without_log", subject=subject, reason=str(error))
        return error
    if last is not None:
        await platform.positions.wait(schema, definition.stream, last.seq)
    return last


def version_of(newest: Stored | Unavailable | None) -> int | None:
    """The version that a read behind :func:`caught_up` has at least, if it is known."""
    return newest.commit.version if isinstance(newest, Stored) else None


async def caught_up_with_all(platform: Platform, schema: str, stream: str) -> None:
    """Wait until read model ``schema`` has all that the log of ``stream`` has now, whoever wrote it.

    :raises Unavailable: the log does not answer, or the read model does not get there.
    """
    await platform.positions.wait(schema, stream, await platform.store.head(stream))
