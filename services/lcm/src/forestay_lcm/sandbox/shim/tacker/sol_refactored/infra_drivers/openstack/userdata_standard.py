"""User data that manages each VNFC as a resource of its own (wire section 8.3).

The template's resource of a VDU is a pattern: each VNFC is a copy of it, named ``<VDU>-<index>``, whose parameters below
``nfv/VDU`` and ``nfv/CP`` carry the index too. A VNFC keeps its index for life.
"""

# The tree has two names: scripts know it as `tacker`.
# ruff: noqa: TID252
from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import yaml

from ...common import common_script_utils as script_utils
from . import _filling, userdata_utils

Json = dict[str, Any]
Indexes = dict[str, list[int]]


def add_idx(name: str, index: int) -> str:
    """The name of a VNFC's resource or parameter."""
    return f"{name}-{index}"


def rm_idx(name_idx: str) -> str:
    """The name without its index."""
    name, _, index = name_idx.rpartition("-")
    return name if name and index.isdigit() else name_idx


class StandardUserData(userdata_utils.AbstractUserData):
    """Resources and parameters follow the VNFCs."""

    @staticmethod
    def instantiate(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        plan = _Plan(_filling.Sources(req, inst, grant_req, grant, tmp_csar_dir))
        indexes, zones = plan.added({})
        return plan.whole(indexes, zones)

    @staticmethod
    def scale(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        plan = _Plan(_filling.Sources(req, inst, grant_req, grant, tmp_csar_dir))
        gone = plan.without(_removed(inst, grant_req))
        return _both(plan.patch(*plan.added(_current(inst))), gone) if grant_req.get("addResources") else gone

    @staticmethod
    def scale_rollback(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        plan = _Plan(_filling.Sources(req, inst, grant_req, grant, tmp_csar_dir))
        return plan.without(plan.added(_current(inst))[0])

    scale_to_level, scale_to_level_rollback = scale, scale_rollback

    @staticmethod
    def change_ext_conn(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        plan = _Plan(_filling.Sources(req, inst, grant_req, grant, tmp_csar_dir))
        cps = _filling.connected(plan.sources, plan.skeleton(_current(inst)), rm_idx)
        return {"parameters": {"nfv": {"CP": cps}}}

    @staticmethod
    def change_ext_conn_rollback(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        plan = _Plan(_filling.Sources(req, inst, grant_req, grant, tmp_csar_dir))
        cps = _filling.connected_as_before(inst, plan.skeleton(_current(inst)), rm_idx)
        return {"parameters": {"nfv": {"CP": cps}}}

    @staticmethod
    def heal(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        return {"parameters": {"nfv": {}}}

    @staticmethod
    def change_vnfpkg(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        plan = _Plan(_filling.Sources(req, inst, grant_req, grant, tmp_csar_dir))
        made = plan.whole(_current(inst), _zones(inst))
        before = plan.before(made["parameters"]["nfv"])
        return made | {"parameters": {"nfv": before}, "existing": False}

    @staticmethod
    def change_vnfpkg_rollback(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        # The package that an instance still has, in a rollback, is the old one.
        old = {name: value for name, value in req.items() if name != "vnfdId"}
        plan = _Plan(_filling.Sources(old, inst, grant_req, grant, tmp_csar_dir))
        made = plan.whole(_current(inst), _zones(inst))
        return made | {"parameters": {"nfv": _filling.recorded(inst)}, "existing": False}


class _Plan:
    """The template of a package as patterns of VNFCs, and the values for them."""

    def __init__(self, sources: _filling.Sources) -> None:
        self.sources = sources
        script_utils.apply_ext_managed_vls(sources.template, sources.req, sources.grant)
        script_utils.apply_ext_managed_vls_from_inst(sources.template, sources.inst)
        resources = sources.template["resources"]
        vdus = sources.vnfd.get_vdu_nodes(sources.flavour_id)
        self.patterns: Json = {name: resources[name] for name in vdus if name in resources}

    def added(self, current: Indexes) -> tuple[Indexes, dict[str, str | None]]:
        """The indexes that the granted VNFCs get, after the current ones, and their zones."""
        indexes: Indexes = defaultdict(list)
        zones: dict[str, str | None] = {}
        for entry in self.sources.grant_req.get("addResources") or ():
            vdu = entry.get("resourceTemplateId")
            if entry["type"] != "COMPUTE" or vdu not in self.patterns:
                continue
            index = max([*current.get(vdu, ()), *indexes[vdu]], default=-1) + 1
            indexes[vdu].append(index)
            zones[add_idx(vdu, index)] = script_utils.get_param_zone_by_vnfc(entry["id"], self.sources.grant)
        return indexes, zones

    def resources(self, indexes: Indexes) -> Json:
        pairs = [(vdu, index) for vdu, taken in indexes.items() if vdu in self.patterns for index in taken]
        return {add_idx(vdu, index): _indexed(copy.deepcopy(self.patterns[vdu]), index) for vdu, index in pairs}

    def skeleton(self, indexes: Indexes) -> Json:
        """What the VNFCs' resources and the shared ones ask for."""
        return script_utils.init_nfv_dict({"resources": self._shared() | self.resources(indexes)})

    def filled(self, skeleton: Json, zones: dict[str, str | None]) -> Json:
        def vdu(name: str, leaf: str) -> Any:
            return (
                zones[name] if leaf == "locationConstraints" and name in zones else self.sources.vdu(rm_idx(name), leaf)
            )

        return _filling.fill(skeleton, vdu, lambda name, leaf, asked: self.sources.cp(rm_idx(name), leaf, asked))

    def whole(self, indexes: Indexes, zones: dict[str, str | None]) -> Json:
        """The complete request for these VNFCs."""
        template = self.sources.template | {"resources": self._shared() | self.resources(indexes)}
        nfv = self.sources.overlaid(self.filled(script_utils.init_nfv_dict(template), zones))
        return {"template": yaml.safe_dump(template), "parameters": {"nfv": nfv}, "files": self.sources.files}

    def patch(self, indexes: Indexes, zones: dict[str, str | None]) -> Json:
        """What is new with these VNFCs. External connections that the request does not tell are those of the instance."""
        resources = self.resources(indexes)
        skeleton = script_utils.init_nfv_dict({"resources": resources})
        nfv = self.sources.overlaid(self.before(self.filled(skeleton, zones)))
        return {"template": {"resources": resources}, "parameters": {"nfv": nfv}}

    def without(self, indexes: Indexes) -> Json:
        """The merge patch that takes these VNFCs away."""
        resources = self.resources(indexes)
        nfv = script_utils.init_nfv_dict({"resources": resources})
        gone: Json = {group: dict.fromkeys(names) for group, names in nfv.items() if group in ("VDU", "CP")}
        return {"template": {"resources": dict.fromkeys(resources)}, "parameters": {"nfv": gone}}

    def before(self, nfv: Json) -> Json:
        """``nfv`` with the connections of the instance where the request has none."""
        cps: Json = {}
        for name, leaves in nfv.get("CP", {}).items():
            found = _filling.connected_as_before(self.sources.inst, {"CP": {name: _asked(leaves)}}, rm_idx)
            cps[name] = {leaf: value or found.get(name, {}).get(leaf) for leaf, value in leaves.items()}
        return nfv | ({"CP": cps} if cps else {})

    def _shared(self) -> Json:
        return {name: made for name, made in self.sources.template["resources"].items() if name not in self.patterns}


def _both(one: Any, other: Any) -> Any:
    """Two merge patches that are about different things, as one."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return other if one is None else one
    return {key: _both(one.get(key), other.get(key)) for key in {**one, **other}}


def _asked(leaves: Json) -> Json:
    both = {at: {"subnet": None, "ip_address": None} for at in range(16)}
    return {leaf: both if leaf == "fixed_ips" else value for leaf, value in leaves.items()}


def _indexed(node: Any, index: int) -> Any:
    if isinstance(node, list):
        return [_indexed(item, index) for item in node]
    if not isinstance(node, dict):
        return node
    match node:
        case {"get_param": ["nfv", "VDU" | "CP" as group, str(name), *rest]}:
            return {"get_param": ["nfv", group, add_idx(name, index), *rest]}
        case _:
            return {key: _indexed(value, index) for key, value in node.items()}


def _vnfcs(inst: Json) -> Iterable[tuple[Json, int]]:
    for vnfc in (inst.get("instantiatedVnfInfo") or {}).get("vnfcResourceInfo") or ():
        if (index := (vnfc.get("metadata") or {}).get("vdu_idx")) is not None:
            yield vnfc, int(index)


def _current(inst: Json) -> Indexes:
    indexes: Indexes = defaultdict(list)
    for vnfc, index in _vnfcs(inst):
        indexes[vnfc["vduId"]].append(index)
    return {vdu: sorted(taken) for vdu, taken in indexes.items()}


def _zones(inst: Json) -> dict[str, str | None]:
    return {add_idx(vnfc["vduId"], at): (vnfc.get("metadata") or {}).get("zone") for vnfc, at in _vnfcs(inst)}


def _removed(inst: Json, grant_req: Json) -> Indexes:
    entries = grant_req.get("removeResources") or ()
    ids = {entry["resource"]["resourceId"] for entry in entries if entry["type"] == "COMPUTE"}
    indexes: Indexes = defaultdict(list)
    for vnfc, index in _vnfcs(inst):
        if vnfc["computeResource"]["resourceId"] in ids:
            indexes[vnfc["vduId"]].append(index)
    return indexes
