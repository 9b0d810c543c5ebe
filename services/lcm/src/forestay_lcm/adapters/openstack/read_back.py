"""``instantiatedVnfInfo`` from what is really there: Heat's resources, Neutron's ports, Nova's zones.

Rules of this module:

* Pure, and made anew each time: what was known before is taken over only where a VIM cannot know it (scale levels,
  names and properties of VNFCs that live on, metadata of others).
* Ids are those of the VIM, so that a resource keeps its id as long as it lives: server, volume, network and port ids;
  ``<cpd>-<server>`` for a VNFC's CP, ``cp-<port>`` for an external CP, ``<vdu>-<server>`` for a VnfcInfo.
* A VNFC is an OS::Nova::Server named as a VDU; its ports and volumes are those of its stack and its number that its VDU
  has. A resource goes by its node, without the number (:mod:`vnfcs`).
* Order is fixed: VNFCs by VDU, the highest number first, then the newest; everything else by node and id.
* A server that does not run is a VNFC that is stopped; a VNF is started as long as one of its VNFCs is.

Wire contract section 7; SOL003 clause 5.5.2.2. Addresses are the real ones, dynamic ones too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, cast

import msgspec
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import (
    ExtLinkPortInfo,
    ExtManagedVirtualLinkData,
    ExtManagedVirtualLinkInfo,
    ExtVirtualLinkData,
    ExtVirtualLinkInfo,
    InstantiatedVnfInfo,
    ResourceHandle,
    ScaleInfo,
    VirtualStorageResourceInfo,
    VnfcCpInfo,
    VnfcInfo,
    VnfcResourceInfo,
    VnfExtCpInfo,
    VnfLinkPortInfo,
    VnfVirtualLinkResourceInfo,
)

from forestay_lcm.adapters.openstack.addresses import cp_protocol_info, fulfilled_configs
from forestay_lcm.adapters.openstack.groups import SERVER
from forestay_lcm.adapters.openstack.heat import Stack, StackResource
from forestay_lcm.adapters.openstack.neutron import Port
from forestay_lcm.adapters.openstack.nova import STOPPED, Server
from forestay_lcm.adapters.openstack.vnfcs import Name, by_node, is_home, servers
from forestay_lcm.domain.connection_points import GIVEN_PORT, vdu_cp_id

PORT, NET, VOLUME = "OS::Neutron::Port", "OS::Neutron::Net", "OS::Cinder::Volume"


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What the VIM shows: the stack with its resources, the servers by id, and their ports by id."""

    stack: Stack
    resources: list[StackResource]
    ports: dict[str, Port]
    servers: dict[str, Server]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the VIM does not know.

    :ivar links: the external virtual links; ``managed`` the externally managed ones by the internal one they replace.
    :ivar vnfc_ids: ids that the requester wants for VNFCs, by VDU (metadata ``VDU_VNFc_mapping``, wire section 3.1).
    :ivar before: the VNF before the operation.
    """

    flavour: Flavour
    links: tuple[ExtVirtualLinkData, ...]
    managed: dict[str, ExtManagedVirtualLinkData]
    scale_status: tuple[ScaleInfo, ...]
    connection_id: str
    tenant: str
    localization_language: str | None = None
    before: InstantiatedVnfInfo | None = None
    vnfc_ids: Mapping[str, tuple[str, ...]] = {}


def instantiated_vnf_info(observed: Observed, known: Known) -> InstantiatedVnfInfo:
    """The whole ``instantiatedVnfInfo`` of a VNF that is instantiated."""
    view = _View(observed, known)
    flavour, vnfcs = known.flavour, tuple(_vnfc_infos(view))
    kept = (known.before.metadata if known.before else None) or {}
    return InstantiatedVnfInfo(
        flavour_id=flavour.id,
        vnf_state="STARTED" if not vnfcs or any(vnfc.vnfc_state == "STARTED" for vnfc in vnfcs) else "STOPPED",
        scale_status=known.scale_status,
        max_scale_levels=tuple(
            ScaleInfo(aspect_id=aspect.id, scale_level=aspect.max_scale_level)
            for aspect in flavour.scaling_aspects.values()
        ),
        ext_cp_info=tuple(_ext_cps(view)),
        ext_virtual_link_info=tuple(_ext_virtual_links(view)),
        ext_managed_virtual_link_info=tuple(_managed_virtual_links(view)),
        localization_language=known.localization_language,
        vnfc_resource_info=tuple(_vnfcs(view)),
        vnf_virtual_link_resource_info=tuple(_virtual_links(view)),
        virtual_storage_resource_info=tuple(_storages(view)),
        vnfc_info=vnfcs,
        metadata={**kept, "stack_id": observed.stack.path, "nfv": view.nfv, "tenant": known.tenant},
    )


class _ConnectedPort(msgspec.Struct, frozen=True, kw_only=True):
    """A port of a connection point of a VDU. ``link_port_id`` is what SOL003 calls it, ``server`` its VNFC's id."""

    cp_id: str
    port_id: str
    link_port_id: str
    given: bool
    server: str | None
    details: Port | None

    @property
    def vnfc_cp_id(self) -> str | None:
        return f"{self.cp_id}-{self.server}" if self.server else None


class _View:
    """The observed resources, sorted and connected to each other."""

    def __init__(self, observed: Observed, known: Known) -> None:
        self.observed = observed
        self.known = known
        self.resources = by_node(observed.resources, known.flavour)
        self.servers = servers(observed.resources, known.flavour)
        self.links, self.managed = known.links, known.managed

    def of_type(self, kind: str, nodes: Iterable[str]) -> list[StackResource]:
        names = set(nodes)
        found = (item for item in self.resources if item.type == kind and item.name in names)
        return sorted((item for item in found if item.physical_id), key=lambda item: (item.name, item.physical_id))

    def handle(self, resource_id: str, kind: str) -> ResourceHandle:
        connection = self.known.connection_id
        return ResourceHandle(vim_connection_id=connection, resource_id=resource_id, vim_level_resource_type=kind)

    def zone(self, server: StackResource) -> str | None:
        seen = self.observed.servers.get(server.physical_id)
        return seen.zone if seen else None

    def is_stopped(self, server: StackResource) -> bool:
        seen = self.observed.servers.get(server.physical_id)
        return seen is not None and seen.status in STOPPED

    @cached_property
    def nfv(self) -> dict[str, Any]:
        """The parameter that the stack was made with; Heat shows a JSON parameter as text."""
        value = self.observed.stack.parameters.get("nfv") or {}
        return msgspec.json.decode(value) if isinstance(value, str) else value

    @cached_property
    def ports(self) -> list[_ConnectedPort]:
        """All ports of the VNF's connection points, by CP and id."""
        made = [self._made_port(item) for item in self.of_type(PORT, self.known.flavour.cps)]
        return sorted([*made, *self._given_ports()], key=lambda port: (port.cp_id, port.port_id))

    def _made_port(self, resource: StackResource) -> _ConnectedPort:
        details = self.observed.ports.get(resource.physical_id)
        vdu_id = self.known.flavour.cps[resource.name].vdu_id
        here = (resource.stack, resource.index, vdu_id)
        home = (item.physical_id for item in self.servers if (item.stack, item.index, item.name) == here)
        return _ConnectedPort(
            cp_id=resource.name,
            port_id=resource.physical_id,
            link_port_id=resource.physical_id,
            given=False,
            server=self._server_of(details) or next(home, None),
            details=details,
        )

    def _given_ports(self) -> Iterator[_ConnectedPort]:
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

    def _given_port(self, cp_id: str, link_port_id: str, port_id: str) -> _ConnectedPort:
        details = self.observed.ports.get(port_id)
        return _ConnectedPort(
            cp_id=cp_id,
            port_id=port_id,
            link_port_id=link_port_id,
            given=True,
            server=self._server_of(details),
            details=details,
        )

    def _server_of(self, details: Port | None) -> str | None:
        ids = {item.physical_id for item in self.servers}
        return details.device_id if details and details.device_id in ids else None

    def ports_in(self, link_id: str) -> list[_ConnectedPort]:
        """The ports on an internal (or externally managed) virtual link."""
        return [port for port in self.ports if self.known.flavour.cps[port.cp_id].virtual_link_id == link_id]

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


def _vnfcs(view: _View) -> Iterator[VnfcResourceInfo]:
    for server in view.servers:
        vdu = view.known.flavour.vdus[server.name]
        storages = view.of_type(VOLUME, vdu.storage_ids)
        yield VnfcResourceInfo(
            id=server.physical_id,
            vdu_id=vdu.id,
            compute_resource=view.handle(server.physical_id, SERVER),
            zone_id=view.zone(server),
            storage_resource_ids=tuple(item.physical_id for item in storages if is_home(item, server)),
            vnfc_cp_info=tuple(_vnfc_cp(view, port) for port in view.ports if port.server == server.physical_id),
            metadata=_vnfc_metadata(view, server, vdu.storage_ids),
        )


def _vnfc_cp(view: _View, port: _ConnectedPort) -> VnfcCpInfo:
    """Addresses of an exposed CP are with its external CP; of the others, here (SOL003 clause 5.5.3.5)."""
    internal = view.known.flavour.cps[port.cp_id].virtual_link_id is not None
    exposed = port.port_id in view.external
    return VnfcCpInfo(
        id=port.vnfc_cp_id or port.port_id,
        cpd_id=port.cp_id,
        vnf_ext_cp_id=f"cp-{port.port_id}" if exposed else None,
        cp_protocol_info=() if exposed else cp_protocol_info(port.details),
        vnf_link_port_id=port.link_port_id if internal else None,
    )


def _vnfc_metadata(view: _View, server: StackResource, storage_ids: Iterable[str]) -> dict[str, Any]:
    vdus = cast("Mapping[str, Mapping[str, Any]]", view.nfv.get("VDU") or {})
    nodes = {node: vdus.get(str(Name(node, server.index)), vdus.get(node)) for node in (server.name, *storage_ids)}
    own = nodes[server.name] or {}
    images = {f"image-{node}": leaves.get("vcImageId") for node, leaves in nodes.items() if leaves}
    stack_id = server.stack.rpartition("/")[2]
    parent = next((item for item in view.observed.resources if item.physical_id == stack_id), None)
    metadata = {
        "creation_time": server.creation_time,
        "stack_id": server.stack,
        "parent_stack_id": parent.stack if parent else None,
        "parent_resource_name": parent.name if parent else None,
        "vdu_idx": server.index,
        "flavor": own.get("computeFlavourId"),
        "zone": own.get("locationConstraints"),
        **images,
    }
    before = view.known.before.vnfc_resource_info if view.known.before else ()
    kept = next((vnfc.metadata for vnfc in before if vnfc.id == server.physical_id), None) or {}
    return kept | {key: value for key, value in metadata.items() if value is not None}


def _vnfc_infos(view: _View) -> Iterator[VnfcInfo]:
    before = view.known.before.vnfc_info if view.known.before else ()
    known = {vnfc.vnfc_resource_info_id: vnfc for vnfc in before}
    ids = _vnfc_ids(view, {server: vnfc.id for server, vnfc in known.items() if server})
    for server in view.servers:
        old = known.get(server.physical_id)
        yield VnfcInfo(
            id=ids[server.physical_id],
            vdu_id=server.name,
            vnfc_resource_info_id=server.physical_id,
            vnfc_state="STOPPED" if view.is_stopped(server) else "STARTED",
            vnfc_configurable_properties=old.vnfc_configurable_properties if old else None,
        )


def _vnfc_ids(view: _View, known: Mapping[str, str]) -> dict[str, str]:
    """The id of each VnfcInfo, by server: the one that it has, else the one that the requester has chosen for its number.

    A VNFC without a number gets the first that is free of those for its VDU, the oldest first; beyond them, its own.
    """
    ids = {server.physical_id: known[server.physical_id] for server in view.servers if server.physical_id in known}
    for server in reversed(view.servers):
        chosen = list(view.known.vnfc_ids.get(server.name, ()))
        wanted = chosen if server.index is None else chosen[server.index : server.index + 1]
        free = (each for each in wanted if each not in ids.values())
        ids.setdefault(server.physical_id, next(free, f"{server.name}-{server.physical_id}"))
    return ids


def _storages(view: _View) -> Iterator[VirtualStorageResourceInfo]:
    for volume in view.of_type(VOLUME, view.known.flavour.storages):
        yield VirtualStorageResourceInfo(
            id=volume.physical_id,
            virtual_storage_desc_id=volume.name,
            storage_resource=view.handle(volume.physical_id, VOLUME),
            metadata={"stack_id": volume.stack},
        )


def _virtual_links(view: _View) -> Iterator[VnfVirtualLinkResourceInfo]:
    for network in view.of_type(NET, view.known.flavour.virtual_links):
        yield VnfVirtualLinkResourceInfo(
            id=network.physical_id,
            vnf_virtual_link_desc_id=network.name,
            network_resource=view.handle(network.physical_id, NET),
            vnf_link_ports=_link_ports(view, network.name),
        )


def _managed_virtual_links(view: _View) -> Iterator[ExtManagedVirtualLinkInfo]:
    for link in view.managed.values():
        yield ExtManagedVirtualLinkInfo(
            id=link.id,
            vnf_virtual_link_desc_id=link.vnf_virtual_link_desc_id,
            network_resource=ResourceHandle(
                vim_connection_id=link.vim_connection_id,
                resource_provider_id=link.resource_provider_id,
                resource_id=link.resource_id,
            ),
            vnf_link_ports=_link_ports(view, link.vnf_virtual_link_desc_id),
            ext_managed_multisite_virtual_link_id=link.ext_managed_multisite_virtual_link_id,
        )


def _link_ports(view: _View, link_id: str) -> tuple[VnfLinkPortInfo, ...]:
    return tuple(
        VnfLinkPortInfo(
            id=port.link_port_id,
            resource_handle=view.handle(port.port_id, PORT),
            cp_instance_id=port.vnfc_cp_id,
            cp_instance_type="VNFC_CP" if port.server else "EXT_CP",
        )
        for port in view.ports_in(link_id)
    )


def _ext_cps(view: _View) -> Iterator[VnfExtCpInfo]:
    for port in view.ports:
        if port.port_id in view.external:
            link, cpd_id, config_id = view.external[port.port_id]
            config = next(cp.cp_config[config_id] for cp in link.ext_cps if cp.cpd_id == cpd_id)
            yield VnfExtCpInfo(
                id=f"cp-{port.port_id}",
                cpd_id=cpd_id,
                cp_config_id=config_id,
                cp_protocol_info=cp_protocol_info(port.details, config),
                ext_link_port_id=port.link_port_id,
                associated_vnfc_cp_id=port.vnfc_cp_id,
            )


def _ext_virtual_links(view: _View) -> Iterator[ExtVirtualLinkInfo]:
    for link in view.links:
        ours = [port for port in view.ports if view.external.get(port.port_id, (None,))[0] is link]
        yield ExtVirtualLinkInfo(
            id=link.id,
            resource_handle=ResourceHandle(
                vim_connection_id=link.vim_connection_id,
                resource_provider_id=link.resource_provider_id,
                resource_id=link.resource_id,
            ),
            current_vnf_ext_cp_data=link.ext_cps,
            ext_link_ports=tuple(
                ExtLinkPortInfo(
                    id=port.link_port_id,
                    resource_handle=view.handle(port.port_id, PORT),
                    cp_instance_id=f"cp-{port.port_id}",
                )
                for port in ours
            ),
        )
