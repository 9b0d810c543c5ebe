"""Small packages that would grow while they are read: products of lists, long chains, floods of findings. All end soon."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest
from forestay_csar import inspect

from tests.packages.bad.making import HOT
from tests.packages.third_party import csar, zipped
from tests.packages.vnfd import TOP, Files, Json, compute, document, policy, topology, vnf_type, vnfd

VDU = {"type": "tosca.nodes.nfv.Vdu.Compute"}


def vnfd_of(template: Json) -> Files:
    return csar() | {TOP: vnfd(template)}


def levels_times_vdus() -> Files:
    levels = policy("levels", "InstantiationLevels", levels={f"l{n}": {} for n in range(20_000)}, default_level="l0")
    return vnfd_of(topology({f"v{n}": VDU for n in range(900)}, [levels]))


def many_nodes() -> Files:
    return vnfd_of(topology({f"v{n}": VDU for n in range(20_000)}))


def groups_times_targets() -> Files:
    names = [f"v{n}" for n in range(900)]
    template = topology(
        dict.fromkeys(names, VDU),
        [policy(f"p{n}", "AffinityRule", [f"g{m}" for m in range(30)], scope="zone") for n in range(900)],
    )
    template["groups"] = {f"g{n}": {"type": "tosca.groups.nfv.PlacementGroup", "members": names} for n in range(30)}
    return vnfd_of(template)


def one_target_many_times() -> Files:
    template = topology({"v": VDU}, [policy("p", "AffinityRule", ["g"] * 50_000, scope="zone")])
    template["groups"] = {"g": {"type": "tosca.groups.nfv.PlacementGroup", "members": ["v"] * 50_000}}
    return vnfd_of(template)


def steps_times_levels() -> Files:
    aspects = {f"a{n}": {"max_scale_level": 900, "step_deltas": ["one"] * 900} for n in range(8)}
    at = {name: {"scale_level": 900} for name in aspects}
    policies = [policy("aspects", "ScalingAspects", aspects=aspects)]
    vdus, deltas = [f"v{n}" for n in range(900)], {"one": {"number_of_instances": 1}}
    policies += [policy(f"d{name}", "VduScalingAspectDeltas", vdus, aspect=name, deltas=deltas) for name in aspects]
    policies.append(policy("levels", "InstantiationLevels", levels={f"l{n}": {"scale_info": at} for n in range(90)}))
    return vnfd_of(topology({f"v{n}": VDU for n in range(900)}, policies))


def ancestors() -> Files:
    types = {f"t{n}": {"derived_from": f"t{n + 1}"} for n in range(20_000)}
    template = topology({f"v{n}": {"type": "t0"} for n in range(900)})
    return csar() | {TOP: document(node_types=vnf_type("simple") | types, topology_template=template)}


def undeclared_parameters() -> Files:
    text = "heat_template_version: 2018-08-31\nresources:\n"
    text += "".join(f"  r{n}: {{properties: {{a: {{get_param: b}}}}}}\n" for n in range(18_000))
    return csar() | {HOT: text.encode()}


def wrong_types() -> Files:
    return vnfd_of(topology({f"v{n}": {"type": f"tosca.nodes.Nothing{n}"} for n in range(990)}))


def many_values_in_many_files() -> Files:
    text = ("a: [" + ",".join(["xx"] * 100_000) + "]").encode()
    return csar() | {f"Definitions/{n}.yaml": text for n in range(20)}


def many_flavours() -> Files:
    flavours = {
        f"Definitions/f{n}.yaml": document(topology_template=topology({"v": compute()}, flavour=f"f{n}"))
        for n in range(900)
    }
    return csar() | flavours


def promises_of_nothing() -> Files:
    entry = b"\nSource: Files/%d\nAlgorithm: SHA-256\nHash: 00\n"
    files = csar() | {"TOSCA-Metadata/TOSCA.meta": csar()["TOSCA-Metadata/TOSCA.meta"] + b"ETSI-Entry-Manifest: a.mf\n"}
    return files | {"a.mf": b"metadata:\n" + b"".join(entry % n for n in range(40_000))}


def peak() -> int:
    """The most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


HEAVY = (steps_times_levels, undeclared_parameters, groups_times_targets, one_target_many_times, ancestors)


@pytest.mark.parametrize(
    "make",
    [
        levels_times_vdus, many_nodes, wrong_types, many_values_in_many_files, many_flavours, promises_of_nothing,
        *(pytest.param(make, marks=pytest.mark.fuzz) for make in HEAVY),
    ],
)  # fmt: skip
def test_explosion(make: Callable[[], Files], tmp_path: Path) -> None:
    zipped(make(), tmp_path / "package.zip")
    before, began = peak(), process_time()
    report = inspect(tmp_path / "package.zip")
    assert process_time() - began < 10
    assert peak() - before < 200 << 20
    assert len(report.findings) < 200
