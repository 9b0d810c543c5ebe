"""VNFs whose package ships their image: it is uploaded once, used by its id in every operation, and gone with the last VNF."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from forestay_simvim import CallFault, ResourceFault

from tests.flow.scenario import SAMPLES, create, instantiate_body
from tests.nfvo.simulator import NfvoSimulator
from tests.nfvo.test_operations import in_nova
from tests.scripts.packages import onboarded, variant
from tests.scripts.test_hooks import done
from tests.standalone.site import TestSite, site

Json = dict[str, Any]
Edit = Callable[[Json, Path], None]

OUT = {"type": "SCALE_OUT", "aspectId": "VDU1_scale"}
FORCEFUL = {"terminationType": "FORCEFUL"}
OP_OCCS = "/vnflcm/v2/vnf_lcm_op_occs"
USER_DATA = """
from tacker.sol_refactored.infra_drivers.openstack import userdata_utils


def values(req, inst, grant_req, grant, tmp_csar_dir):
    images = {item["vnfdSoftwareImageId"]: item["vimSoftwareImageId"] for item in grant["vimAssets"]["softwareImages"]}
    vdu = {"computeFlavourId": "m1.tiny", "vcImageId": images["VDU1"], "locationConstraints": "nova", "desired_capacity": 1}
    network = req["extVirtualLinks"][0]["resourceId"]
    return {"parameters": {"nfv": {"VDU": {"VDU1": vdu}, "CP": {"VDU1_CP1": {"network": network}}}}}


class Own(userdata_utils.AbstractUserData):
    instantiate = staticmethod(values)
"""


def as_it_is(flavour: Json, tree: Path) -> None:
    """No change."""


def shipping(seed: int, *, also: Edit = as_it_is) -> Edit:
    """Have VDU1 use an image file of the package, whose content follows from ``seed``; its name is ``app``."""
    content = b"QFI\xfb" + random.Random(seed).randbytes(200_000)

    def edit(flavour: Json, tree: Path) -> None:
        (tree / "Files" / "images").mkdir(parents=True)
        (tree / "Files" / "images" / "app.qcow2").write_bytes(content)
        node = flavour["topology_template"]["node_templates"]["VDU1"]
        checksum = {"algorithm": "sha-256", "hash": hashlib.sha256(content).hexdigest()}
        node["properties"]["sw_image_data"] |= {
            "name": "app", "disk_format": "qcow2", "size": f"{len(content)} B", "checksum": checksum,
        }  # fmt: skip
        node["artifacts"] = {"sw_image": {"type": "tosca.artifacts.nfv.SwImage", "file": "../Files/images/app.qcow2"}}
        also(flavour, tree)

    return edit


def without_template(flavour: Json, tree: Path) -> None:
    """Each VNFC is a resource of its own then."""
    shutil.rmtree(tree / "BaseHOT")


async def packaged(site: TestSite, directory: Path, edit: Edit, **members: Any) -> str:
    """The vnfdId of an onboarded package."""
    vnfd_id = str(uuid4())
    await onboarded(site.api, variant(directory, "sample-asg", name=vnfd_id, vnfd_id=vnfd_id, edit=edit, **members))
    return vnfd_id


async def instantiated(site: TestSite, vnfd_id: str, **members: Any) -> str:
    vnf = await create(site.api, vnfd_id)
    await done(site, vnf, "instantiate", await instantiate_body(site.cloud, SAMPLES[0]) | members)
    return vnf


def images(site: TestSite) -> list[Json]:
    return list(site.simulator.cloud.glance.images.find(name="app"))


def uploads(site: TestSite) -> int:
    return len(site.simulator.journal.effects("image uploaded"))


async def used(site: TestSite) -> list[str]:
    """The image of each server."""
    [servers] = await site.cloud.resources(("compute", "/servers/detail", "servers"))
    return [server["image"]["id"] for server in servers]


async def test_vnfs_share_an_image_until_the_last_one_ends(forestay: TestSite, tmp_path: Path) -> None:
    vnfd_id = await packaged(forestay, tmp_path, shipping(1))
    first, second = await instantiated(forestay, vnfd_id), await instantiated(forestay, vnfd_id)
    [image] = images(forestay)
    assert (image["status"], image["disk_format"], uploads(forestay)) == ("active", "qcow2", 1)
    assert await used(forestay) == [image["id"]] * 2
    await done(forestay, first, "terminate", FORCEFUL)
    assert [item["id"] for item in images(forestay)] == [image["id"]]
    await done(forestay, second, "terminate", FORCEFUL)
    assert images(forestay) == []
    assert await forestay.cloud.leftovers() == []


@pytest.mark.parametrize("also", [as_it_is, without_template], ids=["group", "each its own"])
async def test_later_operations_use_the_id_though_the_name_means_two(
    forestay: TestSite, tmp_path: Path, also: Edit
) -> None:
    glance = forestay.simulator.cloud.glance
    theirs = glance.create("somebody", {"name": "app", "visibility": "public", "disk_format": "raw"})
    glance.upload(theirs, b"something else")
    vnf = await instantiated(forestay, await packaged(forestay, tmp_path, shipping(2, also=also)))
    [image] = [image for image in images(forestay) if image is not theirs]
    await done(forestay, vnf, "scale", OUT)
    await done(forestay, vnf, "heal", {})
    await done(forestay, vnf, "scale_to_level", {"instantiationLevelId": "instantiation_level_2"})
    assert await used(forestay) == [image["id"]] * 3
    await done(forestay, vnf, "heal", {"additionalParams": {"all": True}})
    assert await used(forestay) == [image["id"]] * 3
    await done(forestay, vnf, "terminate", FORCEFUL)
    assert images(forestay) == [theirs]
    assert await forestay.cloud.leftovers() == []


async def test_a_retry_uses_it_again_and_a_rollback_takes_it_away(forestay: TestSite, tmp_path: Path) -> None:
    vnfd_id = await packaged(forestay, tmp_path, shipping(3))
    vnf = await create(forestay.api, vnfd_id)
    forestay.simulator.faults.add(ResourceFault(type="OS::Nova::Server", reason="No valid host was found.", times=2))
    body = await instantiate_body(forestay.cloud, SAMPLES[0])
    failed = await done(forestay, vnf, "instantiate", body, "FAILED_TEMP")
    [image] = images(forestay)
    uri = f"{OP_OCCS}/{failed['id']}"
    await forestay.api.send("POST", f"{uri}/retry")
    again = await forestay.api.until(uri, "operationState", {"FAILED_TEMP"}, {"COMPLETED"})
    assert again["stateEnteredTime"] > failed["stateEnteredTime"]
    assert ([item["id"] for item in images(forestay)], uploads(forestay)) == ([image["id"]], 1)
    await forestay.api.send("POST", f"{uri}/rollback")
    await forestay.api.until(uri, "operationState", {"ROLLED_BACK"}, {"COMPLETED"})
    assert images(forestay) == []
    assert await forestay.cloud.leftovers() == []
    await done(forestay, vnf, "instantiate", body)
    await done(forestay, vnf, "terminate", FORCEFUL)
    assert images(forestay) == []


@pytest.mark.parametrize(
    "fault",
    [
        CallFault(effect="reset", when="after"),
        CallFault(effect="reset", when="before"),
        CallFault(status=503, when="before"),
    ],
    ids=["answer lost", "cut", "away"],
)
async def test_an_upload_that_goes_wrong_ends_with_one_image(
    forestay: TestSite, tmp_path: Path, fault: CallFault
) -> None:
    fault.service, fault.path = "glance", "/file$"
    forestay.simulator.faults.add(fault)
    vnf = await instantiated(forestay, await packaged(forestay, tmp_path, shipping(4)))
    [image] = images(forestay)
    assert await used(forestay) == [image["id"]]
    await done(forestay, vnf, "terminate", FORCEFUL)
    assert images(forestay) == []


async def test_another_package_brings_another_image(forestay: TestSite, tmp_path: Path) -> None:
    vnf = await instantiated(forestay, await packaged(forestay, tmp_path, shipping(5)))
    [old] = images(forestay)
    await done(forestay, vnf, "change_vnfpkg", changed_to(await packaged(forestay, tmp_path, shipping(6))))
    [new] = images(forestay)
    assert await used(forestay) == [new["id"]] != [old["id"]]
    await done(forestay, vnf, "scale", OUT)
    assert await used(forestay) == [new["id"]] * 2
    await done(forestay, vnf, "change_vnfpkg", changed_to(await packaged(forestay, tmp_path, as_it_is)))
    assert images(forestay) == []
    await done(forestay, vnf, "scale", OUT)
    assert not {old["id"], new["id"]} & set(await used(forestay)), "the package has none, the VIM knows cirros"
    await done(forestay, vnf, "terminate", FORCEFUL)
    assert await forestay.cloud.leftovers() == []


async def test_a_former_image_stays_while_another_vnf_uses_it(forestay: TestSite, tmp_path: Path) -> None:
    vnfd_id, coming = [await packaged(forestay, tmp_path, shipping(seed)) for seed in (9, 10)]
    first, second = await instantiated(forestay, vnfd_id), await instantiated(forestay, vnfd_id)
    [old] = images(forestay)
    await done(forestay, first, "change_vnfpkg", changed_to(coming))
    assert len(images(forestay)) == 2
    await done(forestay, second, "heal", {})
    assert (await used(forestay)).count(old["id"]) == 1
    await done(forestay, second, "change_vnfpkg", changed_to(coming))
    [new] = images(forestay)
    assert (await used(forestay), uploads(forestay)) == ([new["id"]] * 2, 2)
    for vnf in (first, second):
        await done(forestay, vnf, "terminate", FORCEFUL)
    assert await forestay.cloud.leftovers() == []


async def test_an_image_that_both_packages_ship_stays(forestay: TestSite, tmp_path: Path) -> None:
    vnf = await instantiated(forestay, await packaged(forestay, tmp_path, shipping(11)))
    [image] = images(forestay)
    await done(forestay, vnf, "change_vnfpkg", changed_to(await packaged(forestay, tmp_path, shipping(11))))
    assert ([item["id"] for item in images(forestay)], uploads(forestay)) == ([image["id"]], 1)
    await done(forestay, vnf, "scale", OUT)
    assert await used(forestay) == [image["id"]] * 2
    await done(forestay, vnf, "terminate", FORCEFUL)
    assert await forestay.cloud.leftovers() == []


async def test_a_change_that_is_rolled_back_has_the_former_image_and_leaves_no_other(
    forestay: TestSite, tmp_path: Path
) -> None:
    vnf = await instantiated(forestay, await packaged(forestay, tmp_path, shipping(12)))
    [old] = images(forestay)
    forestay.simulator.faults.add(ResourceFault(type="OS::Nova::Server", action="UPDATE"))
    change = changed_to(await packaged(forestay, tmp_path, shipping(13)))
    failed = await done(forestay, vnf, "change_vnfpkg", change, "FAILED_TEMP")
    assert len(images(forestay)) == 2
    await forestay.api.send("POST", f"{OP_OCCS}/{failed['id']}/rollback")
    await forestay.api.until(f"{OP_OCCS}/{failed['id']}", "operationState", {"ROLLED_BACK"}, {"COMPLETED"})
    assert ([item["id"] for item in images(forestay)], await used(forestay)) == ([old["id"]], [old["id"]])
    await done(forestay, vnf, "scale", OUT)
    assert await used(forestay) == [old["id"]] * 2
    await done(forestay, vnf, "terminate", FORCEFUL)
    assert await forestay.cloud.leftovers() == []


async def test_a_clean_up_that_fails_is_no_failure_and_in_nobodys_way(forestay: TestSite, tmp_path: Path) -> None:
    vnfd_id, coming = [await packaged(forestay, tmp_path, shipping(seed)) for seed in (14, 15)]
    vnf = await instantiated(forestay, vnfd_id)
    [old] = images(forestay)
    forestay.simulator.faults.add(
        CallFault(service="glance", method="DELETE", path=f"/v2/images/{old['id']}$", status=403)
    )
    assert "error" not in await done(forestay, vnf, "change_vnfpkg", changed_to(coming))
    assert len(images(forestay)) == 2
    await done(forestay, vnf, "change_vnfpkg", changed_to(vnfd_id))
    [again] = images(forestay)
    assert await used(forestay) == [again["id"]]
    await done(forestay, vnf, "terminate", FORCEFUL)
    assert await forestay.cloud.leftovers() == []


async def test_what_a_clean_up_leaves_is_removed_by_the_drift_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORESTAY_DRIFT_INTERVAL", "0.3")
    monkeypatch.setenv("FORESTAY_DRIFT_ORPHAN_AGE", "0")
    async with site() as forestay:
        await forestay.api.send("POST", "/v1.0/vims", forestay.cloud.vim())
        vnf = await instantiated(forestay, await packaged(forestay, tmp_path, shipping(16)))
        [old] = images(forestay)
        path = f"/v2/images/{old['id']}"
        forestay.simulator.faults.add(CallFault(service="glance", method="PUT", path=path, status=403))
        await done(forestay, vnf, "change_vnfpkg", changed_to(await packaged(forestay, tmp_path, shipping(17))))
        async with asyncio.timeout(60):
            while len(images(forestay)) != 1:
                await asyncio.sleep(0.05)
        assert await used(forestay) == [image["id"] for image in images(forestay)] != [old["id"]]
        await done(forestay, vnf, "terminate", FORCEFUL)
        assert await forestay.cloud.leftovers() == []


def changed_to(vnfd_id: str) -> Json:
    return {
        "vnfdId": vnfd_id,
        "additionalParams": {"upgrade_type": "RollingUpdate", "vdu_params": [{"vdu_id": "VDU1"}]},
    }


async def test_user_data_gets_the_id(forestay: TestSite, tmp_path: Path) -> None:
    vnfd_id = await packaged(forestay, tmp_path, shipping(7), files={"UserData/own.py": USER_DATA})
    params = {"lcm-operation-user-data": "UserData/own.py", "lcm-operation-user-data-class": "Own"}
    vnf = await instantiated(forestay, vnfd_id, additionalParams=params)
    [image] = images(forestay)
    assert await used(forestay) == [image["id"]]
    await done(forestay, vnf, "terminate", FORCEFUL)
    assert images(forestay) == []


async def test_what_the_nfvo_has_chosen_is_not_uploaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with NfvoSimulator().serve() as nfvo:
        monkeypatch.setenv("FORESTAY_NFVO_ENDPOINT", nfvo.root)
        async with site() as forestay:
            await forestay.api.send("POST", "/v1.0/vims", forestay.cloud.vim())
            [[theirs, *_]] = await forestay.cloud.resources(("image", "/v2/images", "images"))
            entry = {"vnfdSoftwareImageId": "VDU1", "vimSoftwareImageId": theirs["id"]}
            nfvo.change = lambda grant: in_nova(grant) | {"vimAssets": {"softwareImages": [entry]}}
            vnfd_id = await packaged(forestay, tmp_path, shipping(8))
            vnf = await instantiated(forestay, vnfd_id)
            assert (await used(forestay), images(forestay)) == ([theirs["id"]], [])
            nfvo.change = in_nova
            second = await instantiated(forestay, vnfd_id)
            [ours] = images(forestay)
            await done(forestay, second, "scale", OUT)
            assert sorted(await used(forestay)) == sorted([theirs["id"], ours["id"], ours["id"]])
            for each in (vnf, second):
                await done(forestay, each, "terminate", FORCEFUL)
            assert images(forestay) == []
