"""External connection points: what a request's cpdId stands for, and whose a port is.

A port is either ours (made with the stack, goes with it) or given (the requester made it and keeps it).
"""

from __future__ import annotations

from collections.abc import Iterable

from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import (
    ExtManagedVirtualLinkData,
    ExtVirtualLinkData,
    InstantiatedVnfInfo,
    VnfcResourceInfo,
    VnfExtCpConfig,
    VnfExtCpData,
)
from msgspec.structs import replace

GIVEN_PORT = "req-"
"""Prefix of the VnfLinkPort id of a given port on an externally managed virtual link (Tacker's convention)."""


def vdu_cp_id(flavour: Flavour, cpd_id: str) -> str:
    """The VduCp or VipCp that a cpdId stands for: itself, or the one that an external CP of the VNFD exposes."""
    ext_cp = flavour.ext_cps.get(cpd_id)
    return (ext_cp.vdu_cp_id or ext_cp.floating_cp_id if ext_cp else None) or cpd_id


def given_link_ports(ext_cps: Iterable[VnfExtCpData]) -> set[str]:
    """The linkPortIds of the ports that the requester gave for these external CPs."""
    return {config.link_port_id for cp in ext_cps for config in cp.cp_config.values() if config.link_port_id}


def effective_links(
    granted: tuple[ExtVirtualLinkData, ...], requested: tuple[ExtVirtualLinkData, ...]
) -> tuple[ExtVirtualLinkData, ...]:
    """The external virtual links to use: the grant's, and those of the request that the grant does not name.

    SOL003 clause 9.5.2.3: what the NFVO says about external virtual links overrides the request. A link that names a CPD several
    times (clause 4.4.1.2 does not forbid it) means all that it says of it.
    """
    named = {link.id for link in granted}
    links = (*granted, *(link for link in requested if link.id not in named))
    return tuple(replace(link, ext_cps=_united(link.ext_cps)) for link in links)


def _united(ext_cps: Iterable[VnfExtCpData]) -> tuple[VnfExtCpData, ...]:
    """One element for each CPD."""
    configs: dict[str, dict[str, VnfExtCpConfig]] = {}
    for cp in ext_cps:
        configs.setdefault(cp.cpd_id, {}).update(cp.cp_config)
    return tuple(VnfExtCpData(cpd_id=cpd_id, cp_config=config) for cpd_id, config in configs.items())


def managed_links(
    granted: tuple[ExtManagedVirtualLinkData, ...], requested: tuple[ExtManagedVirtualLinkData, ...]
) -> dict[str, ExtManagedVirtualLinkData]:
    """The externally managed virtual links by the internal one that each replaces; the grant overrides."""
    return {link.vnf_virtual_link_desc_id: link for link in (*requested, *granted)}


def address_of(info: InstantiatedVnfInfo, vnfc: VnfcResourceInfo, cpd_id: str) -> str | None:
    """The first IP address that a VNFC has at a connection point, as it was read back last."""
    exposed = {cp.id: cp.cp_protocol_info for cp in info.ext_cp_info}
    addresses = (
        address
        for cp in vnfc.vnfc_cp_info
        if cp.cpd_id == cpd_id
        for protocol in (*cp.cp_protocol_info, *exposed.get(cp.vnf_ext_cp_id or "", ()))
        if protocol.ip_over_ethernet
        for ip in protocol.ip_over_ethernet.ip_addresses
        for address in ip.addresses
    )
    return next(addresses, None)
