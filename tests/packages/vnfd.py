"""The parts of a VNFD as plain data, in the structure of the examples that SOL001 publishes; tests put them together."""

from __future__ import annotations

from typing import Any

import yaml

Json = dict[str, Any]
Files = dict[str, bytes]

META = "TOSCA-Metadata/TOSCA.meta"
TOP = "Definitions/vnfd.yaml"
NFV = "tosca.nodes.nfv."
POLICY = "tosca.policies.nfv."
PRODUCT = {
    "descriptor_id": "b1bb0ce7-ebca-4fa7-95ed-4840d7000001",
    "provider": "Company",
    "product_name": "Sunshine",
    "software_version": "1.0.0",
    "descriptor_version": "1.0.0",
}


def document(**sections: Any) -> bytes:
    """A YAML file of definitions."""
    head = {"tosca_definitions_version": "tosca_simple_yaml_1_3"}
    return yaml.safe_dump({**head, **sections}, sort_keys=False).encode()


def vnf_type(*flavours: str) -> Json:
    """The provider's VNF node type, with SOL001's properties narrowed to this product."""
    properties: Json = {name: {"type": "string", "default": value} for name, value in PRODUCT.items()}
    properties["flavour_id"] = {
        "type": "string",
        "constraints": [{"valid_values": list(flavours)}],
        "default": flavours[0],
    }
    properties["vnfm_info"] = {"type": "list", "entry_schema": {"type": "string"}, "default": ["0:Forestay"]}
    return {"Company.Sunshine": {"derived_from": f"{NFV}VNF", "properties": properties}}


def compute(*, least: int = 1, most: int = 3, image: str | None = None, **more: Any) -> Json:
    """A VDU that runs as a virtual machine; ``image`` is the file or URL of its software image artifact."""
    node: Json = {
        "type": f"{NFV}Vdu.Compute",
        "properties": {
            "name": "worker",
            "description": "Does the work",
            "vdu_profile": {"min_number_of_instances": least, "max_number_of_instances": most},
            "sw_image_data": sw_image("sunshine-image"),
        },
        "capabilities": {
            "virtual_compute": {
                "properties": {"virtual_memory": {"virtual_mem_size": "2 GiB"}, "virtual_cpu": {"num_virtual_cpu": 2}}
            }
        },
    }
    if image:
        node["artifacts"] = {"image": {"type": "tosca.artifacts.nfv.SwImage", "file": image}}
    return {**node, **more}


def sw_image(name: str, **more: Any) -> Json:
    """``sw_image_data``."""
    return {
        "name": name, "version": "1.0", "container_format": "bare", "disk_format": "qcow2",
        "min_disk": "1 GiB", "min_ram": "1 GiB", "size": "1 GiB", **more,
    }  # fmt: skip


def cp(vdu: str, link: str | None = None, order: int = 0) -> Json:
    """A connection point of a VDU."""
    requirements = [{"virtual_binding": vdu}, *([{"virtual_link": link}] if link else [])]
    properties = {"layer_protocols": ["ipv4"], "order": order, "vnic_type": "normal"}
    return {"type": f"{NFV}VduCp", "properties": properties, "requirements": requirements}


def link(cidr: str) -> Json:
    """An internal virtual link."""
    protocol = {"associated_layer_protocol": "ipv4", "l3_protocol_data": {"ip_version": "ipv4", "cidr": cidr}}
    profile = {
        "max_bitrate_requirements": {"root": 1000, "leaf": 1000},
        "min_bitrate_requirements": {"root": 1000, "leaf": 1000},
        "virtual_link_protocol_data": [protocol],
    }
    properties = {"connectivity_type": {"layer_protocols": ["ipv4"]}, "vl_profile": profile}
    return {"type": f"{NFV}VnfVirtualLink", "properties": properties}


def scaling(vdu: str, *, most: int = 2) -> list[Json]:
    """The policies of one aspect: aspects, deltas, levels, with the default being the smallest."""
    return [
        policy("scaling_aspects", "ScalingAspects", aspects={
            "workers": {"name": "workers", "description": "More of them", "max_scale_level": most, "step_deltas": ["one"]}
        }),
        policy("initial", "VduInitialDelta", [vdu], initial_delta={"number_of_instances": 1}),
        policy("deltas", "VduScalingAspectDeltas", [vdu], aspect="workers", deltas={"one": {"number_of_instances": 1}}),
        policy("levels", "InstantiationLevels", default_level="small", levels={
            "small": {"description": "One", "scale_info": {"workers": {"scale_level": 0}}},
            "large": {"description": "All", "scale_info": {"workers": {"scale_level": most}}},
        }),
    ]  # fmt: skip


def policy(name: str, kind: str, targets: list[str] | None = None, **properties: Any) -> Json:
    """A policy of SOL001."""
    return {name: {"type": POLICY + kind, "properties": properties, **({"targets": targets} if targets else {})}}


def topology(
    nodes: Json, policies: list[Json] | None = None, *, flavour: str = "simple", **requirements: list[str]
) -> Json:
    """The topology template of a flavour; ``requirements`` are those of its substitution mappings."""
    mappings = {"node_type": "Company.Sunshine", "properties": {"flavour_id": flavour}, "requirements": requirements}
    vnf = {
        "type": "Company.Sunshine",
        "properties": {"flavour_id": flavour, "flavour_description": f"The {flavour} one"},
    }
    return {
        "substitution_mappings": mappings,
        "node_templates": {"VNF": vnf, **nodes},
        **({"policies": policies} if policies else {}),
    }


def simple() -> Json:
    """A flavour of one scalable VDU with one external connection point."""
    nodes = {"worker": compute(), "worker_cp": cp("worker")}
    return topology(nodes, scaling("worker"), virtual_link=["worker_cp", "virtual_link"])


def vnfd(template: Json | None = None, **sections: Any) -> bytes:
    """A VNFD in one file."""
    imports = ["https://forge.etsi.org/rep/nfv/SOL001/raw/v3.6.1/etsi_nfv_sol001_vnfd_types.yaml"]
    return document(imports=imports, node_types=vnf_type("simple"), topology_template=template or simple(), **sections)
