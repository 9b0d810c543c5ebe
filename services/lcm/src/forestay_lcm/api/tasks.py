"""The tasks of a VNF instance: from the body of POST ``vnf_instances/{id}/<task>`` to its command.

Each looks up what the decision needs to know of other aggregates, and seals what is secret.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from forestay_events.errors import Rejected
from forestay_events.sealing import Vault
from forestay_lcm.api.connections import chosen_connections, named_connections, recorded
from forestay_lcm.api.sealing import sealed
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.domain.commands import (
    ChangeExtConn,
    ChangeFlavour,
    Heal,
    Instantiate,
    Operate,
    Scale,
    ScaleToLevel,
    Terminate,
    VnfCommand,
)
from forestay_lcm.domain.decisions.requested import USER_DATA
from forestay_sol.body import decode
from forestay_sol.faults import pointer
from forestay_sol.vnfd import Vnfd
from forestay_sol.vnflcm import (
    ChangeExtVnfConnectivityRequest,
    ChangeVnfFlavourRequest,
    HealVnfRequest,
    InstantiateVnfRequest,
    OperateVnfRequest,
    ScaleVnfRequest,
    ScaleVnfToLevelRequest,
    TerminateVnfRequest,
    VimConnections,
)

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True)
class Asked:
    """A task that is asked for, with what helps to prepare it."""

    request: web.Request
    project: str
    instance: dict[str, Any]
    catalogue: Catalogue
    vault: Vault

    @property
    def vnf_id(self) -> str:
        return self.instance["id"]

    async def body(self, type_: type[T]) -> T:
        """The body, secrets of additionalParams sealed. :raises Rejected: 400."""
        return await sealed(self.vault, self.vnf_id, await self.decoded(type_))

    async def decoded(self, type_: type[T]) -> T:
        """The body as it came. :raises Rejected: 400."""
        return await decode(self.request, type_)

    async def vnfd(self) -> Vnfd:
        return await self.catalogue.vnfd(self.project, self.instance["vnfdId"])

    async def check_script(self, params: Mapping[str, Any] | None) -> None:
        """:raises Rejected: 400, the user data script that ``additionalParams`` name is not in the package."""
        name = (params or {}).get(USER_DATA[0])
        files = await self.catalogue.files(self.project, self.instance["vnfdId"]) if isinstance(name, str) else None
        if files is not None and str(PurePosixPath(str(name))) not in files:
            detail = f"The package of VNFD {self.instance['vnfdId']} has no file '{name}'."
            raise Rejected(400, detail, pointer=pointer(["additionalParams", USER_DATA[0]]))

    async def connections(self, given: VimConnections) -> VimConnections:
        """VIM connections of a request, as they are recorded. :raises Rejected: 404, 400."""
        return await named_connections(self.catalogue, self.vault, self.project, self.vnf_id, given)


Prepare = Callable[[Asked], Awaitable[VnfCommand]]


async def _instantiate(asked: Asked) -> VnfCommand:
    body = await asked.body(InstantiateVnfRequest)
    vnfd = await asked.vnfd()
    await asked.check_script(body.additional_params)
    given = body.vim_connection_info
    connections = await chosen_connections(asked.catalogue, asked.vault, asked.project, asked.vnf_id, given)
    return Instantiate(recorded(body, connections), vnfd, connections)


async def _terminate(asked: Asked) -> VnfCommand:
    return Terminate(await asked.body(TerminateVnfRequest))


async def _scale(asked: Asked) -> VnfCommand:
    return Scale(await asked.body(ScaleVnfRequest), await asked.vnfd())


async def _scale_to_level(asked: Asked) -> VnfCommand:
    return ScaleToLevel(await asked.body(ScaleVnfToLevelRequest), await asked.vnfd())


async def _heal(asked: Asked) -> VnfCommand:
    return Heal(await asked.body(HealVnfRequest))


async def _change_ext_conn(asked: Asked) -> VnfCommand:
    body = await asked.body(ChangeExtVnfConnectivityRequest)
    connections = await asked.connections(body.vim_connection_info)
    return ChangeExtConn(recorded(body, connections), await asked.vnfd(), connections)


async def _change_flavour(asked: Asked) -> VnfCommand:
    body = await asked.body(ChangeVnfFlavourRequest)
    await asked.check_script(body.additional_params)
    connections = await asked.connections(body.vim_connection_info)
    return ChangeFlavour(recorded(body, connections), await asked.vnfd(), connections)


async def _operate(asked: Asked) -> VnfCommand:
    return Operate(await asked.body(OperateVnfRequest))


#: By the last segment of the path.
TASKS: Mapping[str, Prepare] = {
    "instantiate": _instantiate,
    "terminate": _terminate,
    "scale": _scale,
    "scale_to_level": _scale_to_level,
    "heal": _heal,
    "change_ext_conn": _change_ext_conn,
    "change_flavour": _change_flavour,
    "operate": _operate,
}
