"""The tasks of a VNF instance: from the body of POST ``vnf_instances/{id}/<task>`` to its command.

Each looks up what the decision needs to know of other aggregates, and seals what is secret.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from forestay_events.errors import Rejected
from forestay_events.sealing import Vault
from forestay_lcm.api.connections import chosen_connections, named_connections, recorded
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.domain.commands import (
    ChangeExtConn,
    ChangeFlavour,
    ChangeVnfPkg,
    Heal,
    Instantiate,
    Operate,
    RevertToSnapshot,
    Scale,
    ScaleToLevel,
    TakeSnapshot,
    Terminate,
    VnfCommand,
)
from forestay_lcm.domain.decisions.requested import USER_DATA
from forestay_lcm.domain.vdu_params import COORDINATION
from forestay_lcm.domain.vnf_snapshot import VnfSnapshot
from forestay_lcm.secrets import Secrets
from forestay_lcm.vnf_snapshots.reads import SnapshotReads
from forestay_sol.body import decode
from forestay_sol.faults import pointer
from forestay_sol.vnfd import Vnfd
from forestay_sol.vnflcm import (
    ChangeCurrentVnfPkgRequest,
    ChangeExtVnfConnectivityRequest,
    ChangeVnfFlavourRequest,
    CreateVnfSnapshotRequest,
    HealVnfRequest,
    InstantiateVnfRequest,
    OperateVnfRequest,
    RevertToVnfSnapshotRequest,
    ScaleVnfRequest,
    ScaleVnfToLevelRequest,
    TaskRequest,
    TerminateVnfRequest,
    VimConnections,
)

T = TypeVar("T", bound=TaskRequest)

SCRIPT_PARAMS = (USER_DATA[0], *COORDINATION.values())
"""Additional parameters that name a file of the package."""


@dataclass(frozen=True)
class Asked:
    """A task that is asked for, with what helps to prepare it."""

    request: web.Request
    project: str
    instance: dict[str, Any]
    catalogue: Catalogue
    vault: Vault
    snapshots: SnapshotReads

    @property
    def vnf_id(self) -> str:
        return self.instance["id"]

    async def body(self, type_: type[T]) -> T:
        """The body, secrets of additionalParams sealed.

        :raises Rejected: 400, also when a script that it names is not in the package that the VNF is going to have, nor, for
            the way back, in the one that it has.
        """
        body = await self.decoded(type_)
        await self._check_script(body)
        if not body.additional_params:
            return body
        params = await Secrets(self.vault, self.vnf_id).seal_params(body.additional_params)
        return msgspec.structs.replace(body, additional_params=params)

    async def decoded(self, type_: type[T]) -> T:
        """The body as it came. :raises Rejected: 400."""
        return await decode(self.request, type_)

    async def vnfd(self) -> Vnfd:
        return await self.catalogue.vnfd(self.project, self.instance["vnfdId"])

    async def _check_script(self, body: TaskRequest) -> None:
        params = body.additional_params or {}
        present = self.instance["vnfdId"]
        coming = body.vnfd_id if isinstance(body, ChangeCurrentVnfPkgRequest) else present
        for name in SCRIPT_PARAMS:
            if not isinstance(file := params.get(name), str):
                continue
            where = (present, coming) if name == COORDINATION["coordinate-old"] else (coming,)
            if await self.catalogue.holder(self.project, where, file) is None:
                detail = f"The package of VNFD {coming} has no file '{file}'."
                raise Rejected(400, detail, pointer=pointer(["additionalParams", name]))

    async def connections(self, given: VimConnections) -> VimConnections:
        """VIM connections of a request, as they are recorded. :raises Rejected: 404, 400."""
        return await named_connections(self.catalogue, self.vault, self.project, self.vnf_id, given)

    async def snapshot(self, snapshot_id: str) -> VnfSnapshot:
        """The VNF snapshot that the body names. :raises Rejected: 422, there is none (SOL003 table 5.4.21.3.1-2)."""
        snapshot = await self.snapshots.newest(self.project, snapshot_id)
        if snapshot is None:
            raise Rejected(422, f"VnfSnapshot {snapshot_id} not found.", pointer="/vnfSnapshotInfoId")
        return snapshot


Prepare = Callable[[Asked], Awaitable[VnfCommand]]


async def _instantiate(asked: Asked) -> VnfCommand:
    body = await asked.body(InstantiateVnfRequest)
    vnfd = await asked.vnfd()
    given = body.vim_connection_info
    connections = await chosen_connections(asked.catalogue, asked.vault, asked.project, asked.vnf_id, given)
    return Instantiate(recorded(body, connections), vnfd, connections, asked.catalogue.has_nfvo)


async def _terminate(asked: Asked) -> VnfCommand:
    return Terminate(await asked.body(TerminateVnfRequest), await asked.vnfd())


async def _scale(asked: Asked) -> VnfCommand:
    return Scale(await asked.body(ScaleVnfRequest), await asked.vnfd())


async def _scale_to_level(asked: Asked) -> VnfCommand:
    return ScaleToLevel(await asked.body(ScaleVnfToLevelRequest), await asked.vnfd())


async def _heal(asked: Asked) -> VnfCommand:
    return Heal(await asked.body(HealVnfRequest), await asked.vnfd())


async def _change_ext_conn(asked: Asked) -> VnfCommand:
    body = await asked.body(ChangeExtVnfConnectivityRequest)
    connections = await asked.connections(body.vim_connection_info)
    return ChangeExtConn(recorded(body, connections), await asked.vnfd(), connections, asked.catalogue.has_nfvo)


async def _change_flavour(asked: Asked) -> VnfCommand:
    body = await asked.body(ChangeVnfFlavourRequest)
    connections = await asked.connections(body.vim_connection_info)
    return ChangeFlavour(recorded(body, connections), await asked.vnfd(), connections, asked.catalogue.has_nfvo)


async def _change_vnfpkg(asked: Asked) -> VnfCommand:
    body = await asked.body(ChangeCurrentVnfPkgRequest)
    coming = await asked.catalogue.usable_vnfd(asked.project, body.vnfd_id)
    connections = await asked.connections(body.vim_connection_info)
    request = recorded(body, connections)
    return ChangeVnfPkg(request, await asked.vnfd(), coming, connections, asked.catalogue.has_nfvo)


async def _operate(asked: Asked) -> VnfCommand:
    return Operate(await asked.body(OperateVnfRequest), await asked.vnfd())


async def _create_snapshot(asked: Asked) -> VnfCommand:
    body = await asked.body(CreateVnfSnapshotRequest)
    return TakeSnapshot(body, await asked.vnfd(), await asked.snapshot(body.vnf_snapshot_info_id))


async def _revert_to_snapshot(asked: Asked) -> VnfCommand:
    body = await asked.body(RevertToVnfSnapshotRequest)
    snapshot = await asked.snapshot(body.vnf_snapshot_info_id)
    return RevertToSnapshot(body, await asked.vnfd(), snapshot, await asked.snapshots.ended(snapshot))


#: By the last segment of the path.
TASKS: Mapping[str, Prepare] = {
    "instantiate": _instantiate,
    "terminate": _terminate,
    "scale": _scale,
    "scale_to_level": _scale_to_level,
    "heal": _heal,
    "change_ext_conn": _change_ext_conn,
    "change_flavour": _change_flavour,
    "change_vnfpkg": _change_vnfpkg,
    "operate": _operate,
    "create_snapshot": _create_snapshot,
    "revert_to_snapshot": _revert_to_snapshot,
}
