"""The embedded NFVO: answers a GrantRequest when no external NFVO is configured. It always grants.

Rules of this module: pure; the zones are the operator's, the images and flavours the VNFD's. The first zone serves
everything, except that COMPUTEs under zone anti-affinity take the zones in turn.

SOL003 clause 9.5.2.3 (Grant).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import (
    Grant,
    GrantInfo,
    GrantRequest,
    ResourceDefinition,
    VimAssets,
    VimComputeResourceFlavour,
    VimSoftwareImage,
    ZoneInfo,
)

_PLACES: frozenset[str] = frozenset({"INSTANTIATE", "SCALE", "SCALE_TO_LEVEL", "CHANGE_FLAVOUR"})


def answer(
    request: GrantRequest,
    *,
    new_id: Callable[[], str],
    flavour: Flavour | None = None,
    zones: Sequence[str] = ("nova",),
    images: Mapping[str, str] | None = None,
) -> Grant:
    """The grant for a request.

    :param flavour: the deployment flavour that the VNF gets; ``None`` when the operation adds nothing (TERMINATE).
    :param zones: availability zones to place into; empty leaves the zone to the VIM.
    :param images: VIM image ids by software image id (node), for images that were uploaded from the package.
    """
    zone_infos = tuple(ZoneInfo(id=new_id(), zone_id=zone) for zone in zones) if _placed(request) else ()
    turns = _turns(request)
    return Grant(
        id=new_id(),
        vnf_instance_id=request.vnf_instance_id,
        vnf_lcm_op_occ_id=request.vnf_lcm_op_occ_id,
        zones=zone_infos,
        add_resources=tuple(_info(definition, zone_infos, turns) for definition in request.add_resources),
        remove_resources=tuple(GrantInfo(resource_definition_id=item.id) for item in request.remove_resources),
        update_resources=tuple(GrantInfo(resource_definition_id=item.id) for item in request.update_resources),
        vim_assets=_vim_assets(request, flavour, images or {}) if flavour and request.add_resources else None,
    )


def _placed(request: GrantRequest) -> bool:
    return request.operation in _PLACES and any(item.type == "COMPUTE" for item in request.add_resources)


def _turns(request: GrantRequest) -> dict[str, int]:
    """Whose turn a COMPUTE is: its place in a zone anti-affinity constraint."""
    return {
        resource.resource_id: turn
        for constraint in request.placement_constraints
        if (constraint.affinity_or_anti_affinity, constraint.scope) == ("ANTI_AFFINITY", "ZONE")
        for turn, resource in enumerate(constraint.resource)
    }


def _info(definition: ResourceDefinition, zones: Sequence[ZoneInfo], turns: Mapping[str, int]) -> GrantInfo:
    zone = zones[turns.get(definition.id, 0) % len(zones)].id if zones and definition.type == "COMPUTE" else None
    return GrantInfo(resource_definition_id=definition.id, zone_id=zone)


def _vim_assets(request: GrantRequest, flavour: Flavour, images: Mapping[str, str]) -> VimAssets:
    nodes = dict.fromkeys(definition.resource_template_id for definition in request.add_resources)
    known = flavour.software_images()
    vdus = [flavour.vdus[node] for node in nodes if node in flavour.vdus]
    return VimAssets(
        compute_resource_flavours=tuple(
            VimComputeResourceFlavour(vnfd_virtual_compute_desc_id=vdu.id, vim_flavour_id=vdu.requested_capability)
            for vdu in vdus
            if vdu.requested_capability
        ),
        software_images=tuple(
            VimSoftwareImage(vnfd_software_image_id=node, vim_software_image_id=images.get(node) or known[node].name)
            for node in nodes
            if node in known
        ),
    )
