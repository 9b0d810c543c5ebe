"""The resources as version 1 shows them (SOL003 2.6.1, clause 5.5.2), for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from forestay_lcm.api.v1.requests import VimConnectionInfoV1
from forestay_sol.types import Identifier, Link, ResourceHandle, Sol
from forestay_sol.vnflcm import (
    CpProtocolInfo,
    ExtLinkPortInfo,
    ExtManagedVirtualLinkInfo,
    LcmOperation,
    LcmOperationState,
    Metadata,
    ResourceChanges,
    ScaleInfo,
    VipCpInfo,
    VirtualStorageResourceInfo,
    VnfcResourceInfo,
    VnfVirtualLinkResourceInfo,
)
from msgspec import field


class VnfExtCpInfoV1(Sol, frozen=True, kw_only=True):
    """An external connection point; one of the ``associated`` members says whose CP it exposes."""

    id: Identifier
    cpd_id: Identifier
    vnfd_id: Identifier | None = None
    cp_protocol_info: tuple[CpProtocolInfo, ...]
    ext_link_port_id: Identifier | None = None
    metadata: Metadata | None = None
    associated_vnfc_cp_id: Identifier | None = None
    associated_vip_cp_id: Identifier | None = None
    associated_vnf_virtual_link_id: Identifier | None = None


class ExtVirtualLinkInfoV1(Sol, frozen=True, kw_only=True):
    """An external virtual link in use."""

    id: Identifier
    resource_handle: ResourceHandle
    ext_link_ports: tuple[ExtLinkPortInfo, ...] = ()


class InstantiatedVnfInfoV1(Sol, frozen=True, kw_only=True):
    """What exists of an instantiated VNF; ``instance_id`` is that of its Heat stack."""

    flavour_id: Identifier
    vnf_state: Literal["STARTED", "STOPPED"]
    instance_id: str | None = None
    scale_status: tuple[ScaleInfo, ...] = ()
    ext_cp_info: tuple[VnfExtCpInfoV1, ...] = ()
    vip_cp_info: tuple[VipCpInfo, ...] = ()
    ext_virtual_link_info: tuple[ExtVirtualLinkInfoV1, ...] = ()
    ext_managed_virtual_link_info: tuple[ExtManagedVirtualLinkInfo, ...] = ()
    localization_language: str | None = None
    vnfc_resource_info: tuple[VnfcResourceInfo, ...] = ()
    vnf_virtual_link_resource_info: tuple[VnfVirtualLinkResourceInfo, ...] = ()
    virtual_storage_resource_info: tuple[VirtualStorageResourceInfo, ...] = ()
    metadata: Metadata | None = None


class VnfInstanceV1(Sol, frozen=True, kw_only=True):
    """The resource "Individual VNF instance"."""

    id: Identifier
    vnf_instance_name: str | None = None
    vnf_instance_description: str | None = None
    vnfd_id: Identifier
    vnf_provider: str
    vnf_product_name: str
    vnf_software_version: str
    vnfd_version: str
    vnf_pkg_id: Identifier | None = None
    vnf_configurable_properties: Metadata | None = None
    vim_connection_info: tuple[VimConnectionInfoV1, ...] = ()
    instantiation_state: Literal["NOT_INSTANTIATED", "INSTANTIATED"]
    instantiated_vnf_info: InstantiatedVnfInfoV1 | None = None
    metadata: Metadata | None = None
    extensions: Metadata | None = None
    links: dict[str, Link] = field(name="_links")


class VnfLcmOpOccV1(Sol, frozen=True, kw_only=True):
    """The resource "Individual VNF LCM operation occurrence"; ``operation_params`` is the request as JSON in a string."""

    id: Identifier
    operation_state: LcmOperationState
    state_entered_time: str
    start_time: str
    vnf_instance_id: Identifier
    grant_id: Identifier | None = None
    operation: LcmOperation
    is_automatic_invocation: bool
    operation_params: str | None = None
    is_cancel_pending: bool
    cancel_mode: Literal["GRACEFUL", "FORCEFUL"] | None = None
    error: dict[str, Any] | None = None
    resource_changes: ResourceChanges | None = None
    changed_info: dict[str, Any] | None = None
    changed_ext_connectivity: tuple[ExtVirtualLinkInfoV1, ...] = ()
    links: dict[str, Link] = field(name="_links")
