"""Where VNFCs are: which zone and which host, what keeps them apart, and what becomes of a zone without room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forestay_standalone.rest import RestApi

from tests.flow.clouds import ScenarioCloud
from tests.flow.life import SCALE_IN, SCALE_OUT, THREE, Life, born
from tests.flow.scenario import NUMBERED, PAIR
from tests.flow.scenarios.networks import only_tosca

Json = dict[str, Any]


async def no_room_in_a_zone(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """VNFCs that are kept on hosts of their own find none in a zone of one host: they move to another, later ones need not."""
    life = await born(api, cloud, directory, NUMBERED, edit=only_tosca)
    async with cloud.zone("edge", hosts=4):
        await life.instantiated(**THREE)
        assert await zones(life) == {0: "edge", 1: "edge", 2: "edge"}
        assert len(await hosts(life)) == 3
        await life.done("scale", SCALE_IN)
        kept = await zones(life)
        await life.done("scale", SCALE_OUT)
        assert await zones(life) == kept | {2: "nova"}
        await life.done("heal", {"vnfcInstanceId": [await numbered(life, 0)]})
        assert (await zones(life), len(await hosts(life))) == (kept | {2: "nova"}, 3)
        [group] = (await cloud.resources(("compute", "/os-server-groups", "server_groups")))[0]
        assert (group["policies"], set(group["members"])) == (["anti-affinity"], (await life.vnfcs()).keys())
        await life.ends()


async def apart_and_together(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Rules of the VNFD: a zone of its own for each VNFC, as long as there are enough; VDUs on one host."""
    apart = await born(api, cloud, directory, NUMBERED, edit=a_zone_for_each)
    async with cloud.zone("edge", hosts=2):
        await apart.instantiated()
        await apart.done("scale", SCALE_OUT)
        assert await zones(apart) == {0: "nova", 1: "edge"}
        await apart.ends()
        together = await born(api, cloud, directory, PAIR, edit=one_host)
        await together.instantiated()
        assert (set((await zones(together)).values()), len(await hosts(together))) == ({"nova"}, 1)
        await together.ends()


def a_zone_for_each(flavour: Json, tree: Path) -> None:
    """An edit: instances of VDU1 are kept apart by zone instead of by host."""
    only_tosca(flavour, tree)
    rule(flavour, "VDU1_apart")["scope"] = "zone"


def one_host(flavour: Json, tree: Path) -> None:
    """An edit: both VDUs are on one host instead of in one zone."""
    only_tosca(flavour, tree)
    rule(flavour, "together")["scope"] = "nfvi_node"


def rule(flavour: Json, name: str) -> Json:
    """The properties of a policy."""
    return next(each[name]["properties"] for each in flavour["topology_template"]["policies"] if name in each)


async def zones(life: Life) -> dict[Any, str]:
    """The zone of each VNFC by its number, or its VDU where it has none; as told, and as Nova has it."""
    known = {server["id"]: server["OS-EXT-AZ:availability_zone"] for server in await life.servers()}
    vnfcs = await life.vnfcs()
    assert {server: vnfc["zoneId"] for server, vnfc in vnfcs.items()} == known
    return {vnfc["metadata"].get("vdu_idx", vnfc["vduId"]): vnfc["zoneId"] for vnfc in vnfcs.values()}


async def numbered(life: Life, number: int) -> str:
    """The id of the ``vnfcInfo`` of a VNFC."""
    servers = {vnfc["id"]: vnfc["metadata"]["vdu_idx"] for vnfc in (await life.vnfcs()).values()}
    found = (await life.info())["vnfcInfo"]
    return next(vnfc["id"] for vnfc in found if servers[vnfc["vnfcResourceInfoId"]] == number)


async def hosts(life: Life) -> set[str]:
    return {server["hostId"] for server in await life.servers()}
