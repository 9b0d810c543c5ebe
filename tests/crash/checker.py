"""Whether four histories agree after a scenario: the client's, the log, its copy in PostgreSQL, and the cloud's own journal.

Nothing is repaired and nothing is asked of the code under test that can be seen without it: hashes, versions and the legal
order of operation states (SOL003 clause 5.6.2) are worked out here once more.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import msgspec
from forestay_events.commit import Stored
from forestay_events.connection import Nats, connect
from forestay_events.jetstream import JetStreamEventStore
from forestay_events.store import read
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.state import Vnf
from forestay_lcm.domain.vnf_snapshot import VNF_SNAPSHOT, VnfSnapshot
from forestay_lcm.projections.instances import encode_state
from forestay_lcm.projections.representation import op_occ_document, vnf_document

from tests.crash.client import Client
from tests.crash.processes import Site

Json = dict[str, Any]

#: What may follow what, by the events that say so.
_STATES = {
    "OperationStarted": ("STARTING", {None}),
    "ModificationStarted": ("PROCESSING", {None}),
    "OperationProcessing": ("PROCESSING", {"STARTING", "FAILED_TEMP"}),
    "OperationCompleted": ("COMPLETED", {"PROCESSING"}),
    "OperationFailedTemp": ("FAILED_TEMP", {"PROCESSING", "ROLLING_BACK"}),
    "OperationRollingBack": ("ROLLING_BACK", {"FAILED_TEMP"}),
    "OperationRolledBack": ("ROLLED_BACK", {"STARTING", "ROLLING_BACK", "FAILED_TEMP"}),
    "OperationFailed": ("FAILED", {"FAILED_TEMP"}),
}
_FINAL = {"COMPLETED", "FAILED", "ROLLED_BACK"}


@dataclass
class _Folded:
    """What the log adds up to: instances with their last commit, each operation's last document, VNF snapshots."""

    vnfs: dict[str, Vnf] = field(default_factory=dict[str, Vnf])
    last: dict[str, Stored] = field(default_factory=dict[str, Stored])
    op_occs: dict[str, Json] = field(default_factory=dict[str, Json])
    snapshots: dict[str, VnfSnapshot] = field(default_factory=dict[str, VnfSnapshot])


async def check(site: Site, client: Client, *vnf_ids: str) -> None:
    """Check the whole site, and the API's view of ``vnf_ids``. :raises AssertionError: the histories disagree."""
    async with _log(site) as (nats, store):
        commits = [stored async for stored in read(store, "LCM")]
        assert (await nats.js.stream_info("DEAD")).state.messages == 0, "work was given up"
    _check_chains(commits)
    _check_operations(commits, client.promised)
    folded = _fold(commits)
    connection = await asyncpg.connect(site.postgres.dsn)
    try:
        await _check_copy(connection, commits)
        await _check_rows(connection, folded)
    finally:
        await connection.close()
    for vnf_id in vnf_ids:
        await _check_view(client, folded, vnf_id)
    await _check_cloud(site, folded)


async def wait_until_quiet(site: Site, patience: float = 60.0) -> None:
    """No work is pending, in hands or scheduled any more. :raises TimeoutError: some is."""
    async with _log(site) as (nats, _), asyncio.timeout(patience):
        while (await nats.js.stream_info("WORK")).state.messages:
            await asyncio.sleep(0.2)


@asynccontextmanager
async def _log(site: Site) -> AsyncGenerator[tuple[Nats, JetStreamEventStore]]:
    async with connect(site.nats.url, name="checker") as nats:
        yield nats, JetStreamEventStore(nats)


def _check_chains(commits: Sequence[Stored]) -> None:
    """Sequences without a gap; per aggregate, versions without a gap and each commit naming the hash of the one before."""
    assert [stored.seq for stored in commits] == list(range(1, len(commits) + 1))
    heads: defaultdict[str, tuple[int, str]] = defaultdict(lambda: (0, ""))
    for stored in commits:
        version, digest = heads[stored.subject]
        assert (stored.commit.version, stored.commit.prev_hash) == (version + 1, digest), stored
        heads[stored.subject] = (version + 1, hashlib.sha256(stored.body).hexdigest())


def _check_operations(commits: Sequence[Stored], promised: set[str]) -> None:
    """Every accepted operation is there, its states are legal, and an instance has one open operation at a time."""
    states: dict[str, str] = {}
    open_operation: dict[str, str] = {}
    for stored in commits:
        for event in (msgspec.json.decode(raw, type=dict[str, Any]) for raw in stored.commit.events):
            if event["type"] not in _STATES:
                continue
            op_id, vnf_id = event["op_id"], stored.commit.aggregate_id
            state, allowed = _STATES[event["type"]]
            assert states.get(op_id) in allowed, f"{event['type']} of {op_id} in {states.get(op_id)}"
            assert open_operation.setdefault(vnf_id, op_id) == op_id, f"two open operations on {vnf_id}"
            states[op_id] = state
            if state in _FINAL:
                del open_operation[vnf_id]
    assert not open_operation, f"operations that never ended: {open_operation}"
    assert promised <= states.keys(), "an accepted operation is not in the log"


def _fold(commits: Sequence[Stored]) -> _Folded:
    folded = _Folded()
    for stored in commits:
        if stored.commit.kind == VNF_SNAPSHOT.kind:
            snapshot = VNF_SNAPSHOT.fold(folded.snapshots.get(stored.commit.aggregate_id), stored.commit)
            assert snapshot is not None
            folded.snapshots[snapshot.id] = snapshot
            continue
        vnf = VNF.fold(folded.vnfs.get(stored.commit.aggregate_id), stored.commit)
        assert vnf is not None
        folded.vnfs[vnf.id], folded.last[vnf.id] = vnf, stored
        if vnf.operation is not None:
            folded.op_occs[vnf.operation.id] = msgspec.json.decode(op_occ_document(vnf, vnf.operation))
    return folded


async def _check_copy(connection: asyncpg.Connection, commits: Sequence[Stored]) -> None:
    """The copy holds the same bytes at the same places, and has refused nothing."""
    async with asyncio.timeout(60):
        while await connection.fetchval("SELECT position FROM lcm.checkpoint WHERE stream = 'LCM'") < len(commits):
            await asyncio.sleep(0.02)
    rows = await connection.fetch("SELECT seq, subject, version, hash, body FROM lcm.commit ORDER BY seq")
    copied = [tuple(row) for row in rows]
    assert copied == [(s.seq, s.subject, s.commit.version, s.hash, s.body) for s in commits]
    assert await connection.fetchval("SELECT count(*) FROM lcm.refused") == 0
    # The outbox is emptied behind the copy: work that waits there is put within moments, or it is stuck.
    async with asyncio.timeout(60):
        while await connection.fetchval("SELECT count(*) FROM lcm.outbox"):
            await asyncio.sleep(0.02)


async def _check_rows(connection: asyncpg.Connection, folded: _Folded) -> None:
    """The read model is the fold of the log."""
    rows = {row["id"]: row for row in await connection.fetch("SELECT id, version, seq, state, doc FROM lcm.vnf")}
    assert rows.keys() == folded.vnfs.keys()
    for vnf_id, vnf in folded.vnfs.items():
        row, last = rows[vnf_id], folded.last[vnf_id]
        assert (row["version"], row["seq"]) == (last.commit.version, last.seq)
        assert row["state"] == encode_state(vnf)
        assert msgspec.json.decode(row["doc"]) == msgspec.json.decode(vnf_document(vnf))
    op_occs = {row["id"]: msgspec.json.decode(row["doc"]) for row in await connection.fetch("SELECT * FROM lcm.op_occ")}
    assert op_occs == folded.op_occs
    snapshots = {row["id"]: row["state"] for row in await connection.fetch("SELECT id, state FROM lcm.vnf_snapshot")}
    assert snapshots == {id_: msgspec.json.encode(snapshot) for id_, snapshot in folded.snapshots.items()}


async def _check_view(client: Client, folded: _Folded, vnf_id: str) -> None:
    """The API shows the fold of the log."""
    vnf = folded.vnfs[vnf_id]
    shown = await client.show(vnf_id)
    del shown["_links"]
    assert shown == msgspec.json.decode(vnf_document(vnf))
    for op_id, document in folded.op_occs.items():
        if document["vnfInstanceId"] == vnf_id:
            shown = await client.show_op_occ(op_id)
            del shown["_links"]
            assert shown == document


async def _check_cloud(site: Site, folded: _Folded) -> None:
    """One creation of a stack per operation; the cloud holds what the instantiated VNFs consist of, and nothing else."""
    creations = Counter(made.operation for made in await site.simulator.stacks_created())
    assert not (twice := {op: n for op, n in creations.items() if n > 1}), f"more than one stack for {twice}"
    there = [vnf for vnf in folded.vnfs.values() if vnf.instantiation_state == "INSTANTIATED"]
    vnfcs = [
        vnfc for vnf in there if vnf.instantiated_vnf_info for vnfc in vnf.instantiated_vnf_info.vnfc_resource_info
    ]
    servers = {vnfc.compute_resource.resource_id for vnfc in vnfcs}
    known: dict[str, set[str]] = {
        "stacks": {f"vnf-{vnf.id}" for vnf in there},
        "servers": servers,
        "servers of ports": servers,
        "images' users": {f"vnf-{vnf.id}" for vnf in there if vnf.has_images},
        "VNF snapshots": {item.id for item in folded.snapshots.values() if item.place and item.status == "FILLED"},
        "volumes of nobody": set(),
    }
    deadline = time.monotonic() + 60  # what a zombie's cleaning up may need
    while (found := await _resources(site)) != known:
        assert time.monotonic() < deadline, f"in the cloud {found}, in the log {known}"
        await asyncio.sleep(0.2)


async def _resources(site: Site) -> dict[str, set[str]]:
    """What there is in the cloud by the names and ids of whom it belongs to; what belongs to nobody is ``""``."""
    stacks, servers, ports, images, volumes = await site.simulator.cloud.resources(
        ("orchestration", "/stacks", "stacks"),
        ("compute", "/servers", "servers"),
        ("network", "/v2.0/ports", "ports"),
        ("image", "/v2/images?limit=1000", "images"),
        ("volumev3", "/volumes/detail", "volumes"),
    )
    packaged = [
        [tag for tag in image["tags"] if tag.startswith("vnf-")] for image in images if "forestay" in image["tags"]
    ]
    return {
        "stacks": {stack["stack_name"] for stack in stacks},
        "servers": {server["id"] for server in servers},
        "servers of ports": {port["device_id"] for port in ports if port["device_owner"].startswith("compute:")},
        "images' users": {user for users in packaged for user in users or [""]},
        "VNF snapshots": {image["forestay_snapshot"] for image in images if "forestay_snapshot" in image},
        "volumes of nobody": {volume["id"] for volume in volumes if not volume["attachments"]},
    }
