"""What user data of Tacker's first API builds the parameters of its stack with.

``base_hot_dict`` holds the templates of a flavour: the top one as ``heat_template``, nested ones by their file names;
``vnfd_dict`` is the flavour's definition. Requests are objects whose attributes are named as in ``snake_case``.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_FLAVOR, _GROUP = "OS::Nova::Flavor", "OS::Heat::AutoScalingGroup"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip


def create_initial_param_dict(base_hot_dict: Json) -> Json:
    """The VDUs and CPs of which templates ask ``[nfv, VDU | CP, name, leaf]``, without leaves."""
    return _initial(base_hot_dict)


def create_initial_param_server_port_dict(base_hot_dict: Json) -> Json:
    """As :func:`create_initial_param_dict`, but for what only compute flavours ask."""
    return _initial(base_hot_dict, without=_FLAVOR)


def _initial(base_hot_dict: Json, *, without: str | None = None) -> Json:
    nfv: Json = {"VDU": {}, "CP": {}}
    for hot in base_hot_dict.values():
        if "nfv" not in (hot.get("parameters") or {}):
            continue
        for resource in (hot.get("resources") or {}).values():
            for path in _asked(resource.get("properties")) if resource.get("type") != without else ():
                if len(path) == 4 and path[0] == "nfv" and path[1] in nfv:
                    nfv[path[1]].setdefault(path[2], {})
    return {"nfv": nfv}


def _asked(node: Any) -> Iterator[list[Any]]:
    if isinstance(node, list):
        for item in node:
            yield from _asked(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "get_param" and isinstance(value, list):
                yield value
            else:
                yield from _asked(value)


def create_final_param_dict(param_dict: Json, vdu_flavor_dict: Json, vdu_image_dict: Json, cpd_vl_dict: Json) -> Json:
    """The parameters with ``flavor`` and ``image`` of each VDU, ``network`` and ``fixed_ips`` of each CP (of
    :func:`create_cpd_vl_dict` only ``network``)."""
    final = copy.deepcopy(param_dict)
    for name, vdu in final["nfv"].get("VDU", {}).items():
        vdu |= {"flavor": vdu_flavor_dict.get(name), "image": vdu_image_dict.get(name)}
    for name, cp in final["nfv"].get("CP", {}).items():
        given = (cpd_vl_dict or {}).get(name) or {}
        given = {"network": given} if isinstance(given, str) else given
        cp |= {leaf: given[leaf] for leaf in ("network", "fixed_ips") if leaf in given}
    return final


def create_vdu_flavor_dict(vnfd_dict: Json) -> Json:
    """``vcpus``, ``ram`` (MiB) and ``disk`` (GiB) of each VDU that says its size."""
    return {name: _flavor(compute) for name, compute in _computes(vnfd_dict).items() if compute}


def _flavor(compute: Json) -> Json:
    flavor: Json = {}
    if "virtual_cpu" in compute:
        flavor["vcpus"] = compute["virtual_cpu"]["num_virtual_cpu"]
    if "virtual_memory" in compute:
        flavor["ram"] = _size(compute["virtual_memory"]["virtual_mem_size"]) // 2**20
    if compute.get("virtual_local_storage"):
        flavor["disk"] = _size(compute["virtual_local_storage"][0]["size_of_storage"]) // 2**30
    return flavor


def create_vdu_flavor_capability_name_dict(vnfd_dict: Json) -> Json:
    """The name of the compute flavour that each VDU asks for."""
    asked = {
        name: (compute.get("requested_additional_capabilities") or {}).get("properties") or {}
        for name, compute in _computes(vnfd_dict).items()
    }
    leaf = "requested_additional_capability_name"
    return {name: properties[leaf] for name, properties in asked.items() if leaf in properties}


def _computes(vnfd_dict: Json) -> dict[str, Json]:
    nodes = {name: node.get("capabilities") or {} for name, node in _nodes(vnfd_dict).items()}
    return {name: (node.get("virtual_compute") or {}).get("properties") or {} for name, node in nodes.items()}


def create_sw_image_dict(vnfd_dict: Json) -> Json:
    """The name of the software image of each VDU or storage."""
    images = {
        name: (node.get("properties") or {}).get("sw_image_data") or {} for name, node in _nodes(vnfd_dict).items()
    }
    return {name: image["name"] for name, image in images.items() if "name" in image}


def _nodes(vnfd_dict: Json) -> Json:
    return (vnfd_dict.get("topology_template") or {}).get("node_templates") or {}


def create_vdu_image_dict(grant_info: Json) -> Json:
    """The image's id for each VDU or storage that the grant names one for."""
    return {name: resources[-1].resource_identifier for name, resources in grant_info.items() if resources}


def create_cpd_vl_dict(base_hot_dict: Json, inst_req_info: Any) -> Json:
    """The network's id for each external CP that a template has as a resource."""
    names = {name for hot in base_hot_dict.values() for name in hot.get("resources") or {}}
    pairs = ((link, cp) for link in inst_req_info.ext_virtual_links or () for cp in link.ext_cps or ())
    return {cp.cpd_id: link.resource_id for link, cp in pairs if cp.cpd_id in names}


def create_network_dict(inst_req_info: Any, param_dict: Json) -> Json:
    """``network`` and ``fixed_ips`` of each external CP that the parameters have."""
    known = param_dict.get("nfv", {}).get("CP") or {}
    pairs = [(link, cp) for link in inst_req_info.ext_virtual_links or () for cp in link.ext_cps or ()]
    return {
        cp.cpd_id: {"network": link.resource_id, "fixed_ips": _create_fixed_ips_list(cp)}
        for link, cp in pairs
        if cp.cpd_id in known
    }


def _create_fixed_ips_list(ext_cp: Any) -> list[Json]:
    layers = [data.ip_over_ethernet for config in ext_cp.cp_config for data in config.cp_protocol_data]
    addresses = [address for layer in layers if layer for address in layer.ip_addresses or ()]
    wanted = [
        {"subnet": item.subnet_id, "ip_address": next(iter(item.fixed_addresses or ()), None)} for item in addresses
    ]
    return [given for each in wanted if (given := {leaf: value for leaf, value in each.items() if value})]


def get_diff_base_hot_param_from_api(base_hot_dict: Json, inst_req_info: Any) -> Json:
    """The template's own parameters that the request's ``additionalParams`` have a value for."""
    given = inst_req_info.additional_params or {}
    return {name: given[name] for name in base_hot_dict["heat_template"].get("parameters") or {} if given.get(name)}


def create_desired_capacity_dict(base_hot_dict: Json, vnfd_dict: Json, inst_req_info: Any) -> Json:
    """How many instances the group of each aspect has at the level that is asked for."""
    levels = _policies(vnfd_dict, "InstantiationLevels")
    asked = getattr(inst_req_info, "instantiation_level_id", None) or next(
        (policy["default_level"] for policy in levels if policy.get("default_level")), None
    )
    known = (policy.get("levels", {}).get(asked) or {} for policy in levels)
    info: Json = next((level["scale_info"] for level in known if level.get("scale_info")), {})
    at = {aspect: int(entry["scale_level"]) for aspect, entry in info.items()}
    return _capacities(base_hot_dict, vnfd_dict, at)


def get_desired_capacity_dict(base_hot_dict: Json, vnfd_dict: Json, inst_vnf_info: Any) -> Json:
    """How many instances the group of each aspect has at the VNF's scale levels."""
    at = {item.aspect_id: int(item.scale_level) for item in inst_vnf_info.scale_status or ()}
    return _capacities(base_hot_dict, vnfd_dict, at)


def _capacities(base_hot_dict: Json, vnfd_dict: Json, levels: dict[str, int]) -> Json:
    resources: Json = base_hot_dict["heat_template"].get("resources") or {}
    groups = {name.replace("_group", "") for name, made in resources.items() if made["type"] == _GROUP}
    found: Json = {}
    for policy in _policies(vnfd_dict, "VduScalingAspectDeltas"):
        aspect, vdus = policy["aspect"], policy["targets"]
        if aspect in groups and aspect in levels:
            step = int(next(iter(policy["deltas"].values()))["number_of_instances"])
            found[aspect] = _initial_number(vnfd_dict, vdus[0]) + step * levels[aspect]
    return found


def _initial_number(vnfd_dict: Json, vdu: str) -> int:
    deltas = (policy for policy in _policies(vnfd_dict, "VduInitialDelta") if vdu in policy["targets"])
    return next((int(policy["initial_delta"]["number_of_instances"]) for policy in deltas), 0)


def _policies(vnfd_dict: Json, kind: str) -> list[Json]:
    """The properties of the policies of a kind, with their targets."""
    given = (vnfd_dict.get("topology_template") or {}).get("policies") or []
    entries = [given] if isinstance(given, dict) else given
    named = [policy for entry in entries for policy in entry.values()]
    ours = [policy for policy in named if policy.get("type") == f"tosca.policies.nfv.{kind}"]
    return [(policy.get("properties") or {}) | {"targets": policy.get("targets") or []} for policy in ours]


def _size(text: Any) -> int:
    """Bytes."""
    number, unit = re.fullmatch(r"\s*([\d.]+)\s*([A-Za-z]*)\s*", str(text)).groups()  # type: ignore[union-attr]
    return int(float(number) * _UNITS[unit.upper()])
