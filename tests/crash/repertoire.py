"""A package that gives every operation something to do, and a second version of it: scripts, an image of its own, user data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.crash.stage import Stage
from tests.scripts.packages import onboarded, variant
from tests.scripts.reporting import Listener

Json = dict[str, Any]

HOOKS = (
    "instantiate_start", "instantiate_end", "terminate_start", "modify_information_start", "modify_information_end",
    "change_current_package_start", "change_current_package_end",
    "change_current_package_rollback_start", "change_current_package_rollback_end",
)  # fmt: skip

_USER_DATA = """
from tacker.sol_refactored.common import common_script_utils
from tacker.sol_refactored.infra_drivers.openstack import userdata_utils


class Plain(userdata_utils.AbstractUserData):
    @staticmethod
    def instantiate(req, inst, grant_req, grant, tmp_csar_dir):
        vnfd = common_script_utils.get_vnfd(inst["vnfdId"], tmp_csar_dir)
        nfv = common_script_utils.init_nfv_dict(vnfd.get_base_hot("simple")["template"])
        for values in nfv["VDU"].values():
            values.update(computeFlavourId="m1.tiny", locationConstraints="nova", desired_capacity=1)
            values["vcImageId"] = grant["vimAssets"]["softwareImages"][0]["vimSoftwareImageId"]
        for values in nfv["CP"].values():
            values["network"] = req["extVirtualLinks"][0]["resourceId"]
        return {"parameters": {"nfv": nfv}}

    @staticmethod
    def scale(req, inst, grant_req, grant, tmp_csar_dir):
        return {"parameters": {"nfv": {"VDU": {"VDU1": {"desired_capacity": 2, "computeFlavourId": "none"}}}}}

    @staticmethod
    def scale_rollback(req, inst, grant_req, grant, tmp_csar_dir):
        return {"parameters": {"nfv": {"VDU": {"VDU1": {"desired_capacity": 1, "computeFlavourId": "m1.tiny"}}}}}
"""
USER_DATA = {"lcm-operation-user-data": "UserData/plain.py", "lcm-operation-user-data-class": "Plain"}


@dataclass
class Repertoire:
    """The package on a site.

    :ivar coming: the VNFD of the second version.
    :ivar listener: hears the scripts, and tells them what to do.
    """

    stage: Stage
    vnfd_id: str
    coming: str
    listener: Listener

    async def create(self) -> str:
        return await self.stage.client.create(self.vnfd_id)

    async def instantiated(self) -> str:
        """Id of a VNF instance that runs, with three VNFCs."""
        vnf_id = await self.create()
        request = self.stage.instantiate | {"instantiationLevelId": "instantiation_level_2"}
        await self.stage.client.operate(vnf_id, "instantiate", request)
        self.listener.seen.clear()
        return vnf_id

    @property
    def change(self) -> Json:
        """ChangeCurrentVnfPkgRequest to the second version, with coordination of each VNFC."""
        param = {"cp_name": "VDU1_CP1", "username": "ubuntu", "password": "s3cret-of-vnfc"}
        return {
            "vnfdId": self.coming,
            "additionalParams": {
                "lcm-operation-coordinate-new-vnf": "Scripts/coordinate.py",
                "lcm-operation-coordinate-old-vnf": "Scripts/coordinate.py",
                "vdu_params": [{"vdu_id": "VDU1", "new_vnfc_param": param, "old_vnfc_param": param}],
            },
        }


async def prepared(stage: Stage, listener: Listener) -> Repertoire:
    """Onboard both versions."""
    first, second = [
        (await onboarded(stage.packages, _package(stage.site.directory, version, flavor, listener)))["vnfdId"]
        for version, flavor in (("first", "m1.tiny"), ("second", "m1.small"))
    ]
    return Repertoire(stage, first, second, listener)


def _package(directory: Path, version: str, flavor: str, listener: Listener) -> Path:
    image = f"{version} image".encode() * 4096

    def edit(flavour: Json, tree: Path) -> None:
        vdu: Json = flavour["topology_template"]["node_templates"]["VDU1"]
        given: Json = vdu["properties"]["sw_image_data"]
        given |= {"name": f"{version}-image", "size": f"{len(image)} B"}
        given["checksum"] = {"algorithm": "sha-256", "hash": hashlib.sha256(image).hexdigest()}
        vdu["artifacts"] = {"sw_image": {"type": "tosca.artifacts.nfv.SwImage", "file": "../Files/image.img"}}
        compute = vdu["capabilities"]["virtual_compute"]["properties"]["requested_additional_capabilities"]
        compute["properties"]["requested_additional_capability_name"] = flavor

    return variant(
        directory,
        "sample-asg",
        name=version,
        vnfd_id=str(uuid4()),
        hooks=listener.hooked(*HOOKS),
        files={
            "Files/image.img": image,
            "Scripts/coordinate.py": listener.script,
            "UserData/plain.py": _USER_DATA,
        },
        edit=edit,
    )
