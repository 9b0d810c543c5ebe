"""Volumes: which one a server boots from, which ones outlive it, and what a newer package makes of them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from forestay_standalone.rest import RestApi

from tests.flow.clouds import ScenarioCloud
from tests.flow.life import SCALE_OUT, Life, born
from tests.flow.scenario import NUMBERED
from tests.flow.scenarios.networks import only_tosca
from tests.flow.scenarios.packages import changed
from tests.flow.shape import assert_shape

Json = dict[str, Any]
BOOT, DATA, LOG = "VDU1_Storage", "VDU1_Data", "VDU1_Log"
GIB = "1 GiB"


async def volumes_of_vnfcs(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """A heal keeps what the server does not boot from, with ``all`` it does not; a newer package brings more and larger ones."""
    life = await born(api, cloud, directory, NUMBERED, edit=with_data)
    instance = await life.instantiated()
    assert_shape("volumes-of-vnfcs", instance["instantiatedVnfInfo"])
    first = await attached(life)
    assert {number: set(nodes) for number, nodes in first.items()} == {0: {BOOT, DATA}}

    healed = await life.done("heal", {"vnfcInstanceId": await life.of_vdu("VDU1")})
    second = await attached(life)
    assert second[0][DATA] == first[0][DATA]
    assert second[0][BOOT] != first[0][BOOT]  # Heat makes the new server while the old one holds it
    assert storages(healed) == {("ADDED", second[0][BOOT]), ("REMOVED", first[0][BOOT])}

    healed = await life.done("heal", {"vnfcInstanceId": await life.of_vdu("VDU1"), "additionalParams": {"all": True}})
    third = await attached(life)
    assert storages(healed) == {
        *(("ADDED", volume) for volume in third[0].values()),
        *(("REMOVED", volume) for volume in second[0].values()),
    }
    assert {(vnfc["changeType"], *map(len, moved(vnfc))) for vnfc in healed["resourceChanges"]["affectedVnfcs"]} == {
        ("ADDED", 2, 0), ("REMOVED", 0, 2),
    }  # fmt: skip

    await life.done("scale", SCALE_OUT)
    before, servers = await attached(life), (await life.vnfcs()).keys()
    assert before[0] == third[0]
    operation = await changed(life, directory, NUMBERED, with_more)
    after = await attached(life)
    assert (await life.vnfcs()).keys() == servers
    for number in (0, 1):
        assert {node: after[number][node] for node in (BOOT, DATA)} == before[number]
    logs = {after[number][LOG] for number in (0, 1)}
    assert storages(operation) == {("ADDED", volume) for volume in logs}
    modified = operation["resourceChanges"]["affectedVnfcs"]
    assert {(vnfc["changeType"], *moved(vnfc)[0]) for vnfc in modified} == {("MODIFIED", volume) for volume in logs}
    sizes = {volume["id"]: volume["size"] for volume in await life.volumes()}
    assert {node: sizes[volume] for node, volume in after[0].items()} == {BOOT: 1, DATA: 2, LOG: 1}
    await life.ends()


def with_data(flavour: Json, tree: Path) -> None:
    """An edit: VDU1 has an empty volume, too."""
    only_tosca(flavour, tree)
    added(flavour, DATA, GIB)


def with_more(flavour: Json, tree: Path) -> None:
    """An edit: that volume is larger, and there is another one."""
    only_tosca(flavour, tree)
    added(flavour, DATA, "2 GiB")
    added(flavour, LOG, GIB)


def added(flavour: Json, node: str, size: str) -> None:
    nodes = flavour["topology_template"]["node_templates"]
    nodes[node] = copy.deepcopy(nodes[BOOT])
    del nodes[node]["properties"]["sw_image_data"]
    nodes[node]["properties"]["virtual_block_storage_data"]["size_of_storage"] = size
    nodes["VDU1"]["requirements"].append({"virtual_storage": node})


async def attached(life: Life) -> dict[int, dict[str, str]]:
    """The volumes of each VNFC by node: told as Cinder has them attached."""
    volumes = {volume["id"]: volume for volume in await life.volumes()}
    nodes = {each["id"]: each["virtualStorageDescId"] for each in (await life.info())["virtualStorageResourceInfo"]}
    found: dict[int, dict[str, str]] = {}
    for server, vnfc in (await life.vnfcs()).items():
        own = vnfc["storageResourceIds"]
        assert {attachment["server_id"] for volume in own for attachment in volumes[volume]["attachments"]} == {server}
        found[vnfc["metadata"]["vdu_idx"]] = {nodes[volume]: volume for volume in own}
    assert volumes.keys() == nodes.keys()
    return found


def storages(operation: Json) -> set[tuple[str, str]]:
    """What an operation says to have done with storages."""
    return {(each["changeType"], each["id"]) for each in operation["resourceChanges"]["affectedVirtualStorages"]}


def moved(vnfc: Json) -> tuple[list[str], list[str]]:
    """The storages that an affected VNFC got and lost."""
    return vnfc.get("addedStorageResourceIds", []), vnfc.get("removedStorageResourceIds", [])
