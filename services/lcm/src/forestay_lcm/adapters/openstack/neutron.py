"""Neutron v2: the addresses that ports really have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from forestay_lcm.adapters.openstack.heat import Caller

_BATCH = 50
"""Devices asked for in one call, so that the URL stays short."""


class FixedIp(msgspec.Struct, frozen=True):
    """An address of a port."""

    subnet_id: str
    ip_address: str


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A port; ``device_id`` is the server that it belongs to."""

    id: str
    network_id: str
    device_id: str
    mac_address: str | None = None
    fixed_ips: tuple[FixedIp, ...] = ()


class Neutron:
    """The networks of a project. All methods raise as :meth:`Transport.request` does."""

    def __init__(self, cloud: Caller) -> None:
        self._cloud = cloud

    async def ports_of(self, devices: Sequence[str]) -> list[Port]:
        """The ports of these servers."""
        batches = [devices[at : at + _BATCH] for at in range(0, len(devices), _BATCH)]
        return [port for batch in batches for port in await self._ports({"device_id": list(batch)})]

    async def ports(self, ids: Sequence[str]) -> list[Port]:
        """Ports by id; those that are gone are left out."""
        batches = [ids[at : at + _BATCH] for at in range(0, len(ids), _BATCH)]
        return [port for batch in batches for port in await self._ports({"id": list(batch)})]

    async def networks(self, ids: Sequence[str]) -> set[str]:
        """Which of these networks are there."""
        found: set[str] = set()
        for at in range(0, len(ids), _BATCH):
            query = {"id": list(ids[at : at + _BATCH]), "fields": "id"}
            reply = await self._cloud.request("network", "GET", "/v2.0/networks", query=query)
            found |= {network["id"] for network in reply.body["networks"]}
        return found

    async def _ports(self, query: dict[str, Iterable[str]]) -> list[Port]:
        reply = await self._cloud.request("network", "GET", "/v2.0/ports", query=query)
        ports: list[dict[str, Any]] = reply.body["ports"]
        return msgspec.convert(ports, list[Port])
