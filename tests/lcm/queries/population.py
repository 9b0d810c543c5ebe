"""A large population of VNF instances and operation occurrences, written straight into the read model.

The rows are those that the projection makes of a real state; what filters look at differs from row to row. The same seed
gives the same rows.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from forestay_events.aggregate import Context, Origin
from forestay_events.commit import Commit
from forestay_events.database import Connection
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.state import Vnf
from forestay_lcm.projections.instances import encode_state
from forestay_lcm.projections.representation import op_occ_document, vnf_document
from forestay_sol.types import rfc3339

from tests.lcm.samples import PROJECT, confirmed, create, instantiate

Json = dict[str, Any]

PROVIDERS = ("Forestay", "Acme", "Nordic Networks", "O'Brien, (Sons)", "tiny")
PRODUCTS = tuple(f"product-{number}" for number in range(40))
VNFDS = tuple(str(UUID(int=number)) for number in range(200))
OPERATIONS = ("INSTANTIATE", "SCALE", "HEAL", "TERMINATE", "MODIFY_INFO", "CHANGE_VNFPKG")
#: Almost all operations have ended well, as in a network that has run for years.
STATES = {"COMPLETED": 0.969, "FAILED": 0.02, "ROLLED_BACK": 0.01, "FAILED_TEMP": 0.0009, "PROCESSING": 0.0001}
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
PERIOD = timedelta(days=300)
_AT_ONCE = 50_000
_PARTS = ("edge", "core", "gw", "ims", "dns")


@dataclass
class Population:
    """How many of which, and what became of it once it is filled in.

    :ivar vnf_ids: of the instances, sorted; so ``op_ids`` of the operation occurrences.
    :ivar name: of some instance.
    """

    instances: int
    op_occs: int
    seed: int = 1
    vnf_ids: list[str] = field(default_factory=list[str])
    op_ids: list[str] = field(default_factory=list[str])
    name: str = ""

    @property
    def vnfds(self) -> tuple[str, ...]:
        """From the most frequent one on."""
        return VNFDS

    async def fill(self, connection: Connection) -> None:
        """Write all rows into the tables of schema ``lcm``, which exist."""
        vnf, _ = life(str(UUID(int=7)))
        assert vnf.operation is not None
        instance, occurrence = (
            msgspec.json.decode(vnf_document(vnf)),
            msgspec.json.decode(op_occ_document(vnf, vnf.operation)),
        )
        columns = ("id", "project", "vnfd_id", "version", "seq", "deleted", "state", "doc")
        await _copy(connection, "vnf", columns, self._instances(instance, encode_state(vnf), vnf.id.encode()))
        await _copy(connection, "op_occ", ("id", "vnf_id", "project", "doc", "touched"), self._op_occs(occurrence))
        await connection.execute("VACUUM ANALYZE lcm.vnf")
        await connection.execute("VACUUM ANALYZE lcm.op_occ")
        self.vnf_ids.sort()
        self.op_ids.sort()

    def _instances(self, document: Json, state: bytes, id_: bytes) -> Iterator[tuple[Any, ...]]:
        chance = random.Random(self.seed)
        for number in range(self.instances):
            vnf_id = str(UUID(int=chance.getrandbits(128)))
            self.vnf_ids.append(vnf_id)
            self.name = f"{chance.choice(_PARTS)}-{chance.choice(_PARTS)}-{number}"
            vnfd = min(int(chance.expovariate(0.05)), len(VNFDS) - 1)
            doc = document | {
                "id": vnf_id,
                "vnfInstanceName": self.name,
                "vnfdId": VNFDS[vnfd],
                "vnfProvider": PROVIDERS[min(int(chance.expovariate(0.8)), len(PROVIDERS) - 1)],
                "vnfProductName": PRODUCTS[vnfd % len(PRODUCTS)],
                "metadata": {"site": f"site-{number % 1000}"},
            }
            if chance.random() < 0.1:
                doc["instantiationState"] = "NOT_INSTANTIATED"
                del doc["instantiatedVnfInfo"]
            yield (vnf_id, PROJECT, VNFDS[vnfd], 8, number, False, state.replace(id_, vnf_id.encode()), _text(doc))

    def _op_occs(self, document: Json) -> Iterator[tuple[Any, ...]]:
        chance = random.Random(self.seed + 1)
        states = chance.choices(list(STATES), list(STATES.values()), k=self.op_occs)
        for number, state in enumerate(states):
            op_id = str(UUID(int=chance.getrandbits(128)))
            self.op_ids.append(op_id)
            vnf_id = chance.choice(self.vnf_ids)
            started = EPOCH + PERIOD * (number / self.op_occs)
            doc = document | {
                "id": op_id,
                "operationState": state,
                "operation": chance.choice(OPERATIONS),
                "vnfInstanceId": vnf_id,
                "startTime": rfc3339(started),
                "stateEnteredTime": rfc3339(started + timedelta(seconds=chance.randrange(600))),
            }
            yield (op_id, vnf_id, PROJECT, _text(doc), started)


async def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
    while records := list(itertools.islice(rows, _AT_ONCE)):
        await connection.copy_records_to_table(table, schema_name="lcm", columns=columns, records=records)


def _text(document: Json) -> str:
    return msgspec.json.encode(document).decode()


def life(vnf_id: str, name: str = "x") -> tuple[Vnf, list[Commit]]:
    """An instance that is instantiated with all servers it may have, and the commits that lead there."""
    vnf: Vnf | None = None
    commits: list[Commit] = []
    commands = itertools.chain(
        (create(vnfInstanceName=name, metadata={"site": name}), instantiate(instantiationLevelId="three")),
        itertools.repeat(confirmed),
    )
    for version, command in enumerate(commands, start=1):
        if version > 2 and (vnf is None or vnf.open_operation is None):
            break
        context = Context(EPOCH, Origin(f"{vnf_id}/{version}", PROJECT, "tester"))
        decision = VNF.decide(vnf, command(vnf) if callable(command) else command, context)
        commit = Commit(
            id=f"{vnf_id}/{version}", stream="LCM", kind="vnf", aggregate_id=vnf_id, version=version, at=EPOCH,
            project=PROJECT, actor="tester", reason=decision.reason, prev_hash="", events=VNF.codec.encode(decision.events),
        )  # fmt: skip
        vnf = VNF.fold(vnf, commit)
        commits.append(commit)
    assert vnf is not None
    assert vnf.instantiation_state == "INSTANTIATED"
    return vnf, commits
