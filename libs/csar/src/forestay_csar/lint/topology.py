"""The VNFD: types that are known, aspects that can be scaled, levels that can be chosen (SOL001 6.8 to 6.11)."""

from __future__ import annotations

from collections.abc import Iterator

from forestay_sol.vnfd import Flavour, InstantiationLevel

from forestay_csar.definitions import Definitions
from forestay_csar.documents import Tree
from forestay_csar.findings import Finding
from forestay_csar.lint.subject import Subject
from forestay_csar.topology import CHARTS

_RULE_OF = {"node_templates": "type-unknown", "policies": "type-unknown-policy", "groups": "type-unknown-policy"}


def check_topology(subject: Subject) -> Iterator[Finding]:
    """Flavours that are only named, and the rules of each flavour."""
    for name, declared in subject.definitions.types.items():
        yield from _undefined_flavours(subject, name, declared)
    for flavour in subject.vnfd.flavours.values():
        topology = subject.topology(flavour.id)
        yield from _flavour(flavour, topology)
        for mciop in flavour.mciops.values():
            for chart in mciop.charts:
                if chart in subject.archive and not chart.endswith(CHARTS):
                    yield topology.at("node_templates", mciop.id).finding("chart-form", f"{chart} is no Helm chart.")


def check_types(definitions: Definitions) -> Iterator[Finding]:
    """Unknown types, before anything is read: a node of a type that nobody knows is no VDU, whatever it should be."""
    for topology in definitions.topologies:
        for section, rule in _RULE_OF.items():
            for name, node in topology.at(section).named():
                if not definitions.knows(kind := node.at("type").text()):
                    yield node.at("type").finding(rule, f"{name} is of the unknown type {kind}.")


def _undefined_flavours(subject: Subject, name: str, declared: Tree) -> Iterator[Finding]:
    constraints = declared.at("properties", "flavour_id", "constraints").elements()
    for value in (value for each in constraints for value in each.at("valid_values").elements()):
        if value.text() not in subject.vnfd.flavours:
            yield value.finding(
                "flavour-undefined", f"{name} allows the flavour {value.text()!r}, which no topology defines."
            )


def _flavour(flavour: Flavour, topology: Tree) -> Iterator[Finding]:
    for aspect in flavour.scaling_aspects.values():
        if not aspect.deltas:
            yield _policy(topology, "aspects", aspect.id).finding("aspect-deltas", f"Aspect {aspect.id} scales no VDU.")
    if flavour.default_level_id is None:
        levels = ", ".join(flavour.instantiation_levels)
        place = _policy(topology, "levels", next(iter(flavour.instantiation_levels), ""))
        yield place.finding(
            "default-level-missing", f"None of the levels {levels} of flavour {flavour.id} is the default."
        )
    for level in flavour.instantiation_levels.values():
        yield from _level(flavour, level, _policy(topology, "levels", level.id))
    yield from _host_rules(flavour, topology)
    for image in flavour.software_images().values():
        if image.path is None:
            where = f"is at {image.url}" if image.url else "is not in the package"
            place = topology.at("node_templates", image.id)
            yield place.finding("software-image-external", f"Image {image.name!r} of {image.id} {where}.")


def _host_rules(flavour: Flavour, topology: Tree) -> Iterator[Finding]:
    """Without a BaseHOT, a rule about hosts is a server group; a server of Nova's is in one of them at most."""
    policies = dict(topology.at("policies").named())
    placed: dict[str, str] = {}
    for rule in flavour.affinity_rules if flavour.base_hot is None else ():
        vdus = [node for node in rule.targets if node in flavour.vdus and rule.scope.lower() == "nfvi_node"]
        taken = [vdu for vdu in vdus if vdu in placed]
        placed |= {vdu: rule.id for vdu in vdus if vdu not in placed}
        if taken:
            who = taken[0] if len(taken) == 1 else f"{taken[0]} and {len(taken) - 1} more"
            message = f"{rule.id} has no effect on the hosts of {who}, which {placed[taken[0]]} places already."
            yield policies.get(rule.id, topology).finding("affinity-host-rules", message)


def _level(flavour: Flavour, level: InstantiationLevel, place: Tree) -> Iterator[Finding]:
    for vdu_id, count in level.vdu_counts.items():
        vdu = flavour.vdus[vdu_id]
        most = vdu.max_instances
        if count < vdu.min_instances or (most is not None and count > most):
            limits = f"{vdu.min_instances} to {'any' if most is None else most}"
            message = f"Level {level.id} has {count} of {vdu_id}, whose vdu_profile says {limits}."
            yield place.finding("level-instances", message)


def _policy(topology: Tree, member: str, name: str) -> Tree:
    """Where a policy defines an aspect or a level; the topology, where none does."""
    for _, policy in topology.at("policies").named():
        if name in (known := policy.at("properties", member).mapping()):
            return known[name]
    return topology
