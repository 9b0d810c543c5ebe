"""Neutron v2: the addresses that ports really have, and those under which they are reached from elsewhere; and what is there
under a name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from functools import partial

import msgspec
from msgspec.structs import replace

from forestay_lcm.adapters.openstack.clients.heat import Caller
from forestay_lcm.adapters.openstack.clients.paging import T, pages
from forestay_lcm.adapters.openstack.clients.transport import NotFound

_BATCH = 50
"""Ids asked for in one call, so that the URL stays short."""
_NAMES = 10
"""Names asked for in one call."""


class FixedIp(msgspec.Struct, frozen=True):
    """An address of a port."""

    subnet_id: str
    ip_address: str


class AddressPair(msgspec.Struct, frozen=True):
    """An address, or a range of them, that a port may use besides its own."""

    ip_address: str


class FloatingIp(msgspec.Struct, frozen=True, kw_only=True):
    """An address outside that leads to a port."""

    id: str
    floating_ip_address: str
    port_id: str


class SubPort(msgspec.Struct, frozen=True):
    """A port whose traffic goes through the parent of its trunk."""

    port_id: str


class Trunk(msgspec.Struct, frozen=True):
    """A trunk, as its parent port shows it."""

    trunk_id: str
    sub_ports: tuple[SubPort, ...] = ()


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A port; ``device_id`` is the server that it belongs to, ``floating_ips`` lead to it, ``trunk_details`` are its trunk's."""

    id: str
    network_id: str
    device_id: str
    mac_address: str | None = None
    fixed_ips: tuple[FixedIp, ...] = ()
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    floating_ips: tuple[FloatingIp, ...] = ()
    trunk_details: Trunk | None = None

    @property
    def trunk_id(self) -> str | None:
        return self.trunk_details.trunk_id if self.trunk_details else None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What a collection has; of a port, also whose it is."""

    id: str
    name: str | None = None
    device_id: str | None = None
    device_owner: str | None = None

    @property
    def is_used(self) -> bool:
        """Whether it is a device's, or was made for one."""
        return bool(self.device_id or self.device_owner)


class Neutron:
    """The networks of a project. All methods raise as :meth:`Transport.request` does."""

    def __init__(self, cloud: Caller) -> None:
        self._cloud = cloud

    async def ports(self, ids: Iterable[str]) -> list[Port]:
        """Ports by id; those that are gone are left out."""
        ports = [port async for port in self.of("ports").where("id", ids, Port)]
        floating = await self._floating_ips(port.id for port in ports)
        return [replace(port, floating_ips=tuple(ip for ip in floating if ip.port_id == port.id)) for port in ports]

    async def networks(self, ids: Iterable[str]) -> set[str]:
        """Which of these networks are there."""
        return {network.id async for network in self.of("networks").where("id", ids, Item, fields="id")}

    async def idle_ports(self, networks: Iterable[str]) -> dict[str, str]:
        """The ports of these networks that no device has: their names by id."""
        found = self.of("ports").where("network_id", networks, Item)
        return {port.id: port.name or "" async for port in found if not port.is_used}

    def of(self, collection: str) -> Collection:
        """What there is of a kind: ``ports``, ``security_groups``, ..."""
        return Collection(self._cloud, collection)

    async def _floating_ips(self, ports: Iterable[str]) -> list[FloatingIp]:
        """Those that lead to these ports; none in a cloud without routers."""
        try:
            return [ip async for ip in self.of("floatingips").where("port_id", ports, FloatingIp)]
        except NotFound:
            return []


class Collection:
    """What a project has of one kind. All methods raise as :meth:`Transport.request` does."""

    def __init__(self, cloud: Caller, name: str) -> None:
        self._cloud = cloud
        self._name = name
        self._path = f"/v2.0/{name.replace('_', '-')}"

    async def where(
        self, member: str, values: Iterable[str], kind: type[T], *, at_once: int = _BATCH, **query: str
    ) -> AsyncIterator[T]:
        """What has one of these values in a member, as this; an operator can have Neutron show it page by page
        (``pagination_max_limit``).

        :param at_once: how many values are asked for in one call.
        """
        wanted, ask = list(values), partial(self._cloud.request, "network", "GET", self._path)
        for at in range(0, len(wanted), at_once):
            asked = {member: wanted[at : at + at_once], **query}
            async for page in pages(ask, self._name, kind, asked):
                for item in page:
                    yield item

    async def named(self, names: Iterable[str]) -> list[str]:
        """The ids of what has one of these names; of ports, those that no device has."""
        found = self.where("name", sorted(names), Item, at_once=_NAMES)
        return [item.id async for item in found if not item.is_used]

    async def delete(self, resource: str) -> None:
        """Delete one; it is fine if it is gone.

        :raises AlreadyExists: 409, it is in use.
        """
        try:
            await self._cloud.request("network", "DELETE", f"{self._path}/{resource}", acts=True)
        except NotFound:
            return
