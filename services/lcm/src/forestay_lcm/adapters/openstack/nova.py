"""Nova v2.1: the servers as they really are, and what is done to them directly."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from forestay_lcm.adapters.openstack.heat import Caller
from forestay_lcm.adapters.openstack.picking import Query, picked
from forestay_lcm.adapters.openstack.telling import cut
from forestay_lcm.adapters.openstack.transport import NotFound

SERVICE = "compute"

STOPPED = frozenset({"SHUTOFF", "SUSPENDED", "PAUSED", "SHELVED", "SHELVED_OFFLOADED"})
"""The statuses of a server that does not run."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A server.

    :ivar status: Nova's, such as ``ACTIVE`` or ``SHUTOFF``.
    :ivar task: what Nova is doing to it, ``None`` when nothing.
    :ivar zone: its availability zone.
    :ivar image: id of the image that it boots from, ``None`` when that is a volume.
    """

    id: str
    status: str
    task: str | None = None
    zone: str | None = None
    image: str | None = None
    metadata: dict[str, str] = {}
    fault: str = ""


class Nova:
    """The servers of a project. All methods raise as :meth:`Transport.request` does."""

    def __init__(self, cloud: Caller) -> None:
        self._cloud = cloud

    async def servers(self, ids: Iterable[str]) -> dict[str, Server]:
        """These servers by id; one that is gone is left out."""
        return await picked(ids, self._listed, self._server)

    async def _listed(self, query: Query) -> tuple[list[Server], bool]:
        body = (await self._cloud.request(SERVICE, "GET", "/servers/detail", query=query)).body
        return [_server(server) for server in body["servers"]], "servers_links" in body

    async def boots(self, image: str) -> bool:
        """Whether a server boots from an image."""
        reply = await self._cloud.request(SERVICE, "GET", "/servers", query={"image": image, "limit": 1})
        return bool(reply.body["servers"])

    async def zones(self) -> list[str]:
        """The availability zones that are up, in the order of their names."""
        reply = await self._cloud.request(SERVICE, "GET", "/os-availability-zone")
        shown = reply.body["availabilityZoneInfo"]
        return sorted(zone["zoneName"] for zone in shown if zone["zoneState"]["available"])

    async def act(self, server: str, action: str, arguments: Any = None) -> None:
        """Start an action on a server.

        :raises AlreadyExists: 409, its state does not allow that now.
        """
        await self._cloud.request(SERVICE, "POST", f"/servers/{server}/action", body={action: arguments}, acts=True)

    async def named(self, names: Iterable[str]) -> list[str]:
        """The ids of the servers that have one of these names. Nova takes an expression for a name, but no alternatives in it."""
        found = await asyncio.gather(*(self._named(name) for name in sorted(names)))
        return [server for servers in found for server in servers]

    async def _named(self, name: str) -> list[str]:
        query = {"name": f"^{re.escape(name)}$"}
        reply = await self._cloud.request(SERVICE, "GET", "/servers", query=query)
        return [server["id"] for server in reply.body["servers"] if server["name"] == name]

    async def delete(self, server: str) -> None:
        """Start to delete a server; one that is gone is fine."""
        try:
            await self._cloud.request(SERVICE, "DELETE", f"/servers/{server}", acts=True)
        except NotFound:
            return

    async def attach(self, server: str, volume: str) -> None:
        """Start to attach a volume.

        :raises AlreadyExists: 409, the server has another task, or the volume a server.
        """
        body = {"volumeAttachment": {"volumeId": volume}}
        await self._cloud.request(SERVICE, "POST", f"/servers/{server}/os-volume_attachments", body=body, acts=True)

    async def detach(self, server: str, volume: str) -> None:
        """Start to detach a volume; one that is not attached is fine.

        :raises AlreadyExists: 409, the server has another task.
        """
        try:
            path = f"/servers/{server}/os-volume_attachments/{volume}"
            await self._cloud.request(SERVICE, "DELETE", path, acts=True)
        except NotFound:
            return

    async def _server(self, server: str) -> Server | None:
        try:
            reply = await self._cloud.request(SERVICE, "GET", f"/servers/{server}")
        except NotFound:
            return None
        return _server(reply.body["server"])


def _server(body: dict[str, Any]) -> Server:
    return Server(
        id=body["id"],
        status=body["status"],
        task=body.get("OS-EXT-STS:task_state"),
        zone=body.get("OS-EXT-AZ:availability_zone") or None,
        image=(body.get("image") or {}).get("id"),
        metadata=body.get("metadata") or {},
        fault=cut((body.get("fault") or {}).get("message") or ""),
    )
