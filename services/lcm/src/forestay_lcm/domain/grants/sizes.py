"""Grant requests of the operations that change how many VNFCs there are: SCALE, SCALE_TO_LEVEL, CHANGE_FLAVOUR.

Rules of this module: pure; ``Sizes`` says how many VNFCs of each VDU come (positive) or go (negative); the newest go first,
unless a request wants it the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from forestay_events.errors import Rejected
from forestay_lcm.domain.grants.constraints import placement_constraints
from forestay_lcm.domain.grants.definitions import Asking, Existing, cps_with_given_port, link, planned
from forestay_sol.vnfd import Flavour, Vdu
from forestay_sol.vnflcm import (
    ChangeVnfFlavourRequest,
    ExtVirtualLinkData,
    ExtVirtualLinkInfo,
    GrantRequest,
    InstantiatedVnfInfo,
    LcmOperation,
    ResourceDefinition,
    ScaleVnfRequest,
    ScaleVnfToLevelRequest,
    VnfcResourceInfo,
)

Sizes = Mapping[str, int]

OLDEST_FIRST = "is_reverse"
"""Additional parameter of SCALE: true (or its name) lets those VNFCs go that have been there longest."""


def scale_sizes(flavour: Flavour, info: InstantiatedVnfInfo, request: ScaleVnfRequest) -> Sizes:
    """What a SCALE changes.

    :raises Rejected: 400, unknown aspect, no deltas, or the steps leave 0..maxScaleLevel (SOL003 5.4.5).
    """
    steps = request.number_of_steps or 1
    return flavour.scale_counts(
        request.aspect_id,
        level=_scale_level(info, request.aspect_id),
        steps=steps if request.type == "SCALE_OUT" else -steps,
    )


def level_sizes(flavour: Flavour, info: InstantiatedVnfInfo, request: ScaleVnfToLevelRequest) -> Sizes:
    """What a SCALE_TO_LEVEL changes; of ``scaleInfo`` an aspect that is not named keeps its level.

    :raises Rejected: 400, unknown instantiation level or aspect, or a scale level over maxScaleLevel (SOL003 5.4.6).
    """
    if request.scale_info is None:
        return _difference(flavour.level(request.instantiation_level_id).vdu_counts, Existing(info))
    sizes: dict[str, int] = {}
    for at, wanted in enumerate(request.scale_info):
        aspect = flavour.aspect(wanted.aspect_id)
        if wanted.scale_level > aspect.max_scale_level:
            raise Rejected(
                400,
                f"Invalid scaleLevel '{wanted.scale_level}': aspect {aspect.id!r} has 0 to {aspect.max_scale_level}.",
                pointer=f"/scaleInfo/{at}/scaleLevel",
            )
        for vdu_id in aspect.deltas:
            step = aspect.added(vdu_id, wanted.scale_level) - aspect.added(vdu_id, _scale_level(info, aspect.id))
            sizes[vdu_id] = sizes.get(vdu_id, 0) + step
    return sizes


def scale_grant_request(
    asking: Asking, *, flavour: Flavour, info: InstantiatedVnfInfo, request: ScaleVnfRequest
) -> GrantRequest:
    """The VNFCs that come or go with their ports and storages; with ``is_reverse`` (as in Tacker) the oldest go.

    :raises Rejected: as :func:`scale_sizes`.
    """
    sizes = scale_sizes(flavour, info, request)
    if str((request.additional_params or {}).get(OLDEST_FIRST)).lower() == "true":
        oldest_first = tuple(reversed(info.vnfc_resource_info))
        info = msgspec.structs.replace(info, vnfc_resource_info=oldest_first)
    return _resized(asking, "SCALE", flavour, info, sizes, additional_params=request.additional_params)


def scale_to_level_grant_request(
    asking: Asking, *, flavour: Flavour, info: InstantiatedVnfInfo, request: ScaleVnfToLevelRequest
) -> GrantRequest:
    """The VNFCs that come or go with their ports and storages. :raises Rejected: as :func:`level_sizes`."""
    sizes = level_sizes(flavour, info, request)
    return _resized(asking, "SCALE_TO_LEVEL", flavour, info, sizes, additional_params=request.additional_params)


def change_flavour_grant_request(
    asking: Asking, *, old: Flavour, new: Flavour, info: InstantiatedVnfInfo, request: ChangeVnfFlavourRequest
) -> GrantRequest:
    """VNFCs and internal VLs that only one of the flavours has come or go; VNFCs that the new one wants otherwise change.

    External and externally managed virtual links that the request does not have stay as they are.

    :raises Rejected: 400, the new flavour does not have the instantiation level.
    """
    existing = Existing(info)
    sizes = _difference(new.level(request.instantiation_level_id).vdu_counts, existing)
    changed = [vnfc for vnfc in _staying(existing, sizes) if _is_changed(old, new, vnfc.vdu_id)]
    managed = request.ext_managed_virtual_links or info.ext_managed_virtual_link_info
    wanted = new.virtual_links.keys() - {item.vnf_virtual_link_desc_id for item in managed}
    there = {item.vnf_virtual_link_desc_id for item in info.vnf_virtual_link_resource_info}
    return _resized(
        asking,
        "CHANGE_FLAVOUR",
        new,
        info,
        sizes,
        added_links=[link(node, asking.new_id) for node in new.virtual_links if node in wanted - there],
        removed_links=[item for item in existing.links(asking.new_id) if item.resource_template_id not in wanted],
        ext_virtual_links=request.ext_virtual_links or info.ext_virtual_link_info,
        update=[existing.compute(vnfc, asking.new_id()) for vnfc in changed],
        additional_params=request.additional_params,
    )


def _resized(
    asking: Asking,
    operation: LcmOperation,
    flavour: Flavour,
    info: InstantiatedVnfInfo,
    sizes: Sizes,
    *,
    added_links: Iterable[ResourceDefinition] = (),
    removed_links: Iterable[ResourceDefinition] = (),
    ext_virtual_links: tuple[ExtVirtualLinkData, ...] | tuple[ExtVirtualLinkInfo, ...] | None = None,
    **members: Any,
) -> GrantRequest:
    existing = Existing(info)
    given_ports = cps_with_given_port(flavour, ext_virtual_links or info.ext_virtual_link_info)
    added = [
        definition
        for vdu_id, size in sizes.items()
        for _ in range(size)
        for definition in planned(flavour, vdu_id, asking.new_id(), given_ports=given_ports)
    ]
    removed = [
        definition
        for vdu_id, size in sizes.items()
        for vnfc in existing.of(vdu_id)[: max(-size, 0)]
        for definition in existing.whole(vnfc, asking.new_id())
    ]
    return asking.request(
        operation,
        flavour_id=flavour.id,
        add=[*added, *added_links],
        remove=[*removed, *removed_links],
        placement_constraints=placement_constraints(
            flavour, added, staying=_staying(existing, sizes), best_effort=asking.best_effort
        ),
        **members,
    )


def _scale_level(info: InstantiatedVnfInfo, aspect_id: str) -> int:
    level = next((item.scale_level for item in info.scale_status if item.aspect_id == aspect_id), None)
    if level is None:
        raise Rejected(400, f"Invalid aspectId '{aspect_id}': it is not in the scaleStatus.", pointer="/aspectId")
    return level


def _difference(counts: Mapping[str, int], existing: Existing) -> Sizes:
    vdus = dict.fromkeys([*counts, *(vnfc.vdu_id for vnfc in existing.vnfcs)])
    return {vdu_id: counts.get(vdu_id, 0) - len(existing.of(vdu_id)) for vdu_id in vdus}


def _staying(existing: Existing, sizes: Sizes) -> list[VnfcResourceInfo]:
    going = {vnfc.id for vdu_id, size in sizes.items() for vnfc in existing.of(vdu_id)[: max(-size, 0)]}
    return [vnfc for vnfc in existing.vnfcs if vnfc.id not in going]


def _is_changed(old: Flavour, new: Flavour, vdu_id: str) -> bool:
    return vdu_id in new.vdus and _substance(old.vdus.get(vdu_id)) != _substance(new.vdus[vdu_id])


def _substance(vdu: Vdu | None) -> Vdu | None:
    """A VDU without what says nothing about one of its instances."""
    return vdu and msgspec.structs.replace(
        vdu, name="", description="", initial_instances=0, min_instances=0, max_instances=None
    )
