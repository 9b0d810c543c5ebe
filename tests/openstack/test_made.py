"""Flavours without a BaseHOT on a real OpenStack: Heat takes the made templates, each VNFC lives by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_lcm.adapters.openstack.settings import OpenStackSettings
from msgspec.structs import replace

from tests.lcm.openstack.conftest import ext_cp, ext_link, order_of
from tests.lcm.openstack.stepping import asg_order, network, ports_of, server_ids, two_vdus_order
from tests.openstack.lab import lab
from tests.openstack.test_steps import RESTORE, UPDATE, Life, flavour, sizes

pytestmark = [pytest.mark.openstack, pytest.mark.timeout(600)]

CREATE = ("create-stack", "await-stack", "read-back")
ANEW = ("delete-stack", "await-deleted", *CREATE)


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with Clouds() as clouds:
        yield clouds.cloud(lab().connection)


def numbers(life: Life) -> dict[int, str]:
    return {(vnfc.metadata or {})["vdu_idx"]: vnfc.id for vnfc in life.known.vnfc_resource_info}


async def test_vnfcs_come_and_go_by_their_numbers(cloud: Cloud, tmp_path: Path) -> None:
    life = Life(cloud, replace(flavour("sample-asg", tmp_path), base_hot=None))
    try:
        await life.do(await asg_order(cloud, life.flavour), *CREATE)
        first = numbers(life)[0]
        out = life.order("SCALE", type="SCALE_OUT", aspectId="VDU1_scale", numberOfSteps=2, level=2)
        await life.do(out, *UPDATE)
        three = numbers(life)
        assert (set(three), three[0]) == ({0, 1, 2}, first)
        await life.do(life.order("HEAL", vnfcInstanceId=[f"VDU1-{three[1]}"]), "mark-unhealthy", *UPDATE)
        healed = numbers(life)
        assert (healed[0], healed[2], healed[1] != three[1]) == (three[0], three[2], True)
        await life.do(life.order("SCALE", type="SCALE_IN", aspectId="VDU1_scale", level=1), *UPDATE)
        assert numbers(life) == {0: healed[0], 1: healed[1]}
        await _rolled(life)
        await life.do(life.order("HEAL", additionalParams={"all": True}), *ANEW)
        assert set(numbers(life)) == {0, 1}
        assert not set(numbers(life).values()) & set(healed.values())
    finally:
        await life.end()


async def _rolled(life: Life) -> None:
    """A new package, one VNFC after the other, and back."""
    two, old = life.known, life.flavour
    newer = replace(old, vdus={"VDU1": replace(old.vdus["VDU1"], requested_capability="m1.small")})
    order = life.order("CHANGE_VNFPKG", flavour=newer, old=old, vdus=("VDU1",), vnfdId="vnfd2")
    results = await life.do(order, "update-vnfc:0", "await-vnfc:0")
    op_id = f"op{life.operations}"
    assert await sizes(life) == ["m1.small", "m1.tiny"]
    results = await life.do(order, "update-vnfc:1", "await-vnfc:1", *UPDATE, results=results, op_id=op_id)
    assert await sizes(life) == ["m1.small", "m1.small"]
    life.info = two
    await life.do(order, *RESTORE, results=results, op_id=op_id)
    assert await sizes(life) == ["m1.tiny", "m1.tiny"]
    assert server_ids(life.known) == server_ids(two)


async def test_two_vdus_with_a_volume_a_link_and_an_address(cloud: Cloud, tmp_path: Path) -> None:
    life = Life(cloud, replace(flavour("sample-two-vdus", tmp_path), base_hot=None))
    try:
        await life.do(await two_vdus_order(cloud, life.flavour), *CREATE)
        vnfcs = {vnfc.vdu_id: vnfc for vnfc in life.known.vnfc_resource_info}
        assert len(vnfcs["VDU2"].storage_resource_ids) == 1
        assert [len(vnfc.vnfc_cp_info) for vnfc in vnfcs.values()] == [2, 2]
        ports = await ports_of(cloud, [vnfcs["VDU1"].id])
        assert "10.10.0.77" in {address.ip_address for port in ports for address in port.fixed_ips}
    finally:
        await life.end()


async def test_a_port_of_the_requester_is_used_and_stays(cloud: Cloud, tmp_path: Path) -> None:
    private = (await network(cloud, "private"))["id"]
    made = await cloud.request("network", "POST", "/v2.0/ports", body={"port": {"network_id": private}})
    port = made.body["port"]["id"]
    life = Life(cloud, replace(flavour("sample-asg", tmp_path), base_hot=None))
    try:
        link = ext_link(ext_cp("VDU1_CP1", port="p1"), network=private, ports={"p1": port})
        await life.do(order_of(life.flavour, extVirtualLinks=[link]), *CREATE)
        assert [each.id for each in await ports_of(cloud, server_ids(life.known))] == [port]
        life.info = None
    finally:
        await life.end()
    await cloud.request("network", "DELETE", f"/v2.0/ports/{port}")


async def test_a_zone_that_cannot_be_had_is_left_for_another(cloud: Cloud, tmp_path: Path) -> None:
    """Heat changes a stack whose creation has failed; the volume of a server that was not made is made anew with it."""
    life = Life(cloud, flavour("sample-two-vdus", tmp_path))
    settings = OpenStackSettings(
        openstack_reselect_zones=True, openstack_zone_error="requested availability zone is not available"
    )
    try:
        order = await two_vdus_order(cloud, life.flavour)
        zones = tuple(replace(zone, zone_id="nowhere") for zone in order.grant.zones)
        elsewhere = replace(order, grant=replace(order.grant, zones=zones))
        await life.do(elsewhere, *CREATE, settings=settings)
        assert {vnfc.zone_id for vnfc in life.known.vnfc_resource_info} == {"nova"}
    finally:
        await life.end()
