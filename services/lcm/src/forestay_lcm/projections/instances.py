"""Read model of VNF instances and operation occurrences, and the work that follows from each commit.

A row of ``vnf`` holds the folded state itself, so the read model is the fold, and its SOL003 representation for queries. Work
for the present step of an operation goes into the outbox in the same transaction: it leaves only when the intent lies in
both stores.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import msgspec
from forestay_events.archive import Connection
from forestay_events.commit import Stored
from forestay_events.outbox import OUTBOX_TABLE, post
from forestay_events.work import Work
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.events import StepNoted, VnfEvent
from forestay_lcm.domain.state import InstantiationState, Operation, Vnf
from forestay_lcm.projections.representation import op_occ_document, vnf_document
from forestay_sol.filter_sql import Column, Columns, Kind
from forestay_sol.listing import generated
from forestay_sol.vnflcm import LcmOperation, LcmOperationState

#: Attributes that lists are filtered by quickly.
VNF_COLUMNS: Columns = {
    ("vnfInstanceName",): Column("name", in_parts=True),
    ("vnfdId",): Column("vnfd_id", in_parts=True),
    ("vnfProvider",): Column("provider", in_parts=True),
    ("vnfProductName",): Column("product_name", in_parts=True),
    ("instantiationState",): Column("instantiation_state", values=get_args(InstantiationState)),
}
OP_OCC_COLUMNS: Columns = {
    ("vnfInstanceId",): Column("vnf_id"),
    ("operation",): Column("operation", values=get_args(LcmOperation)),
    ("operationState",): Column("operation_state", values=get_args(LcmOperationState)),
    ("startTime",): Column("start_time", Kind.MOMENT),
}

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.vnf (
    id text PRIMARY KEY, project text NOT NULL, vnfd_id text NOT NULL, version integer NOT NULL, seq bigint NOT NULL,
    deleted boolean NOT NULL, state bytea NOT NULL, doc jsonb NOT NULL) WITH (fillfactor = 80);
CREATE TABLE IF NOT EXISTS {schema}.op_occ (
    id text PRIMARY KEY, vnf_id text NOT NULL, project text NOT NULL, doc jsonb NOT NULL,
    work_executor text, work_lane text, touched timestamptz NOT NULL) WITH (fillfactor = 80);
CREATE INDEX IF NOT EXISTS op_occ_open ON {schema}.op_occ (id) WHERE work_executor IS NOT NULL;
CREATE TABLE IF NOT EXISTS {schema}.shredding (vnf_id text PRIMARY KEY);
"""

encode_state = msgspec.json.Encoder().encode
decode_state = msgspec.json.Decoder(Vnf).decode


@dataclass(frozen=True)
class Change:
    """What one event did to a VNF instance.

    :ivar place: of the event in its commit.
    """

    stored: Stored
    place: int
    before: Vnf | None
    event: VnfEvent
    after: Vnf


#: Told of the changes of a batch, in order, inside the projector's transaction.
Watch = Callable[[Connection, Sequence[Change]], Awaitable[None]]


class InstanceProjection:
    """Folds the VNF instances of stream LCM into tables ``vnf`` and ``op_occ``; the stream has other aggregates, too.

    :param dispatch: put work into the outbox, and the data keys of deleted instances into ``shredding``; off while a read
        model is rebuilt from old commits.
    :param watch: not called if ``dispatch`` is off.
    """

    tables = (
        OUTBOX_TABLE + TABLES + generated("vnf", VNF_COLUMNS, alive="NOT deleted") + generated("op_occ", OP_OCC_COLUMNS)
    )

    def __init__(self, *, dispatch: bool = True, watch: Watch | None = None) -> None:
        self._dispatch = dispatch
        self._watch = watch if dispatch else None

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        commits = [stored for stored in commits if stored.commit.kind == VNF.kind]
        ids = list({stored.commit.aggregate_id for stored in commits})
        rows = await connection.fetch(f"SELECT id, state FROM {schema}.vnf WHERE id = ANY($1)", ids)
        vnfs: dict[str, Vnf] = {row["id"]: decode_state(row["state"]) for row in rows}
        last: dict[str, Stored] = {}
        operations: dict[str, tuple[Vnf, Operation, Stored]] = {}
        changes: list[Change] = []
        for stored in commits:
            changes += changes_of(vnfs.get(stored.commit.aggregate_id), stored)
            vnf = changes[-1].after  # a commit has at least one event
            vnfs[vnf.id], last[vnf.id] = vnf, stored
            if vnf.operation is not None:
                operations[vnf.operation.id] = (vnf, vnf.operation, stored)
        await self._write_instances(connection, schema, [(vnfs[id_], stored) for id_, stored in last.items()])
        await self._write_operations(connection, schema, list(operations.values()))
        if self._dispatch:
            # A note is taken by whoever is at work: it calls for nobody.
            moved = {change.after.id for change in changes if not isinstance(change.event, StepNoted)}
            work = [work for id_ in moved if (work := pending_work(vnfs[id_])) is not None]
            await post(connection, schema, [(item, 0.0) for item in work], causes=last)
            await connection.executemany(
                f"INSERT INTO {schema}.shredding VALUES ($1) ON CONFLICT DO NOTHING",
                [(vnf.id,) for vnf in vnfs.values() if vnf.deleted],
            )
        if self._watch is not None:
            await self._watch(connection, changes)

    async def _write_instances(self, connection: Connection, schema: str, changed: list[tuple[Vnf, Stored]]) -> None:
        await connection.executemany(
            f"INSERT INTO {schema}.vnf VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET"
            " vnfd_id = excluded.vnfd_id, version = excluded.version, seq = excluded.seq, deleted = excluded.deleted,"
            " state = excluded.state, doc = excluded.doc",
            [
                (vnf.id, vnf.project, vnf.vnfd_id, stored.commit.version, stored.seq, vnf.deleted, encode_state(vnf),
                 vnf_document(vnf))
                for vnf, stored in changed
            ],
        )  # fmt: skip

    async def _write_operations(
        self, connection: Connection, schema: str, changed: list[tuple[Vnf, Operation, Stored]]
    ) -> None:
        await connection.executemany(
            f"INSERT INTO {schema}.op_occ VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET"
            " doc = excluded.doc, work_executor = excluded.work_executor, touched = excluded.touched",
            [
                (operation.id, vnf.id, vnf.project, op_occ_document(vnf, operation),
                 operation.current.step.executor if operation.current else None, operation.lane, stored.commit.at)
                for vnf, operation, stored in changed
            ],
        )  # fmt: skip


def changes_of(vnf: Vnf | None, stored: Stored) -> list[Change]:
    """What the events of an instance's next commit do to it, in order."""
    changes: list[Change] = []
    for place, event in enumerate(VNF.codec.decode(stored.commit)):
        before, vnf = vnf, VNF.evolve(vnf, event, stored.commit)
        changes.append(Change(stored, place, before, event, vnf))
    return changes


def pending_work(vnf: Vnf) -> Work | None:
    """The work that the instance waits for. It names the instance only: who takes it reads in the log what is next."""
    operation = vnf.operation
    if operation is None or operation.current is None:
        return None
    return step_work(operation.current.step.executor, operation.lane, vnf.id)


#: Where work stands that has to be done, by table, and the column of what it is about.
OPEN_WORK: Mapping[str, str] = {"op_occ": "vnf_id", "vnf_snapshot": "id"}


def step_work(executor: str, lane: str, vnf_id: str) -> Work:
    """The work of taking the present step of a VNF instance; which one it is, says the log."""
    return Work(executor=executor, lane=lane, key=vnf_id, body=msgspec.Raw(b"{}"))
