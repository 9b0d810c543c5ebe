"""A task that is asked for in version 1: its body is taken for that of version 2, with what only version 1 knows."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from forestay_events.errors import Rejected
from forestay_lcm.api.tasks import Asked
from forestay_lcm.api.v1.requests import translated
from forestay_lcm.catalogue import connection_of
from forestay_sol.body import decode
from forestay_sol.vnflcm import InstantiateVnfRequest, TaskRequest, VimConnectionInfo, VimConnections

T = TypeVar("T", bound=TaskRequest)


class AskedV1(Asked):
    """Prepared by the tasks of version 2, which see a request of theirs."""

    async def decoded(self, type_: type[T]) -> T:
        request = translated(await decode(self.request, dict[str, Any]), type_, self.instance)
        connections: VimConnections = getattr(request, "vim_connection_info", {})
        for info in connections.values():
            await self._check_region(info)
        if isinstance(request, InstantiateVnfRequest) and not connections:
            return msgspec.structs.replace(request, vim_connection_info=await self._default())
        return request

    async def _default(self) -> VimConnections:
        """The project's default VIM, if it has one: version 1 knows it by its own id, not as ``default``."""
        known = await self.catalogue.default_vim(self.project)
        return {known.id: VimConnectionInfo(vim_id=known.id, vim_type=connection_of(known).vim_type)} if known else {}

    async def _check_region(self, info: VimConnectionInfo) -> None:
        """Version 1 may name a region beside the id of a registered VIM, which is used in one region.

        :raises Rejected: 400, it is another one.
        """
        region = (info.access_info or {}).get("region")
        if region is None or info.vim_id is None or info.interface_info is not None:
            return
        known = await self.catalogue.vim(self.project, info.vim_id)
        used = (connection_of(known).access_info or {}).get("region") if known else region
        if used != region:
            detail = f"VIM {info.vim_id} is used in region {used}, not {region}."
            raise Rejected(400, detail, pointer="/vimConnectionInfo/0/accessInfo/region")
