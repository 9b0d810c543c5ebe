"""Resource definitions: what a grant request names, of resources to make and of resources that exist.

Rules of this module:

* Pure. COMPUTE and VL definitions have an id of their own; LINKPORT and STORAGE are ``<node>-<id of their COMPUTE>``.
* A port that the requester made is not ours: it is never asked for and never removed.
* VNFCs are listed as InstantiatedVnfInfo lists them: the newest first.

SOL003 clause 9.5.3.2 (ResourceDefinition); the ids are those of Tacker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import msgspec
from forestay_lcm.domain.connection_points import GIVEN_PORT, given_link_ports, vdu_cp_id
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import (
    ExtVirtualLinkData,
    ExtVirtualLinkInfo,
    GrantRequest,
    InstantiatedVnfInfo,
    LcmOperation,
    ResourceDefinition,
    ResourceHandle,
    VnfcResourceInfo,
    VnfExtCpData,
)

NewId = Callable[[], str]


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """What all grant requests have in common.

    :ivar vnfd_id: of the VNF as it is before the operation.
    :ivar new_id: gives the ids of definitions. It is called in a fixed order: the same input gives the same request.
    :ivar automatic: the operation was begun by a policy of the VNFM.
    :ivar best_effort: ``fallbackBestEffort`` of the placement constraints.
    """

    vnf_id: str
    op_id: str
    vnfd_id: str
    new_id: NewId
    automatic: bool = False
    best_effort: bool = False

    def request(
        self,
        operation: LcmOperation,
        *,
        add: Iterable[ResourceDefinition] = (),
        remove: Iterable[ResourceDefinition] = (),
        update: Iterable[ResourceDefinition] = (),
        **members: Any,
    ) -> GrantRequest:
        """The request for an operation; ``members`` are further fields of GrantRequest."""
        return GrantRequest(
            vnf_instance_id=self.vnf_id,
            vnf_lcm_op_occ_id=self.op_id,
            vnfd_id=self.vnfd_id,
            operation=operation,
            is_automatic_invocation=self.automatic,
            add_resources=tuple(add),
            remove_resources=tuple(remove),
            update_resources=tuple(update),
            **members,
        )


def planned(
    flavour: Flavour, vdu_id: str, compute_id: str, *, given_ports: Collection[str] = ()
) -> Iterator[ResourceDefinition]:
    """The definitions of a VNFC to make: its COMPUTE, its ports except those of ``given_ports`` (VduCps), its storages."""
    vdu = flavour.vdus[vdu_id]
    yield ResourceDefinition(id=compute_id, type="COMPUTE", vdu_id=vdu_id, resource_template_id=vdu_id)
    for cp in vdu.cp_ids:
        if cp not in given_ports:
            yield port(cp, compute_id)
    for node in vdu.storage_ids:
        yield storage(node, compute_id)


def port(cp_id: str, compute_id: str, handle: ResourceHandle | None = None) -> ResourceDefinition:
    """The definition of a VNFC's port."""
    return ResourceDefinition(id=f"{cp_id}-{compute_id}", type="LINKPORT", resource_template_id=cp_id, resource=handle)


def storage(node: str, compute_id: str, handle: ResourceHandle | None = None) -> ResourceDefinition:
    """The definition of a VNFC's storage."""
    return ResourceDefinition(id=f"{node}-{compute_id}", type="STORAGE", resource_template_id=node, resource=handle)


def link(node: str, new_id: NewId, handle: ResourceHandle | None = None) -> ResourceDefinition:
    """The definition of an internal virtual link."""
    return ResourceDefinition(id=new_id(), type="VL", resource_template_id=node, resource=handle)


def anew(definitions: Iterable[ResourceDefinition]) -> Iterator[ResourceDefinition]:
    """Definitions of existing resources as those of resources to make in their place."""
    return (msgspec.structs.replace(definition, resource=None) for definition in definitions)


def cps_with_given_port(
    flavour: Flavour, links: Iterable[ExtVirtualLinkData] | Iterable[ExtVirtualLinkInfo]
) -> set[str]:
    """The VduCps whose ports the requester made."""
    return {vdu_cp_id(flavour, cp.cpd_id) for cp in ext_cps(links) if given_link_ports([cp])}


def ext_cps(links: Iterable[ExtVirtualLinkData] | Iterable[ExtVirtualLinkInfo]) -> Iterator[VnfExtCpData]:
    """The external CPs that requested or existing links connect."""
    for each in links:
        yield from each.ext_cps if isinstance(each, ExtVirtualLinkData) else each.current_vnf_ext_cp_data


class Existing:
    """The resources of an instantiated VNF as definitions with their handles in the VIM."""

    def __init__(self, info: InstantiatedVnfInfo) -> None:
        self.info = info
        self.vnfcs = info.vnfc_resource_info
        self._ports = _own_port_handles(info)
        self._storages = {item.id: item for item in info.virtual_storage_resource_info}

    def of(self, vdu_id: str) -> list[VnfcResourceInfo]:
        """The VNFCs of a VDU, the newest first."""
        return [vnfc for vnfc in self.vnfcs if vnfc.vdu_id == vdu_id]

    def compute(self, vnfc: VnfcResourceInfo, compute_id: str) -> ResourceDefinition:
        """The server of a VNFC."""
        return ResourceDefinition(
            id=compute_id,
            type="COMPUTE",
            vdu_id=vnfc.vdu_id,
            resource_template_id=vnfc.vdu_id,
            resource=vnfc.compute_resource,
        )

    def ports(self, vnfc: VnfcResourceInfo, compute_id: str) -> Iterator[ResourceDefinition]:
        """The ports that we made for a VNFC."""
        for cp in vnfc.vnfc_cp_info:
            if handle := self._ports.get(cp.vnf_link_port_id or cp.vnf_ext_cp_id):
                yield port(cp.cpd_id, compute_id, handle)

    def storages(self, vnfc: VnfcResourceInfo, compute_id: str) -> Iterator[ResourceDefinition]:
        """The storages of a VNFC."""
        for item in (self._storages[key] for key in vnfc.storage_resource_ids):
            yield storage(item.virtual_storage_desc_id, compute_id, item.storage_resource)

    def whole(self, vnfc: VnfcResourceInfo, compute_id: str) -> Iterator[ResourceDefinition]:
        """A VNFC with all that goes with it."""
        yield self.compute(vnfc, compute_id)
        yield from self.ports(vnfc, compute_id)
        yield from self.storages(vnfc, compute_id)

    def links(self, new_id: NewId) -> Iterator[ResourceDefinition]:
        """The internal virtual links that we made."""
        for item in self.info.vnf_virtual_link_resource_info:
            yield link(item.vnf_virtual_link_desc_id, new_id, item.network_resource)


def _own_port_handles(info: InstantiatedVnfInfo) -> dict[str | None, ResourceHandle]:
    """The handles of the ports that we made, by VnfLinkPort id and by external CP id."""
    given = given_link_ports(ext_cps(info.ext_virtual_link_info))
    internal = [
        port
        for link in (*info.vnf_virtual_link_resource_info, *info.ext_managed_virtual_link_info)
        for port in link.vnf_link_ports
    ]
    handles: dict[str | None, ResourceHandle] = {
        port.id: port.resource_handle for port in internal if not port.id.startswith(GIVEN_PORT)
    }
    handles.update(
        (port.cp_instance_id, port.resource_handle)
        for link in info.ext_virtual_link_info
        for port in link.ext_link_ports
        if port.id not in given
    )
    return handles
