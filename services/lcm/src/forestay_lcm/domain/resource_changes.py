"""What an operation changed in the VIM: the difference of two ``instantiatedVnfInfo`` by id.

Rules of this module: pure; additions in the order of the new state, then removals in the order of the old one. A healed
VNFC has a new id, so it shows as one removed and one added.

SOL003 clauses 5.5.3.12 (AffectedVnfc) to 5.5.3.15 (AffectedExtLinkPort).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, Protocol, TypeVar

from forestay_sol.vnflcm import (
    AffectedExtLinkPort,
    AffectedVipCp,
    AffectedVirtualLink,
    AffectedVirtualStorage,
    AffectedVnfc,
    ChangeType,
    ExtManagedVirtualLinkInfo,
    ExtVirtualLinkInfo,
    InstantiatedVnfInfo,
    LinkChangeType,
    ResourceChanges,
    VipCpInfo,
    VirtualStorageResourceInfo,
    VnfcResourceInfo,
    VnfVirtualLinkResourceInfo,
)
from msgspec.structs import replace

AddedOrRemoved = Literal["ADDED", "REMOVED"]
_Link = VnfVirtualLinkResourceInfo | ExtManagedVirtualLinkInfo

_PORTS_CHANGED: dict[AddedOrRemoved, LinkChangeType] = {"ADDED": "LINK_PORT_ADDED", "REMOVED": "LINK_PORT_REMOVED"}


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


_T = TypeVar("_T", bound=_Identified)
_A = TypeVar("_A", AffectedVnfc, AffectedVirtualLink, AffectedVirtualStorage, AffectedVipCp)


class Vnfds(NamedTuple):
    """The VNFDs (ids) that a change of the VNF package leads from and to."""

    old: str
    new: str


def resource_changes(
    before: InstantiatedVnfInfo | None, after: InstantiatedVnfInfo | None, *, vnfds: Vnfds | None = None
) -> ResourceChanges:
    """The changes that lead from ``before`` to ``after``; ``None`` stands for a VNF of which nothing exists.

    :param vnfds: of a change of the VNF package. Then a VNFC that stays and has other metadata was modified, too.
    """
    old, new = (info or InstantiatedVnfInfo(flavour_id="-", vnf_state="STOPPED") for info in (before, after))
    return ResourceChanges(
        affected_vnfcs=_of(vnfds, (*_vnfcs(old, new), *_modified(old, new, updates=vnfds is not None))),
        affected_virtual_links=_of(vnfds, (*_virtual_links(old, new), *_managed_links(old, new))),
        affected_ext_link_ports=tuple(_ext_link_ports(old, new)),
        affected_virtual_storages=_of(vnfds, tuple(_storages(old, new))),
    )


def reverted(info: InstantiatedVnfInfo) -> ResourceChanges:
    """What a revert to a snapshot changes: each VNFC and each storage has other content, and is the same otherwise."""
    return ResourceChanges(
        affected_vnfcs=tuple(_vnfc("MODIFIED", vnfc) for vnfc in info.vnfc_resource_info),
        affected_virtual_storages=tuple(_storage("MODIFIED", each) for each in info.virtual_storage_resource_info),
    )


def changed_ext_connectivity(
    before: InstantiatedVnfInfo | None, after: InstantiatedVnfInfo | None
) -> tuple[ExtVirtualLinkInfo, ...]:
    """The external virtual links of ``after`` that are new, or whose CP data or ports are other than in ``before``."""
    old = {link.id: _connectivity(link) for link in before.ext_virtual_link_info} if before else {}
    links = after.ext_virtual_link_info if after else ()
    return tuple(link for link in links if old.get(link.id) != _connectivity(link))


def affected_vip_cps(
    before: InstantiatedVnfInfo | None, after: InstantiatedVnfInfo | None, *, vnfds: Vnfds | None = None
) -> tuple[AffectedVipCp, ...]:
    """The VIP CPs that are new, gone, or have other addresses or other VNFCs behind them (SOL003 clause 5.5.2.13)."""
    was, now = ({vip.cp_instance_id: vip for vip in info.vip_cp_info} if info else {} for info in (before, after))

    def change(vip: VipCpInfo) -> Literal["ADDED", "REMOVED", "MODIFIED"]:
        key = vip.cp_instance_id
        return "ADDED" if key not in was else "REMOVED" if key not in now else "MODIFIED"

    found = tuple(
        AffectedVipCp(cp_instance_id=vip.cp_instance_id, cpd_id=vip.cpd_id, change_type=change(vip))
        for vip in (was | now).values()
        if was.get(vip.cp_instance_id) != now.get(vip.cp_instance_id)
    )
    return _of(vnfds, found)


def _of(vnfds: Vnfds | None, affected: tuple[_A, ...]) -> tuple[_A, ...]:
    """Each with its VNFD, which SOL003 wants of a change of the VNF package: what is gone was of the old one."""
    if vnfds is None:
        return affected
    return tuple(replace(each, vnfd_id=vnfds.old if "REMOVED" in each.change_type else vnfds.new) for each in affected)


def _connectivity(link: ExtVirtualLinkInfo) -> object:
    ports = {(port.id, port.resource_handle.resource_id) for port in link.ext_link_ports}
    return link.current_vnf_ext_cp_data, ports


def _differences(old: Iterable[_T], new: Iterable[_T]) -> Iterator[tuple[AddedOrRemoved, _T]]:
    was, now = {item.id: item for item in old}, {item.id: item for item in new}
    for key, item in now.items():
        if key not in was:
            yield "ADDED", item
    for key, item in was.items():
        if key not in now:
            yield "REMOVED", item


def _vnfcs(old: InstantiatedVnfInfo, new: InstantiatedVnfInfo) -> Iterator[AffectedVnfc]:
    changed = _differences(old.virtual_storage_resource_info, new.virtual_storage_resource_info)
    storages = {(change, storage.id) for change, storage in changed}
    for change, vnfc in _differences(old.vnfc_resource_info, new.vnfc_resource_info):
        ours = tuple(storage for storage in vnfc.storage_resource_ids if (change, storage) in storages)
        yield _vnfc(
            change,
            vnfc,
            cps=tuple(cp.id for cp in vnfc.vnfc_cp_info),
            added=ours if change == "ADDED" else (),
            removed=ours if change == "REMOVED" else (),
        )


def _modified(old: InstantiatedVnfInfo, new: InstantiatedVnfInfo, *, updates: bool) -> Iterator[AffectedVnfc]:
    former, cps_before, cps_now = {vnfc.id: vnfc for vnfc in old.vnfc_resource_info}, _cps(old), _cps(new)
    for vnfc in new.vnfc_resource_info:
        if (was := former.get(vnfc.id)) is None:
            continue
        had, has = was.storage_resource_ids, vnfc.storage_resource_ids
        ids = dict.fromkeys(cp.id for cp in (*was.vnfc_cp_info, *vnfc.vnfc_cp_info))
        cps = tuple(cp for cp in ids if cps_before.get(cp) != cps_now.get(cp))
        if cps or set(had) != set(has) or (updates and was.metadata != vnfc.metadata):
            added = tuple(storage for storage in has if storage not in had)
            removed = tuple(storage for storage in had if storage not in has)
            yield _vnfc("MODIFIED", vnfc, cps=cps, added=added, removed=removed)


def _vnfc(
    change: ChangeType,
    vnfc: VnfcResourceInfo,
    *,
    cps: tuple[str, ...] = (),
    added: tuple[str, ...] = (),
    removed: tuple[str, ...] = (),
) -> AffectedVnfc:
    return AffectedVnfc(
        id=vnfc.id,
        vdu_id=vnfc.vdu_id,
        change_type=change,
        compute_resource=vnfc.compute_resource,
        zone_id=vnfc.zone_id,
        metadata=vnfc.metadata,
        affected_vnfc_cp_ids=cps,
        added_storage_resource_ids=added,
        removed_storage_resource_ids=removed,
    )


def _cps(info: InstantiatedVnfInfo) -> dict[str, object]:
    """What each CP of a VNFC is by id: its port and addresses, be they its own or those of the external CP that it is."""
    external = {cp.id: cp for cp in info.ext_cp_info}
    return {
        cp.id: (cp, external.get(cp.vnf_ext_cp_id or ""))
        for vnfc in info.vnfc_resource_info
        for cp in vnfc.vnfc_cp_info
    }


def _storages(old: InstantiatedVnfInfo, new: InstantiatedVnfInfo) -> Iterator[AffectedVirtualStorage]:
    for change, storage in _differences(old.virtual_storage_resource_info, new.virtual_storage_resource_info):
        yield _storage(change, storage)


def _storage(change: ChangeType, storage: VirtualStorageResourceInfo) -> AffectedVirtualStorage:
    return AffectedVirtualStorage(
        id=storage.id,
        virtual_storage_desc_id=storage.virtual_storage_desc_id,
        change_type=change,
        storage_resource=storage.storage_resource,
        metadata=storage.metadata,
    )


def _virtual_links(old: InstantiatedVnfInfo, new: InstantiatedVnfInfo) -> Iterator[AffectedVirtualLink]:
    was, now = old.vnf_virtual_link_resource_info, new.vnf_virtual_link_resource_info
    for change, link in _differences(was, now):
        yield _link(change, link, tuple(port.id for port in link.vnf_link_ports))
    remaining = {link.id for link in was} & {link.id for link in now}
    yield from _changed_ports([x for x in was if x.id in remaining], [x for x in now if x.id in remaining])


def _managed_links(old: InstantiatedVnfInfo, new: InstantiatedVnfInfo) -> Iterator[AffectedVirtualLink]:
    """The network is not ours, so only its ports can be added or removed."""
    return _changed_ports(old.ext_managed_virtual_link_info, new.ext_managed_virtual_link_info)


def _changed_ports(old: Iterable[_Link], new: Iterable[_Link]) -> Iterator[AffectedVirtualLink]:
    was, now = {link.id: link for link in old}, {link.id: link for link in new}
    for key, link in (was | now).items():
        before, after = (links[key].vnf_link_ports if key in links else () for links in (was, now))
        differences = list(_differences(before, after))
        for change, kind in _PORTS_CHANGED.items():
            if ports := tuple(port.id for found, port in differences if found == change):
                yield _link(kind, link, ports)


def _link(change: LinkChangeType, link: _Link, ports: tuple[str, ...]) -> AffectedVirtualLink:
    return AffectedVirtualLink(
        id=link.id,
        vnf_virtual_link_desc_id=link.vnf_virtual_link_desc_id,
        change_type=change,
        network_resource=link.network_resource,
        vnf_link_port_ids=ports,
        metadata=link.metadata if isinstance(link, VnfVirtualLinkResourceInfo) else None,
    )


def _ext_link_ports(old: InstantiatedVnfInfo, new: InstantiatedVnfInfo) -> Iterator[AffectedExtLinkPort]:
    ports = ((port for link in info.ext_virtual_link_info for port in link.ext_link_ports) for info in (old, new))
    for change, port in _differences(*ports):
        if port.cp_instance_id:
            yield AffectedExtLinkPort(
                id=port.id,
                change_type=change,
                ext_cp_instance_id=port.cp_instance_id,
                resource_handle=port.resource_handle,
            )
