"""Whole lives: every operation on a VNF, one after the other, for each way in which a stack is made."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from forestay_standalone.rest import RestApi

from tests.flow.clouds import ScenarioCloud
from tests.flow.life import SCALE_IN, SCALE_OUT, THREE, Life, born
from tests.flow.scenario import GROUP, NUMBERED, PAIR, main_job, other_links, whole_life
from tests.flow.shape import assert_shape

Json = dict[str, Any]


async def the_main_job(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Onboard, instantiate, show, terminate, delete: both samples, and what is told of each VNF."""
    for sample in (GROUP, PAIR):
        instance = await main_job(api, cloud, sample, directory, patience=cloud.patience)
        assert_shape(sample.name, instance["instantiatedVnfInfo"])


async def life_of_a_group(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """An AutoScalingGroup of nested templates: scale, heal, operate, scale to level, change external connectivity."""
    await whole_life(api, cloud, directory, patience=cloud.patience)


async def life_of_a_pair(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Servers of the top template, one on a volume: heal without and with the volume, and all; connectivity; operate."""
    life = await born(api, cloud, directory, PAIR)
    await life.instantiated()
    at_first = await by_vdu(life)
    await life.done("heal", {"vnfcInstanceId": await life.of_vdu("VDU1")})
    healed = await by_vdu(life)
    assert healed["VDU1"]["id"] != at_first["VDU1"]["id"]
    assert healed["VDU2"] == at_first["VDU2"]
    await life.done("heal", {"vnfcInstanceId": await life.of_vdu("VDU2"), "additionalParams": {"all": True}})
    with_volume = await by_vdu(life)
    assert with_volume["VDU1"] == healed["VDU1"]
    for member in ("id", "storageResourceIds"):
        assert with_volume["VDU2"][member] != healed["VDU2"][member]
    await life.done("change_ext_conn", {"extVirtualLinks": await other_links(cloud, life.request)})
    moved = {link["resourceHandle"]["resourceId"] for link in (await life.info())["extVirtualLinkInfo"]}
    assert moved == {(await cloud.network("mgmt"))[0]}
    await life.done("operate", {"changeStateTo": "STOPPED", "vnfcInstanceId": await life.of_vdu("VDU1")})
    assert sorted(server["status"] for server in await life.servers()) == ["ACTIVE", "SHUTOFF"]
    await life.done("operate", {"changeStateTo": "STARTED"})
    before = await life.vnfcs()
    await life.done("heal", {"additionalParams": {"all": True}})
    assert not before.keys() & (await life.vnfcs()).keys()
    await life.ends()


async def life_by_numbers(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """One resource per VNFC (Tacker's StandardUserData)."""
    await numbered(await born(api, cloud, directory, NUMBERED), "sample-vnfcs")


async def life_without_a_base_hot(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """The same VNF, but its templates are made from the VNFD."""

    def only_tosca(_: Json, tree: Path) -> None:
        shutil.rmtree(tree / "BaseHOT")

    await numbered(await born(api, cloud, directory, NUMBERED, edit=only_tosca), "sample-vnfcs-tosca")


async def numbered(life: Life, shape: str) -> None:
    """Scale out, heal one with its volume, scale to a level, scale in; each VNFC keeps its number."""
    instance = await life.instantiated()
    assert_shape(shape, instance["instantiatedVnfInfo"])
    first = await by_number(life)
    await life.done("scale", SCALE_OUT)
    two = await by_number(life)
    assert (sorted(two), two[0]["id"]) == ([0, 1], first[0]["id"])
    [chosen] = [vnfc["id"] for vnfc in (await life.info())["vnfcInfo"] if vnfc["vnfcResourceInfoId"] == two[0]["id"]]
    await life.done("heal", {"vnfcInstanceId": [chosen], "additionalParams": {"all": True}})
    healed = await by_number(life)
    assert (healed[0]["id"] != two[0]["id"], healed[1]["id"]) == (True, two[1]["id"])
    assert healed[0]["storageResourceIds"] != two[0]["storageResourceIds"]
    await life.done("scale_to_level", THREE)
    assert sorted(await by_number(life)) == [0, 1, 2]
    await life.done("scale", SCALE_IN)
    assert {number: vnfc["id"] for number, vnfc in (await by_number(life)).items()} == {
        number: healed[number]["id"] for number in (0, 1)
    }
    await life.ends()


async def by_vdu(life: Life) -> dict[str, Json]:
    return {vnfc["vduId"]: vnfc for vnfc in (await life.vnfcs()).values()}


async def by_number(life: Life) -> dict[int, Json]:
    return {vnfc["metadata"]["vdu_idx"]: vnfc for vnfc in (await life.vnfcs()).values()}
