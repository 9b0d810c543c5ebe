"""Whether a grant answers its request: what an NFVO says is checked before anything is made of it.

Rules of this module: pure; all faults are told at once. What SOL003 lets an NFVO leave out may be absent; what it says must
be about something that was asked for, that the VNFD has, or that the grant itself declares.

Honoured by the drivers: ``vimConnectionInfo`` (INSTANTIATE), ``zones`` with ``addResources.zoneId``,
``vimAssets.computeResourceFlavours``, ``vimAssets.softwareImages``, ``extVirtualLinks``, ``extManagedVirtualLinks`` and
``additionalParams.nfv``. Accepted, recorded and not acted on: ``zoneGroups``, ``tempResources``, ``removeResources``,
``updateResources``, ``reservationId``, ``resourceProviderId``, ``resourceGroupId`` and ``vimAssets.snapshotResources``.

SOL003 clauses 9.5.2.3 (Grant) with its notes 3 and 6, 9.5.3.3 (GrantInfo), 9.5.3.4 (ZoneInfo).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

import msgspec
from forestay_events.errors import Permanent
from forestay_sol.vnfd import Vnfd
from forestay_sol.vnflcm import Grant, GrantInfo, GrantRequest, ResourceDefinition


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a grant is checked against.

    :ivar vnfd: the VNFD that the operation leads to: of ``dstVnfdId`` where there is one.
    :ivar connections: keys of the instance's ``vimConnectionInfo``.
    """

    request: GrantRequest
    vnfd: Vnfd
    connections: Collection[str] = ()


class UnusableGrant(Permanent):
    """The NFVO's grant contradicts the request, the VNFD or itself."""


def check(grant: Grant, terms: Terms) -> None:
    """Nothing, if the grant can be used.

    :raises UnusableGrant: 502; the message has every fault.
    """
    faults = [*_subject(grant, terms), *_resources(grant, terms), *_places(grant, terms), *_assets(grant, terms.vnfd)]
    faults += _links(grant, terms)
    if faults:
        raise UnusableGrant(
            f"The grant {grant.id} of the NFVO cannot be used: {'; '.join(faults)}.",
            status=502,
            title="Grant cannot be used",
        )


def _subject(grant: Grant, terms: Terms) -> Iterator[str]:
    asked = terms.request
    for member, is_, should in (
        ("vnfInstanceId", grant.vnf_instance_id, asked.vnf_instance_id),
        ("vnfLcmOpOccId", grant.vnf_lcm_op_occ_id, asked.vnf_lcm_op_occ_id),
    ):
        if is_ != should:
            yield f"{member} is {is_}, not {should}"


def _resources(grant: Grant, terms: Terms) -> Iterator[str]:
    asked = terms.request
    yield from _answers("addResources", asked.add_resources, grant.add_resources)
    yield from _answers("tempResources", asked.temp_resources, grant.temp_resources)
    yield from _answers("removeResources", asked.remove_resources, grant.remove_resources)
    yield from _answers("updateResources", asked.update_resources, grant.update_resources)


def _answers(member: str, asked: tuple[ResourceDefinition, ...], granted: tuple[GrantInfo, ...]) -> Iterator[str]:
    wanted, got = {item.id for item in asked}, Counter(item.resource_definition_id for item in granted)
    if missing := sorted(wanted - got.keys()):
        yield f"{member} does not answer {', '.join(missing)}"
    if unknown := sorted(got.keys() - wanted):
        yield f"{member} answers {', '.join(unknown)}, which was not asked for"
    if twice := sorted(key for key, times in got.items() if times > 1):
        yield f"{member} answers {', '.join(twice)} more than once"


def _places(grant: Grant, terms: Terms) -> Iterator[str]:
    zones = {zone.id: zone for zone in grant.zones}
    connections = {*terms.connections, *grant.vim_connection_info}
    if len(zones) < len(grant.zones):
        yield "zones has an id more than once"
    for group in grant.zone_groups:
        if unknown := [key for key in group.zone_id if key not in zones]:
            yield f"zoneGroups names zone {unknown[0]}, which is not in zones"
    for info in (*grant.add_resources, *grant.temp_resources, *grant.update_resources):
        zone = zones.get(info.zone_id or "")
        what = f"resource {info.resource_definition_id}"
        if info.zone_id and zone is None:
            yield f"{what} is in zone {info.zone_id}, which is not in zones"
        if zone and len({zone.vim_connection_id, info.vim_connection_id} - {None}) > 1:
            yield f"{what} is on VIM {info.vim_connection_id}, its zone {zone.id} on {zone.vim_connection_id}"
    named = [
        item.vim_connection_id
        for item in (
            *grant.zones,
            *grant.add_resources,
            *grant.temp_resources,
            *grant.ext_virtual_links,
            *grant.ext_managed_virtual_links,
            *(grant.vim_assets.compute_resource_flavours if grant.vim_assets else ()),
            *(grant.vim_assets.software_images if grant.vim_assets else ()),
        )
    ]
    for key in dict.fromkeys(named):
        if key is not None and key not in connections:
            yield f"vimConnectionId {key} is neither in the grant's vimConnectionInfo nor in that of the VNF instance"


def _assets(grant: Grant, vnfd: Vnfd) -> Iterator[str]:
    if grant.vim_assets is None:
        return
    # The set is that of the whole package, whatever flavour the operation is about.
    vdus = {vdu_id for flavour in vnfd.flavours.values() for vdu_id in flavour.vdus}
    images = {node for flavour in vnfd.flavours.values() for node in flavour.software_images()}
    flavours = [
        (item.vnfd_virtual_compute_desc_id, item.vim_connection_id, item.vim_flavour_id)
        for item in grant.vim_assets.compute_resource_flavours
    ]
    software = [
        (item.vnfd_software_image_id, item.vim_connection_id, item.vim_software_image_id)
        for item in grant.vim_assets.software_images
    ]
    yield from _mapped("computeResourceFlavours", "vnfdVirtualComputeDescId", flavours, vdus)
    yield from _mapped("softwareImages", "vnfdSoftwareImageId", software, images)


def _mapped(
    where: str, member: str, entries: list[tuple[str, str | None, str]], known: Collection[str]
) -> Iterator[str]:
    chosen: dict[tuple[str, str | None], str] = {}
    for node, connection, asset in entries:
        if node not in known:
            yield f"{where} has {member} {node}, which the VNFD does not have"
        if chosen.setdefault((node, connection), asset) != asset:
            yield f"{where} maps {node} to both {chosen[node, connection]} and {asset}"


def _links(grant: Grant, terms: Terms) -> Iterator[str]:
    flavours = terms.vnfd.flavours.values()
    cps = {cp for flavour in flavours for cp in flavour.external_cpds()}
    networks = {node for flavour in flavours for node in flavour.virtual_links}
    for link in grant.ext_virtual_links:
        ports = {port.id for port in link.ext_link_ports}
        for cp in link.ext_cps:
            if cp.cpd_id not in cps:
                yield f"extVirtualLinks connects cpdId {cp.cpd_id}, which is no external CP of the VNFD"
            for config in cp.cp_config.values():
                if config.link_port_id and config.link_port_id not in ports:
                    yield f"extVirtualLinks uses linkPortId {config.link_port_id}, which is not in extLinkPorts"
    for managed in grant.ext_managed_virtual_links:
        if managed.vnf_virtual_link_desc_id not in networks:
            yield f"extManagedVirtualLinks replaces {managed.vnf_virtual_link_desc_id}, which the VNFD does not have"
