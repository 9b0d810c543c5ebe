"""Grant requests: the resources that an operation will add or remove, told to the NFVO before any is touched.

Rules of this module:

* Pure: ids come from ``new_id``, called in a fixed order, so the same input gives the same request.
* COMPUTE and VL definitions have an id of their own; LINKPORT and STORAGE are ``<node>-<id of their COMPUTE>``.
* A port that the requester made is not ours: it is never asked for and never removed.

SOL003 clause 9.5.2.2 (GrantRequest) and 9.5.3.2 (ResourceDefinition).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from forestay_lcm.domain.connection_points import GIVEN_PORT, given_link_ports, vdu_cp_id
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import (
    ConstraintResourceRef,
    GrantRequest,
    InstantiatedVnfInfo,
    InstantiateVnfRequest,
    PlacementConstraint,
    ResourceDefinition,
    ResourceHandle,
    ResourceType,
    VnfcCpInfo,
    VnfcResourceInfo,
)

NewId = Callable[[], str]

_SCOPES: dict[str, Literal["ZONE", "NFVI_NODE"]] = {"zone": "ZONE", "nfvi_node": "NFVI_NODE"}


def instantiate_grant_request(
    *,
    vnf_id: str,
    op_id: str,
    vnfd_id: str,
    flavour: Flavour,
    request: InstantiateVnfRequest,
    new_id: NewId,
    automatic: bool = False,
    best_effort: bool = False,
) -> GrantRequest:
    """The request for INSTANTIATE: every VNFC of the level with its ports and storages, and every internal VL.

    :param new_id: gives ids for the COMPUTE and VL definitions.
    :param best_effort: ``fallbackBestEffort`` of the placement constraints.
    :raises Rejected: 400, the flavour does not have the instantiation level.
    """
    given_ports = _cps_with_given_port(request, flavour)
    given_networks = {link.vnf_virtual_link_desc_id for link in request.ext_managed_virtual_links}
    counts = flavour.level(request.instantiation_level_id).vdu_counts
    added = [
        definition
        for vdu_id in flavour.vdus
        for _ in range(counts[vdu_id])
        for definition in _vnfc_definitions(flavour, vdu_id, given_ports, new_id())
    ]
    added += [
        ResourceDefinition(id=new_id(), type="VL", resource_template_id=link)
        for link in flavour.virtual_links
        if link not in given_networks
    ]
    return GrantRequest(
        vnf_instance_id=vnf_id,
        vnf_lcm_op_occ_id=op_id,
        vnfd_id=vnfd_id,
        flavour_id=request.flavour_id,
        operation="INSTANTIATE",
        is_automatic_invocation=automatic,
        instantiation_level_id=request.instantiation_level_id,
        add_resources=tuple(added),
        placement_constraints=tuple(_placement_constraints(flavour, added, best_effort=best_effort)),
        additional_params=request.additional_params,
    )


def terminate_grant_request(
    *,
    vnf_id: str,
    op_id: str,
    vnfd_id: str,
    info: InstantiatedVnfInfo,
    new_id: NewId,
    automatic: bool = False,
) -> GrantRequest:
    """The request for TERMINATE: everything that Forestay made for the VNF, with its handles in the VIM."""
    ports = _own_port_handles(info)
    storages = {storage.id: storage for storage in info.virtual_storage_resource_info}
    removed: list[ResourceDefinition] = []
    for vnfc in info.vnfc_resource_info:
        compute_id = new_id()
        removed.append(_removal(compute_id, "COMPUTE", vnfc.vdu_id, vnfc.compute_resource, vnfc))
        removed += [
            _removal(f"{cp.cpd_id}-{compute_id}", "LINKPORT", cp.cpd_id, handle, vnfc)
            for cp in vnfc.vnfc_cp_info
            if (handle := ports.get(_port_of(cp)))
        ]
        removed += [
            _removal(f"{node}-{compute_id}", "STORAGE", node, storages[key].storage_resource, vnfc)
            for key in vnfc.storage_resource_ids
            if (node := storages[key].virtual_storage_desc_id)
        ]
    removed += [
        _removal(new_id(), "VL", link.vnf_virtual_link_desc_id, link.network_resource)
        for link in info.vnf_virtual_link_resource_info
    ]
    return GrantRequest(
        vnf_instance_id=vnf_id,
        vnf_lcm_op_occ_id=op_id,
        vnfd_id=vnfd_id,
        operation="TERMINATE",
        is_automatic_invocation=automatic,
        remove_resources=tuple(removed),
    )


def _vnfc_definitions(
    flavour: Flavour, vdu_id: str, given_ports: set[str], compute_id: str
) -> Iterator[ResourceDefinition]:
    vdu = flavour.vdus[vdu_id]
    yield ResourceDefinition(id=compute_id, type="COMPUTE", vdu_id=vdu_id, resource_template_id=vdu_id)
    for cp in vdu.cp_ids:
        if cp not in given_ports:
            yield ResourceDefinition(id=f"{cp}-{compute_id}", type="LINKPORT", vdu_id=vdu_id, resource_template_id=cp)
    for storage in vdu.storage_ids:
        yield ResourceDefinition(
            id=f"{storage}-{compute_id}", type="STORAGE", vdu_id=vdu_id, resource_template_id=storage
        )


def _cps_with_given_port(request: InstantiateVnfRequest, flavour: Flavour) -> set[str]:
    return {
        vdu_cp_id(flavour, cp.cpd_id)
        for link in request.ext_virtual_links
        for cp in link.ext_cps
        if given_link_ports([cp])
    }


def _placement_constraints(
    flavour: Flavour, added: Iterable[ResourceDefinition], *, best_effort: bool
) -> Iterator[PlacementConstraint]:
    computes = [definition for definition in added if definition.type == "COMPUTE"]
    for rule in flavour.affinity_rules:
        resources = tuple(
            ConstraintResourceRef(id_type="GRANT", resource_id=definition.id)
            for definition in computes
            if definition.resource_template_id in rule.targets
        )
        if rule.scope in _SCOPES and len(resources) > 1:
            yield PlacementConstraint(
                affinity_or_anti_affinity=rule.kind,
                scope=_SCOPES[rule.scope],
                resource=resources,
                fallback_best_effort=best_effort,
            )


def _removal(
    definition_id: str,
    kind: ResourceType,
    template_id: str,
    handle: ResourceHandle,
    vnfc: VnfcResourceInfo | None = None,
) -> ResourceDefinition:
    return ResourceDefinition(
        id=definition_id,
        type=kind,
        vdu_id=vnfc.vdu_id if vnfc else None,
        resource_template_id=template_id,
        resource=handle,
    )


def _port_of(cp: VnfcCpInfo) -> str | None:
    return cp.vnf_link_port_id or cp.vnf_ext_cp_id


def _own_port_handles(info: InstantiatedVnfInfo) -> dict[str | None, ResourceHandle]:
    """The handles of the ports that we made, by VnfLinkPort id and by external CP id."""
    given = given_link_ports(cp for link in info.ext_virtual_link_info for cp in link.current_vnf_ext_cp_data)
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
