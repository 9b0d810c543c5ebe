"""Other connections, another flavour, another package: what is asked for changes, and can be changed back."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from forestay_events.errors import UnknownOutcome
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.steps import take
from forestay_lcm.executor import Confirmed
from forestay_simvim import CallFault, OpenStackSimulator
from forestay_sol.vnfd import BaseHot, Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo
from msgspec.structs import replace

from .conftest import ext_cp, ext_link
from .stepping import (
    carry_out,
    finish,
    instantiate,
    job,
    network,
    order_for,
    own_network,
    read,
    server_ids,
    terminate,
    two_vdus_order,
)

UPDATE = ("update-stack", "await-update", "read-back")
RESTORE = ("restore-stack", "await-restored", "read-back")


@pytest.fixture
async def pair(cloud: Cloud, two_vdus: Flavour) -> InstantiatedVnfInfo:
    return (await instantiate(cloud, await two_vdus_order(cloud, two_vdus)))[0]


def addresses(info: InstantiatedVnfInfo) -> dict[str, tuple[str, ...]]:
    return {
        cp.cpd_id: cp.cp_protocol_info[0].ip_over_ethernet.ip_addresses[0].addresses
        for cp in info.ext_cp_info
        if cp.cp_protocol_info[0].ip_over_ethernet
    }


def links(info: InstantiatedVnfInfo) -> dict[str, tuple[str, ...]]:
    return {
        link.resource_handle.resource_id: tuple(cp.cpd_id for cp in link.current_vnf_ext_cp_data)
        for link in info.ext_virtual_link_info
    }


async def test_a_connection_point_moves_and_the_others_stay(
    cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    private, another = (await network(cloud, "private"))["id"], await own_network(cloud)
    moved = ext_link(ext_cp("VDU2_CP1"), network=another)
    order = order_for("CHANGE_EXT_CONN", pair, two_vdus, extVirtualLinks=[moved])
    results = await carry_out(cloud, order, pair, *UPDATE)
    after = read(results)
    assert server_ids(after) == server_ids(pair)
    assert links(after) == {private: ("VDU1_CP1",), another: ("VDU2_CP1",)}
    assert addresses(after)["VDU1_CP1"] == addresses(pair)["VDU1_CP1"]
    assert addresses(after)["VDU2_CP1"][0].startswith("10.20.0.")
    back = read(await carry_out(cloud, order, pair, *RESTORE, results=results))
    assert links(back) == links(pair)
    assert addresses(back)["VDU2_CP1"][0].startswith("10.10.0.")
    assert back.metadata == pair.metadata


async def test_an_address_can_be_given_and_left_to_the_vim(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    """What has no value leaves the template, so the template is sent again as soon as that changes."""
    private = await network(cloud, "private")

    async def connect(before: InstantiatedVnfInfo, op_id: str, **address: str) -> InstantiatedVnfInfo:
        link = ext_link(ext_cp("VDU1_CP1", subnet=private["subnets"][0], **address), network=private["id"])
        order = order_for("CHANGE_EXT_CONN", before, two_vdus, extVirtualLinks=[link])
        return read(await carry_out(cloud, order, before, *UPDATE, op_id=op_id))

    dynamic = await connect(pair, "op2")
    assert (dynamic.metadata or {})["nfv"]["CP"]["VDU1_CP1"]["fixed_ips"][0]["ip_address"] is None
    fixed = await connect(dynamic, "op3", fixed="10.10.0.88")
    assert addresses(fixed)["VDU1_CP1"] == ("10.10.0.88",)
    bodies = [bytes(entry.body or b"") for entry in sim.journal.entries(service="heat", method="PATCH", acted=True)]
    assert [b'"template"' in body for body in bodies] == [True, True]


def bigger(flavour: Flavour, flavour_id: str) -> Flavour:
    """A flavour without VDU2, whose VDU1 is another size."""
    assert flavour.base_hot is not None
    template: dict[str, Any] = yaml.safe_load(flavour.base_hot.template)
    resources = {name: body for name, body in template["resources"].items() if not name.startswith("VDU2")}
    vdu = replace(flavour.vdus["VDU1"], requested_capability="m1.small")
    levels = {key: replace(level, vdu_counts={"VDU1": 1}) for key, level in flavour.instantiation_levels.items()}
    return replace(
        flavour,
        id=flavour_id,
        vdus={"VDU1": vdu},
        cps={key: cp for key, cp in flavour.cps.items() if cp.vdu_id == "VDU1"},
        storages={},
        instantiation_levels=levels,
        affinity_rules=(),
        base_hot=BaseHot(path="big.yaml", template=yaml.safe_dump(template | {"resources": resources})),
    )


# aiohttp itself repeats a PUT on a connection that was kept open.
@pytest.mark.parametrize(("when", "times"), [("before", 1), ("after", 2)])
async def test_another_flavour_and_back(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo, when: Any, times: int
) -> None:
    big = bigger(two_vdus, "big")
    order = order_for("CHANGE_FLAVOUR", pair, big, old=two_vdus, newFlavourId="big")
    sim.faults.add(CallFault(service="heat", method="PUT", effect="reset", when=when, times=2))
    with pytest.raises(UnknownOutcome):
        await take(cloud, job("update-stack", order, before=pair))
    results = await carry_out(cloud, order, pair, *UPDATE)
    assert len(sim.journal.effects("stack updated")) == times
    after = read(results)
    assert (after.flavour_id, [vnfc.vdu_id for vnfc in after.vnfc_resource_info]) == ("big", ["VDU1"])
    assert after.virtual_storage_resource_info == ()
    assert (after.metadata or {})["nfv"]["VDU"]["VDU1"]["computeFlavourId"] == "m1.small"
    assert set((after.metadata or {})["nfv"]["VDU"]) == {"VDU1"}
    assert results["update-stack"]["before"]["flavour_id"] == "simple"
    back = read(await carry_out(cloud, order, pair, *RESTORE, results=results))
    assert (back.flavour_id, {vnfc.vdu_id for vnfc in back.vnfc_resource_info}) == ("simple", {"VDU1", "VDU2"})
    assert (back.metadata or {})["nfv"] == (pair.metadata or {})["nfv"]
    assert links(back) == links(pair)
    assert await terminate(cloud, before=back) == Confirmed({})


async def test_another_package(cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo) -> None:
    vdu = replace(two_vdus.vdus["VDU1"], requested_capability="m1.medium")
    newer = replace(two_vdus, vdus=two_vdus.vdus | {"VDU1": vdu})
    order = order_for("CHANGE_VNFPKG", pair, newer, old=two_vdus, vdus=("VDU1",), vnfdId="vnfd2")
    results = await carry_out(cloud, order, pair, *UPDATE)
    nfv = (read(results).metadata or {})["nfv"]
    assert nfv["VDU"]["VDU1"]["computeFlavourId"] == "m1.medium"
    assert nfv["VDU"]["VDU1"]["locationConstraints"] == "nova"  # nobody chose anew
    assert nfv["CP"] == (pair.metadata or {})["nfv"]["CP"]
    back = read(await carry_out(cloud, order, pair, *RESTORE, results=results))
    assert (back.metadata or {})["nfv"] == (pair.metadata or {})["nfv"]
    assert server_ids(back) == server_ids(pair)


async def test_a_vnf_of_unknown_parameters_is_not_touched(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, pair: InstantiatedVnfInfo
) -> None:
    unknown = replace(pair, metadata={"stack_id": (pair.metadata or {})["stack_id"]})
    outcome = await finish(cloud, job("update-stack", order_for("HEAL", pair, two_vdus), before=unknown))
    assert "metadata.nfv" in getattr(outcome, "detail", "")
    assert sim.journal.effects("stack updated") == []
