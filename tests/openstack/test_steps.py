"""The steps of each operation on a real OpenStack, without the engine (``just test-openstack``)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from forestay_csar import read_package
from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_lcm.adapters.openstack.job import Order
from forestay_lcm.adapters.openstack.orders import without_bit_rates
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo
from msgspec.structs import replace

from tests.lcm.openstack.conftest import ext_cp, ext_link
from tests.lcm.openstack.stepping import (
    asg_order,
    carry_out,
    order_for,
    own_network,
    ports_of,
    read,
    server_ids,
    two_vdus_order,
)
from tests.openstack.lab import lab
from tests.packages.build import build_csar

pytestmark = [pytest.mark.openstack, pytest.mark.timeout(600)]

PACKAGES = Path(__file__).parents[1] / "packages"
UPDATE = ("update-stack", "await-update", "read-back")
RESTORE = ("restore-stack", "await-restored", "read-back")
PATIENCE = 240.0


@dataclass
class Life:
    """A VNF from its instantiation to its end, one operation after the other."""

    cloud: Cloud
    flavour: Flavour
    vnf_id: str = field(default_factory=lambda: str(uuid4()))
    info: InstantiatedVnfInfo | None = None
    operations: int = 0

    async def do(self, order: Order | None, *steps: str, **members: Any) -> dict[str, Any]:
        """Take the steps of an operation; what it reads back is the VNF from now on."""
        self.operations += 1
        op_id = members.pop("op_id", f"op{self.operations}")
        results = await carry_out(
            self.cloud, order, self.info, *steps, patience=PATIENCE, vnf_id=self.vnf_id, op_id=op_id, **members
        )
        if "read-back" in results:
            self.info = read(results)
        return results

    def order(self, operation: Any, **members: Any) -> Order:
        return order_for(operation, self.known, members.pop("flavour", self.flavour), **members)

    @property
    def known(self) -> InstantiatedVnfInfo:
        assert self.info is not None
        return self.info

    async def end(self) -> None:
        """Terminate it, and see that nothing is left."""
        info = self.info
        await self.do(None, "delete-stack", "await-deleted")
        if info is not None:
            ids = server_ids(info)
            ids |= {
                port.resource_handle.resource_id for link in info.ext_virtual_link_info for port in link.ext_link_ports
            }
            ids |= {storage.id for storage in info.virtual_storage_resource_info}
            assert not ids & set(await lab().leftovers())


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with Clouds() as clouds:
        yield clouds.cloud(lab().connection)


def flavour(name: str, tmp: Path) -> Flavour:
    return without_bit_rates(read_package(build_csar(PACKAGES / name, tmp / f"{name}.zip")).vnfd.flavour())


@pytest.fixture
async def group(cloud: Cloud, tmp_path: Path) -> AsyncIterator[Life]:
    """A VNF of one VNFC in an AutoScalingGroup."""
    life = Life(cloud, flavour("sample-asg", tmp_path))
    try:
        await life.do(await asg_order(cloud, life.flavour), "create-stack", "await-stack", "read-back")
        yield life
    finally:
        await life.end()


@pytest.fixture
async def pair(cloud: Cloud, tmp_path: Path) -> AsyncIterator[Life]:
    """A VNF of two VNFCs in one stack, one of them on a volume."""
    life = Life(cloud, flavour("sample-two-vdus", tmp_path))
    try:
        await life.do(await two_vdus_order(cloud, life.flavour), "create-stack", "await-stack", "read-back")
        yield life
    finally:
        await life.end()


@pytest.fixture
async def another(cloud: Cloud) -> AsyncIterator[str]:
    """Id of another network of the project."""
    made = await own_network(cloud)
    yield made
    await cloud.request("network", "DELETE", f"/v2.0/networks/{made}")


async def test_a_group_is_scaled_healed_and_scaled_back(group: Life) -> None:
    first = group.known
    out = group.order("SCALE", type="SCALE_OUT", aspectId="VDU1_scale", numberOfSteps=2, level=2)
    await group.do(out, *UPDATE)
    assert server_ids(first) < server_ids(group.known)
    assert len(server_ids(group.known)) == 3

    three, chosen = group.known, group.known.vnfc_info[1]
    await group.do(group.order("HEAL", vnfcInstanceId=[chosen.id]), "mark-unhealthy", *UPDATE)
    assert server_ids(three) - server_ids(group.known) == {chosen.vnfc_resource_info_id}
    assert len(server_ids(group.known)) == 3

    healed, into = group.known, group.order("SCALE", type="SCALE_IN", aspectId="VDU1_scale", level=1)
    results = await group.do(into, *UPDATE)
    gone = into.grant_request.remove_resources[0].resource
    assert gone is not None
    assert server_ids(healed) - server_ids(group.known) == {gone.resource_id}
    assert results["update-stack"]["before"]["nfv"]["VDU"]["VDU1"]["desired_capacity"] == 3


async def test_a_rolled_back_scale_out_leaves_the_same_vnfcs(group: Life) -> None:
    first = group.known
    out = group.order("SCALE", type="SCALE_OUT", aspectId="VDU1_scale", numberOfSteps=2, level=2)
    results = await group.do(out, "update-stack", "await-update")
    await group.do(out, *RESTORE, results=results, op_id=f"op{group.operations}")
    assert server_ids(group.known) == server_ids(first)
    assert group.known == first


async def test_a_server_on_a_volume_is_healed_with_it(pair: Life) -> None:
    before = {vnfc.vdu_id: vnfc for vnfc in pair.known.vnfc_resource_info}
    chosen = [vnfc.id for vnfc in pair.known.vnfc_info if vnfc.vdu_id == "VDU2"]
    await pair.do(pair.order("HEAL", vnfcInstanceId=chosen), "mark-unhealthy", *UPDATE)
    after = {vnfc.vdu_id: vnfc for vnfc in pair.known.vnfc_resource_info}
    assert after["VDU1"] == before["VDU1"]
    assert after["VDU2"].id != before["VDU2"].id
    assert after["VDU2"].storage_resource_ids != before["VDU2"].storage_resource_ids


async def test_a_connection_point_moves_to_another_network_and_back(another: str, pair: Life) -> None:
    first = pair.known
    order = pair.order("CHANGE_EXT_CONN", extVirtualLinks=[ext_link(ext_cp("VDU2_CP1"), network=another)])
    results = await pair.do(order, *UPDATE)
    links = {
        link.resource_handle.resource_id: link.current_vnf_ext_cp_data for link in pair.known.ext_virtual_link_info
    }
    assert [cp.cpd_id for cp in links[another]] == ["VDU2_CP1"]
    assert server_ids(pair.known) == server_ids(first)
    ports = await ports_of(pair.cloud, server_ids(first))
    assert another in {port.network_id for port in ports}
    pair.info = first
    await pair.do(order, *RESTORE, results=results, op_id=f"op{pair.operations}")
    assert server_ids(pair.known) == server_ids(first)
    assert pair.known.metadata == first.metadata


async def test_servers_are_stopped_and_started(pair: Life) -> None:
    operate = ("operate-servers", "await-servers", "read-back")
    chosen = [vnfc.id for vnfc in pair.known.vnfc_info if vnfc.vdu_id == "VDU1"]
    await pair.do(pair.order("OPERATE", changeStateTo="STOPPED", vnfcInstanceId=chosen), *operate)
    assert (pair.known.vnf_state, {vnfc.vdu_id: vnfc.vnfc_state for vnfc in pair.known.vnfc_info}) == (
        "STARTED",
        {"VDU1": "STOPPED", "VDU2": "STARTED"},
    )
    await pair.do(pair.order("OPERATE", changeStateTo="STOPPED"), *operate)
    assert pair.known.vnf_state == "STOPPED"
    await pair.do(pair.order("OPERATE", changeStateTo="STARTED"), *operate)
    assert {vnfc.vnfc_state for vnfc in pair.known.vnfc_info} == {"STARTED"}


async def test_a_snapshot_is_made_and_deleted(pair: Life) -> None:
    order = pair.order("CREATE_SNAPSHOT", vnfSnapshotInfoId=str(uuid4()))
    results = await pair.do(order, "create-snapshot", "await-snapshot")
    shown = {item["vnfcResourceInfoId"]: item for item in results["await-snapshot"]["vnfcSnapshots"]}
    vnfcs = {vnfc.vdu_id: vnfc for vnfc in pair.known.vnfc_resource_info}
    assert "computeSnapshotResource" in shown[vnfcs["VDU1"].id]
    assert "computeSnapshotResource" not in shown[vnfcs["VDU2"].id]  # boots from a volume
    assert len(shown[vnfcs["VDU2"].id]["storageSnapshotResources"]) == 1
    await pair.do(order, "delete-snapshot")


async def test_a_group_is_reverted_to_its_snapshot(group: Life) -> None:
    snapshot = str(uuid4())
    made = group.order("CREATE_SNAPSHOT", vnfSnapshotInfoId=snapshot)
    await group.do(made, "create-snapshot", "await-snapshot")
    before = group.known
    await group.do(group.order("REVERT_TO_SNAPSHOT", vnfSnapshotInfoId=snapshot), "revert-snapshot", "read-back")
    assert server_ids(group.known) == server_ids(before)
    servers = await group.cloud.nova.servers(server_ids(before))
    assert {server.status for server in servers.values()} == {"ACTIVE"}
    await group.do(made, "delete-snapshot")


async def test_members_of_a_group_are_updated_one_by_one(group: Life) -> None:
    """A new package: another size, another template of the members."""
    await group.do(group.order("SCALE", type="SCALE_OUT", aspectId="VDU1_scale", level=1), *UPDATE)
    two, old = group.known, group.flavour
    vdu = replace(old.vdus["VDU1"], requested_capability="m1.small")
    newer = replace(old, vdus={"VDU1": vdu})
    order = group.order("CHANGE_VNFPKG", flavour=newer, old=old, vdus=("VDU1",), vnfdId="vnfd2")
    results = await group.do(order, "update-vnfc:0", "await-vnfc:0")
    assert await sizes(group) == ["m1.small", "m1.tiny"]
    results = await group.do(order, "update-vnfc:1", "await-vnfc:1", *UPDATE, results=results, op_id="op3")
    assert await sizes(group) == ["m1.small", "m1.small"]
    assert server_ids(group.known) == server_ids(two)
    group.info = two
    await group.do(order, *RESTORE, results=results, op_id="op3")
    assert await sizes(group) == ["m1.tiny", "m1.tiny"]


async def sizes(life: Life) -> list[str]:
    """The names of the servers' flavours: of the VNFC that was updated first, and so on."""
    found: list[str] = []
    for vnfc in life.known.vnfc_resource_info:
        reply = await life.cloud.request("compute", "GET", f"/servers/{vnfc.id}", version="compute 2.47")
        found.append(reply.body["server"]["flavor"]["original_name"])
    return found
