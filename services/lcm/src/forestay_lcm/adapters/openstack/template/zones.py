"""Another availability zone for VNFCs whose zone lacks resources (wire contract section 7, AZ reselection).

Rules of this module:

* Pure. Only VNFCs that the operation makes may move: a zone is part of what a server is, so any other would be made anew.
* All of them that are in the zone that lacks resources move together to one that was not tried, if possible to one where
  no VNFC is that a zone anti-affinity rule keeps away from them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo

from forestay_lcm.adapters.openstack.job import Order
from forestay_lcm.adapters.openstack.template.hot import Json
from forestay_lcm.adapters.openstack.template.vnfcs import name_of, nodes_of

_LEAF = "locationConstraints"


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a lack of resources.

    :ivar nfv: the parameter that the stack was made with.
    :ivar failed: names (below ``nfv/VDU``) of the VNFCs that found no room.
    :ivar movable: names of the VNFCs that the operation makes.
    :ivar zones: all zones of the VIM; ``tried`` those that lacked resources already.
    """

    nfv: Json
    failed: frozenset[str]
    movable: frozenset[str]
    zones: Sequence[str]
    tried: frozenset[str]


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """The new parameter ``nfv``, the names of the VNFCs that move, and the zones that lacked resources by now."""

    nfv: Json
    moving: frozenset[str]
    tried: frozenset[str]


def moved(shortage: Shortage, flavour: Flavour) -> Move | None:
    """Where to go, ``None`` when there is nowhere left."""
    placed = {name: leaves.get(_LEAF) for name, leaves in _vdus(shortage.nfv).items()}
    lacking = {zone for name in shortage.failed & shortage.movable if (zone := placed.get(name))}
    affected = {name for name, zone in placed.items() if zone in lacking and name in shortage.movable}
    tried = shortage.tried | lacking
    left = [zone for zone in shortage.zones if zone not in tried]
    if not affected or not left:
        return None
    avoided = {placed.get(name) for name in placed.keys() - affected if _is_apart(flavour, name, affected)}
    chosen = next((zone for zone in left if zone not in avoided), left[0])
    vdus = {
        name: {**leaves, _LEAF: chosen} if name in affected else leaves for name, leaves in _vdus(shortage.nfv).items()
    }
    return Move(nfv=shortage.nfv | {"VDU": vdus}, moving=frozenset(affected), tried=tried)


def not_kept(order: Order, before: InstantiatedVnfInfo | None, now: InstantiatedVnfInfo) -> dict[str, list[str]]:
    """The zones that the grant names for new VNFCs and that none of them is in, by VDU.

    All members of a group are of one definition, and another zone would make those anew that are there: so a group stays in
    the zone in which it was made, the first that was granted.
    """
    named = {zone.id: zone.zone_id for zone in order.grant.zones}
    granted = {item.resource_definition_id: named.get(item.zone_id or "") for item in order.grant.add_resources}
    known = {vnfc.id for vnfc in before.vnfc_resource_info} if before else set[str]()
    lost: dict[str, list[str]] = {}
    for vdu in order.flavour.vdus:
        added = (item.id for item in order.grant_request.add_resources if item.resource_template_id == vdu)
        wanted = Counter(zone for item in added if (zone := granted.get(item)))
        made = Counter(vnfc.zone_id for vnfc in now.vnfc_resource_info if vnfc.vdu_id == vdu and vnfc.id not in known)
        wanted.subtract({zone: number for zone, number in made.items() if zone})
        if left := sorted((+wanted).elements()):
            lost[vdu] = left
    return lost


def _vdus(nfv: Json) -> Mapping[str, dict[str, Any]]:
    return nfv.get("VDU") or {}


def _is_apart(flavour: Flavour, name: str, others: Iterable[str]) -> bool:
    """Whether a rule keeps a VNFC out of the zone of any of the others."""
    nodes = nodes_of(flavour)
    vdu, theirs = name_of(name, nodes).node, {name_of(other, nodes).node for other in others}
    return any(
        rule.kind == "ANTI_AFFINITY"
        and rule.scope.lower() == "zone"
        and vdu in rule.targets
        and theirs & {*rule.targets}
        for rule in flavour.affinity_rules
    )
