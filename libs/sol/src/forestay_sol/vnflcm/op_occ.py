"""The LCM operation occurrence: SOL003 clause 5.5.2.13, with what an operation changed (5.5.3.12 to 5.5.3.15)."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from forestay_sol.vnflcm.base import Identifier, LcmOperation, LcmOperationState, Link, Sol
from forestay_sol.vnflcm.connectivity import ResourceHandle, VimConnectionInfo
from forestay_sol.vnflcm.instance import ExtVirtualLinkInfo, Metadata

ChangeType = Literal["ADDED", "REMOVED", "MODIFIED", "TEMPORARY"]
LinkChangeType = Literal["ADDED", "REMOVED", "MODIFIED", "TEMPORARY", "LINK_PORT_ADDED", "LINK_PORT_REMOVED"]


class AffectedVnfc(Sol, frozen=True, kw_only=True):
    """A VNFC that the operation added, removed or changed."""

    id: Identifier
    vdu_id: Identifier
    vnfd_id: Identifier | None = None
    change_type: ChangeType
    compute_resource: ResourceHandle
    resource_definition_id: Identifier | None = None
    zone_id: Identifier | None = None
    metadata: Metadata | None = None
    affected_vnfc_cp_ids: tuple[Identifier, ...] = ()
    added_storage_resource_ids: tuple[Identifier, ...] = ()
    removed_storage_resource_ids: tuple[Identifier, ...] = ()


class AffectedVirtualLink(Sol, frozen=True, kw_only=True):
    """A virtual link that the operation added, removed or changed, or whose ports (``vnf_link_port_ids``) changed."""

    id: Identifier
    vnf_virtual_link_desc_id: Identifier
    vnfd_id: Identifier | None = None
    change_type: LinkChangeType
    network_resource: ResourceHandle
    vnf_link_port_ids: tuple[Identifier, ...] = ()
    resource_definition_id: Identifier | None = None
    zone_id: Identifier | None = None
    metadata: Metadata | None = None


class AffectedExtLinkPort(Sol, frozen=True, kw_only=True):
    """A port on an external virtual link that the operation added or removed."""

    id: Identifier
    change_type: Literal["ADDED", "MODIFIED", "REMOVED"]
    ext_cp_instance_id: Identifier
    resource_handle: ResourceHandle
    resource_definition_id: Identifier | None = None


class AffectedVirtualStorage(Sol, frozen=True, kw_only=True):
    """A virtual storage that the operation added or removed."""

    id: Identifier
    virtual_storage_desc_id: Identifier
    vnfd_id: Identifier | None = None
    change_type: ChangeType
    storage_resource: ResourceHandle
    resource_definition_id: Identifier | None = None
    zone_id: Identifier | None = None
    metadata: Metadata | None = None


class AffectedVipCp(Sol, frozen=True, kw_only=True):
    """A VIP CP that the operation added, removed or changed; of version 3.7.1 of SOL003."""

    cp_instance_id: Identifier
    cpd_id: Identifier
    vnfd_id: Identifier | None = None
    change_type: Literal["ADDED", "REMOVED", "MODIFIED"]


class ResourceChanges(Sol, frozen=True, kw_only=True):
    """What the operation changed in the VIM."""

    affected_vnfcs: tuple[AffectedVnfc, ...] = ()
    affected_virtual_links: tuple[AffectedVirtualLink, ...] = ()
    affected_ext_link_ports: tuple[AffectedExtLinkPort, ...] = ()
    affected_virtual_storages: tuple[AffectedVirtualStorage, ...] = ()


class VnfInfoModifications(Sol, frozen=True, kw_only=True):
    """What MODIFY_INFO changed; the same members say what a change of the VNF package brought with it."""

    vnf_instance_name: str | None = None
    vnf_instance_description: str | None = None
    vnf_configurable_properties: Metadata | None = None
    metadata: Metadata | None = None
    extensions: Metadata | None = None
    vim_connection_info: dict[Identifier, VimConnectionInfo] = field(default_factory=dict)
    vnfd_id: Identifier | None = None
    vnf_provider: str | None = None
    vnf_product_name: str | None = None
    vnf_software_version: str | None = None
    vnfd_version: str | None = None


class VnfLcmOpOcc(Sol, frozen=True, kw_only=True):
    """The resource "Individual VNF LCM operation occurrence"; times are RFC 3339, ``error`` is ProblemDetails."""

    id: Identifier
    operation_state: LcmOperationState
    state_entered_time: str
    start_time: str
    vnf_instance_id: Identifier
    grant_id: Identifier | None = None
    operation: LcmOperation
    is_automatic_invocation: bool
    operation_params: dict[str, Any] | None = None
    is_cancel_pending: bool
    cancel_mode: Literal["GRACEFUL", "FORCEFUL"] | None = None
    error: dict[str, Any] | None = None
    resource_changes: ResourceChanges | None = None
    changed_info: VnfInfoModifications | None = None
    affected_vip_cps: tuple[AffectedVipCp, ...] = ()
    changed_ext_connectivity: tuple[ExtVirtualLinkInfo, ...] = ()
    modifications_triggered_by_vnf_pkg_change: VnfInfoModifications | None = None
    links: dict[str, Link] = field(name="_links")
