"""The past, read from the verified copy of the log: an instance as it was, its timeline, that of an operation, what came since.

Rules: every query is one range of an index, as long as a page or as the way from the nearest snapshot. A deleted instance has its
history as before. What is read by id is never behind the log (see :mod:`forestay_events.freshness`); what alarms and policies
tell of an operation comes from other streams and may come a moment later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import asyncpg
import msgspec
import structlog
from forestay_events.commit import Commit
from forestay_events.database import answering
from forestay_events.errors import Rejected
from forestay_events.freshness import caught_up
from forestay_events.platform import Platform

from forestay_lcm.catalogue import SCHEMA
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.state import Vnf
from forestay_lcm.history.entries import Entry, entry_of
from forestay_lcm.projections.instances import decode_state
from forestay_lcm.projections.representation import op_occ_document, vnf_document
from forestay_lcm.reads import Reads

log = structlog.get_logger(__name__)

Order = Literal["newest", "oldest"]
Place = tuple[datetime, str, int]
"""Of an entry among those of several streams: time, stream, sequence."""

_VERSIONS = 2**31 - 1
_BEGINNING: Place = (datetime.min.replace(tzinfo=UTC), "", 0)
_END: Place = (datetime.max.replace(tzinfo=UTC), "~", 0)

_ORDERS: tuple[tuple[Order, str, str], ...] = (("newest", "<", "DESC"), ("oldest", ">", "ASC"))
_OF_INSTANCE: dict[Order, str] = {
    order: "SELECT commit.seq, body, trace FROM lcm.commit"  # noqa: S608
    " LEFT JOIN lcm.history ON history.vnf_id = $1 AND history.seq = commit.seq"
    f" WHERE subject = $2 AND version {than} $3 ORDER BY version {way} LIMIT $4"
    for order, than, way in _ORDERS
}
_OF_INSTANCE_AND_OPERATION: dict[Order, str] = {
    order: "SELECT seq, body, trace FROM lcm.history JOIN lcm.commit USING (seq)"  # noqa: S608
    f" WHERE vnf_id = $1 AND subject = $2 AND version {than} $3 AND op_id = $5 ORDER BY version {way} LIMIT $4"
    for order, than, way in _ORDERS
}
_OF_OPERATION: dict[Order, str] = {
    order: "SELECT seq, body, trace, at, stream FROM ("  # noqa: S608
    " SELECT 'LCM' AS stream, seq, history.at, trace, body FROM lcm.history JOIN lcm.commit USING (seq) WHERE op_id = $1"
    " UNION ALL SELECT stream, seq, at, trace, body FROM lcm.history_related WHERE op_id = $1 AND project = $2) AS entry"
    f" WHERE (at, stream, seq) {than} ($3, $4, $5) ORDER BY at {way}, stream {way}, seq {way} LIMIT $6"
    for order, than, way in _ORDERS
}
_SINCE = (
    "SELECT seq, body, trace FROM lcm.history JOIN lcm.commit USING (seq)"
    " WHERE {} = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4"
)
_OF_ALL = (
    "SELECT commit.seq, commit.body, history.trace FROM lcm.commit"  # noqa: S608
    f" LEFT JOIN lcm.history ON history.vnf_id = substr(subject, {len(VNF.subject('x'))}) AND history.seq = commit.seq"
    f" WHERE commit.seq > $1 AND commit.seq <= $2 AND starts_with(subject, '{VNF.subject('x')[:-1]}')"
    " ORDER BY commit.seq LIMIT $3"
)


class InstanceThen(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A VNF instance as of a version.

    :ivar version: that its history had then.
    :ivar sequence: of this version in the stream.
    :ivar at: since when it was so.
    :ivar deleted: there was no such resource any more; ``vnf_instance`` is what it was at the end.
    :ivar vnf_instance: VnfInstance (SOL003 clause 5.5.2.2) without links, secrets left out.
    :ivar vnf_lcm_op_occ: VnfLcmOpOcc (SOL003 clause 5.5.2.13) of its latest operation then, without links, secrets left out.
    """

    version: int
    sequence: int
    at: datetime
    deleted: bool
    vnf_instance: msgspec.Raw
    vnf_lcm_op_occ: msgspec.Raw | None = None


class History:
    """What the copy tells of the past."""

    def __init__(self, platform: Platform, reads: Reads) -> None:
        self._platform = platform
        self._reads = reads

    async def find(self, project: str, vnf_id: str) -> None:
        """See that there is, or was, such an instance, and wait until the copy has its newest commit.

        :raises Rejected: 404.
        :raises Unavailable: the copy does not get there, or does not answer.
        """
        await caught_up(self._platform, SCHEMA, VNF, vnf_id)
        if not await self._fetch("SELECT 1 FROM lcm.vnf WHERE id = $1 AND project = $2", vnf_id, project):
            raise Rejected(404, f"VnfInstance {vnf_id} not found.")

    async def instance(
        self, project: str, vnf_id: str, *, version: int | None = None, at: datetime | None = None
    ) -> InstanceThen:
        """An instance as of a version, of a time, or as it is.

        :raises Rejected: 404, it has never been, or not at that time, or has no such version.
        """
        await self.find(project, vnf_id)
        place = await self._place(vnf_id, version, at)
        if place is None:
            when = f"version {version}" if version is not None else f"state at {at}"
            raise Rejected(404, f"VnfInstance {vnf_id} has no {when}; GET /history/v1/vnf_instances/{vnf_id}/timeline.")
        vnf = await self._folded(vnf_id, place["version"])
        return InstanceThen(
            version=place["version"],
            sequence=place["seq"],
            at=place["at"],
            deleted=vnf.deleted,
            vnf_instance=msgspec.Raw(vnf_document(vnf).encode()),
            vnf_lcm_op_occ=msgspec.Raw(op_occ_document(vnf, vnf.operation).encode()) if vnf.operation else None,
        )

    async def timeline(
        self, project: str, vnf_id: str, op_id: str | None, *, order: Order, after: int | None, limit: int | None
    ) -> list[Entry]:
        """Entries of an instance, or of one of its operations only, behind version ``after`` in this order.

        :raises Rejected: 404.
        """
        await self.find(project, vnf_id)
        begin = after if after is not None else {"newest": _VERSIONS, "oldest": 0}[order]
        parameters = (vnf_id, VNF.subject(vnf_id), begin, limit)
        if op_id is None:
            return _entries(await self._fetch(_OF_INSTANCE[order], *parameters))
        return _entries(await self._fetch(_OF_INSTANCE_AND_OPERATION[order], *parameters, op_id))

    async def operation(
        self, project: str, op_id: str, *, order: Order, after: Place | None, limit: int | None
    ) -> list[Entry]:
        """Entries of an operation occurrence, with those of the alarms and policies that came of it.

        :raises Rejected: 404.
        """
        vnf_id = await self._reads.vnf_of(project, op_id)
        await caught_up(self._platform, SCHEMA, VNF, vnf_id)
        begin = after or {"newest": _END, "oldest": _BEGINNING}[order]
        return _entries(await self._fetch(_OF_OPERATION[order], op_id, project, *begin, limit))

    async def since(self, project: str, vnf_id: str | None, after: int, until: int, limit: int) -> list[Entry]:
        """Entries of a project, or of one of its instances, behind a sequence, oldest first."""
        column, value = ("vnf_id", vnf_id) if vnf_id is not None else ("project", project)
        return _entries(await self._fetch(_SINCE.format(column), value, after, until, limit))

    async def all_since(self, after: int, until: int, limit: int) -> list[tuple[Commit, int, str | None]]:
        """Commits of all instances behind a sequence, oldest first, with sequence and trace."""
        return list(_commits(await self._fetch(_OF_ALL, after, until, limit)))

    async def position(self) -> int:
        """Up to which sequence the copy has the stream."""
        rows = await self._fetch("SELECT position FROM lcm.checkpoint WHERE stream = $1", VNF.stream)
        return rows[0]["position"]

    async def _place(self, vnf_id: str, version: int | None, at: datetime | None) -> asyncpg.Record | None:
        """Of the commit that made the instance what it was."""
        place = "SELECT version, seq, at FROM lcm.commit WHERE subject = $1"
        subject = VNF.subject(vnf_id)
        if version is not None:
            rows = await self._fetch(f"{place} AND version = $2", subject, version)
        elif at is not None:
            last = "SELECT seq FROM lcm.history WHERE vnf_id = $2 AND at <= $3 ORDER BY at DESC, seq DESC LIMIT 1"
            rows = await self._fetch(f"{place} AND seq = ({last})", subject, vnf_id, at)
        else:
            rows = await self._fetch(f"{place} ORDER BY version DESC LIMIT 1", subject)
        return rows[0] if rows else None

    async def _folded(self, vnf_id: str, version: int) -> Vnf:
        """The state at a version: from the nearest snapshot on, or from the beginning if that one is of another Forestay."""
        rows = await self._fetch(
            "SELECT version, state FROM lcm.history_snapshot WHERE vnf_id = $1 AND version <= $2"
            " ORDER BY version DESC LIMIT 1",
            vnf_id, version,
        )  # fmt: skip
        state, begin = None, 0
        try:
            if rows:
                state, begin = decode_state(rows[0]["state"]), rows[0]["version"]
        except msgspec.MsgspecError as error:
            log.warning("snapshot.unreadable", vnf=vnf_id, version=rows[0]["version"], reason=str(error))
        commits = await self._fetch(
            "SELECT seq, body, NULL AS trace FROM lcm.commit WHERE subject = $1 AND version > $2 AND version <= $3"
            " ORDER BY version",
            VNF.subject(vnf_id), begin, version,
        )  # fmt: skip
        for commit, _, _ in _commits(commits):
            state = VNF.fold(state, commit)
        assert state is not None, "a version has at least one commit"  # noqa: S101
        return state

    async def _fetch(self, query: str, *parameters: Any) -> list[asyncpg.Record]:
        with answering():
            return await self._platform.pool.fetch(query, *parameters)


_decode = msgspec.json.Decoder(Commit).decode


def _commits(rows: Iterable[asyncpg.Record]) -> Iterable[tuple[Commit, int, str | None]]:
    return ((_decode(row["body"]), row["seq"], row["trace"]) for row in rows)


def _entries(rows: Sequence[asyncpg.Record]) -> list[Entry]:
    return [entry_of(*found) for found in _commits(rows)]
