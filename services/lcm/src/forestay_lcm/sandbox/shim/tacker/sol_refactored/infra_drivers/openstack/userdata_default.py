"""User data for templates that multiply VDUs by themselves, with an AutoScalingGroup (wire section 8.3)."""

# The tree has two names: scripts know it as `tacker`.
# ruff: noqa: TID252
from __future__ import annotations

from typing import Any

import yaml

from ...common import common_script_utils as script_utils
from . import _filling, userdata_utils

Json = dict[str, Any]
_OF_PACKAGE = frozenset({"computeFlavourId", "vcImageId"})


class DefaultUserData(userdata_utils.AbstractUserData):
    """The parameters follow the operation; the template stays as it is."""

    @staticmethod
    def instantiate(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        sources = _filling.Sources(req, inst, grant_req, grant, tmp_csar_dir)
        skeleton = script_utils.init_nfv_dict(sources.template)
        nfv = sources.overlaid(_filling.fill(skeleton, sources.vdu, sources.cp))
        script_utils.apply_ext_managed_vls(sources.template, req, grant)
        return {"template": yaml.safe_dump(sources.template), "parameters": {"nfv": nfv}, "files": sources.files}

    @staticmethod
    def scale(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        return _parameters(VDU=_capacities(req, inst, grant_req, grant, tmp_csar_dir, grant_req))

    @staticmethod
    def scale_rollback(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        return _parameters(VDU=_capacities(req, inst, grant_req, grant, tmp_csar_dir, {}))

    scale_to_level, scale_to_level_rollback = scale, scale_rollback

    @staticmethod
    def change_ext_conn(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        sources = _filling.Sources(req, inst, grant_req, grant, tmp_csar_dir)
        return _parameters(CP=_filling.connected(sources, script_utils.init_nfv_dict(sources.template)))

    @staticmethod
    def change_ext_conn_rollback(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        sources = _filling.Sources(req, inst, grant_req, grant, tmp_csar_dir)
        return _parameters(CP=_filling.connected_as_before(inst, script_utils.init_nfv_dict(sources.template)))

    @staticmethod
    def heal(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        return _parameters()

    @staticmethod
    def change_vnfpkg(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        sources = _filling.Sources(req, inst, grant_req, grant, tmp_csar_dir)
        skeleton = script_utils.init_nfv_dict(sources.template)
        vdus = _of_package(skeleton.get("VDU", {}))
        filled = _filling.fill({"VDU": vdus}, sources.vdu, sources.cp)
        return _parameters(VDU=filled["VDU"], CP=_filling.connected(sources, skeleton))

    @staticmethod
    def change_vnfpkg_rollback(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        before = _filling.recorded(inst)
        return _parameters(VDU=_of_package(before.get("VDU", {})), CP=before.get("CP", {}))


def _parameters(**nfv: Json) -> Json:
    return {"parameters": {"nfv": {group: members for group, members in nfv.items() if members}}}


def _of_package(vdus: Json) -> Json:
    chosen = {name: {leaf: leaves[leaf] for leaf in leaves if leaf in _OF_PACKAGE} for name, leaves in vdus.items()}
    return {name: leaves for name, leaves in chosen.items() if leaves}


def _capacities(req: Json, inst: Json, grant_req: Json, grant: Json, csar_dir: str, change: Json) -> Json:
    """``desired_capacity`` of the VDUs that the operation scales, after ``change`` (addResources, removeResources)."""
    sources = _filling.Sources(req, inst, grant_req, grant, csar_dir)
    entries = [entry for kind in ("addResources", "removeResources") for entry in grant_req.get(kind) or ()]
    scaled = {entry.get("resourceTemplateId") for entry in entries if entry["type"] == "COMPUTE"}
    vdus = script_utils.init_nfv_dict(sources.template).get("VDU", {})
    return {
        name: {"desired_capacity": script_utils.get_param_capacity(name, inst, change)}
        for name, leaves in vdus.items()
        if name in scaled and "desired_capacity" in leaves
    }
