"""A package that manages its VNFCs one by one with a class of its own, as packages for Tacker do (wire section 8.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.flow.scenario import NUMBERED, create, instantiate_body, other_links
from tests.scripts.packages import onboarded, variant
from tests.scripts.test_hooks import done
from tests.scripts.test_package_change import larger
from tests.standalone.site import TestSite

Json = dict[str, Any]

# The copy of the class that packages carry gives templates as text, be they whole or a part.
CLASS = """
import yaml
from tacker.sol_refactored.infra_drivers.openstack import userdata_standard


class Individual(userdata_standard.StandardUserData):
    @staticmethod
    def scale(*given):
        fields = userdata_standard.StandardUserData.scale(*given)
        return fields | {"template": yaml.safe_dump(fields["template"])}

    @staticmethod
    def scale_rollback(*given):
        fields = userdata_standard.StandardUserData.scale_rollback(*given)
        return fields | {"template": yaml.safe_dump(fields["template"])}
"""
FILES = {"UserData/individual.py": CLASS, "Scripts/never.py": "import sys\nsys.exit('not now')\n"}
PARAMS = {"lcm-operation-user-data": "UserData/individual.py", "lcm-operation-user-data-class": "Individual"}
NAMED = {"additionalParams": PARAMS}


async def test_a_whole_life(forestay: TestSite, tmp_path: Path) -> None:
    api, limits = forestay.api, forestay.simulator.settings

    async def vnfcs() -> dict[int, Json]:
        info = (await api.send("GET", vnf))["instantiatedVnfInfo"]
        return {item["metadata"]["vdu_idx"]: item for item in info["vnfcResourceInfo"]}

    async def rolled_back(failed: Json) -> None:
        uri = f"/vnflcm/v2/vnf_lcm_op_occs/{failed['id']}"
        await api.send("POST", f"{uri}/rollback")
        await api.until(uri, "operationState", {"ROLLED_BACK"}, {"FAILED_TEMP"})

    old = variant(tmp_path, "sample-vnfcs", name="old", files=FILES)
    vnf = await create(api, (await onboarded(api, old))["vnfdId"])
    body = await instantiate_body(forestay.cloud, NUMBERED)
    await done(forestay, vnf, "instantiate", body | NAMED)
    [first] = (await vnfcs()).values()

    scale = {"type": "SCALE_OUT", "aspectId": "VDU1_scale"} | NAMED
    limits.quota["instances"] = 1
    await rolled_back(await done(forestay, vnf, "scale", scale, "FAILED_TEMP"))
    limits.quota["instances"] = 10
    assert {at: item["id"] for at, item in (await vnfcs()).items()} == {0: first["id"]}
    await done(forestay, vnf, "scale", scale | {"numberOfSteps": 2})
    three = await vnfcs()
    assert three.keys() == {0, 1, 2}
    assert three[0]["id"] == first["id"]
    await done(forestay, vnf, "scale", scale | {"type": "SCALE_IN"})
    two = await vnfcs()
    assert {at: item["id"] for at, item in two.items()} == {at: three[at]["id"] for at in (0, 1)}

    links = {"extVirtualLinks": await other_links(forestay.cloud, body)}
    await done(forestay, vnf, "change_ext_conn", links | NAMED)
    await done(forestay, vnf, "heal", NAMED)
    healed = await vnfcs()
    assert healed.keys() == {0, 1}
    assert not {item["id"] for item in healed.values()} & {item["id"] for item in two.values()}

    coming = str(uuid4())
    new = variant(tmp_path, "sample-vnfcs", name="new", vnfd_id=coming, files=FILES, edit=larger)
    await onboarded(api, new)
    change: Json = {"vnfdId": coming, "additionalParams": PARAMS | {"upgrade_type": "RollingUpdate"}}
    param = {"cp_name": "VDU1_CP1", "username": "u", "password": "p"}
    refused = PARAMS | {
        "lcm-operation-coordinate-new-vnf": "Scripts/never.py",
        "vdu_params": [{"vdu_id": "VDU1", "new_vnfc_param": param, "old_vnfc_param": param}],
    }
    failed = await done(forestay, vnf, "change_vnfpkg", change | {"additionalParams": refused}, "FAILED_TEMP")
    assert failed["error"]["step"] == "coordinate-new:0"
    await rolled_back(failed)
    assert {item["metadata"]["flavor"] for item in (await vnfcs()).values()} == {"m1.tiny"}
    await done(forestay, vnf, "change_vnfpkg", change)
    changed = await vnfcs()
    assert {item["metadata"]["flavor"] for item in changed.values()} == {"m1.small"}
    assert changed.keys() == {0, 1}
    await done(forestay, vnf, "terminate", {"terminationType": "FORCEFUL"})
    assert await forestay.cloud.leftovers() == []
