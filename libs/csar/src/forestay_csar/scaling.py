"""From the policies of a deployment flavour to its scaling aspects, instantiation levels and affinity rules.

Rules of this module:

* Each policy's targets and levels exist; what a policy says of a name that is not there is refused. Not so for deltas whose
  aspect, or whose step's name, is not there: Tacker's packages have them, and only scaling by that aspect is impossible.
* The instances of a VDU at a level are what ``VduInstantiationLevels`` says; where it is silent, the initial delta plus
  the deltas of the level's scale levels. Of two policies about the same VDU the first counts.
* A flavour without ``InstantiationLevels`` has one level, ``default``, of the initial instances.

Meaning of the policies: ETSI GS NFV-SOL 001 clause 6.10.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

import msgspec
from forestay_sol.vnfd import AffinityRule, InstantiationLevel, ScalingAspect, Vdu

from forestay_csar.definitions import Definitions, check_count
from forestay_csar.documents import Tree
from forestay_csar.findings import PackageInvalid

_NFV = "tosca.policies.nfv."
_IMPLICIT_LEVEL = "default"
_AFFINITY: dict[str, Literal["AFFINITY", "ANTI_AFFINITY"]] = {
    "AffinityRule": "AFFINITY",
    "AntiAffinityRule": "ANTI_AFFINITY",
}


class Policies(msgspec.Struct, frozen=True, kw_only=True):
    """What the policies of a flavour say; ``vdus`` with their initial instances set."""

    vdus: dict[str, Vdu]
    aspects: dict[str, ScalingAspect]
    levels: dict[str, InstantiationLevel]
    default_level_id: str | None
    affinity_rules: tuple[AffinityRule, ...]
    placement_groups: dict[str, tuple[str, ...]]


def read_policies(
    topology: Tree, definitions: Definitions, vdus: Mapping[str, Vdu], nodes: Collection[str]
) -> Policies:
    """
    :param topology: the flavour's topology template.
    :param vdus: its VDUs. :param nodes: the names of all its node templates.
    :raises PackageInvalid: a policy contradicts another one, or names what is not there.
    """
    named = topology.at("policies").named()
    groups = _placement_groups(topology, definitions, nodes)
    policies = {kind: _of_kind(kind, named, definitions) for kind in _KINDS}
    targets = {
        "delta-target": vdus.keys(),
        "affinity-target": {*nodes, *groups},
        "reference-unknown": {*nodes, *groups},
    }
    for kind in _KINDS:
        rule = _TARGET_RULES.get(kind, "reference-unknown")
        for _, policy in policies[kind]:
            _check_targets(policy, rule, targets[rule])
    initial = _by_target(policies["VduInitialDelta"], "initial_delta")
    vdus = {
        name: msgspec.structs.replace(vdu, initial_instances=initial[name].at("number_of_instances").number())
        if name in initial
        else vdu
        for name, vdu in vdus.items()
    }
    aspects = _aspects(policies["ScalingAspects"], policies["VduScalingAspectDeltas"], definitions)
    levels, default = _levels(policies, aspects, vdus, topology.file, definitions.limits.levels)
    _check_vnfcs(vdus.values(), aspects.values(), levels.values(), topology.file, definitions.limits.vnfcs)
    return Policies(
        vdus=vdus,
        aspects=aspects,
        levels=levels,
        default_level_id=default,
        affinity_rules=_affinity_rules(policies, groups),
        placement_groups=groups,
    )


_KINDS = (
    "ScalingAspects",
    "VduScalingAspectDeltas",
    "VduInitialDelta",
    "InstantiationLevels",
    "VduInstantiationLevels",
    "VirtualLinkInstantiationLevels",
    *_AFFINITY,
)
_TARGET_RULES = {
    **dict.fromkeys(("VduScalingAspectDeltas", "VduInitialDelta", "VduInstantiationLevels"), "delta-target"),
    **dict.fromkeys(_AFFINITY, "affinity-target"),
}
_Named = list[tuple[str, Tree]]


def _of_kind(kind: str, policies: _Named, definitions: Definitions) -> _Named:
    # A list and no dict: Tacker's packages give several policies the same name.
    return [(name, policy) for name, policy in policies if _NFV + kind in definitions.lineage(policy)]


def _placement_groups(topology: Tree, definitions: Definitions, nodes: Collection[str]) -> dict[str, tuple[str, ...]]:
    groups = definitions.of_type(topology.at("groups").named(), "tosca.groups.nfv.PlacementGroup")
    for group in groups.values():
        for member in group.at("members").elements():
            if member.text() not in nodes:
                raise member.wrong("the name of a node template", "reference-unknown")
    return {name: tuple(dict.fromkeys(group.at("members").texts())) for name, group in groups.items()}


def _check_targets(policy: Tree, rule: str, known: Collection[str]) -> None:
    for target in policy.at("targets").elements():
        if target.text() not in known:
            raise target.wrong(f"a target that this flavour has ({_listed(known)})", rule)


def _by_target(policies: _Named, member: str) -> dict[str, Tree]:
    return {
        target: policy.at("properties", member)
        for _, policy in reversed(policies)
        for target in policy.at("targets").texts()
    }


def _aspects(aspect_policies: _Named, delta_policies: _Named, definitions: Definitions) -> dict[str, ScalingAspect]:
    known = {
        name: aspect
        for _, policy in aspect_policies
        for name, aspect in policy.at("properties", "aspects").mapping().items()
    }
    for _, policy in aspect_policies:
        check_count(known, definitions.limits.levels, policy)
    deltas: dict[str, dict[str, tuple[int, ...]]] = {name: {} for name in known}
    for _, policy in delta_policies:
        aspect_id = policy.at("properties", "aspect").text()
        if aspect_id in known:
            check_count(known[aspect_id].at("step_deltas").elements(), definitions.limits.named, known[aspect_id])
            steps = _steps(known[aspect_id], policy.at("properties", "deltas"))
            deltas[aspect_id].update(dict.fromkeys(policy.at("targets").texts() if steps else (), steps))
    return {
        name: ScalingAspect(
            id=name,
            name=aspect.at("name").text(name),
            description=aspect.at("description").text(""),
            max_scale_level=aspect.at("max_scale_level").number(),
            deltas=deltas[name],
        )
        for name, aspect in known.items()
    }


def _steps(aspect: Tree, deltas: Tree) -> tuple[int, ...]:
    names, most, known = aspect.at("step_deltas"), aspect.at("max_scale_level").number(), deltas.mapping()
    if not known.keys() >= set(names.texts()):
        return ()
    steps = tuple(known[name].at("number_of_instances").number() for name in names.texts())
    if len(steps) not in (1, most):
        raise names.wrong(f"a list of one delta, or of one for each of the {most} levels", "step-deltas-length")
    return steps


def _levels(
    policies: Mapping[str, _Named], aspects: Mapping[str, ScalingAspect], vdus: Mapping[str, Vdu], file: str, most: int
) -> tuple[dict[str, InstantiationLevel], str | None]:
    stated = [policy.at("properties") for _, policy in policies["InstantiationLevels"]]
    if len(stated) > 1:
        message = f"{file} has {len(stated)} InstantiationLevels policies."
        raise PackageInvalid("levels-ambiguous", message, file=file, line=stated[1].line)
    properties = stated[0] if stated else Tree({"levels": {_IMPLICIT_LEVEL: None}}, file)
    known = properties.at("levels").mapping()
    check_count(known, most, properties.at("levels"))
    for kind in ("VduInstantiationLevels", "VirtualLinkInstantiationLevels"):
        for _, policy in policies[kind]:
            undefined = [
                tree for level, tree in policy.at("properties", "levels").mapping().items() if level not in known
            ]
            if undefined or not stated:
                place = undefined[0] if undefined else policy
                raise place.wrong(
                    f"about a level that InstantiationLevels defines ({_listed(known)})", "level-undefined"
                )
    counts = _by_target(policies["VduInstantiationLevels"], "levels")
    bitrates = _by_target(policies["VirtualLinkInstantiationLevels"], "levels")
    levels = {name: _level(name, level, aspects, vdus, counts, bitrates) for name, level in known.items()}
    return levels, _default_level(properties, known)


def _level(
    name: str,
    level: Tree,
    aspects: Mapping[str, ScalingAspect],
    vdus: Mapping[str, Vdu],
    counts: Mapping[str, Tree],
    bitrates: Mapping[str, Tree],
) -> InstantiationLevel:
    scale_info = {
        aspect_id: _scale_level(aspect_id, value.at("scale_level"), aspects)
        for aspect_id, value in level.at("scale_info").mapping().items()
    }
    return InstantiationLevel(
        id=name,
        description=level.at("description").text(""),
        scale_info=scale_info,
        vdu_counts={
            vdu.id: stated.at("number_of_instances").number()
            if (stated := counts.get(vdu.id, level).mapping().get(name))
            else vdu.initial_instances + sum(aspects[a].added(vdu.id, at) for a, at in scale_info.items())
            for vdu in vdus.values()
        },
        virtual_link_bitrates={
            link: {end: rate.number() for end, rate in stated.at("bitrate_requirements").mapping().items()}
            for link, by_level in bitrates.items()
            if (stated := by_level.at(name))
        },
    )


def _check_vnfcs(
    vdus: Iterable[Vdu],
    aspects: Collection[ScalingAspect],
    levels: Iterable[InstantiationLevel],
    file: str,
    most: int,
) -> None:
    """One number in a VNFD makes as many resources as it says, and grants that name each of them."""
    scaled_out = sum(
        vdu.initial_instances + sum(aspect.added(vdu.id, aspect.max_scale_level) for aspect in aspects) for vdu in vdus
    )
    highest = max([scaled_out, *(sum(level.vdu_counts.values()) for level in levels)])
    if highest > most:
        message = f"{file}: the flavour may come to {highest} VNFCs at its highest level; at most {most}."
        raise PackageInvalid("vnfc-count", message, file=file)


def _scale_level(aspect_id: str, scale_level: Tree, aspects: Mapping[str, ScalingAspect]) -> int:
    if aspect_id not in aspects:
        raise scale_level.wrong(f"about a scaling aspect of this flavour ({_listed(aspects)})", "aspect-undefined")
    if scale_level.number() > (most := aspects[aspect_id].max_scale_level):
        raise scale_level.wrong(f"at most {most}, the aspect's max_scale_level", "scale-level-range")
    return scale_level.number()


def _default_level(properties: Tree, known: Mapping[str, Tree]) -> str | None:
    default = properties.at("default_level")
    if default.value is None:
        return next(iter(known)) if len(known) == 1 else None
    if default.text() not in known:
        raise default.wrong(f"one of the levels of InstantiationLevels ({_listed(known)})", "default-level-undefined")
    return default.text()


def _affinity_rules(policies: Mapping[str, _Named], groups: Mapping[str, tuple[str, ...]]) -> tuple[AffinityRule, ...]:
    return tuple(
        AffinityRule(
            id=name,
            kind=kind,
            scope=policy.at("properties", "scope").text(),
            targets=_members(policy.at("targets").texts(), groups),
        )
        for policy_type, kind in _AFFINITY.items()
        for name, policy in policies[policy_type]
    )


def _members(targets: Collection[str], groups: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Nodes, each once, however often its groups are named."""
    return tuple(dict.fromkeys(node for target in dict.fromkeys(targets) for node in groups.get(target, (target,))))


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"
