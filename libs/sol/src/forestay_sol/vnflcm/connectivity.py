"""VIM connections, resource handles, and what a request says about external and externally managed virtual links.

SOL003 clauses 4.4.1 (VimConnectionInfo, ResourceHandle, ExtVirtualLinkData, ExtManagedVirtualLinkData, VnfExtCpData).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Literal

from msgspec import Meta

from forestay_sol.vnflcm.base import Count, FreeKeyValuePairs, Identifier, Sol

IpVersion = Literal["IPV4", "IPV6"]
MacAddress = Annotated[str, Meta(pattern=r"^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$")]

MOST_ADDRESSES = 64
"""Dynamic addresses of a connection point: one number in a request must not grow without bounds."""

_ADDRESS = {"IPV4": IPv4Address, "IPV6": IPv6Address}


class VimConnectionInfo(Sol, frozen=True, kw_only=True):
    """Where a VIM is and how to log in. ``access_info`` holds secrets: seal it before it enters the log."""

    vim_id: Identifier | None = None
    vim_type: Identifier
    interface_info: FreeKeyValuePairs | None = None
    access_info: FreeKeyValuePairs | None = None
    extra: FreeKeyValuePairs | None = None


class ResourceHandle(Sol, frozen=True, kw_only=True):
    """A resource in a VIM; ``vim_connection_id`` is a key of the instance's ``vimConnectionInfo`` map."""

    vim_connection_id: Identifier | None = None
    resource_provider_id: Identifier | None = None
    resource_id: Identifier
    vim_level_resource_type: Identifier | None = None


class AddressRange(Sol, frozen=True, kw_only=True):
    """First and last address of a range."""

    min_address: str
    max_address: str


class IpAddressData(Sol, frozen=True, kw_only=True):
    """Requested IP addresses of one subnet: exactly one of fixed addresses, a number of dynamic ones, or a range. A subnet
    alone, as Tacker's clients give it, means one dynamic address."""

    type: IpVersion
    fixed_addresses: Annotated[tuple[str, ...], Meta(min_length=1)] | None = None
    num_dynamic_addresses: Annotated[int, Meta(ge=1, le=MOST_ADDRESSES)] | None = None
    address_range: AddressRange | None = None
    subnet_id: Identifier | None = None

    def __post_init__(self) -> None:
        """Check the choice and that every address is one of ``type`` (``ValueError``, a 400 when decoding)."""
        given = [self.fixed_addresses, self.num_dynamic_addresses, self.address_range]
        asked = sum(value is not None for value in given)
        if asked > 1 or (asked == 0 and self.subnet_id is None):
            raise ValueError("exactly one of fixedAddresses, numDynamicAddresses and addressRange shall be present")
        span = self.address_range
        for address in (*(self.fixed_addresses or ()), *((span.min_address, span.max_address) if span else ())):
            _ADDRESS[self.type](address)


class IpOverEthernetAddressData(Sol, frozen=True, kw_only=True):
    """Requested Ethernet and IP addresses of a connection point: a MAC address, IP addresses, or both."""

    mac_address: MacAddress | None = None
    segmentation_type: Literal["VLAN", "INHERIT"] | None = None
    segmentation_id: str | None = None
    ip_addresses: Annotated[tuple[IpAddressData, ...], Meta(min_length=1)] | None = None

    def __post_init__(self) -> None:
        """Check that some address is asked for (``ValueError``, a 400 when decoding)."""
        if self.mac_address is None and self.ip_addresses is None:
            raise ValueError("at least one of macAddress and ipAddresses shall be present")


class CpProtocolData(Sol, frozen=True, kw_only=True):
    """Requested addresses of a connection point in one layer protocol."""

    layer_protocol: Literal["IP_OVER_ETHERNET"]
    ip_over_ethernet: IpOverEthernetAddressData | None = None


class VnfExtCpConfig(Sol, frozen=True, kw_only=True):
    """One instance of an external connection point: a given port, or the addresses of one to be made."""

    parent_cp_config_id: Identifier | None = None
    link_port_id: Identifier | None = None
    create_ext_link_port: bool | None = None
    cp_protocol_data: tuple[CpProtocolData, ...] = ()


class VnfExtCpData(Sol, frozen=True, kw_only=True):
    """The instances of the external CPs made from one CPD; the keys of ``cp_config`` are the cpConfigIds."""

    cpd_id: Identifier
    cp_config: Annotated[dict[Identifier, VnfExtCpConfig], Meta(min_length=1)]


class ExtLinkPortData(Sol, frozen=True, kw_only=True):
    """A port made outside for an external CP; ``id`` is the requester's."""

    id: Identifier
    resource_handle: ResourceHandle
    trunk_resource_id: Identifier | None = None


class ExtVirtualLinkData(Sol, frozen=True, kw_only=True):
    """An external virtual link and the CPs to connect to it."""

    id: Identifier
    vim_connection_id: Identifier | None = None
    resource_provider_id: Identifier | None = None
    resource_id: Identifier
    ext_cps: Annotated[tuple[VnfExtCpData, ...], Meta(min_length=1)]
    ext_link_ports: tuple[ExtLinkPortData, ...] = ()


class VnfLinkPortData(Sol, frozen=True, kw_only=True):
    """A port made outside on an externally managed virtual link."""

    vnf_link_port_id: Identifier
    resource_handle: ResourceHandle


class ExtManagedVirtualLinkData(Sol, frozen=True, kw_only=True):
    """A network made outside that stands in for an internal virtual link. ``vnf_link_port`` is singular in SOL003."""

    id: Identifier
    vnf_virtual_link_desc_id: Identifier
    vim_connection_id: Identifier | None = None
    resource_provider_id: Identifier | None = None
    resource_id: Identifier
    vnf_link_port: tuple[VnfLinkPortData, ...] = ()
    ext_managed_multisite_virtual_link_id: Identifier | None = None


class IpAddressInfo(Sol, frozen=True, kw_only=True):
    """IP addresses in use; ``is_dynamic`` when the VIM chose them."""

    type: IpVersion
    addresses: tuple[str, ...] = ()
    is_dynamic: bool | None = None
    address_range: AddressRange | None = None
    subnet_id: Identifier | None = None


class IpOverEthernetAddressInfo(Sol, frozen=True, kw_only=True):
    """Ethernet and IP addresses in use at a connection point."""

    mac_address: MacAddress | None = None
    segmentation_id: str | None = None
    ip_addresses: tuple[IpAddressInfo, ...] = ()


class CpProtocolInfo(Sol, frozen=True, kw_only=True):
    """Addresses in use in one layer protocol."""

    layer_protocol: Literal["IP_OVER_ETHERNET"]
    ip_over_ethernet: IpOverEthernetAddressInfo | None = None


class ScaleInfo(Sol, frozen=True, kw_only=True):
    """The scale level of one scaling aspect."""

    aspect_id: Identifier
    vnfd_id: Identifier | None = None
    scale_level: Count
