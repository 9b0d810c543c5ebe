"""Which networks a VNF is connected to after an operation: what was there, with what the request and the grant change.

Rules of this module: pure. A connection point that a request or a grant names moves to the link under which it is named,
with all of its instances, because a template has one network per connection point; the others stay where they are, unless
the VNF gets a flavour or a package that does not have them. SOL003 clauses 5.5.2.11 and 9.5.2.3.
"""

from __future__ import annotations

from collections.abc import Mapping

from forestay_sol.vnflcm import (
    ChangeCurrentVnfPkgRequest,
    ChangeExtVnfConnectivityRequest,
    ChangeVnfFlavourRequest,
    ExtLinkPortData,
    ExtManagedVirtualLinkData,
    ExtManagedVirtualLinkInfo,
    ExtVirtualLinkData,
    ExtVirtualLinkInfo,
    InstantiatedVnfInfo,
    InstantiateVnfRequest,
    VnfExtCpConfig,
    VnfLinkPortData,
)
from msgspec.structs import replace

from forestay_lcm.adapters.openstack.job import Order
from forestay_lcm.domain.connection_points import GIVEN_PORT, effective_links, given_link_ports, managed_links

_CONNECTS = (
    InstantiateVnfRequest | ChangeExtVnfConnectivityRequest | ChangeVnfFlavourRequest | ChangeCurrentVnfPkgRequest
)
_MANAGES = InstantiateVnfRequest | ChangeVnfFlavourRequest | ChangeCurrentVnfPkgRequest


def ext_links(order: Order, before: InstantiatedVnfInfo | None) -> tuple[ExtVirtualLinkData, ...]:
    """The external virtual links after the operation."""
    present = ext_links_of(before)
    if order.old_flavour:
        known = order.flavour.external_cpds()
        present = tuple(_with_cps(link, tuple(cp for cp in link.ext_cps if cp.cpd_id in known)) for link in present)
    return _moved(present, new_ext_links(order))


def new_ext_links(order: Order) -> tuple[ExtVirtualLinkData, ...]:
    """What the grant and the request say about external virtual links."""
    requested = order.request.ext_virtual_links if isinstance(order.request, _CONNECTS) else ()
    return effective_links(order.grant.ext_virtual_links, requested)


def ext_links_of(info: InstantiatedVnfInfo | None) -> tuple[ExtVirtualLinkData, ...]:
    """The external virtual links that a VNF has, as a request would name them."""
    return tuple(_link_data(link) for link in info.ext_virtual_link_info) if info else ()


def managed_by_others(order: Order, before: InstantiatedVnfInfo | None) -> dict[str, ExtManagedVirtualLinkData]:
    """The externally managed virtual links after the operation, by the internal one that each replaces."""
    requested = order.request.ext_managed_virtual_links if isinstance(order.request, _MANAGES) else ()
    present = {name: link for name, link in managed_of(before).items() if name in order.flavour.virtual_links}
    return present | managed_links(order.grant.ext_managed_virtual_links, requested)


def managed_of(info: InstantiatedVnfInfo | None) -> dict[str, ExtManagedVirtualLinkData]:
    """The externally managed virtual links that a VNF has, as a request would name them."""
    links = info.ext_managed_virtual_link_info if info else ()
    return {link.vnf_virtual_link_desc_id: _managed_data(link) for link in links}


def _moved(old: tuple[ExtVirtualLinkData, ...], new: tuple[ExtVirtualLinkData, ...]) -> tuple[ExtVirtualLinkData, ...]:
    named = {cp.cpd_id for link in new for cp in link.ext_cps}
    stays = {link.id: tuple(cp for cp in link.ext_cps if cp.cpd_id not in named) for link in old}
    kept = [_with_cps(link, stays[link.id]) for link in old if stays[link.id]]
    new_ids = {link.id for link in new}
    by_id = {link.id: link for link in kept}
    had = {link.id: link for link in old}
    joined = [_joined(by_id.get(link.id), _patched(had.get(link.id), link)) for link in new]
    return (*(link for link in kept if link.id not in new_ids), *joined)


def _patched(had: ExtVirtualLinkData | None, said: ExtVirtualLinkData) -> ExtVirtualLinkData:
    """What is said of a link, with what it does not say of its CPs that are on that link already.

    ``cpConfig`` changes by key, as a JSON Merge Patch (clause 4.4.1.10). Who names none of the keys that are there means all of
    them: clients of Tacker, where ``cpConfig`` is replaced, make new ones.
    """
    if had is None or had.resource_id != said.resource_id:
        return said
    present = {cp.cpd_id: cp.cp_config for cp in had.ext_cps}
    ext_cps = tuple(replace(cp, cp_config=_merged(present.get(cp.cpd_id, {}), cp.cp_config)) for cp in said.ext_cps)
    stays = given_link_ports(ext_cps) - {port.id for port in said.ext_link_ports}
    ports = (port for port in had.ext_link_ports if port.id in stays)
    return replace(said, ext_cps=ext_cps, ext_link_ports=(*ports, *said.ext_link_ports))


def _merged(present: Mapping[str, VnfExtCpConfig], said: Mapping[str, VnfExtCpConfig]) -> dict[str, VnfExtCpConfig]:
    return {**present, **said} if present.keys() & said.keys() else dict(said)


def _joined(kept: ExtVirtualLinkData | None, new: ExtVirtualLinkData) -> ExtVirtualLinkData:
    if kept is None:
        return new
    return replace(
        new, ext_cps=(*kept.ext_cps, *new.ext_cps), ext_link_ports=(*kept.ext_link_ports, *new.ext_link_ports)
    )


def _with_cps(link: ExtVirtualLinkData, cps: tuple[object, ...]) -> ExtVirtualLinkData:
    changed = replace(link, ext_cps=cps)
    given = given_link_ports(changed.ext_cps)
    return replace(changed, ext_link_ports=tuple(port for port in link.ext_link_ports if port.id in given))


def _link_data(link: ExtVirtualLinkInfo) -> ExtVirtualLinkData:
    handle, given = link.resource_handle, given_link_ports(link.current_vnf_ext_cp_data)
    return ExtVirtualLinkData(
        id=link.id,
        vim_connection_id=handle.vim_connection_id,
        resource_provider_id=handle.resource_provider_id,
        resource_id=handle.resource_id,
        ext_cps=link.current_vnf_ext_cp_data,
        ext_link_ports=tuple(
            ExtLinkPortData(id=port.id, resource_handle=port.resource_handle)
            for port in link.ext_link_ports
            if port.id in given
        ),
    )


def _managed_data(link: ExtManagedVirtualLinkInfo) -> ExtManagedVirtualLinkData:
    handle = link.network_resource
    return ExtManagedVirtualLinkData(
        id=link.id,
        vnf_virtual_link_desc_id=link.vnf_virtual_link_desc_id,
        vim_connection_id=handle.vim_connection_id,
        resource_provider_id=handle.resource_provider_id,
        resource_id=handle.resource_id,
        vnf_link_port=tuple(
            VnfLinkPortData(vnf_link_port_id=port.id.removeprefix(GIVEN_PORT), resource_handle=port.resource_handle)
            for port in link.vnf_link_ports
            if port.id.startswith(GIVEN_PORT)
        ),
        ext_managed_multisite_virtual_link_id=link.ext_managed_multisite_virtual_link_id,
    )
