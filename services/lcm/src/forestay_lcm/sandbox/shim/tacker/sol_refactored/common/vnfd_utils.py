"""Reads a VNFD from an extracted package (wire section 8.1; SOL001 clause 6).

A flavour is the file of ``Definitions`` whose substitution mappings name it; node types may be derived in the package.
"""

from __future__ import annotations

import os
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
        self.definitions: dict[str, dict[str, Any]] = {}

    def init_from_csar_dir(self, csar_dir: str) -> None:
        """Read the definitions of the package that is extracted in ``csar_dir``."""
        self.csar_dir = csar_dir
        self.definitions = dict(_documents(os.path.join(csar_dir, "Definitions")))

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

    def get_compute_flavor(self, flavour_id: str, vdu_name: str) -> str | None:
        """The name of the VIM's compute flavour that a VDU asks for."""
        node = self.get_vdu_nodes(flavour_id).get(vdu_name)
        asked = _at(node, "capabilities", "virtual_compute", "properties", "requested_additional_capabilities")
        return _at(asked, "properties", "requested_additional_capability_name")

    def get_sw_image_data(self, flavour_id: str) -> dict[str, dict[str, Any]]:
        """``sw_image_data`` by the name of the VDU or storage that has it."""
        nodes = self.get_vdu_nodes(flavour_id) | self.get_storage_nodes(flavour_id)
        found = {name: _at(node, "properties", "sw_image_data") for name, node in nodes.items()}
        return {name: image for name, image in found.items() if image}

    def get_sw_image(self, flavour_id: str) -> dict[str, str]:
        """The software images' names by the node that has them."""
        return {name: image["name"] for name, image in self.get_sw_image_data(flavour_id).items()}

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
