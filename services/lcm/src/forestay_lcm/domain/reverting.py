"""Which snapshot of a VNFC is for which VNFC of the VNF, and why a VNF cannot be reverted (SOL003 clause 5.4.22).

Rules of this module: pure.

* A VNFC is what it is in the VNF, not the server that it has now: a heal gives it another, a stack that is made anew gives
  each another. It is known by the first of these that fits: its ``vnfcInstanceId``, the number that it has in its VDU, its
  name in its group; those that are left are members of a group, which are alike: by their order.
* A VNF is reverted as a whole. With a VNFC that the snapshot lacks, or without one that it has, it would be of two moments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from forestay_sol.vnflcm import InstantiatedVnfInfo, VnfcSnapshotInfo, VnfSnapshot


class Reverting(NamedTuple):
    """:ivar parts: the snapshot of each VNFC, by the id of its VnfcResourceInfo; ``fault``: why the VNF cannot be reverted."""

    parts: Mapping[str, VnfcSnapshotInfo]
    fault: str | None


def reverting(vnf_id: str, vnfd_id: str, now: InstantiatedVnfInfo, content: Mapping[str, Any]) -> Reverting:
    """What it means to revert a VNF instance.

    :param now: what it consists of; ``content``: SOL003's VnfSnapshot as JSON.
    """
    snapshot = msgspec.convert(content, VnfSnapshot)
    then = msgspec.convert(snapshot.vnf_instance.get("instantiatedVnfInfo"), InstantiatedVnfInfo)
    if fault := next(_unlike(vnf_id, vnfd_id, now, snapshot, then), None):
        return Reverting({}, fault)
    saved = {part.vnfc_resource_info_id or part.id: part for part in snapshot.vnfc_snapshots}
    parts = {vnfc: saved[former] for vnfc, former in _same(_members(now), _members(then)).items() if former in saved}
    return Reverting(parts, next(_incapable(now, parts), None))


def _unlike(
    vnf_id: str, vnfd_id: str, now: InstantiatedVnfInfo, snapshot: VnfSnapshot, then: InstantiatedVnfInfo
) -> Iterator[str]:
    """Why the VNF instance is not what the snapshot was taken of."""
    if snapshot.vnf_instance_id != vnf_id:
        yield f"it was taken of vnfInstance {snapshot.vnf_instance_id}"
    if snapshot.vnfd_id != vnfd_id:
        yield f"that has VNFD {snapshot.vnfd_id}, the VNF now has {vnfd_id}"
    if then.flavour_id != now.flavour_id:
        yield f"that has flavour {then.flavour_id!r}, the VNF now has {now.flavour_id!r}"
    had, has = (Counter(vnfc.vdu_id for vnfc in info.vnfc_resource_info) for info in (then, now))
    levels = {item.aspect_id: item.scale_level for item in now.scale_status}
    wanted = [item for item in then.scale_status if item.scale_level != levels.get(item.aspect_id)]
    advice = ", ".join(f"{item.aspect_id} to level {item.scale_level}" for item in wanted)
    for vdu in sorted(had.keys() | has.keys()):
        if had[vdu] != has[vdu]:
            counts = f"that has {had[vdu]} VNFCs of {vdu}, the VNF now has {has[vdu]}"
            yield f"{counts}: scale {advice} first" if advice else counts


def _incapable(now: InstantiatedVnfInfo, parts: Mapping[str, VnfcSnapshotInfo]) -> Iterator[str]:
    """Why the snapshot is not enough for the VNFCs that there are."""
    for vnfc in now.vnfc_resource_info:
        part = parts.get(vnfc.id)
        if part is None:
            yield f"{vnfc.id} is not in the snapshot"
            continue
        if part.compute_snapshot_resource is None:
            yield f"{vnfc.id} boots from a volume, which cannot be reverted while the server has it"
        saved = {item.storage_resource_id for item in part.storage_snapshot_resources}
        if others := ", ".join(sorted({*vnfc.storage_resource_ids} - saved)):
            yield f"{vnfc.id} has other volumes than then, and no volume can be reverted to the snapshot of another: {others}"


class _Member(NamedTuple):
    """A VNFC with what it is known by."""

    id: str
    vdu_id: str
    name: str | None
    number: object
    member: object


_TRAITS: tuple[Callable[[_Member], object], ...] = (
    lambda vnfc: vnfc.name,
    lambda vnfc: vnfc.number,
    lambda vnfc: vnfc.member,
)


def _members(info: InstantiatedVnfInfo) -> Sequence[_Member]:
    """The VNFCs, by VDU."""
    names = {vnfc.vnfc_resource_info_id: vnfc.id for vnfc in info.vnfc_info}
    found: list[_Member] = []
    for vnfc in info.vnfc_resource_info:
        metadata = vnfc.metadata or {}
        number, member = metadata.get("vdu_idx"), metadata.get("parent_resource_name")
        found.append(_Member(vnfc.id, vnfc.vdu_id, names.get(vnfc.id), number, member))
    return sorted(found, key=lambda vnfc: vnfc.vdu_id)


def _same(now: Sequence[_Member], then: Sequence[_Member]) -> dict[str, str]:
    """The VNFC of then, by that of now; of each VDU there are as many as there were."""
    same: dict[str, str] = {}
    for trait in _TRAITS:
        known = {(vnfc.vdu_id, trait(vnfc)): vnfc.id for vnfc in then if vnfc.id not in same.values()}
        for vnfc in (vnfc for vnfc in now if vnfc.id not in same and trait(vnfc) is not None):
            if former := known.pop((vnfc.vdu_id, trait(vnfc)), None):
                same[vnfc.id] = former
    new, left = [vnfc for vnfc in now if vnfc.id not in same], [vnfc for vnfc in then if vnfc.id not in same.values()]
    return same | {vnfc.id: former.id for vnfc, former in zip(new, left, strict=True)}
