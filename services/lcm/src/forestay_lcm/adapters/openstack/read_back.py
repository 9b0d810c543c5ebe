"""``instantiatedVnfInfo`` from what is really there: Heat's resources, Neutron's ports, Nova's zones.

Rules of this module:

* Pure, and made anew each time: what was known before is taken over only where a VIM cannot know it (scale levels,
  names and properties of VNFCs that live on, metadata of others).
* Ids are those of the VIM, so that a resource keeps its id as long as it lives: server, volume, network and port ids;
  ``<cpd>-<server>`` for a VNFC's CP, ``<cpd>-<port>`` for a VIP CP, ``cp-<port>`` for an external CP, ``<vdu>-<server>``
  for a VnfcInfo.
* A VNFC is an OS::Nova::Server named as a VDU; its ports and volumes are those of its stack and its number that its VDU
  has. A VIP is an OS::Neutron::Port named as a VipCp.
* Order is fixed: VNFCs by VDU, the highest number first, then the newest; everything else by node and id.
* A server that does not run is a VNFC that is stopped; a VNF is started as long as one of its VNFCs is.

Wire contract section 7; SOL003 clause 5.5.2.2. Addresses are the real ones, dynamic ones too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from forestay_sol.resource_types import NET, PORT, SERVER, VOLUME
from forestay_sol.vnflcm import (
    ExtLinkPortInfo,
    ExtManagedVirtualLinkInfo,
    ExtVirtualLinkInfo,
    InstantiatedVnfInfo,
    ResourceHandle,
    ScaleInfo,
    VipCpInfo,
    VirtualStorageResourceInfo,
    VnfcCpInfo,
    VnfcInfo,
    VnfcResourceInfo,
    VnfExtCpInfo,
    VnfLinkPortInfo,
    VnfVirtualLinkResourceInfo,
)

from forestay_lcm.adapters.openstack.addresses import cp_protocol_info
from forestay_lcm.adapters.openstack.clients.heat import StackResource
from forestay_lcm.adapters.openstack.template.vnfcs import Name
from forestay_lcm.adapters.openstack.view import ConnectedPort, Known, Observed, View


def instantiated_vnf_info(observed: Observed, known: Known) -> InstantiatedVnfInfo:
    """The whole ``instantiatedVnfInfo`` of a VNF that is instantiated."""
    view = View(observed, known)
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
        vip_cp_info=tuple(_vip_cps(view)),
        ext_virtual_link_info=tuple(_ext_virtual_links(view)),
        ext_managed_virtual_link_info=tuple(_managed_virtual_links(view)),
        localization_language=known.localization_language,
        vnfc_resource_info=tuple(_vnfcs(view)),
        vnf_virtual_link_resource_info=tuple(_virtual_links(view)),
        virtual_storage_resource_info=tuple(_storages(view)),
        vnfc_info=vnfcs,
        metadata={
            **kept,
            "stack_id": observed.stack.path,
            "nfv": view.nfv,
            "tenant": known.tenant,
            "tenant_id": known.tenant_id,
        },
    )


def _vnfcs(view: View) -> Iterator[VnfcResourceInfo]:
    for server in view.servers:
        vdu = view.known.flavour.vdus[server.name]
        storages = view.volumes_by_home.get((server.stack, server.index), ())
        yield VnfcResourceInfo(
            id=server.physical_id,
            vdu_id=vdu.id,
            compute_resource=view.handle(server.physical_id, SERVER),
            zone_id=view.zone(server),
            storage_resource_ids=tuple(item.physical_id for item in storages if item.name in vdu.storage_ids),
            vnfc_cp_info=tuple(_vnfc_cp(view, port) for port in view.ports_by_server.get(server.physical_id, ())),
            metadata=_vnfc_metadata(view, server, vdu.storage_ids),
        )


def _vnfc_cp(view: View, port: ConnectedPort) -> VnfcCpInfo:
    """Addresses of an exposed CP are with its external CP; of the others, here (SOL003 clause 5.5.3.5)."""
    internal = view.link_of(port) is not None
    exposed, parent = port.port_id in view.external, view.parent_of(port)
    return VnfcCpInfo(
        id=port.vnfc_cp_id or port.port_id,
        cpd_id=port.cp_id,
        vnf_ext_cp_id=f"cp-{port.port_id}" if exposed else None,
        cp_protocol_info=() if exposed else cp_protocol_info(port.details),
        vnf_link_port_id=port.link_port_id if internal else None,
        parent_cp_id=parent.vnfc_cp_id if parent else None,
    )


def _vnfc_metadata(view: View, server: StackResource, storage_ids: Iterable[str]) -> dict[str, Any]:
    vdus = cast("Mapping[str, Mapping[str, Any]]", view.nfv.get("VDU") or {})
    numbered = {node: str(Name(node, server.index)) for node in (server.name, *storage_ids)}
    called = {node: name if name in vdus else node for node, name in numbered.items()}
    own = vdus.get(called[server.name]) or {}
    images = {f"image-{name}": (vdus.get(name) or {}).get("vcImageId") for name in called.values()}
    stack_id = server.stack.rpartition("/")[2]
    parent = view.by_id.get(stack_id)
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
    return view.kept.get(server.physical_id, {}) | {key: value for key, value in metadata.items() if value is not None}


def _vnfc_infos(view: View) -> Iterator[VnfcInfo]:
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


def _vnfc_ids(view: View, known: Mapping[str, str]) -> dict[str, str]:
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


def _storages(view: View) -> Iterator[VirtualStorageResourceInfo]:
    for volume in view.of_type(VOLUME, view.known.flavour.storages):
        yield VirtualStorageResourceInfo(
            id=volume.physical_id,
            virtual_storage_desc_id=volume.name,
            storage_resource=view.handle(volume.physical_id, VOLUME),
            metadata={"stack_id": volume.stack},
        )


def _virtual_links(view: View) -> Iterator[VnfVirtualLinkResourceInfo]:
    for network in view.of_type(NET, view.known.flavour.virtual_links):
        yield VnfVirtualLinkResourceInfo(
            id=network.physical_id,
            vnf_virtual_link_desc_id=network.name,
            network_resource=view.handle(network.physical_id, NET),
            vnf_link_ports=_link_ports(view, network.name),
        )


def _managed_virtual_links(view: View) -> Iterator[ExtManagedVirtualLinkInfo]:
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


def _link_ports(view: View, link_id: str) -> tuple[VnfLinkPortInfo, ...]:
    return tuple(
        VnfLinkPortInfo(
            id=port.link_port_id,
            resource_handle=view.handle(port.port_id, PORT),
            cp_instance_id=port.vnfc_cp_id,
            cp_instance_type=None if view.is_vip(port) else "VNFC_CP" if port.server else "EXT_CP",
            vip_cp_instance_id=port.vip_cp_id if view.is_vip(port) else None,
            trunk_resource_id=port.trunk_id,
        )
        for port in view.ports_in(link_id)
    )


def _ext_cps(view: View) -> Iterator[VnfExtCpInfo]:
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
                associated_vip_cp_id=port.vip_cp_id if view.is_vip(port) else None,
            )


def _vip_cps(view: View) -> Iterator[VipCpInfo]:
    """Whose addresses a VIP has is said here and, if it is exposed, with its external CP (SOL003 clause 5.5.3.23)."""
    for port in filter(view.is_vip, view.ports):
        yield VipCpInfo(
            cp_instance_id=port.vip_cp_id,
            cpd_id=port.cp_id,
            vnf_ext_cp_id=f"cp-{port.port_id}" if port.port_id in view.external else None,
            cp_protocol_info=cp_protocol_info(port.details),
            associated_vnfc_cp_ids=tuple(filter(None, (sharer.vnfc_cp_id for sharer in view.sharing(port)))),
            vnf_link_port_id=port.link_port_id if view.link_of(port) else None,
        )


def _ext_virtual_links(view: View) -> Iterator[ExtVirtualLinkInfo]:
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
                    trunk_resource_id=port.trunk_id,
                )
                for port in ours
            ),
        )
