"""VNF snapshots: made once, found by name, brought back, deleted with nothing left."""

from __future__ import annotations

from typing import Any

import pytest
from forestay_events.errors import UnknownOutcome
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.steps import take
from forestay_lcm.executor import Confirmed, Failed
from forestay_simvim import CallFault, OpenStackSimulator
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo, ResourceHandle, VirtualStorageResourceInfo
from msgspec.structs import replace

from .stepping import asg_order, carry_out, finish, instantiate, job, order_for, read, terminate, two_vdus_order

MAKE = ("create-snapshot", "await-snapshot")
SNAPSHOT: dict[str, Any] = {"vnfSnapshotInfoId": "snap-1"}


@pytest.fixture
async def pair(cloud: Cloud, two_vdus: Flavour) -> InstantiatedVnfInfo:
    return (await instantiate(cloud, await two_vdus_order(cloud, two_vdus)))[0]


async def leftovers(cloud: Cloud) -> int:
    images = (await cloud.request("image", "GET", "/v2/images", query={"forestay_snapshot": "snap-1"})).body["images"]
    return len(images) + len((await cloud.request("block-storage", "GET", "/snapshots")).body["snapshots"])


async def test_each_disk_and_each_volume(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    order = order_for("CREATE_SNAPSHOT", pair, two_vdus, **SNAPSHOT)
    results = await carry_out(cloud, order, pair, *MAKE)
    front, back = results["await-snapshot"]["vnfcSnapshots"]
    servers = {vnfc.vdu_id: vnfc for vnfc in pair.vnfc_resource_info}
    assert front["id"] == front["vnfcResourceInfoId"] == servers["VDU1"].id
    assert front["vnfcInstanceId"] == f"VDU1-{servers['VDU1'].id}"
    assert front["computeSnapshotResource"]["vimLevelResourceType"] == "OS::Glance::Image"
    assert front["storageSnapshotResources"] == []
    assert "computeSnapshotResource" not in back  # it boots from its volume
    [storage] = back["storageSnapshotResources"]
    assert storage["storageResourceId"] == servers["VDU2"].storage_resource_ids[0]
    # Once more makes nothing more.
    assert await carry_out(cloud, order, pair, *MAKE, attempt=2) == results
    assert await leftovers(cloud) == 2
    await carry_out(cloud, order, pair, "delete-snapshot")
    assert await leftovers(cloud) == 0


async def test_who_terminates_is_told_which_snapshots_keep_the_volumes(
    cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    order = order_for("CREATE_SNAPSHOT", pair, two_vdus, **SNAPSHOT)
    await carry_out(cloud, order, pair, *MAKE)
    [volume] = [item.storage_resource.resource_id for item in pair.virtual_storage_resource_info]
    body = {"snapshot": {"volume_id": volume, "name": "mine", "force": True}}
    mine = (await cloud.request("block-storage", "POST", "/snapshots", body=body)).body["snapshot"]["id"]
    kept = await terminate(cloud, before=pair)
    assert isinstance(kept, Failed)
    told = f"Volume {volume} has snapshots, delete VNF snapshot snap-1, Cinder snapshot {mine} and retry; "
    assert kept.detail.startswith(told)
    await carry_out(cloud, order, pair, "delete-snapshot")
    await cloud.cinder.delete_snapshot(mine)
    assert isinstance(await terminate(cloud, before=pair, attempt=2), Confirmed)


@pytest.mark.parametrize("path", ["/action", "/snapshots"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_answer_makes_one(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo, path: str, when: Any
) -> None:
    order = order_for("CREATE_SNAPSHOT", pair, two_vdus, **SNAPSHOT)
    sim.faults.add(CallFault(method="POST", path=path, effect="reset", when=when))
    with pytest.raises(UnknownOutcome):
        await take(cloud, job("create-snapshot", order, before=pair))
    await carry_out(cloud, order, pair, *MAKE)
    assert await leftovers(cloud) == 2


async def test_what_failed_is_named(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    order = order_for("CREATE_SNAPSHOT", pair, two_vdus, **SNAPSHOT)
    await carry_out(cloud, order, pair, "create-snapshot")
    row = next(iter(sim.cloud.cinder.snapshots))
    sim.cloud.cinder.snapshots.change(row, status="error")
    outcome = await finish(cloud, job("await-snapshot", order, before=pair))
    assert isinstance(outcome, Failed)
    assert f"{row['name']} is error" in outcome.detail


async def test_images_of_others_that_inherited_the_property_stay(
    cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    server = next(vnfc.id for vnfc in pair.vnfc_resource_info if vnfc.vdu_id == "VDU1")
    await cloud.nova.act(server, "createImage", {"name": "mine", "metadata": {"forestay_snapshot": "snap-1"}})
    await carry_out(cloud, order_for("CREATE_SNAPSHOT", pair, two_vdus, **SNAPSHOT), pair, *MAKE, "delete-snapshot")
    assert await leftovers(cloud) == 1


async def test_a_vnf_is_reverted_and_keeps_its_servers(sim: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    info, _ = await instantiate(cloud, await asg_order(cloud, asg))
    made = await carry_out(cloud, order_for("CREATE_SNAPSHOT", info, asg, **SNAPSHOT), info, *MAKE)
    order = order_for("REVERT_TO_SNAPSHOT", info, asg, **SNAPSHOT)
    sim.faults.add(CallFault(service="nova", method="POST", path="/action", effect="reset", when="after"))
    with pytest.raises(UnknownOutcome):
        await take(cloud, job("revert-snapshot", order, before=info, op_id="op2"))
    assert read(await carry_out(cloud, order, info, "revert-snapshot", "read-back", op_id="op2")) == info
    assert len(sim.journal.effects("server rebuild")) == 1
    server = (await cloud.nova.servers([info.vnfc_resource_info[0].id]))[info.vnfc_resource_info[0].id]
    assert server.image == made["await-snapshot"]["vnfcSnapshots"][0]["computeSnapshotResource"]["resourceId"]
    # Another time is another rebuild.
    await carry_out(cloud, order, info, "revert-snapshot", op_id="op3")
    assert len(sim.journal.effects("server rebuild")) == 2


@pytest.mark.parametrize("healed", [False, True], ids=["the same server", "healed since"])
async def test_a_data_volume_is_taken_away_reverted_and_given_back(
    sim: OpenStackSimulator, cloud: Cloud, asg: Flavour, healed: bool
) -> None:
    now, _ = await instantiate(cloud, await asg_order(cloud, asg))
    then = now.vnfc_resource_info[0].id
    body = {"volume": {"size": 1, "name": "data"}}
    volume = (await cloud.request("block-storage", "POST", "/volumes", body=body)).body["volume"]["id"]
    await cloud.nova.attach(then, volume)
    info = having(now, volume)
    await carry_out(cloud, order_for("CREATE_SNAPSHOT", info, asg, **SNAPSHOT), info, *MAKE)
    if healed:
        update = ("mark-unhealthy", "update-stack", "await-update", "read-back")
        now = read(await carry_out(cloud, order_for("HEAL", now, asg), now, *update))
        await cloud.nova.attach(now.vnfc_resource_info[0].id, volume)
        info = having(now, volume)
    server = now.vnfc_resource_info[0].id
    assert (server == then) is not healed
    order = replace(order_for("REVERT_TO_SNAPSHOT", info, asg, **SNAPSHOT), vnfc_snapshots={server: then})
    sim.cloud.settings.build["server"] = 0.2  # Nova neither takes nor gives back a volume while it rebuilds
    await carry_out(cloud, order, info, "revert-snapshot", op_id="op2")
    assert len(sim.journal.effects("volume revert")) == len(sim.journal.effects("server rebuild")) == 1
    seen = (await cloud.cinder.volumes([volume]))[volume]
    assert (seen.status, seen.servers) == ("in-use", (server,))
    assert [entry.status for entry in sim.journal.entries(service="nova", path="/os-volume_attachments")].count(409)


def having(info: InstantiatedVnfInfo, volume: str) -> InstantiatedVnfInfo:
    """The VNF with a volume that its VNFC keeps, whatever server it has."""
    storage = VirtualStorageResourceInfo(
        id=volume, virtual_storage_desc_id="data", storage_resource=ResourceHandle(resource_id=volume)
    )
    vnfc = replace(info.vnfc_resource_info[0], storage_resource_ids=(volume,))
    return replace(info, vnfc_resource_info=(vnfc,), virtual_storage_resource_info=(storage,))


async def test_what_cannot_be_reverted_is_not_touched(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    outcome = await finish(
        cloud, job("revert-snapshot", order_for("REVERT_TO_SNAPSHOT", pair, two_vdus, **SNAPSHOT), before=pair)
    )
    assert isinstance(outcome, Failed)
    assert outcome.status == 409
    assert "is not in the snapshot" in outcome.detail
    assert "boots from a volume" in outcome.detail
    assert sim.journal.effects("server rebuild") == []
