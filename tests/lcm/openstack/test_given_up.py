"""Each operation behind each that was given up when Heat had done all of it: what the log says comes out, whatever the stack has.

A VNF of two VNFCs, each with one port on the network ``private``; the new package and the new flavour have a larger server with a
second port.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
import yaml
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.job import Order
from forestay_sol.vnfd import BaseHot, Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo
from msgspec.structs import replace

from .conftest import ext_cp, ext_link
from .stepping import (
    VNF,
    carry_out,
    instantiate,
    network,
    order_for,
    own_network,
    ports_of,
    read,
    server_ids,
)
from .test_vnfcs import flat, nested, on_volume, order_at, with_second_port

CHANGED = ("update-stack", "await-update")
HEALED = ("mark-unhealthy", *CHANGED)
ANEW = ("keep-stack", "delete-stack", "await-deleted", "create-stack", "await-stack")
FIRST = ("update-vnfc:0", "await-vnfc:0")
ROLLED = (*FIRST, "update-vnfc:1", "await-vnfc:1", *CHANGED)


class Vnf(NamedTuple):
    """A VNF as the log knows it, in the old and the new form of its package, and the networks that it may be on."""

    cloud: Cloud
    info: InstantiatedVnfInfo
    old: Flavour
    new: Flavour
    private: str
    other: str

    def order(self, operation: Any, flavour: Flavour | None = None, **members: Any) -> Order:
        return order_for(operation, self.info, flavour or self.old, **members)

    def scale(self, way: str, level: int) -> Order:
        return self.order("SCALE", type=f"SCALE_{way}", aspectId="VDU1_scale", level=level)

    def replaced(self, operation: Any, flavour: Flavour, **members: Any) -> Order:
        links = [ext_link(*map(ext_cp, flavour.vdus["VDU1"].cp_ids), network=self.private)]
        return self.order(operation, flavour, old=self.old, extVirtualLinks=links, **members)


class Case(NamedTuple):
    """An operation: its order, its steps, how many VNFCs there are behind it, and whether they are those of the new package."""

    order: Callable[[Vnf], Order]
    steps: tuple[str, ...]
    vnfcs: int = 2
    is_new: bool = False
    moves: bool = False


def _out(vnf: Vnf) -> Order:
    return vnf.scale("OUT", 2)


def _in(vnf: Vnf) -> Order:
    return vnf.scale("IN", 0)


def _heal(vnf: Vnf) -> Order:
    return vnf.order("HEAL")


def _anew(vnf: Vnf) -> Order:
    return vnf.order("HEAL", additionalParams={"all": True})


def _moved(vnf: Vnf) -> Order:
    return vnf.order("CHANGE_EXT_CONN", extVirtualLinks=[ext_link(ext_cp("VDU1_CP1"), network=vnf.other)])


def _package(vnf: Vnf) -> Order:
    return vnf.replaced("CHANGE_VNFPKG", vnf.new, vdus=("VDU1",), vnfdId="vnfd2")


def _flavour(vnf: Vnf) -> Order:
    level = {"instantiationLevelId": "instantiation_level_2"}
    return vnf.replaced("CHANGE_FLAVOUR", replace(vnf.new, id="big"), newFlavourId="big", **level)


GIVEN_UP: Mapping[str, Case] = {
    "out": Case(_out, CHANGED),
    "in": Case(_in, CHANGED),
    "heal": Case(_heal, HEALED),
    "ext-conn": Case(_moved, CHANGED),
    "package": Case(_package, ROLLED),
    "package-begun": Case(_package, FIRST),
    "flavour": Case(_flavour, CHANGED),
}

NEXT: Mapping[str, Case] = {
    "out": Case(_out, CHANGED, vnfcs=3),
    "in": Case(_in, CHANGED, vnfcs=1),
    "heal": Case(_heal, HEALED),
    "anew": Case(_anew, ANEW),
    "ext-conn": Case(_moved, CHANGED, moves=True),
    "package": Case(_package, ROLLED, is_new=True),
    "flavour": Case(_flavour, CHANGED, vnfcs=3, is_new=True),
}


class Package(NamedTuple):
    """What a package has for OpenStack, before and after."""

    old: BaseHot | None
    new: BaseHot | None


def _group(asg: Flavour) -> Package:
    """The members' second port is where the first is: members are updated one by one, and all have the parameters of the old."""
    old = asg.base_hot
    assert old is not None
    member = yaml.safe_load(old.files["VDU1.yaml"])
    member["resources"]["VDU1_CP2"] = member["resources"]["VDU1_CP1"]
    member["resources"]["VDU1"]["properties"]["networks"].append({"port": {"get_resource": "VDU1_CP2"}})
    return Package(old, replace(old, files={"VDU1.yaml": yaml.safe_dump(member)}))


TEMPLATES: Mapping[str, Callable[[Flavour], Package]] = {
    "flat": lambda asg: Package(flat(), with_second_port(flat())),
    "nested": lambda asg: Package(nested(), with_second_port(nested())),
    "group": _group,
    "vnfd": lambda asg: Package(None, None),
}


@pytest.fixture(params=TEMPLATES)
async def vnf(request: pytest.FixtureRequest, cloud: Cloud, asg: Flavour) -> Vnf:
    package = TEMPLATES[request.param](asg)
    old = on_volume(asg, package.old) if request.param in ("flat", "nested") else replace(asg, base_hot=package.old)
    vdu = replace(old.vdus["VDU1"], requested_capability="m1.small", cp_ids=("VDU1_CP1", "VDU1_CP2"))
    cps = old.cps | {"VDU1_CP2": replace(old.cps["VDU1_CP1"], id="VDU1_CP2")}
    new = replace(old, vdus={"VDU1": vdu}, cps=cps, base_hot=package.new)
    private, other = (await network(cloud, "private"))["id"], await own_network(cloud)
    one, _ = await instantiate(cloud, await order_at(cloud, old, 1))
    out = order_for("SCALE", one, old, type="SCALE_OUT", aspectId="VDU1_scale", level=1)
    info = read(await carry_out(cloud, out, one, *CHANGED, "read-back", op_id="before"))
    return Vnf(cloud, info, old, new, private, other)


async def serving(cloud: Cloud) -> dict[str, tuple[str, list[str]]]:
    """The servers of the stack, each with its size and the networks that it is on."""
    stack = await cloud.heat.find(f"vnf-{VNF}")
    assert stack is not None
    resources = await cloud.heat.resources(stack.name, stack.id)
    found: dict[str, tuple[str, list[str]]] = {}
    for server in (item.physical_id for item in resources if item.type == "OS::Nova::Server"):
        reply = await cloud.request("compute", "GET", f"/servers/{server}", version="compute 2.47")
        networks = [port.network_id for port in await ports_of(cloud, [server])]
        found[server] = (reply.body["server"]["flavor"]["original_name"], networks)
    return found


@pytest.mark.parametrize("then", NEXT)
@pytest.mark.parametrize("given_up", GIVEN_UP)
async def test_what_the_log_says_comes_out(cloud: Cloud, vnf: Vnf, given_up: str, then: str) -> None:
    before, case = GIVEN_UP[given_up], NEXT[then]
    await carry_out(cloud, before.order(vnf), vnf.info, *before.steps, op_id="op2")
    between = await serving(cloud)
    after = read(await carry_out(cloud, case.order(vnf), vnf.info, *case.steps, "read-back", op_id="op3"))
    now = await serving(cloud)
    size, ports = ("m1.small", 2) if case.is_new else ("m1.tiny", 1)
    on = [vnf.other if case.moves else vnf.private] * ports
    assert list(now.values()) == [(size, on)] * case.vnfcs
    assert server_ids(after) == now.keys()
    if then == "heal":
        assert not now.keys() & between.keys(), "all that served is replaced"


@pytest.mark.parametrize("given_up", ["out", "ext-conn", "package", "flavour"])
async def test_who_only_stops_a_vnf_takes_nothing_of_that_for_the_vnf(cloud: Cloud, vnf: Vnf, given_up: str) -> None:
    before = GIVEN_UP[given_up]
    await carry_out(cloud, before.order(vnf), vnf.info, *before.steps, op_id="op2")
    stop, steps = vnf.order("OPERATE", changeStateTo="STOPPED"), ("operate-servers", "await-servers", "read-back")
    stopped = read(await carry_out(cloud, stop, vnf.info, *steps, op_id="op3"))
    assert {vnfc.vnfc_state for vnfc in stopped.vnfc_info} == {"STOPPED"}
    vnfcs = tuple(replace(vnfc, vnfc_state="STOPPED") for vnfc in vnf.info.vnfc_info)
    assert replace(stopped, vnf_state="STARTED") == replace(vnf.info, vnfc_info=vnfcs)
