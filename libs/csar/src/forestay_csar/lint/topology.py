"""The VNFD: types that are known, aspects that can be scaled, levels that can be chosen (SOL001 6.8 to 6.11)."""

from __future__ import annotations

from collections.abc import Iterator

from forestay_sol.vnfd import Flavour, InstantiationLevel

from forestay_csar.findings import Finding, finding
from forestay_csar.lint.subject import Subject

_RULE_OF = {"node_templates": "type-unknown", "policies": "type-unknown-policy", "groups": "type-unknown-policy"}


def check_topology(subject: Subject) -> Iterator[Finding]:
    """Unknown types, flavours that are only named, and the rules of each flavour."""
    for topology in subject.definitions.topologies():
        for section, rule in _RULE_OF.items():
            for name, node in topology.at(section).named():
                if not subject.definitions.knows(kind := node.at("type").text()):
                    message = f"{node.file}: {name} is of the unknown type {kind}."
                    yield finding(rule, message, file=node.file, line=node.at("type").line)
    yield from _undefined_flavours(subject)
    for flavour in subject.vnfd.flavours.values():
        yield from _flavour(flavour, subject.definitions.entry)


def _undefined_flavours(subject: Subject) -> Iterator[Finding]:
    for name, declared in subject.definitions.types.items():
        allowed = declared.at("properties", "flavour_id")
        for value in (v for each in allowed.at("constraints").elements() for v in each.at("valid_values").elements()):
            if value.text() not in subject.vnfd.flavours:
                message = f"{value.file}: {name} allows the flavour {value.text()!r}, which no topology defines."
                yield finding("flavour-undefined", message, file=value.file, line=value.line)


def _flavour(flavour: Flavour, file: str) -> Iterator[Finding]:
    for aspect in flavour.scaling_aspects.values():
        if not aspect.deltas:
            yield finding("aspect-deltas", f"Aspect {aspect.id} of flavour {flavour.id} scales no VDU.", file=file)
    if flavour.default_level_id is None:
        levels = ", ".join(flavour.instantiation_levels)
        message = f"Flavour {flavour.id} has the levels {levels}, and none of them is the default."
        yield finding("default-level-missing", message, file=file)
    for level in flavour.instantiation_levels.values():
        yield from _level(flavour, level, file)
    for image in flavour.software_images().values():
        if image.path is None:
            where = f"is at {image.url}" if image.url else "is not in the package"
            yield finding("software-image-external", f"Image {image.name!r} of {image.id} {where}.", file=file)


def _level(flavour: Flavour, level: InstantiationLevel, file: str) -> Iterator[Finding]:
    for vdu_id, count in level.vdu_counts.items():
        vdu = flavour.vdus[vdu_id]
        most = vdu.max_instances
        if count < vdu.min_instances or (most is not None and count > most):
            limits = f"{vdu.min_instances} to {'any' if most is None else most}"
            message = f"Level {level.id} of flavour {flavour.id} has {count} of {vdu_id}, whose profile says {limits}."
            yield finding("level-instances", message, file=file)
