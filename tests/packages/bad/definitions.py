"""VNFDs, templates and scripts that contradict themselves, or name what is not there (SOL001)."""

from __future__ import annotations

from tests.packages.bad.making import (
    HOT,
    Bad,
    also,
    files,
    node,
    policies,
    template,
    vnfd_with,
)
from tests.packages.third_party import csar
from tests.packages.vnfd import (
    NFV,
    TOP,
    Files,
    Json,
    document,
    policy,
    scaling,
    simple,
    vnfd,
)


def _hot(rule: str, text: str, **nested: str) -> Bad:
    others = {f"BaseHOT/simple/nested/{name}.yaml": content.encode() for name, content in nested.items()}
    return files(rule, lambda: csar() | {HOT: text.encode()} | others)


def _no_flavour(read: Json) -> None:
    """Neither a topology nor a node says which flavour it is of."""
    del read["topology_template"]["substitution_mappings"]
    read["topology_template"]["node_templates"]["VNF"]["properties"] = {}
    del read["node_types"]["Company.Sunshine"]["properties"]["flavour_id"]


def _script(text: bytes) -> Files:
    read = simple()
    hook = {"type": "tosca.artifacts.Implementation.Python", "file": "Scripts/hook.py"}
    read["node_templates"]["VNF"] |= {
        "interfaces": {"Vnflcm": {"instantiate_end": "hook"}},
        "artifacts": {"hook": hook},
    }
    return csar() | {TOP: vnfd(read), "Scripts/hook.py": text}


_IMAGE_NODE = {"type": "tosca.artifacts.nfv.SwImage"}
_MCIOP = {
    "type": f"{NFV}Mciop",
    "artifacts": {"chart": {"type": "tosca.artifacts.nfv.HelmChart", "file": "Charts/none.tgz"}},
}
_HEAT = "heat_template_version: 2018-08-31\n"

DEFINITIONS: dict[str, Bad] = {
    "import of nothing": vnfd_with("import-missing", lambda read: read["imports"].append("nowhere.yaml")),
    "import from a server": vnfd_with(
        "import-missing", lambda read: read["imports"].append("http://example.com/types.yaml")
    ),
    "import from the host": vnfd_with("import-missing", lambda read: read["imports"].append("../../etc/passwd")),
    "unknown type of the provider": node("type-unknown", "worker", type="Company.Nothing"),
    "unknown type of SOL001": node("type-unknown", "worker", type=f"{NFV}Vdu.Computer"),
    "no VNF": template("vnf-node-missing", lambda read: read["node_templates"].pop("VNF")),
    "no descriptor_id": vnfd_with(
        "vnf-property-missing", lambda read: read["node_types"]["Company.Sunshine"]["properties"].pop("descriptor_id")
    ),
    "long descriptor_id": node(
        "vnfd-id-length", "VNF", properties={"descriptor_id": "i" * 256, "flavour_id": "simple"}
    ),
    "provider is a list": node("yaml-type", "VNF", properties={"provider": ["Company"]}),
    "no flavour": vnfd_with("flavour-missing", _no_flavour),
    "flavour in two files": also("flavour-duplicate", "Definitions/z.yaml", document(topology_template=simple())),
    "binding to nothing": node("reference-unknown", "worker_cp", requirements=[{"virtual_binding": "none"}]),
    "link to a VDU": node(
        "reference-unknown", "worker_cp", requirements=[{"virtual_binding": "worker"}, {"virtual_link": "worker"}]
    ),
    "storage of nothing": node("reference-unknown", "worker", requirements=[{"virtual_storage": "none"}]),
    "container of nothing": node("reference-unknown", "worker", requirements=[{"container": "none"}]),
    "group of nothing": template(
        "reference-unknown",
        lambda read: read.update(groups={"both": {"type": "tosca.groups.nfv.PlacementGroup", "members": ["none"]}}),
    ),
    "unbound connection point": node("cp-unbound", "worker_cp", requirements=[]),
    "two images": node(
        "software-image-count",
        "worker",
        artifacts={
            "one": {**_IMAGE_NODE, "file": TOP},
            "two": {**_IMAGE_NODE, "file": TOP},
        },
    ),
    "image without its data": node(
        "software-image-data",
        "worker",
        properties={"name": "worker"},
        artifacts={"image": {**_IMAGE_NODE, "file": TOP}},
    ),
    "image of nothing": node(
        "artifact-missing", "worker", artifacts={"image": {**_IMAGE_NODE, "file": "Files/none.img"}}
    ),
    "image of the host": node("artifact-missing", "worker", artifacts={"image": "../../../../etc/passwd"}),
    "chart of nothing": node("chart-missing", "mciop", **_MCIOP),
    "script of nothing": template(
        "artifact-missing",
        lambda read: read["node_templates"]["VNF"].update(
            interfaces={"Vnflcm": {"instantiate_end": "hook"}},
            artifacts={"hook": {"type": "tosca.artifacts.Implementation.Python", "file": "Scripts/none.py"}},
        ),
    ),
    "script without artifact": template(
        "reference-unknown",
        lambda read: read["node_templates"]["VNF"].update(interfaces={"Vnflcm": {"instantiate_end": "none"}}),
    ),
    "script is no Python": files("script-syntax", lambda: _script(b"def broken(:\n")),
    "script of Python 2": files("script-syntax", lambda: _script(b"print 'hello'\n")),
    "script nests without end": files("script-syntax", lambda: _script(b"(" * 5000 + b")" * 5000)),
    "user data is no Python": also("script-syntax", "UserData/mine.py", b"class Mine(\n"),
    "three deltas for two steps": template(
        "step-deltas-length",
        lambda read: read["policies"][0]["scaling_aspects"]["properties"]["aspects"]["workers"].update(
            step_deltas=["one"] * 3
        ),
    ),
    "negative instances": policies("yaml-type", 2, deltas={"one": {"number_of_instances": -1}}),
    "level of an unknown aspect": policies(
        "aspect-undefined", 3, levels={"small": {"scale_info": {"none": {"scale_level": 0}}}}
    ),
    "level beyond the aspect": policies(
        "scale-level-range", 3, levels={"small": {"scale_info": {"workers": {"scale_level": 9}}}}
    ),
    "more VNFCs than anybody has": policies("vnfc-count", 2, deltas={"one": {"number_of_instances": 99_999}}),
    "default level of nothing": policies("default-level-undefined", 3, default_level="none"),
    "instances of an unknown level": template(
        "level-undefined",
        lambda read: read["policies"].append(
            policy("counts", "VduInstantiationLevels", ["worker"], levels={"none": {"number_of_instances": 1}})
        ),
    ),
    "two policies of levels": template("levels-ambiguous", lambda read: read["policies"].append(scaling("worker")[3])),
    "delta for an unknown VDU": template(
        "delta-target", lambda read: read["policies"][2]["deltas"].update(targets=["none"])
    ),
    "delta for a connection point": template(
        "delta-target", lambda read: read["policies"][1]["initial"].update(targets=["worker_cp"])
    ),
    "affinity of an unknown VDU": template(
        "affinity-target",
        lambda read: read["policies"].append(policy("apart", "AntiAffinityRule", ["worker", "none"], scope="zone")),
    ),
}
TEMPLATES: dict[str, Bad] = {
    "two BaseHOTs": files(
        "base-hot-ambiguous", lambda: csar() | {HOT: _HEAT.encode(), "BaseHOT/simple/other.yaml": _HEAT.encode()}
    ),
    "parameter without a source": _hot("template-parameter", f"{_HEAT}parameters: {{flavor: {{type: string}}}}\n"),
    "parameter of a nested template without a source": _hot(
        "template-parameter",
        f"{_HEAT}resources: {{w: {{type: w.yaml}}}}\n",
        w=f"{_HEAT}parameters: {{image: {{type: string}}}}\n",
    ),
    "parameter that is not declared": _hot(
        "template-parameter-undeclared", f"{_HEAT}resources: {{w: {{properties: {{image: {{get_param: image}}}}}}}}\n"
    ),
    "nested template missing": _hot("template-nested-missing", f"{_HEAT}resources: {{w: {{type: w.yaml}}}}\n"),
    "nested template of a group missing": _hot(
        "template-nested-missing",
        f"{_HEAT}resources: {{g: {{type: 'OS::Heat::AutoScalingGroup', properties: {{resource: {{type: w.yaml}}}}}}}}\n",
    ),
    "template is a list": also("yaml-type", HOT, b"- a"),
}
