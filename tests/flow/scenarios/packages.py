"""What a package brings with it: images, scripts, user data classes, and a newer version of the VNF."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from random import randbytes
from typing import Any

from forestay_standalone.rest import RestApi
from yarl import URL

from tests.flow.clouds import ScenarioCloud
from tests.flow.life import SCALE_OUT, THREE, Life, another, born, package
from tests.flow.scenario import GROUP, NUMBERED, Sample
from tests.scripts.reporting import listening
from tests.scripts.test_user_data import CLASS, PARAMS

Json = dict[str, Any]
FILE = "Files/images/app.img"


async def image_of_the_package(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Uploaded once for two VNFs, gone with the last of them."""
    vnfd_id = await package(api, directory, GROUP, **shipping(randbytes(64 << 10)))
    lives = [await another(api, cloud, vnfd_id, GROUP) for _ in range(2)]
    for life in lives:
        await life.instantiated()
        [image] = await images(cloud, "scenario-app")
        assert (image["status"], image["size"], "forestay" in image["tags"]) == ("active", 64 << 10, True)
        assert {server["image"]["id"] for server in await life.servers()} == {image["id"]}
    await lives[0].ends()
    assert len(await images(cloud, "scenario-app")) == 1
    await lives[1].ends()
    assert await images(cloud, "scenario-app") == []


async def newer_image_of_the_package(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """CHANGE_VNFPKG to another image file: the former one goes with the last VNF that is made of it."""
    vnfd_id = await package(api, directory, GROUP, **shipping(randbytes(64 << 10)))
    first, second = [await another(api, cloud, vnfd_id, GROUP) for _ in range(2)]
    for life in (first, second):
        await life.instantiated()
    [former] = await images(cloud, "scenario-app")
    newer = shipping(randbytes(64 << 10))
    for life, there in ((first, 2), (second, 1)):
        await changed(life, directory, GROUP, **newer)
        left = await images(cloud, "scenario-app")
        assert len(left) == there
        [server] = await life.servers()
        assert server["image"]["id"] in {image["id"] for image in left} - {former["id"]}
    for life in (first, second):
        await life.ends()
    assert await images(cloud, "scenario-app") == []


async def image_that_a_modification_brings(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """A VNFC that comes when the VNF has got another package by a modification is made of that package's image."""
    life = await born(api, cloud, directory, NUMBERED, **shipping(randbytes(64 << 10), "VDU1_Storage"))
    await life.instantiated()
    [first] = await life.volumes()
    coming = await package(api, directory, NUMBERED, **shipping(randbytes(64 << 10), "VDU1_Storage"))
    modification = URL((await api.send("PATCH", life.uri, {"vnfdId": coming}))["location"]).path
    await api.until(modification, "operationState", {"COMPLETED"}, {"FAILED_TEMP"})
    await life.done("scale", SCALE_OUT)
    made_of = {volume["id"]: volume["volume_image_metadata"]["image_id"] for volume in await life.volumes()}
    assert made_of[first["id"]] == first["volume_image_metadata"]["image_id"]
    assert set(made_of.values()) == {image["id"] for image in await images(cloud, "scenario-app")}
    assert len(set(made_of.values())) == 2
    await life.ends()
    assert await images(cloud, "scenario-app") == []


def shipping(content: bytes, node: str = "VDU1") -> Json:
    """The changes that give a package an image file for a VDU or a storage."""

    def edit(flavour: Json, _: Path) -> None:
        vdu = flavour["topology_template"]["node_templates"][node]
        vdu["artifacts"] = {"sw_image": {"type": "tosca.artifacts.nfv.SwImage", "file": f"../{FILE}"}}
        checksum = {"algorithm": "sha-256", "hash": sha256(content).hexdigest()}
        vdu["properties"]["sw_image_data"] |= {"name": "scenario-app", "checksum": checksum}

    return {"files": {FILE: content}, "edit": edit}


async def hooks(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Scripts around each operation; the rollback of a stop that a script refuses starts the servers again."""
    async with listening() as listener:
        names = (
            "instantiate_start",
            "instantiate_end",
            "operate_start",
            "operate_end",
            "operate_rollback_end",
            "terminate_end",
        )
        listener.orders["instantiate_end"] = {"write": {"registered": "yes"}}
        listener.orders["operate_end"] = {"error": "the VNF does not let go"}
        life = await born(api, cloud, directory, GROUP, hooks=listener.hooked(*names))
        instance = await life.instantiated()
        assert instance["instantiatedVnfInfo"]["metadata"]["registered"] == "yes"
        failed = await life.done("operate", {"changeStateTo": "STOPPED"}, "FAILED_TEMP")
        assert "the VNF does not let go" in failed["error"]["detail"]
        assert [server["status"] for server in await life.servers()] == ["SHUTOFF"]
        await life.handled(failed, "rollback", "ROLLED_BACK")
        assert [server["status"] for server in await life.servers()] == ["ACTIVE"]
        assert (await life.info())["vnfState"] == "STARTED"
        await life.ends()
        assert listener.hooks == list(names)


async def user_data_class(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """The package's own class says what the stack is made of."""
    life = await born(api, cloud, directory, GROUP, files={"UserData/labelled.py": CLASS})
    instance = await life.instantiated(additionalParams=PARAMS | {"label": "red"})
    stack = instance["instantiatedVnfInfo"]["metadata"]["stack_id"]
    assert await label(cloud, stack) == "red"
    failed = await life.done("scale", SCALE_OUT | {"additionalParams": PARAMS | {"fail": True}}, "FAILED_TEMP")
    assert "no more of it" in failed["error"]["detail"]
    await life.handled(failed, "rollback", "ROLLED_BACK")
    await life.done("scale", SCALE_OUT | {"additionalParams": PARAMS})
    assert (await label(cloud, stack), len(await life.vnfcs())) == ("scaled", 2)
    await life.ends()


async def newer_flavour(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """CHANGE_VNFPKG to another size: each VNFC in turn keeps its server."""

    def larger(flavour: Json, _: Path) -> None:
        virtual = flavour["topology_template"]["node_templates"]["VDU1"]["capabilities"]["virtual_compute"]
        capability = virtual["properties"]["requested_additional_capabilities"]["properties"]
        capability["requested_additional_capability_name"] = "m1.small"

    life = await born(api, cloud, directory, GROUP)
    await life.instantiated(**THREE)
    before = await life.vnfcs()
    await changed(life, directory, GROUP, larger)
    after = await life.vnfcs()
    assert after.keys() == before.keys()
    assert {vnfc["metadata"]["flavor"] for vnfc in after.values()} == {"m1.small"}
    await life.ends()


async def newer_image(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """CHANGE_VNFPKG to an image that is not there is rolled back; to another one it is made."""
    life = await born(api, cloud, directory, GROUP)
    await life.instantiated()
    await life.done("scale", SCALE_OUT)
    failed = await changed(life, directory, GROUP, booting("VDU1", "no-such-image"), "FAILED_TEMP")
    assert "no-such-image" in failed["error"]["detail"]
    await life.handled(failed, "rollback", "ROLLED_BACK")
    assert await booted(life) == {"cirros"}
    await changed(life, directory, GROUP, booting("VDU1", "vnf-image"))
    assert (await booted(life), len(await life.vnfcs())) == ({"vnf-image"}, 2)
    await life.ends()


async def newer_boot_volume(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """CHANGE_VNFPKG to another image of a boot volume: VNFC by VNFC with its volume."""
    life = await born(api, cloud, directory, NUMBERED)
    await life.instantiated()
    await life.done("scale", SCALE_OUT)
    assert {volume["volume_image_metadata"]["image_name"] for volume in await life.volumes()} == {"cirros"}
    await changed(life, directory, NUMBERED, booting("VDU1_Storage", "vnf-image"))
    volumes = await life.volumes()
    assert [volume["volume_image_metadata"]["image_name"] for volume in volumes] == ["vnf-image"] * 2
    await life.ends()


async def changed(
    life: Life,
    directory: Path,
    sample: Sample,
    edit: Any,
    state: str = "COMPLETED",
    params: Json | None = None,
    **changes: Any,
) -> Json:
    """The operation that brings a VNF to an edited package. :param params: more of ``additionalParams``."""
    coming = await package(life.api, directory, sample, edit=edit, **changes)
    asked = {"upgrade_type": "RollingUpdate", "vdu_params": [{"vdu_id": "VDU1"}]} | (params or {})
    operation = await life.done("change_vnfpkg", {"vnfdId": coming, "additionalParams": asked}, state)
    assert ((await life.shown())["vnfdId"] == coming) == (state == "COMPLETED")
    return operation


def booting(node: str, image: str) -> Any:
    """An edit that names another image for a VDU or a storage."""

    def edit(flavour: Json, _: Path) -> None:
        flavour["topology_template"]["node_templates"][node]["properties"]["sw_image_data"]["name"] = image

    return edit


async def images(cloud: ScenarioCloud, name: str) -> list[Json]:
    return (await cloud.resources(("image", f"/v2/images?name={name}", "images")))[0]


async def booted(life: Life) -> set[str]:
    """The names of the images of the VNF's servers."""
    [known] = await life.cloud.resources(("image", "/v2/images", "images"))
    names = {image["id"]: image["name"] for image in known}
    return {names[server["image"]["id"]] for server in await life.servers()}


async def label(cloud: ScenarioCloud, stack: str) -> str:
    """The parameter ``label`` of a stack."""
    [parameters] = await cloud.resources(("orchestration", f"/stacks/{stack}/environment", "parameters"))
    return str(dict(parameters)["label"]) if isinstance(parameters, dict) else ""
