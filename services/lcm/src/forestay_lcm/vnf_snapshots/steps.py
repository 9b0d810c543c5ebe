"""The steps of a VNF instance's operation that tell a VNF snapshot's own log: claimed, filled, given back.

That the operation's plan has them is what makes two aggregates agree: a step is done again until it is done, whoever dies
meanwhile, and each of these can be done twice.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from forestay_events.aggregate import Origin
from forestay_events.errors import Permanent
from forestay_sol.types import rfc3339
from forestay_sol.vnflcm import VimConnectionInfo

from forestay_lcm.catalogue import Catalogue
from forestay_lcm.domain.plan import driver_of
from forestay_lcm.domain.state import Operation, StepRun, Vnf
from forestay_lcm.domain.vnf_snapshot import (
    ClaimForFilling,
    ClaimForReverting,
    FillSnapshot,
    Place,
    ReleaseSnapshot,
    SnapshotCommand,
)
from forestay_lcm.executor import Confirmed, Outcome, Turn
from forestay_lcm.projections.representation import vnf_document
from forestay_lcm.vnf_snapshots.reads import SnapshotReads, VnfSnapshots

_MADE_BY = "await-snapshot"
"""The step whose result has the ``vnfcSnapshots``."""


class SnapshotSteps:
    """Steps of the engine itself, as :class:`~forestay_lcm.own_steps.OwnSteps` takes them."""

    def __init__(
        self, snapshots: VnfSnapshots, reads: SnapshotReads, catalogue: Catalogue, clock: Callable[[], datetime]
    ) -> None:
        self._snapshots = snapshots
        self._reads = reads
        self._catalogue = catalogue
        self._clock = clock

    async def claim(self, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> Outcome:
        """From now on the snapshot is this operation's. :raises Rejected: 404 or 409, it cannot have it."""
        await turn()
        if operation.operation == "CREATE_SNAPSHOT":
            command = ClaimForFilling(operation.id, await self._place(vnf, operation))
            return await self._tell(vnf, operation, run, command)
        snapshot = await self._reads.newest(vnf.project, _snapshot_id(operation))
        ended = await self._reads.ended(snapshot) if snapshot else None
        return await self._tell(vnf, operation, run, ClaimForReverting(operation.id, vnf.id, ended))

    async def fill(self, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> Outcome:
        """The snapshot holds what was made of the VNF instance, and a copy of its representation."""
        content: dict[str, Any] = {
            "id": _snapshot_id(operation),
            "vnfInstanceId": vnf.id,
            "creationStartedAt": rfc3339(operation.started),
            "creationFinishedAt": rfc3339(self._clock()),
            "vnfdId": vnf.vnfd_id,
            "vnfInstance": msgspec.json.decode(vnf_document(vnf)),
            "vnfcSnapshots": operation.results[_MADE_BY]["vnfcSnapshots"],
        }
        if user_data := operation.params.get("userDefinedData"):
            content["userDefinedData"] = user_data
        return await self._tell(vnf, operation, run, FillSnapshot(operation.id, content))

    async def release(self, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> Outcome:
        """The snapshot is free again; or gone: what is filled can be deleted before this is done."""
        if await self._reads.newest(vnf.project, _snapshot_id(operation)) is None:
            return Confirmed({})
        return await self._tell(vnf, operation, run, ReleaseSnapshot(operation.id))

    async def _tell(self, vnf: Vnf, operation: Operation, run: StepRun, command: SnapshotCommand) -> Outcome:
        origin = Origin(
            command_id=f"{operation.id}/{run.step.name}/{run.attempt}",
            project=vnf.project,
            actor="forestay:engine",
            correlation_id=operation.id,
        )
        await self._snapshots.execute(_snapshot_id(operation), command, origin)
        return Confirmed({})

    async def _place(self, vnf: Vnf, operation: Operation) -> Place:
        """Where the VNF instance is, with secrets that do not depend on it."""
        info = vnf.instantiated_vnf_info
        named = [vnfc.compute_resource.vim_connection_id for vnfc in (info.vnfc_resource_info if info else ())]
        key = next((name for name in named if name in vnf.vim_connections), None) or next(
            iter(vnf.vim_connections), None
        )
        if key is None:
            raise Permanent(f"VNF instance {vnf.id} has no VIM connection.", status=409)
        connection = vnf.vim_connections[key]
        return Place(
            vnf_id=vnf.id,
            driver=driver_of(connection.vim_type),
            lane=operation.lane,
            key=key,
            connection=await self._resealed(vnf, operation, key, connection),
        )

    async def _resealed(
        self, vnf: Vnf, operation: Operation, key: str, connection: VimConnectionInfo
    ) -> VimConnectionInfo:
        path, vault = f"/vimConnectionInfo/{key}/accessInfo", self._catalogue.secrets_of(vnf.id).vault
        opened = await vault.open_members(vnf.id, connection.access_info or {}, path=path)
        sealed = await vault.seal_members(_snapshot_id(operation), opened, path=path)
        return msgspec.structs.replace(connection, access_info=sealed)


def _snapshot_id(operation: Operation) -> str:
    return operation.params["vnfSnapshotInfoId"]
