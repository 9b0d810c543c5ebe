"""Nova v2.1: the servers as they really are, and what is done to them directly."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Any

import msgspec

from forestay_lcm.adapters.openstack.clients.heat import Caller
from forestay_lcm.adapters.openstack.clients.paging import PAGE, Query, items, pages
from forestay_lcm.adapters.openstack.clients.picking import picked
from forestay_lcm.adapters.openstack.clients.telling import cut
from forestay_lcm.adapters.openstack.clients.transport import NotFound

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


class _Fault(msgspec.Struct):
    message: str | None = None


class _Image(msgspec.Struct):
    id: str


class _Shown(
    msgspec.Struct,
    rename={"task": "OS-EXT-STS:task_state", "zone": "OS-EXT-AZ:availability_zone"},
):
    """A server as Nova shows it; its image is ``""`` when it boots from a volume."""

    id: str
    status: str
    task: str | None = None
    zone: str | None = None
    image: _Image | str | None = None
    metadata: dict[str, str] | None = None
    fault: _Fault | None = None


class _Named(msgspec.Struct):
    id: str
    name: str


class _ZoneState(msgspec.Struct):
    available: bool


class _Zone(msgspec.Struct, rename="camel"):
    zone_name: str
    zone_state: _ZoneState


class Nova:
    """The servers of a project. All methods raise as :meth:`Transport.request` does."""

    def __init__(self, cloud: Caller) -> None:
        self._cloud = cloud

    async def servers(self, ids: Iterable[str]) -> dict[str, Server]:
        """These servers by id; one that is gone is left out."""
        return await picked(ids, self._listed, self._server)

    async def _listed(self, query: Query) -> AsyncIterator[list[Server]]:
        ask = partial(self._cloud.request, SERVICE, "GET", "/servers/detail")
        async for page in pages(ask, "servers", _Shown, query):
            yield [_server(shown) for shown in page]

    async def boots(self, image: str) -> bool:
        """Whether a server boots from an image."""
        reply = await self._cloud.request(SERVICE, "GET", "/servers", query={"image": image, "limit": 1})
        return bool(reply.read(list[_Named], "servers"))

    async def zones(self) -> list[str]:
        """The availability zones that are up, in the order of their names."""
        reply = await self._cloud.request(SERVICE, "GET", "/os-availability-zone")
        shown = reply.read(list[_Zone], "availabilityZoneInfo")
        return sorted(zone.zone_name for zone in shown if zone.zone_state.available)

    async def act(self, server: str, action: str, arguments: Any = None) -> None:
        """Start an action on a server.

        :raises AlreadyExists: 409, its state does not allow that now.
        """
        await self._cloud.request(SERVICE, "POST", f"/servers/{server}/action", body={action: arguments}, acts=True)

    async def named(self, names: Iterable[str]) -> list[str]:
        """The ids of the servers that have one of these names. Nova takes an expression for a name, but no alternatives in it: so
        all are listed whose names begin as these do."""
        if not (wanted := set(names)):
            return []
        begin, end = min(wanted), max(wanted)
        same = next((at for at, letter in enumerate(begin) if letter != end[at]), len(begin))
        query = {"name": f"^{re.escape(begin[:same])}", "limit": PAGE}
        ask = partial(self._cloud.request, SERVICE, "GET", "/servers")
        return [server.id for server in await items(ask, "servers", _Named, query) if server.name in wanted]

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
        return _server(reply.read(_Shown, "server"))


def _server(shown: _Shown) -> Server:
    return Server(
        id=shown.id,
        status=shown.status,
        task=shown.task,
        zone=shown.zone or None,
        image=shown.image.id if isinstance(shown.image, _Image) else None,
        metadata=shown.metadata or {},
        fault=cut((shown.fault and shown.fault.message) or ""),
    )
