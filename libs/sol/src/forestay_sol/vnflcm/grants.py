"""Grants: what a VNFM asks for before it touches resources, and the answer (SOL003 clause 9.5).

Field ``links`` is optional here, because the pure builders do not know the server's own address; the edge adds it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from forestay_sol.vnflcm.base import Identifier, LcmOperation, Link, Sol
from forestay_sol.vnflcm.connectivity import (
    ExtManagedVirtualLinkData,
    ExtVirtualLinkData,
    ResourceHandle,
    VimConnectionInfo,
)

ResourceType = Literal["COMPUTE", "VL", "STORAGE", "LINKPORT"]


class SnapshotResourceDefinition(Sol, frozen=True, kw_only=True):
    """The snapshot that a resource is saved to or made from."""

    vnf_snapshot_id: Identifier
    vnfc_snapshot_id: Identifier | None = None
    storage_snapshot_id: Identifier | None = None
    snapshot_resource: ResourceHandle | None = None


class ResourceDefinition(Sol, frozen=True, kw_only=True):
    """A resource to add, remove or change; ``resource`` is the existing one."""

    id: Identifier
    type: ResourceType
    vdu_id: Identifier | None = None
    vnfd_id: Identifier | None = None
    resource_template_id: Identifier
    secondary_resource_template_id: Identifier | None = None
    resource: ResourceHandle | None = None
    snapshot_res_def: SnapshotResourceDefinition | None = None


class ConstraintResourceRef(Sol, frozen=True, kw_only=True):
    """A resource under a placement constraint: a resource definition (GRANT) or an existing one (RES_MGMT)."""

    id_type: Literal["RES_MGMT", "GRANT"]
    resource_id: Identifier
    vim_connection_id: Identifier | None = None
    resource_provider_id: Identifier | None = None


class PlacementConstraint(Sol, frozen=True, kw_only=True):
    """Affinity or anti-affinity of two or more resources."""

    affinity_or_anti_affinity: Literal["AFFINITY", "ANTI_AFFINITY"]
    scope: Literal["NFVI_POP", "ZONE", "ZONE_GROUP", "NFVI_NODE"]
    resource: Annotated[tuple[ConstraintResourceRef, ...], Meta(min_length=2)]
    fallback_best_effort: bool | None = None


class VimConstraint(Sol, frozen=True, kw_only=True):
    """Resources that are to be managed through one VIM connection."""

    same_resource_group: bool | None = None
    resource: Annotated[tuple[ConstraintResourceRef, ...], Meta(min_length=2)]


class GrantRequest(Sol, frozen=True, kw_only=True):
    """POST grants."""

    vnf_instance_id: Identifier
    vnf_lcm_op_occ_id: Identifier
    vnfd_id: Identifier
    dst_vnfd_id: Identifier | None = None
    flavour_id: Identifier | None = None
    operation: LcmOperation
    is_automatic_invocation: bool
    instantiation_level_id: Identifier | None = None
    add_resources: tuple[ResourceDefinition, ...] = ()
    temp_resources: tuple[ResourceDefinition, ...] = ()
    remove_resources: tuple[ResourceDefinition, ...] = ()
    update_resources: tuple[ResourceDefinition, ...] = ()
    placement_constraints: tuple[PlacementConstraint, ...] = ()
    vim_constraints: tuple[VimConstraint, ...] = ()
    additional_params: dict[str, Any] | None = None
    links: dict[str, Link] = field(name="_links", default_factory=dict)


class ZoneInfo(Sol, frozen=True, kw_only=True):
    """A zone of the grant: ``id`` is local to the grant, ``zone_id`` the VIM's (an availability zone)."""

    id: Identifier
    zone_id: Identifier
    vim_connection_id: Identifier | None = None
    resource_provider_id: Identifier | None = None


class ZoneGroupInfo(Sol, frozen=True, kw_only=True):
    """Zones that belong together, by the ids of their ZoneInfo."""

    zone_id: tuple[Identifier, ...]


class GrantInfo(Sol, frozen=True, kw_only=True):
    """The answer about one resource definition; ``zone_id`` is the id of a ZoneInfo."""

    resource_definition_id: Identifier
    reservation_id: Identifier | None = None
    vim_connection_id: Identifier | None = None
    resource_provider_id: Identifier | None = None
    zone_id: Identifier | None = None
    resource_group_id: Identifier | None = None


class VimComputeResourceFlavour(Sol, frozen=True, kw_only=True):
    """The VIM's flavour for a virtual compute descriptor."""

    vim_connection_id: Identifier | None = None
    resource_provider_id: Identifier | None = None
    vnfd_virtual_compute_desc_id: Identifier
    vim_flavour_id: Identifier


class VimSoftwareImage(Sol, frozen=True, kw_only=True):
    """The VIM's image for a software image descriptor."""

    vim_connection_id: Identifier | None = None
    resource_provider_id: Identifier | None = None
    vnfd_software_image_id: Identifier
    vim_software_image_id: Identifier


class VimSnapshotResource(Sol, frozen=True, kw_only=True):
    """The VIM's resource for a part of a VNF snapshot."""

    vim_connection_id: Identifier | None = None
    resource_provider_id: Identifier | None = None
    vnf_snapshot_id: Identifier
    vnfc_snapshot_id: Identifier
    storage_snapshot_id: Identifier | None = None
    vim_snapshot_resource_id: Identifier


class VimAssets(Sol, frozen=True, kw_only=True):
    """Flavours, images and snapshots that the grant assigns."""

    compute_resource_flavours: tuple[VimComputeResourceFlavour, ...] = ()
    software_images: tuple[VimSoftwareImage, ...] = ()
    snapshot_resources: tuple[VimSnapshotResource, ...] = ()


class Grant(Sol, frozen=True, kw_only=True):
    """The NFVO's answer to a GrantRequest."""

    id: Identifier
    vnf_instance_id: Identifier
    vnf_lcm_op_occ_id: Identifier
    vim_connection_info: dict[Identifier, VimConnectionInfo] = field(default_factory=dict)
    zones: tuple[ZoneInfo, ...] = ()
    zone_groups: tuple[ZoneGroupInfo, ...] = ()
    add_resources: tuple[GrantInfo, ...] = ()
    temp_resources: tuple[GrantInfo, ...] = ()
    remove_resources: tuple[GrantInfo, ...] = ()
    update_resources: tuple[GrantInfo, ...] = ()
    vim_assets: VimAssets | None = None
    ext_virtual_links: tuple[ExtVirtualLinkData, ...] = ()
    ext_managed_virtual_links: tuple[ExtManagedVirtualLinkData, ...] = ()
    additional_params: dict[str, Any] | None = None
    links: dict[str, Link] = field(name="_links", default_factory=dict)
