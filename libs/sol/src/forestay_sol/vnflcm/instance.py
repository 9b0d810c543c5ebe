"""The VNF instance as SOL003 clause 5.5.2.2 shows it, with SOL002's ``vnfcInfo``.

``metadata`` members follow the wire contract of Tacker's drivers (stack ids, creation times), which scripts read.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from forestay_sol.vnflcm.base import Identifier, KeyValuePairs, Link, Sol
from forestay_sol.vnflcm.connectivity import (
    CpProtocolInfo,
    ResourceHandle,
    ScaleInfo,
    VimConnectionInfo,
    VnfExtCpData,
)

Metadata = dict[str, Any]


class VnfExtCpInfo(Sol, frozen=True, kw_only=True):
    """An external connection point; exactly one of the ``associated`` members says whose CP it exposes."""

    id: Identifier
    cpd_id: Identifier
    cp_config_id: Identifier
    vnfd_id: Identifier | None = None
    cp_protocol_info: tuple[CpProtocolInfo, ...]
    ext_link_port_id: Identifier | None = None
    metadata: Metadata | None = None
    associated_vnfc_cp_id: Identifier | None = None
    associated_vip_cp_id: Identifier | None = None
    associated_vnf_virtual_link_id: Identifier | None = None


class ExtLinkPortInfo(Sol, frozen=True, kw_only=True):
    """A port on an external virtual link; ``cp_instance_id`` is the id of a VnfExtCpInfo."""

    id: Identifier
    resource_handle: ResourceHandle
    cp_instance_id: Identifier | None = None
    secondary_cp_instance_id: Identifier | None = None
    trunk_resource_id: Identifier | None = None


class ExtVirtualLinkInfo(Sol, frozen=True, kw_only=True):
    """An external virtual link in use."""

    id: Identifier
    resource_handle: ResourceHandle
    ext_link_ports: tuple[ExtLinkPortInfo, ...] = ()
    current_vnf_ext_cp_data: tuple[VnfExtCpData, ...]


class VnfLinkPortInfo(Sol, frozen=True, kw_only=True):
    """A port on an internal or externally managed virtual link."""

    id: Identifier
    resource_handle: ResourceHandle
    cp_instance_id: Identifier | None = None
    cp_instance_type: Literal["VNFC_CP", "EXT_CP"] | None = None
    vip_cp_instance_id: Identifier | None = None
    trunk_resource_id: Identifier | None = None


class ExtManagedVirtualLinkInfo(Sol, frozen=True, kw_only=True):
    """An externally managed virtual link in use."""

    id: Identifier
    vnf_virtual_link_desc_id: Identifier
    vnfd_id: Identifier | None = None
    network_resource: ResourceHandle
    vnf_link_ports: tuple[VnfLinkPortInfo, ...] = ()
    ext_managed_multisite_virtual_link_id: Identifier | None = None


class VnfcCpInfo(Sol, frozen=True, kw_only=True):
    """A connection point of a VNFC, exposed by ``vnf_ext_cp_id`` or connected by ``vnf_link_port_id``.

    :ivar parent_cp_id: the CP of the parent port of the trunk that it goes through.
    """

    id: Identifier
    cpd_id: Identifier
    vnf_ext_cp_id: Identifier | None = None
    cp_protocol_info: tuple[CpProtocolInfo, ...] = ()
    vnf_link_port_id: Identifier | None = None
    parent_cp_id: Identifier | None = None
    metadata: Metadata | None = None


class VipCpInfo(Sol, frozen=True, kw_only=True):
    """A virtual IP address that VNFC CPs share; exposed by ``vnf_ext_cp_id`` or connected by ``vnf_link_port_id``."""

    cp_instance_id: Identifier
    cpd_id: Identifier
    vnfd_id: Identifier | None = None
    vnf_ext_cp_id: Identifier | None = None
    cp_protocol_info: tuple[CpProtocolInfo, ...] = ()
    associated_vnfc_cp_ids: tuple[Identifier, ...] = ()
    vnf_link_port_id: Identifier | None = None
    metadata: Metadata | None = None


class VnfcResourceInfo(Sol, frozen=True, kw_only=True):
    """The virtualised compute resource of a VNFC with its storages and connection points."""

    id: Identifier
    vdu_id: Identifier
    vnfd_id: Identifier | None = None
    compute_resource: ResourceHandle
    zone_id: Identifier | None = None
    storage_resource_ids: tuple[Identifier, ...] = ()
    reservation_id: Identifier | None = None
    vnfc_cp_info: tuple[VnfcCpInfo, ...] = ()
    parent_cp_id: Identifier | None = None
    metadata: Metadata | None = None


class VnfcInfo(Sol, frozen=True, kw_only=True):
    """A VNFC as the element manager knows it (SOL002 clause 5.5.3.23)."""

    id: Identifier
    vdu_id: Identifier
    vnfc_resource_info_id: Identifier | None = None
    vnfc_state: Literal["STARTED", "STOPPED"]
    vnfc_configurable_properties: KeyValuePairs | None = None


class VnfVirtualLinkResourceInfo(Sol, frozen=True, kw_only=True):
    """The network resource of an internal virtual link."""

    id: Identifier
    vnf_virtual_link_desc_id: Identifier
    vnfd_id: Identifier | None = None
    network_resource: ResourceHandle
    zone_id: Identifier | None = None
    reservation_id: Identifier | None = None
    vnf_link_ports: tuple[VnfLinkPortInfo, ...] = ()
    metadata: Metadata | None = None


class VirtualStorageResourceInfo(Sol, frozen=True, kw_only=True):
    """The storage resource of a virtual storage."""

    id: Identifier
    virtual_storage_desc_id: Identifier
    vnfd_id: Identifier | None = None
    storage_resource: ResourceHandle
    zone_id: Identifier | None = None
    reservation_id: Identifier | None = None
    metadata: Metadata | None = None


class InstantiatedVnfInfo(Sol, frozen=True, kw_only=True):
    """What exists of an instantiated VNF."""

    flavour_id: Identifier
    vnf_state: Literal["STARTED", "STOPPED"]
    scale_status: tuple[ScaleInfo, ...] = ()
    max_scale_levels: tuple[ScaleInfo, ...] = ()
    ext_cp_info: tuple[VnfExtCpInfo, ...] = ()
    vip_cp_info: tuple[VipCpInfo, ...] = ()
    ext_virtual_link_info: tuple[ExtVirtualLinkInfo, ...] = ()
    ext_managed_virtual_link_info: tuple[ExtManagedVirtualLinkInfo, ...] = ()
    localization_language: str | None = None
    vnfc_resource_info: tuple[VnfcResourceInfo, ...] = ()
    vnf_virtual_link_resource_info: tuple[VnfVirtualLinkResourceInfo, ...] = ()
    virtual_storage_resource_info: tuple[VirtualStorageResourceInfo, ...] = ()
    vnfc_info: tuple[VnfcInfo, ...] = ()
    metadata: Metadata | None = None


class VnfInstance(Sol, frozen=True, kw_only=True):
    """The resource "Individual VNF instance"."""

    id: Identifier
    vnf_instance_name: str | None = None
    vnf_instance_description: str | None = None
    vnfd_id: Identifier
    vnf_provider: str
    vnf_product_name: str
    vnf_software_version: str
    vnfd_version: str
    vnf_configurable_properties: Metadata | None = None
    vim_connection_info: dict[Identifier, VimConnectionInfo] = field(default_factory=dict)
    instantiation_state: Literal["NOT_INSTANTIATED", "INSTANTIATED"]
    instantiated_vnf_info: InstantiatedVnfInfo | None = None
    metadata: Metadata | None = None
    extensions: Metadata | None = None
    links: dict[str, Link] = field(name="_links")
