"""Nova v2.1: where servers really run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from forestay_lcm.adapters.openstack.heat import Caller
from forestay_lcm.adapters.openstack.transport import NotFound


class Nova:
    """The servers of a project. All methods raise as :meth:`Transport.request` does."""

    def __init__(self, cloud: Caller) -> None:
        self._cloud = cloud

    async def zones(self, servers: Iterable[str]) -> dict[str, str]:
        """The availability zones of these servers by id; a server that is gone or in no zone is left out."""
        ids = list(servers)
        zones = await asyncio.gather(*(self._zone(server) for server in ids))
        return {server: zone for server, zone in zip(ids, zones, strict=True) if zone}

    async def _zone(self, server: str) -> str | None:
        try:
            reply = await self._cloud.request("compute", "GET", f"/servers/{server}")
        except NotFound:
            return None
        return reply.body["server"].get("OS-EXT-AZ:availability_zone") or None
