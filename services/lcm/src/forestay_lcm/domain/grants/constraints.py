"""Placement constraints: the affinity rules of the VNFD, told in the resources of one grant request.

Rules of this module: pure; every rule that touches a new resource becomes a constraint of its own; VNFCs that stay are in
it too, the oldest first and before the new ones. Less than two resources are no constraint.

SOL003 clauses 9.5.3.6 (PlacementConstraint) and 9.5.3.7 (ConstraintResourceRef); the scopes are those of SOL001 6.10.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from forestay_sol.vnfd import AffinityRule, Flavour
from forestay_sol.vnflcm import ConstraintResourceRef, PlacementConstraint, ResourceDefinition, VnfcResourceInfo

_SCOPES: dict[str, Literal["NFVI_POP", "ZONE", "ZONE_GROUP", "NFVI_NODE"]] = {
    "nfvi_pop": "NFVI_POP",
    "zone": "ZONE",
    "zone_group": "ZONE_GROUP",
    "nfvi_node": "NFVI_NODE",
}


def placement_constraints(
    flavour: Flavour,
    added: Iterable[ResourceDefinition],
    *,
    staying: Sequence[VnfcResourceInfo] = (),
    best_effort: bool = False,
) -> tuple[PlacementConstraint, ...]:
    """The constraints on the COMPUTEs of ``added``.

    :param staying: the VNFCs that exist and are not removed, the newest first.
    :param best_effort: the operation may go on where a constraint cannot be met.
    """
    new = [definition for definition in added if definition.type == "COMPUTE"]
    constraints = (_constraint(rule, new, staying, best_effort) for rule in flavour.affinity_rules)
    return tuple(constraint for constraint in constraints if constraint)


def _constraint(
    rule: AffinityRule, new: list[ResourceDefinition], staying: Sequence[VnfcResourceInfo], best_effort: bool
) -> PlacementConstraint | None:
    asked = [
        ConstraintResourceRef(id_type="GRANT", resource_id=definition.id)
        for definition in new
        if definition.resource_template_id in rule.targets
    ]
    there = [
        ConstraintResourceRef(
            id_type="RES_MGMT",
            resource_id=vnfc.compute_resource.resource_id,
            vim_connection_id=vnfc.compute_resource.vim_connection_id,
            resource_provider_id=vnfc.compute_resource.resource_provider_id,
        )
        for vnfc in reversed(staying)
        if vnfc.vdu_id in rule.targets
    ]
    scope = _SCOPES.get(rule.scope)
    if scope is None or not asked or len(asked) + len(there) < 2:
        return None
    return PlacementConstraint(
        affinity_or_anti_affinity=rule.kind,
        scope=scope,
        resource=(*there, *asked),
        fallback_best_effort=best_effort,
    )
