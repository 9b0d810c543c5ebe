"""Fills the leaves of ``nfv`` that have a well-known source (wire section 8.2)."""

# The tree has two names: scripts know it as `tacker`.
# ruff: noqa: TID252
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from ...common import common_script_utils as script_utils
from ...common.vnf_instance_utils import json_merge_patch
from ...common.vnfd_utils import Vnfd

Json = dict[str, Any]


class Sources:
    """Where values come from: the VNFD, the request and the grant, with external CPs under their VduCp's names."""

    def __init__(self, req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> None:
        self.vnfd: Vnfd = script_utils.get_vnfd(req.get("vnfdId") or inst["vnfdId"], tmp_csar_dir)
        self.flavour_id: str = req.get("flavourId") or inst["instantiatedVnfInfo"]["flavourId"]
        names = self.vnfd.get_ext_cp_names(self.flavour_id)
        self.req, self.grant = _with_vdu_cps(req, names), _with_vdu_cps(grant, names)
        self.inst, self.grant_req = inst, grant_req
        hot = self.vnfd.get_base_hot(self.flavour_id)
        if not hot:
            raise FileNotFoundError(f"The package has no BaseHOT/{self.flavour_id}.")
        self.template: Json = hot["template"]
        self.files: dict[str, str] = {name: yaml.safe_dump(content) for name, content in hot["files"].items()}

    def vdu(self, name: str, leaf: str) -> Any:
        """A leaf below ``nfv/VDU/<name>``; ``None`` for one that only additionalParams can give."""
        match leaf:
            case "computeFlavourId":
                return script_utils.get_param_flavor(name, self.flavour_id, self.vnfd, self.grant)
            case "vcImageId":
                return script_utils.get_param_image(name, self.flavour_id, self.vnfd, self.grant)
            case "locationConstraints":
                return script_utils.get_param_zone(name, self.grant_req, self.grant)
            case "desired_capacity":
                return script_utils.get_param_capacity(name, self.inst, self.grant_req)
            case _:
                return None

    def cp(self, name: str, leaf: str, asked: Any) -> Any:
        """A leaf below ``nfv/CP/<name>``; ``asked`` is what the skeleton has there."""
        pairs = list(script_utils.ext_cps(name, script_utils.ext_links(self.grant, self.req)))
        match leaf:
            case "network":
                return script_utils.get_param_network(name, self.grant, self.req)
            case "fixed_ips":
                return fixed_ips(asked, script_utils.get_param_fixed_ips(name, self.grant, self.req))
            case "mac_address":
                layers = (layer for _, cp in pairs for layer in script_utils.cp_protocols(cp))
                return next((layer["macAddress"] for layer in layers if layer.get("macAddress")), None)
            case "port" | "link_port":
                return next(script_utils.given_ports(pairs), None)
            case _:
                return None

    def overlaid(self, nfv: Json) -> Json:
        """``nfv`` with additionalParams.nfv of the request, then of the grant, merged over it."""
        for layer in (self.req, self.grant):
            nfv = json_merge_patch(nfv, (layer.get("additionalParams") or {}).get("nfv") or {})
        return nfv


def fill(skeleton: Json, vdu: Callable[[str, str], Any], cp: Callable[[str, str, Any], Any]) -> Json:
    """A copy of a skeleton with its leaves filled."""
    filled = dict(skeleton)
    if "VDU" in skeleton:
        filled["VDU"] = {name: {leaf: vdu(name, leaf) for leaf in leaves} for name, leaves in skeleton["VDU"].items()}
    if "CP" in skeleton:
        filled["CP"] = {
            name: {leaf: cp(name, leaf, asked) for leaf, asked in leaves.items()}
            for name, leaves in skeleton["CP"].items()
        }
    return filled


def fixed_ips(asked: dict[int, Json], given: list[dict[str, str]]) -> list[Json]:
    """The entries that a template asks for, from the addresses that are given."""
    return [{leaf: address.get(leaf) for leaf in asked[at]} for at, address in enumerate(given) if at in asked]


def connected(sources: Sources, skeleton: Json, name: Callable[[str], str] = str) -> Json:
    """The leaves of the connection points that the request or the grant connects anew; ``name``: their VduCp."""
    links = script_utils.ext_links(sources.grant, sources.req)
    named = {cp["cpdId"] for link in links for cp in link.get("extCps") or ()}
    cps = {cp: leaves for cp, leaves in skeleton.get("CP", {}).items() if name(cp) in named}
    return fill({"CP": cps}, sources.vdu, lambda cp, leaf, asked: sources.cp(name(cp), leaf, asked))["CP"]


def connected_as_before(inst: Json, skeleton: Json, name: Callable[[str], str] = str) -> Json:
    """The leaves of connection points as the instance has them."""
    before: Json = {}
    for cp, leaves in skeleton.get("CP", {}).items():
        network = script_utils.get_param_network_from_inst(name(cp), inst)
        if network and "network" in leaves:
            before.setdefault(cp, {})["network"] = network
        if network and "fixed_ips" in leaves:
            addresses = script_utils.get_param_fixed_ips_from_inst(name(cp), inst)
            before.setdefault(cp, {})["fixed_ips"] = fixed_ips(leaves["fixed_ips"], addresses)
    return before


def recorded(inst: Json) -> Json:
    """The ``nfv`` that the instance's stack has (its metadata keeps it)."""
    return ((inst.get("instantiatedVnfInfo") or {}).get("metadata") or {}).get("nfv") or {}


def _with_vdu_cps(data: Json, names: dict[str, str]) -> Json:
    def renamed(cp: Json) -> Json:
        return cp | {"cpdId": names.get(cp["cpdId"], cp["cpdId"])}

    links = [
        link | {"extCps": list(map(renamed, link.get("extCps") or ()))} for link in data.get("extVirtualLinks") or ()
    ]
    return data | {"extVirtualLinks": links}
