"""What a VIM shows of a VNF, its resources sorted by what they are in the VNFD and connected to each other.

Rules of this module: pure. A resource goes by its node, without the number (:mod:`template.vnfcs`); a port belongs to the server
that Neutron names, else to that of its stack and number that its VDU has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec
from forestay_sol.resource_types import PORT, VOLUME
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import (
    ExtManagedVirtualLinkData,
    ExtVirtualLinkData,
    InstantiatedVnfInfo,
    ResourceHandle,
    ScaleInfo,
)

from forestay_lcm.adapters.openstack.addresses import admits, fulfilled_configs
from forestay_lcm.adapters.openstack.clients.heat import Stack, StackResource
from forestay_lcm.adapters.openstack.clients.neutron import Port
from forestay_lcm.adapters.openstack.clients.nova import STOPPED, Server
from forestay_lcm.adapters.openstack.template.vnfcs import by_node, servers
from forestay_lcm.domain.connection_points import GIVEN_PORT, vdu_cp_id


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What the VIM shows: the stack with its resources, the servers by id, and their ports by id."""

    stack: Stack
    resources: list[StackResource]
    ports: dict[str, Port]
    servers: dict[str, Server]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the VIM does not know.

    :ivar links: the external virtual links; ``managed`` the externally managed ones by the internal one they replace.
    :ivar tenant: name of the project that the VNF is in, ``tenant_id`` its id.
    :ivar vnfc_ids: ids that the requester wants for VNFCs, by VDU (metadata ``VDU_VNFc_mapping``, wire section 3.1).
    :ivar before: the VNF before the operation.
    """

    flavour: Flavour
    links: tuple[ExtVirtualLinkData, ...]
    managed: dict[str, ExtManagedVirtualLinkData]
    scale_status: tuple[ScaleInfo, ...]
    connection_id: str
    tenant: str
    tenant_id: str
    localization_language: str | None = None
    before: InstantiatedVnfInfo | None = None
    vnfc_ids: Mapping[str, tuple[str, ...]] = {}


class ConnectedPort(msgspec.Struct, frozen=True, kw_only=True):
    """A port of a connection point: of a VDU, or a VIP, which has no VNFC.

    ``link_port_id`` is what SOL003 calls it, ``server`` its VNFC's id.
    """

    cp_id: str
    port_id: str
    link_port_id: str
    given: bool
    server: str | None
    details: Port | None

    @property
    def vnfc_cp_id(self) -> str | None:
        return f"{self.cp_id}-{self.server}" if self.server else None

    @property
    def trunk_id(self) -> str | None:
        """The trunk whose parent this port is."""
        return self.details.trunk_id if self.details else None

    @property
    def vip_cp_id(self) -> str:
        """What a VIP CP is called that has this port."""
        return f"{self.cp_id}-{self.port_id}"


class View:
    """The observed resources, sorted and connected to each other."""

    def __init__(self, observed: Observed, known: Known) -> None:
        self.observed = observed
        self.known = known
        self.resources = by_node(observed.resources, known.flavour)
        self.servers = servers(observed.resources, known.flavour)
        self.links, self.managed = known.links, known.managed

    def of_type(self, kind: str, nodes: Iterable[str]) -> list[StackResource]:
        """The resources of a type that are these nodes, by node and id."""
        names = set(nodes)
        found = (item for item in self.resources if item.type == kind and item.name in names)
        return sorted((item for item in found if item.physical_id), key=lambda item: (item.name, item.physical_id))

    def handle(self, resource_id: str, kind: str) -> ResourceHandle:
        """A resource, as SOL003 names it."""
        connection = self.known.connection_id
        return ResourceHandle(vim_connection_id=connection, resource_id=resource_id, vim_level_resource_type=kind)

    def zone(self, server: StackResource) -> str | None:
        """The availability zone that a server is in, if Nova shows it."""
        seen = self.observed.servers.get(server.physical_id)
        return seen.zone if seen else None

    def is_stopped(self, server: StackResource) -> bool:
        """Whether Nova shows that a server does not run."""
        seen = self.observed.servers.get(server.physical_id)
        return seen is not None and seen.status in STOPPED

    @cached_property
    def nfv(self) -> dict[str, Any]:
        """The parameter that the stack was made with; Heat shows a JSON parameter as text."""
        value = self.observed.stack.parameters.get("nfv") or {}
        return msgspec.json.decode(value) if isinstance(value, str) else value

    @cached_property
    def ports(self) -> list[ConnectedPort]:
        """All ports of the VNF's connection points, by CP and id."""
        flavour = self.known.flavour
        made = [self._made_port(item) for item in self.of_type(PORT, (*flavour.cps, *flavour.vip_cps))]
        return sorted([*made, *self._given_ports()], key=lambda port: (port.cp_id, port.port_id))

    def _made_port(self, resource: StackResource) -> ConnectedPort:
        details = self.observed.ports.get(resource.physical_id)
        cp = self.known.flavour.cps.get(resource.name)
        here = (resource.stack, resource.index, cp.vdu_id if cp else None)
        return ConnectedPort(
            cp_id=resource.name,
            port_id=resource.physical_id,
            link_port_id=resource.physical_id,
            given=False,
            server=self._server_of(details) or self._homes.get(here),
            details=details,
        )

    def _given_ports(self) -> Iterator[ConnectedPort]:
        """The ports that the requester made: the stack does not hold them, only Neutron says whose they are."""
        flavour = self.known.flavour
        for link in self.links:
            handles = {port.id: port.resource_handle for port in link.ext_link_ports}
            for cp in link.ext_cps:
                for link_port_id in filter(None, (config.link_port_id for config in cp.cp_config.values())):
                    if handle := handles.get(link_port_id):
                        yield self._given_port(vdu_cp_id(flavour, cp.cpd_id), link_port_id, handle.resource_id)
        for link in self.managed.values():
            inside = [cp for cp in flavour.cps.values() if cp.virtual_link_id == link.vnf_virtual_link_desc_id]
            for given in link.vnf_link_port:
                details = self.observed.ports.get(given.resource_handle.resource_id)
                vdus = {item.name for item in self.servers if item.physical_id == self._server_of(details)}
                if cp_id := next((cp.id for cp in inside if cp.vdu_id in vdus), None):
                    yield self._given_port(
                        cp_id, GIVEN_PORT + given.vnf_link_port_id, given.resource_handle.resource_id
                    )

    def _given_port(self, cp_id: str, link_port_id: str, port_id: str) -> ConnectedPort:
        details = self.observed.ports.get(port_id)
        return ConnectedPort(
            cp_id=cp_id,
            port_id=port_id,
            link_port_id=link_port_id,
            given=True,
            server=self._server_of(details),
            details=details,
        )

    def _server_of(self, details: Port | None) -> str | None:
        return details.device_id if details and details.device_id in self._server_ids else None

    @cached_property
    def _server_ids(self) -> set[str]:
        return {item.physical_id for item in self.servers}

    @cached_property
    def _homes(self) -> dict[tuple[str, int | None, str | None], str]:
        """The server that a port belongs to by its stack, its number and its VDU."""
        return {(item.stack, item.index, item.name): item.physical_id for item in reversed(self.servers)}

    @cached_property
    def ports_by_server(self) -> dict[str | None, list[ConnectedPort]]:
        """The ports of each server, by its id."""
        found: dict[str | None, list[ConnectedPort]] = {}
        for port in self.ports:
            found.setdefault(port.server, []).append(port)
        return found

    @cached_property
    def volumes_by_home(self) -> dict[tuple[str, int | None], list[StackResource]]:
        """The volumes of each VNFC, by its stack and number."""
        found: dict[tuple[str, int | None], list[StackResource]] = {}
        for volume in self.of_type(VOLUME, self.known.flavour.storages):
            found.setdefault((volume.stack, volume.index), []).append(volume)
        return found

    @cached_property
    def by_id(self) -> dict[str, StackResource]:
        """The resources as Heat names them, by id."""
        return {item.physical_id: item for item in reversed(self.observed.resources)}

    @cached_property
    def kept(self) -> dict[str, dict[str, Any]]:
        """What was known of VNFCs before."""
        before = self.known.before.vnfc_resource_info if self.known.before else ()
        return {vnfc.id: vnfc.metadata or {} for vnfc in before}

    @cached_property
    def _parents(self) -> dict[str, ConnectedPort]:
        """The parent of each port that goes through a trunk, by id."""
        trunks = ((port, port.details.trunk_details) for port in self.ports if port.details)
        return {sub.port_id: port for port, trunk in trunks if trunk for sub in trunk.sub_ports}

    def parent_of(self, port: ConnectedPort) -> ConnectedPort | None:
        """The port whose trunk a port goes through."""
        return self._parents.get(port.port_id)

    def ports_in(self, link_id: str) -> list[ConnectedPort]:
        """The ports on an internal (or externally managed) virtual link."""
        return [port for port in self.ports if self.link_of(port) == link_id]

    def link_of(self, port: ConnectedPort) -> str | None:
        """The internal virtual link that a port is on; ``None``, too, for a CP that only a former VNFD knew."""
        flavour = self.known.flavour
        cp = flavour.vip_cps.get(port.cp_id) or flavour.cps.get(port.cp_id)
        return cp.virtual_link_id if cp else None

    def is_vip(self, port: ConnectedPort) -> bool:
        """Whether a port keeps a virtual address."""
        return port.cp_id in self.known.flavour.vip_cps

    def sharing(self, vip: ConnectedPort) -> list[ConnectedPort]:
        """The ports of VNFCs that share a VIP: those of its targets, and those that Neutron lets use its address."""
        targets = self.known.flavour.vip_cps[vip.cp_id].target_ids
        both = ((port, port.details, vip.details) for port in self.ports if port.server)
        return [port for port, own, its in both if port.cp_id in targets or (own and its and admits(own, its))]

    @cached_property
    def external(self) -> dict[str, tuple[ExtVirtualLinkData, str, str]]:
        """Of each external port by id: its external virtual link, its cpdId and its cpConfigId."""
        found: dict[str, tuple[ExtVirtualLinkData, str, str]] = {}
        for link in self.links:
            for cp in link.ext_cps:
                given = {config.link_port_id: config_id for config_id, config in cp.cp_config.items()}
                ours = [port for port in self.ports if port.cp_id == vdu_cp_id(self.known.flavour, cp.cpd_id)]
                made = [(port.port_id, port.details) for port in ours if not port.given]
                configs = fulfilled_configs(cp.cp_config, made)
                configs |= {port.port_id: given[port.link_port_id] for port in ours if port.link_port_id in given}
                found |= {port_id: (link, cp.cpd_id, config_id) for port_id, config_id in configs.items()}
        return found
