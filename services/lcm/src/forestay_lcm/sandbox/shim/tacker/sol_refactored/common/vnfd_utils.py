"""Reads a VNFD from an extracted package (wire section 8.1; SOL001 clause 6).

A flavour is the file of ``Definitions`` whose substitution mappings name it; node types may be derived in the package.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from typing import Any

import yaml

#: The accelerated one where there is one: a VNFD with its types is some thousand lines.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Nodes = dict[str, dict[str, Any]]
_COMPUTE = ("tosca.nodes.nfv.Vdu.Compute", "tosca.nodes.nfv.Vdu.OsContainerDeployableUnit")
_STORAGES = tuple(f"tosca.nodes.nfv.Vdu.Virtual{kind}Storage" for kind in ("Block", "Object", "File"))
_CP, _LINK = "tosca.nodes.nfv.VduCp", "tosca.nodes.nfv.VnfVirtualLink"


class Vnfd:
    """The VNFD of a package; call ``init_from_csar_dir`` first."""

    def __init__(self, vnfd_id: str) -> None:
        self.vnfd_id = vnfd_id
        self.csar_dir = ""
        self.csar_dir_is_tmp = False
        self.definitions: dict[str, dict[str, Any]] = {}

    def init_from_csar_dir(self, csar_dir: str) -> None:
        """Read the definitions of the package that is extracted in ``csar_dir``."""
        self.csar_dir = csar_dir
        self.definitions = dict(_documents(os.path.join(csar_dir, "Definitions")))

    def init_from_zip_file(self, zip_file: bytes) -> None:
        """Read the definitions of a package that is given as it was packed; ``delete`` takes away where it is extracted."""
        directory = tempfile.mkdtemp()
        with zipfile.ZipFile(io.BytesIO(zip_file)) as csar:
            csar.extractall(directory)
        self.init_from_csar_dir(directory)
        self.csar_dir_is_tmp = True

    def delete(self) -> None:
        if self.csar_dir_is_tmp:
            shutil.rmtree(self.csar_dir)

    def make_tmp_csar_dir(self) -> str:
        """A copy of the package, without its images."""
        ignored = shutil.ignore_patterns("Files")
        return shutil.copytree(self.csar_dir, tempfile.mkdtemp(), ignore=ignored, dirs_exist_ok=True)

    def remove_tmp_csar_dir(self, tmp_dir: str) -> None:
        shutil.rmtree(tmp_dir, ignore_errors=True)

    def get_vnfd_flavour(self, flavour_id: str) -> dict[str, Any]:
        """The definition of a flavour, ``{}`` for one that the VNFD has not."""
        for document in self.definitions.values():
            mappings = _at(document, "topology_template", "substitution_mappings")
            if str(_at(mappings, "properties", "flavour_id") or "") == flavour_id:
                return document
        return {}

    def get_base_hot(self, flavour_id: str) -> dict[str, Any]:
        """``template``: the top HOT of a flavour; ``files``: its nested ones by name. Empty without BaseHOT."""
        directory = os.path.join(self.csar_dir, "BaseHOT", flavour_id)
        top = [document for _, document in _documents(directory)]
        files = dict(_documents(os.path.join(directory, "nested")))
        return {"template": top[0], "files": files} if top else {}

    def get_nodes(self, flavour_id: str, node_type: str) -> Nodes:
        """The node templates of a type or of one that is derived from it."""
        nodes: Nodes = _at(self.get_vnfd_flavour(flavour_id), "topology_template", "node_templates") or {}
        return {name: node for name, node in nodes.items() if node_type in self._lineage(node.get("type"))}

    def get_vdu_nodes(self, flavour_id: str) -> Nodes:
        return self._nodes_of(flavour_id, *_COMPUTE)

    def get_storage_nodes(self, flavour_id: str) -> Nodes:
        return self._nodes_of(flavour_id, *_STORAGES)

    def get_virtual_link_nodes(self, flavour_id: str) -> Nodes:
        return self.get_nodes(flavour_id, _LINK)

    def get_vducp_nodes(self, flavour_id: str) -> Nodes:
        return self.get_nodes(flavour_id, _CP)

    def get_vdu_cps(self, flavour_id: str, vdu_name: str) -> list[str]:
        """The names of a VDU's connection points."""
        cps = self.get_vducp_nodes(flavour_id)
        return [name for name, node in cps.items() if vdu_name in _required(node, "virtual_binding")]

    def get_vdu_storages(self, vdu_node: dict[str, Any]) -> list[str]:
        return _required(vdu_node, "virtual_storage")

    def get_ext_cp_names(self, flavour_id: str) -> dict[str, str]:
        """The VduCp of each external connection point that the substitution mappings name."""
        flavour = self.get_vnfd_flavour(flavour_id)
        mapped = _at(flavour, "topology_template", "substitution_mappings", "requirements") or {}
        pairs = mapped.items() if isinstance(mapped, dict) else [pair for entry in mapped for pair in entry.items()]
        return {name: target[0] for name, target in pairs if isinstance(target, list) and target}

    def get_vl_name_from_cp(self, flavour_id: str, cp_data: dict[str, Any]) -> str | None:
        """The internal virtual link of a connection point's node."""
        return next(iter(_required(cp_data, "virtual_link")), None)

    def get_compute_flavor(self, flavour_id: str, vdu_name: str) -> str | None:
        """The name of the VIM's compute flavour that a VDU asks for."""
        node = self.get_vdu_nodes(flavour_id).get(vdu_name)
        asked = _at(node, "capabilities", "virtual_compute", "properties", "requested_additional_capabilities")
        return _at(asked, "properties", "requested_additional_capability_name")

    def get_sw_image_data(self, flavour_id: str) -> dict[str, dict[str, Any]]:
        """``sw_image_data`` by the name of the VDU or storage that has it."""
        nodes = self.get_vdu_nodes(flavour_id) | self.get_storage_nodes(flavour_id)
        found = {name: _sw_image_data(node) for name, node in nodes.items()}
        return {name: image for name, image in found.items() if image}

    def get_sw_image(self, flavour_id: str) -> dict[str, str]:
        """The software images' names by the node that has them."""
        return {name: image["name"] for name, image in self.get_sw_image_data(flavour_id).items()}

    def get_vnfd_properties(self) -> dict[str, dict[str, Any]]:
        """What a VNFD gives a new VNF instance; for scripts it is empty, as ever."""
        return {"vnfConfigurableProperties": {}, "extensions": {}, "metadata": {}}

    def get_policy_values_by_type(self, flavour_id: str, policy_type: str) -> list[dict[str, Any]]:
        """The policies of a type."""
        policies = _at(self.get_vnfd_flavour(flavour_id), "topology_template", "policies") or []
        entries = [policies] if isinstance(policies, dict) else policies
        return [policy for entry in entries for policy in entry.values() if policy.get("type") == policy_type]

    def get_default_instantiation_level(self, flavour_id: str) -> str | None:
        for policy in self.get_policy_values_by_type(flavour_id, "tosca.policies.nfv.InstantiationLevels"):
            return _at(policy, "properties", "default_level") or next(iter(_at(policy, "properties", "levels")), None)
        return None

    def get_vdu_num(self, flavour_id: str, vdu_name: str, instantiation_level: str) -> int:
        """The instances of a VDU at an instantiation level."""
        for policy in self.get_policy_values_by_type(flavour_id, "tosca.policies.nfv.VduInstantiationLevels"):
            level = _at(policy, "properties", "levels", instantiation_level)
            if vdu_name in policy.get("targets", ()) and level:
                return int(level.get("number_of_instances", 0))
        return 0

    def get_scale_vdu_and_num(self, flavour_id: str, aspect_id: str) -> dict[str, int]:
        """How many instances of each VDU the first step of an aspect adds."""
        steps = _at(self._aspect(flavour_id, aspect_id), "step_deltas") or []
        policies = self.get_policy_values_by_type(flavour_id, "tosca.policies.nfv.VduScalingAspectDeltas")
        return {
            vdu: int(_at(policy, "properties", "deltas", steps[0], "number_of_instances"))
            for policy in policies
            if steps and _at(policy, "properties", "aspect") == aspect_id
            for vdu in policy["targets"]
        }

    def get_scale_info_from_inst_level(self, flavour_id: str, inst_level: str) -> dict[str, dict[str, int]]:
        """``scale_level`` of each aspect at an instantiation level."""
        policies = self.get_policy_values_by_type(flavour_id, "tosca.policies.nfv.InstantiationLevels")
        found = (_at(policy, "properties", "levels", inst_level, "scale_info") for policy in policies)
        return next(filter(None, found), {})

    def get_max_scale_level(self, flavour_id: str, aspect_id: str) -> int:
        return int(_at(self._aspect(flavour_id, aspect_id), "max_scale_level") or 0)

    def get_placement_groups(self, flavour_id: str) -> dict[str, list[str]]:
        """The members of each placement group."""
        groups = _at(self.get_vnfd_flavour(flavour_id), "topology_template", "groups") or []
        entries = [groups] if isinstance(groups, dict) else groups
        named = [pair for entry in entries for pair in entry.items()]
        return {name: group["members"] for name, group in named if group["type"] == "tosca.groups.nfv.PlacementGroup"}

    def get_affinity_targets(self, flavour_id: str) -> list[tuple[list[str], str]]:
        """Targets and scope of each affinity rule for zones or hosts, members in place of groups."""
        return self._placed(flavour_id, "tosca.policies.nfv.AffinityRule")

    def get_anti_affinity_targets(self, flavour_id: str) -> list[tuple[list[str], str]]:
        """Targets and scope of each anti-affinity rule for zones or hosts, members in place of groups."""
        return self._placed(flavour_id, "tosca.policies.nfv.AntiAffinityRule")

    def get_interface_script(self, flavour_id: str, operation: str) -> str | None:
        """The file of the ``Vnflcm`` script of a hook."""
        nodes: Nodes = _at(self.get_vnfd_flavour(flavour_id), "topology_template", "node_templates") or {}
        node = next((node for node in nodes.values() if "interfaces" in node), {})
        artifact = _at(node, "interfaces", "Vnflcm", operation, "implementation")
        return _at(node, "artifacts", artifact, "file") if artifact else None

    def get_vnf_artifact_files(self) -> list[str]:
        """The files that the manifest lists, or TOSCA.meta where there is none."""
        meta = _blocks(os.path.join(self.csar_dir, "TOSCA-Metadata", "TOSCA.meta"))
        manifest = next((block["ETSI-Entry-Manifest"] for block in meta if "ETSI-Entry-Manifest" in block), None)
        listed = _blocks(os.path.join(self.csar_dir, manifest)) if manifest else meta
        return [name for block in listed if (name := block.get("Source" if manifest else "Name"))]

    def _aspect(self, flavour_id: str, aspect_id: str) -> Any:
        policies = self.get_policy_values_by_type(flavour_id, "tosca.policies.nfv.ScalingAspects")
        return next(filter(None, (_at(policy, "properties", "aspects", aspect_id) for policy in policies)), None)

    def _placed(self, flavour_id: str, rule: str) -> list[tuple[list[str], str]]:
        groups = self.get_placement_groups(flavour_id)
        rules = (
            (policy["targets"], policy["properties"]["scope"])
            for policy in self.get_policy_values_by_type(flavour_id, rule)
        )
        return [
            ([member for target in targets for member in groups.get(target, [target])], scope)
            for targets, scope in rules
            if scope in ("zone", "nfvi_node")
        ]

    def _nodes_of(self, flavour_id: str, *types: str) -> Nodes:
        found = [self.get_nodes(flavour_id, node_type) for node_type in types]
        return {name: node for nodes in found for name, node in nodes.items()}

    def _lineage(self, node_type: str | None) -> Iterator[str]:
        seen: set[str] = set()
        while node_type and node_type not in seen:
            seen.add(node_type)
            yield node_type
            definitions = (_at(document, "node_types", node_type) for document in self.definitions.values())
            node_type = next((made.get("derived_from") for made in definitions if made), None)


def _documents(directory: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The YAML files of a directory by name, sorted."""
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
        if name.endswith((".yaml", ".yml")):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                yield name, yaml.load(file, _LOADER) or {}  # noqa: S506 - both are safe loaders


def _at(node: Any, *path: str) -> Any:
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _required(node: dict[str, Any], name: str) -> list[str]:
    found = (requirement.get(name) for requirement in node.get("requirements") or ())
    return [value["node"] if isinstance(value, dict) else value for value in found if value]


def _sw_image_data(node: dict[str, Any]) -> dict[str, Any]:
    image: dict[str, Any] = _at(node, "properties", "sw_image_data") or {}
    file = _at(node, "artifacts", "sw_image", "file")
    return image | {"file": file} if image and file else image


def _blocks(path: str) -> list[dict[str, str]]:
    """The blocks of a manifest, which empty lines separate: the values by key."""
    with open(path, encoding="utf-8") as file:
        texts = file.read().split("\n\n")
    pairs = ([line.partition(":")[::2] for line in text.splitlines() if ":" in line] for text in texts)
    return [{key.strip(): value.strip() for key, value in block} for block in pairs]
