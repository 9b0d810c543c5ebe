"""Grant requests: the resources that an operation adds, removes or changes, told to the NFVO before any is touched.

One pure function for each operation that needs a grant; :mod:`sizes` has those that change how many VNFCs there are.
SOL003 clause 9.5.2.2 (GrantRequest).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from forestay_events.errors import Rejected
from forestay_lcm.domain.connection_points import effective_links, given_link_ports, vdu_cp_id
from forestay_lcm.domain.grants.constraints import placement_constraints
from forestay_lcm.domain.grants.definitions import (
    Asking,
    Existing,
    anew,
    cps_with_given_port,
    ext_cps,
    link,
    planned,
    port,
    storage,
)
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import (
    ChangeExtVnfConnectivityRequest,
    CreateVnfSnapshotRequest,
    GrantRequest,
    HealVnfRequest,
    InstantiatedVnfInfo,
    InstantiateVnfRequest,
    OperateVnfRequest,
    ResourceDefinition,
    RevertToVnfSnapshotRequest,
    SnapshotResourceDefinition,
    VnfcResourceInfo,
)


def instantiate_grant_request(asking: Asking, *, flavour: Flavour, request: InstantiateVnfRequest) -> GrantRequest:
    """Every VNFC of the level with its ports and storages, and every internal VL.

    :raises Rejected: 400, the flavour does not have the instantiation level.
    """
    given_ports = cps_with_given_port(flavour, request.ext_virtual_links)
    managed = {item.vnf_virtual_link_desc_id for item in request.ext_managed_virtual_links}
    counts = flavour.level(request.instantiation_level_id).vdu_counts
    added = [
        definition
        for vdu_id in flavour.vdus
        for _ in range(counts[vdu_id])
        for definition in planned(flavour, vdu_id, asking.new_id(), given_ports=given_ports)
    ]
    added += [link(node, asking.new_id) for node in flavour.virtual_links if node not in managed]
    return asking.request(
        "INSTANTIATE",
        flavour_id=request.flavour_id,
        instantiation_level_id=request.instantiation_level_id,
        add=added,
        placement_constraints=placement_constraints(flavour, added, best_effort=asking.best_effort),
        additional_params=request.additional_params,
    )


def terminate_grant_request(asking: Asking, *, info: InstantiatedVnfInfo) -> GrantRequest:
    """Everything that was made for the VNF is removed."""
    existing = Existing(info)
    return asking.request("TERMINATE", remove=_everything(existing, asking))


def heal_grant_request(
    asking: Asking, *, flavour: Flavour, info: InstantiatedVnfInfo, request: HealVnfRequest
) -> GrantRequest:
    """What is healed is removed and added again: COMPUTEs; with ``additionalParams.all`` what goes with them, too.

    ``vnfcInstanceId`` and ``all`` together take the VNFCs' storages along; ``all`` alone takes the whole VNF.

    :raises Rejected: 400, a vnfcInstanceId is unknown.
    """
    existing = Existing(info)
    chosen = vnfcs_of(info, request.vnfc_instance_id)
    if request.all and not request.vnfc_instance_id:
        removed = list(_everything(existing, asking))
        added = list(anew(_everything(existing, asking)))
    else:
        removed = _servers(existing, chosen, asking, storages=request.all)
        added = list(anew(_servers(existing, chosen, asking, storages=request.all)))
    staying = [vnfc for vnfc in existing.vnfcs if vnfc not in chosen]
    return asking.request(
        "HEAL",
        flavour_id=info.flavour_id,
        add=added,
        remove=removed,
        placement_constraints=placement_constraints(flavour, added, staying=staying, best_effort=asking.best_effort),
        additional_params=request.additional_params,
    )


def change_ext_conn_grant_request(
    asking: Asking, *, flavour: Flavour, info: InstantiatedVnfInfo, request: ChangeExtVnfConnectivityRequest
) -> GrantRequest:
    """New ports for the CPs that get none from the requester, the removal of ours, the VNFCs that have them changed."""
    existing = Existing(info)
    links = effective_links((), request.ext_virtual_links)
    requested = {vdu_cp_id(flavour, cp.cpd_id): cp for cp in ext_cps(links)}
    added: list[ResourceDefinition] = []
    removed: list[ResourceDefinition] = []
    updated: list[ResourceDefinition] = []
    for vnfc in existing.vnfcs:
        touched = [cp.cpd_id for cp in vnfc.vnfc_cp_info if cp.cpd_id in requested]
        if touched:
            compute_id = asking.new_id()
            updated.append(existing.compute(vnfc, compute_id))
            added += [port(cp, compute_id) for cp in touched if not given_link_ports([requested[cp]])]
            former = existing.ports(vnfc, asking.new_id())
            removed += [definition for definition in former if definition.resource_template_id in requested]
    return asking.request(
        "CHANGE_EXT_CONN",
        add=added,
        remove=removed,
        update=updated,
        additional_params=request.additional_params,
    )


def change_vnfpkg_grant_request(
    asking: Asking, *, info: InstantiatedVnfInfo, dst_vnfd_id: str, flavour: Flavour, vdu_ids: Iterable[str]
) -> GrantRequest:
    """The servers and storages of some VDUs are replaced by those of another VNFD.

    :param flavour: of the destination VNFD.
    :param vdu_ids: the VDUs of ``vdu_params``, in its order.
    :raises Rejected: 400, the destination has no such VDU.
    """
    existing = Existing(info)
    old = [vnfc for vdu_id in vdu_ids for vnfc in existing.of(vdu_id)]
    removed = _servers(existing, old, asking, storages=True)
    added: list[ResourceDefinition] = []
    for vnfc in old:
        compute_id = asking.new_id()
        vdu = flavour.vdu(vnfc.vdu_id)
        added.append(ResourceDefinition(id=compute_id, type="COMPUTE", vdu_id=vdu.id, resource_template_id=vdu.id))
        added += [storage(node, compute_id) for node in vdu.storage_ids]
    return asking.request(
        "CHANGE_VNFPKG",
        dst_vnfd_id=dst_vnfd_id,
        flavour_id=flavour.id,
        add=_of_vnfd(added, dst_vnfd_id),
        remove=_of_vnfd(removed, asking.vnfd_id),
    )


def operate_grant_request(asking: Asking, *, info: InstantiatedVnfInfo, request: OperateVnfRequest) -> GrantRequest:
    """The VNFCs that are started or stopped are changed.

    :raises Rejected: 400, a vnfcInstanceId is unknown.
    """
    existing, chosen = Existing(info), vnfcs_of(info, request.vnfc_instance_id)
    return asking.request(
        "OPERATE",
        update=[existing.compute(vnfc, asking.new_id()) for vnfc in chosen],
        additional_params=request.additional_params,
    )


def create_snapshot_grant_request(
    asking: Asking, *, info: InstantiatedVnfInfo, request: CreateVnfSnapshotRequest
) -> GrantRequest:
    """Every VNFC and its storages, which are saved and stay as they are."""
    of_all = SnapshotResourceDefinition(vnf_snapshot_id=request.vnf_snapshot_info_id)
    update = _with_snapshots(info, asking, lambda vnfc, storage: of_all)
    return asking.request("CREATE_SNAPSHOT", update=update, additional_params=request.additional_params)


def revert_to_snapshot_grant_request(
    asking: Asking, *, info: InstantiatedVnfInfo, request: RevertToVnfSnapshotRequest, parts: Mapping[str, str]
) -> GrantRequest:
    """Every VNFC and its storages, which get the content of their snapshots and are the same otherwise.

    :param parts: the id of the VNFC snapshot of each VNFC that has another id than that.
    """

    def part(vnfc: str, storage: str | None) -> SnapshotResourceDefinition:
        return SnapshotResourceDefinition(
            vnf_snapshot_id=request.vnf_snapshot_info_id,
            vnfc_snapshot_id=parts.get(vnfc, vnfc),
            storage_snapshot_id=storage,
        )

    update = _with_snapshots(info, asking, part)
    return asking.request("REVERT_TO_SNAPSHOT", update=update, additional_params=request.additional_params)


def vnfcs_of(info: InstantiatedVnfInfo, vnfc_instance_ids: Collection[str]) -> list[VnfcResourceInfo]:
    """The VNFCs that a request names by ids of VnfcInfo (SOL002); all for none.

    :raises Rejected: 400, unknown id.
    """
    resources: Mapping[str, Any] = {item.id: item.vnfc_resource_info_id for item in info.vnfc_info}
    if unknown := [key for key in vnfc_instance_ids if key not in resources]:
        known = ", ".join(resources) or "none"
        raise Rejected(
            400, f"Invalid vnfcInstanceId '{unknown[0]}': the VNF instance has {known}.", pointer="/vnfcInstanceId"
        )
    chosen = {resources[key] for key in vnfc_instance_ids} or {vnfc.id for vnfc in info.vnfc_resource_info}
    return [vnfc for vnfc in info.vnfc_resource_info if vnfc.id in chosen]


def _everything(existing: Existing, asking: Asking) -> Iterator[ResourceDefinition]:
    for vnfc in existing.vnfcs:
        yield from existing.whole(vnfc, asking.new_id())
    yield from existing.links(asking.new_id)


def _servers(
    existing: Existing, vnfcs: Sequence[VnfcResourceInfo], asking: Asking, *, storages: bool
) -> list[ResourceDefinition]:
    definitions: list[ResourceDefinition] = []
    for vnfc in vnfcs:
        compute_id = asking.new_id()
        definitions.append(existing.compute(vnfc, compute_id))
        definitions += existing.storages(vnfc, compute_id) if storages else ()
    return definitions


def _of_vnfd(definitions: Iterable[ResourceDefinition], vnfd_id: str) -> Iterator[ResourceDefinition]:
    return (msgspec.structs.replace(definition, vnfd_id=vnfd_id) for definition in definitions)


def _with_snapshots(
    info: InstantiatedVnfInfo, asking: Asking, part: Callable[[str, str | None], SnapshotResourceDefinition]
) -> Iterator[ResourceDefinition]:
    """:param part: the snapshot of a VNFC, or of one of its storages, by their ids in ``info``."""
    existing = Existing(info)
    for vnfc in existing.vnfcs:
        compute_id = asking.new_id()
        yield msgspec.structs.replace(existing.compute(vnfc, compute_id), snapshot_res_def=part(vnfc.id, None))
        for storage_id, item in zip(vnfc.storage_resource_ids, existing.storages(vnfc, compute_id), strict=True):
            yield msgspec.structs.replace(item, snapshot_res_def=part(vnfc.id, storage_id))
