"""Folded VNF instances for those who load them: the read model's own rows, with the place in the log that they stand for.

The row and the archive's ``head`` are written in one transaction, so the hash of ``head`` is that of the commit up to which
the row was folded.
"""

from __future__ import annotations

import asyncpg
import msgspec
import structlog
from forestay_events.aggregate import Loaded
from forestay_events.database import answering
from forestay_events.errors import Unavailable
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.state import Vnf
from forestay_lcm.projections.instances import decode_state

log = structlog.get_logger(__name__)

_PATIENCE = 2.0
"""Seconds until the log is read from its beginning instead."""


class InstanceSnapshots:
    """:class:`~forestay_events.aggregate.Snapshots` of VNF instances."""

    def __init__(self, pool: asyncpg.Pool, schema: str) -> None:
        self._pool = pool
        self._query = (
            f"SELECT vnf.state, vnf.version, vnf.seq, head.hash FROM {schema}.vnf"
            f" JOIN {schema}.head ON head.subject = $2 AND head.seq = vnf.seq WHERE vnf.id = $1"
        )

    async def newest(self, aggregate_id: str) -> Loaded[Vnf] | None:
        try:
            with answering():
                subject = VNF.subject(aggregate_id)
                row = await self._pool.fetchrow(self._query, aggregate_id, subject, timeout=_PATIENCE)
        except Unavailable as error:
            log.info("snapshot.unavailable", vnf=aggregate_id, reason=str(error))
            return None
        if row is None:
            return None
        try:
            return Loaded(decode_state(row["state"]), row["version"], row["seq"], row["hash"])
        except msgspec.MsgspecError as error:
            log.warning("snapshot.unreadable", vnf=aggregate_id, reason=str(error))
            return None
