"""Calls user data of Tacker's first API (wire section 8.4) with what the second API's gets.

``instantiate(base_hot_dict, vnfd_dict, inst_req_info, grant_info)`` gives all parameters of the stack; ``heal`` and ``scale``,
where a class has them, give those of the stack that it has. What a class lacks changes no parameter.
"""

# The tree has two names: scripts know it as `tacker`.
# ruff: noqa: TID252
from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

import yaml

from ...sol_refactored.common import common_script_utils as script_utils
from ...sol_refactored.infra_drivers.openstack._filling import recorded
from . import utils
from .abstract_user_data import AbstractUserData

Json = dict[str, Any]
Method = Callable[[Json, Json, Json, Json, str], Json]

#: Attributes that are maps for themselves.
_MAPS = frozenset({"additional_params", "metadata", "access_info", "interface_info", "extra", "extensions"})

#: Attributes that are maps by an id in the second API and lists in the first.
_BY_ID = frozenset({"cp_config", "vim_connection_info"})

_LISTS = _BY_ID | {
    "ext_virtual_links", "ext_managed_virtual_links", "ext_cps", "ext_link_ports", "cp_protocol_data", "ip_addresses",
    "fixed_addresses", "scale_status", "vnfc_resource_info", "vnfc_instance_id", "ext_virtual_link_info", "ext_cp_info",
    "virtual_storage_resource_info", "vnf_virtual_link_resource_info", "vnfc_cp_info", "storage_resource_ids",
}  # fmt: skip


class Members:
    """A JSON object as one with attributes in ``snake_case``: what is not there is ``None``, or an empty list."""

    def __init__(self, members: Json) -> None:
        self._members = members

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        head, *rest = name.split("_")
        value = self._members.get(head + "".join(part.capitalize() for part in rest))
        if name in _BY_ID and isinstance(value, dict):
            value = [each | {"id": key} for key, each in value.items()]
        if value is None:
            return [] if name in _LISTS else None
        return value if name in _MAPS else _seen(value)

    def __contains__(self, name: str) -> bool:
        return getattr(self, name) is not None

    def get(self, name: str, default: Any = None) -> Any:
        return default if (value := getattr(self, name)) is None else value

    def to_dict(self) -> Json:
        return copy.deepcopy(self._members)


def _seen(value: Any) -> Any:
    if isinstance(value, list):
        return [_seen(item) for item in value]
    return Members(value) if isinstance(value, dict) else value


def adapted(owner: Any, name: str) -> Method | None:
    """The method of a class of the first API as one of the second; ``None`` if the class is of the second."""
    if not _is_first(owner) or name not in _METHODS:
        return None
    return functools.partial(_METHODS[name], owner)


def _is_first(owner: Any) -> bool:
    if not inspect.isclass(owner):
        return False
    takes = getattr(owner, "instantiate", None)
    return issubclass(owner, AbstractUserData) or bool(takes and "base_hot_dict" in inspect.signature(takes).parameters)


class _Package:
    """What a class sees of its package, for a flavour."""

    def __init__(self, req: Json, inst: Json, tmp_csar_dir: str) -> None:
        vnfd = script_utils.get_vnfd(inst["vnfdId"], tmp_csar_dir)
        flavour_id: str = req.get("flavourId") or inst["instantiatedVnfInfo"]["flavourId"]
        hot = vnfd.get_base_hot(flavour_id)
        if not hot:
            raise FileNotFoundError(f"The package has no BaseHOT/{flavour_id}.")
        self.template: Json = hot["template"]
        self.files: dict[str, str] = {name: yaml.safe_dump(content) for name, content in hot["files"].items()}
        self.base_hot: Json = copy.deepcopy({**hot["files"], "heat_template": self.template})
        self.vnfd: Json = copy.deepcopy(vnfd.get_vnfd_flavour(flavour_id))
        self.vnfd["topology_template"]["substitution_mappings"].pop("requirements", None)


def _instantiate(owner: Any, req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
    package = _Package(req, inst, tmp_csar_dir)
    images = {
        entry["vnfdSoftwareImageId"]: [Members({"resourceIdentifier": entry["vimSoftwareImageId"]})]
        for entry in (grant.get("vimAssets") or {}).get("softwareImages") or ()
    }
    parameters = owner.instantiate(package.base_hot, package.vnfd, Members(req), images)
    if not isinstance(parameters, dict):
        raise TypeError("instantiate returned no dictionary.")
    for name, vdu in ((parameters.get("nfv") or {}).get("VDU") or {}).items():
        vdu |= _granted(name, grant_req, grant)
    sizes = {f"{aspect}_desired_capacity": size for aspect, size in utils.create_desired_capacity_dict(
        package.base_hot, package.vnfd, Members(req)).items()}  # fmt: skip
    declared = package.template.get("parameters") or {}
    parameters |= {name: size for name, size in sizes.items() if name in declared and name not in parameters}
    script_utils.apply_ext_managed_vls(package.template, req, grant)
    return {"template": yaml.safe_dump(package.template), "parameters": parameters, "files": package.files}


def _granted(name: str, grant_req: Json, grant: Json) -> Json:
    """What the grant says of a VDU or storage, under the names of the first API."""
    assets = grant.get("vimAssets") or {}
    flavors = {
        item["vnfdVirtualComputeDescId"]: item["vimFlavourId"] for item in assets.get("computeResourceFlavours") or ()
    }
    images = {item["vnfdSoftwareImageId"]: item["vimSoftwareImageId"] for item in assets.get("softwareImages") or ()}
    zone = script_utils.get_param_zone(name, grant_req, grant)
    given = {"flavor": flavors.get(name), "image": images.get(name), "zone": zone}
    return {leaf: value for leaf, value in given.items() if value}


def _scale(owner: Any, req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
    entries = [*(grant_req.get("addResources") or ()), *(grant_req.get("removeResources") or ())]
    vdus = [entry["resourceTemplateId"] for entry in entries if entry["type"] == "COMPUTE"]
    number = script_utils.get_param_capacity(vdus[0], inst, grant_req) if vdus else 0
    return _changed(owner, "scale", req, inst, tmp_csar_dir, scale_vnf_request=Members(req), resource_number=number)


def _heal(owner: Any, req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
    removed: list[Json] = grant_req.get("removeResources") or []
    gone = {entry["resource"]["resourceId"] for entry in removed if entry.get("resource")}
    vnfcs = Members(inst["instantiatedVnfInfo"]).vnfc_resource_info
    healed = [vnfc for vnfc in vnfcs if vnfc.compute_resource.resource_id in gone]
    package, names = _Package(req, inst, tmp_csar_dir), {entry.get("resourceTemplateId") for entry in removed}
    vdus = {name: made | _granted(name, grant_req, grant) for name, made in _described(package, inst, names).items()}
    return _changed(
        owner, "heal", req, inst, tmp_csar_dir, vdus, heal_vnf_request=Members(req), vnfc_resource_info=healed
    )


def _described(package: _Package, inst: Json, names: set[str | None]) -> Json:
    """What is made anew is made as the VNFD says by now: an instance that was given another one is brought to it by HEAL."""
    leaves = {
        "flavor": utils.create_vdu_flavor_capability_name_dict(package.vnfd),
        "image": utils.create_sw_image_dict(package.vnfd),
    }
    known: Json = recorded(inst).get("VDU") or {}
    return {
        name: {leaf: of[name] for leaf, of in leaves.items() if name in of and isinstance(vdu.get(leaf), str)}
        for name, vdu in known.items()
        if name in names
    }


def _changed(
    owner: Any, name: str, req: Json, inst: Json, tmp_csar_dir: str, vdus: Json | None = None, **special: Any
) -> Json:
    """What a method makes of the parameters that the stack has, with what is different about VDUs."""
    different: Json = {"nfv": {"VDU": vdus}} if vdus else {}
    method = getattr(owner, name, None)
    if method is None:
        return {"parameters": different}
    package, info = _Package(req, inst, tmp_csar_dir), Members(inst["instantiatedVnfInfo"])
    common = {"base_hot_dict": package.base_hot, "vnfd_dict": package.vnfd, "vnf_instances": Members(inst)}
    param = {"nfv": copy.deepcopy(recorded(inst))}
    for vdu, leaves in (vdus or {}).items():
        param["nfv"]["VDU"][vdu] |= leaves
    return {"parameters": method(**common, inst_vnf_info=info, param=param, **special)}


def _connected(owner: Any, req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
    """No class says this; the parameters of the CPs that are connected anew follow the request."""
    known = {"nfv": {"CP": recorded(inst).get("CP") or {}}}
    return {"parameters": {"nfv": {"CP": utils.create_network_dict(Members(req), known)}}}


_METHODS: dict[str, Callable[..., Json]] = {
    "instantiate": _instantiate,
    "scale": _scale,
    "heal": _heal,
    "change_ext_conn": _connected,
}
