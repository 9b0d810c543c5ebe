"""A zone that lacks resources: what the operation makes goes to another, what is there stays."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_lcm.adapters.openstack.settings import OpenStackSettings
from forestay_lcm.adapters.openstack.template.zones import Shortage, moved
from forestay_lcm.executor import Failed
from forestay_simvim import CallFault, OpenStackSimulator, SimConfig
from forestay_sol.vnfd import AffinityRule, Flavour
from msgspec.structs import replace

from .conftest import connection
from .stepping import asg_order, carry_out, finish, instantiate, job, order_for, read, two_vdus_order

HOSTS = {"nova": ("h1",), "zone-b": ("h2",), "zone-c": ("h3",)}
ANY_ZONE = OpenStackSettings(openstack_reselect_zones=True)
CREATE = ("create-stack", "await-stack", "read-back")
UPDATE = ("update-stack", "await-update", "read-back")


@pytest.fixture
def full(request: pytest.FixtureRequest) -> set[str]:
    """Zones that have no host."""
    return getattr(request, "param", {"nova"})


@pytest_asyncio.fixture
async def sim(full: set[str]) -> AsyncIterator[OpenStackSimulator]:
    zones = {name: () if name in full else hosts for name, hosts in HOSTS.items()}
    async with OpenStackSimulator(SimConfig(zones=zones)).serve() as sim:
        yield sim


@pytest.fixture
def cloud(sim: OpenStackSimulator, clouds: Clouds) -> Cloud:
    return clouds.cloud(connection(sim))


@pytest.mark.parametrize("full", [{"nova"}, {"nova", "zone-b"}], indirect=True)
async def test_a_vnf_is_made_where_there_is_room(
    sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour, full: set[str]
) -> None:
    info = read(await carry_out(cloud, await two_vdus_order(cloud, two_vdus), None, *CREATE, settings=ANY_ZONE))
    wanted = next(zone for zone in HOSTS if zone not in full)
    assert {vnfc.zone_id for vnfc in info.vnfc_resource_info} == {wanted}
    nfv = (info.metadata or {})["nfv"]
    assert nfv["VDU"]["VDU1"]["locationConstraints"] == wanted
    assert len(sim.cloud.heat.store.listing(None, nested=False, deleted=False)) == 1


@pytest.mark.parametrize(
    ("full", "settings"),
    [
        ({"nova"}, OpenStackSettings()),
        ({"nova", "zone-b"}, replace(ANY_ZONE, openstack_zone_tries=1)),
        (set(HOSTS), ANY_ZONE),
        ({"nova"}, replace(ANY_ZONE, openstack_zone_error="some other reason")),
    ],
    indirect=["full"],
)
async def test_without_a_zone_that_may_be_tried_it_fails(
    cloud: Cloud, two_vdus: Flavour, settings: OpenStackSettings
) -> None:
    order = await two_vdus_order(cloud, two_vdus)
    results = await carry_out(cloud, order, None, "create-stack", settings=settings)
    failed = await finish(cloud, job("await-stack", order, results=results, settings=settings))
    assert isinstance(failed, Failed)
    assert "No valid host" in failed.detail


async def test_a_lost_answer_moves_once(sim: OpenStackSimulator, cloud: Cloud, two_vdus: Flavour) -> None:
    order = await two_vdus_order(cloud, two_vdus)
    results = await carry_out(cloud, order, None, "create-stack", settings=ANY_ZONE)
    sim.faults.add(CallFault(service="heat", method="PATCH", effect="reset", when="after"))
    waiting = job("await-stack", order, results=results, settings=ANY_ZONE)
    with pytest.raises(Exception, match="no answer"):
        await finish(cloud, waiting)
    await finish(cloud, waiting)
    assert len(sim.journal.effects("stack updated")) == 1


@pytest.mark.parametrize("full", [set[str]()], indirect=True)
async def test_only_what_is_added_moves(sim: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    flavour = replace(asg, base_hot=None, affinity_rules=())
    one, _ = await instantiate(cloud, await asg_order(cloud, flavour))
    sim.cloud.nova.zones["nova"] = ()
    out = order_for("SCALE", one, flavour, level=2, type="SCALE_OUT", aspectId="VDU1_scale", numberOfSteps=2)
    three = read(await carry_out(cloud, out, one, *UPDATE, op_id="op2", settings=ANY_ZONE))
    zones = {(vnfc.metadata or {})["vdu_idx"]: vnfc.zone_id for vnfc in three.vnfc_resource_info}
    assert zones == {0: "nova", 1: "zone-b", 2: "zone-b"}
    assert one.vnfc_resource_info[0].id in {vnfc.id for vnfc in three.vnfc_resource_info}


@pytest.mark.parametrize("full", [set[str]()], indirect=True)
async def test_a_group_keeps_its_zone(sim: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    """Its members share the zone: to change it would make those anew that are there."""
    one, _ = await instantiate(cloud, await asg_order(cloud, asg))
    sim.cloud.nova.zones["nova"] = ()
    out = order_for("SCALE", one, asg, type="SCALE_OUT", aspectId="VDU1_scale")
    results = await carry_out(cloud, out, one, "update-stack", op_id="op2", settings=ANY_ZONE)
    failed = await finish(cloud, job("await-update", out, before=one, results=results, op_id="op2", settings=ANY_ZONE))
    assert isinstance(failed, Failed)


def test_a_zone_of_those_to_be_apart_from_comes_last(two_vdus: Flavour) -> None:
    def chosen(*rules: AffinityRule, zones: tuple[str, ...] = ("a", "b", "c")) -> Any:
        nfv = {"VDU": {"VDU1": {"locationConstraints": "a"}, "VDU2": {"locationConstraints": "b"}}}
        one = frozenset({"VDU1"})
        shortage = Shortage(nfv=nfv, failed=one, movable=one, zones=zones, tried=frozenset())
        move = moved(shortage, replace(two_vdus, affinity_rules=rules))
        return move and move.nfv["VDU"]["VDU1"]["locationConstraints"]

    apart = AffinityRule(id="r", kind="ANTI_AFFINITY", scope="zone", targets=("VDU1", "VDU2"))
    assert chosen() == "b"
    assert chosen(apart) == "c"
    assert chosen(apart, zones=("a", "b")) == "b"
    assert chosen(replace(apart, scope="nfvi_node")) == "b"
    assert chosen(zones=("a",)) is None


@pytest.mark.parametrize(
    "words",
    [
        "No valid host was found. There are not enough hosts available.",
        "Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures for instance x.",
    ],
)
def test_novas_words_for_a_zone_without_room(words: str) -> None:
    """The second is what a rule for hosts comes to when Nova places several servers at once."""
    assert re.search(ANY_ZONE.openstack_zone_error, words)
