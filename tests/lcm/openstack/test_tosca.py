"""A flavour without a BaseHOT: its templates are made from the VNFD, and a VNF of them lives as any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_lcm.adapters.openstack.template.tosca import base_hot_of
from forestay_lcm.executor import Confirmed, Failed
from forestay_simvim import OpenStackSimulator
from forestay_sol.vnfd import AffinityRule, Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo, VimAssets, VimComputeResourceFlavour
from msgspec.structs import replace

from .conftest import connection, ext_cp, ext_link, order_of
from .stepping import (
    asg_order,
    carry_out,
    finish,
    instantiate,
    job,
    network,
    order_for,
    ports_of,
    read,
    server_ids,
    terminate,
    two_vdus_order,
)

GOLDEN = Path(__file__).parent / "golden"
UPDATE = ("update-stack", "await-update", "read-back")


@pytest.mark.parametrize("sample", ["asg", "two_vdus"])
def test_the_templates_are_these(sample: str, request: pytest.FixtureRequest) -> None:
    flavour: Flavour = request.getfixturevalue(sample)
    made = base_hot_of(flavour)
    texts = {"top.yaml": made.template, **made.files}
    assert texts == {name: (GOLDEN / sample / name).read_text() for name in texts}


async def test_two_vdus_with_all_they_have(cloud: Cloud, two_vdus: Flavour) -> None:
    """The same VNF as from the package's own template."""
    shipped, _ = await instantiate(cloud, await two_vdus_order(cloud, two_vdus))
    await terminate(cloud, before=shipped)
    made, _ = await instantiate(cloud, await two_vdus_order(cloud, replace(two_vdus, base_hot=None)))
    assert shape(made) == shape(shipped)
    ended = await terminate(cloud, before=made)
    assert isinstance(ended, Confirmed)


def shape(info: InstantiatedVnfInfo) -> Any:
    """What a VNF consists of, without ids."""
    fixed = {
        (cp.cpd_id, address.addresses)
        for cp in info.ext_cp_info
        for data in cp.cp_protocol_info
        if data.ip_over_ethernet
        for address in data.ip_over_ethernet.ip_addresses or ()
        if not address.is_dynamic
    }
    vnfcs = [
        (vnfc.vdu_id, vnfc.zone_id, len(vnfc.storage_resource_ids), sorted(cp.cpd_id for cp in vnfc.vnfc_cp_info))
        for vnfc in info.vnfc_resource_info
    ]
    links = [(link.vnf_virtual_link_desc_id, len(link.vnf_link_ports)) for link in info.vnf_virtual_link_resource_info]
    return vnfcs, links, [len(link.ext_link_ports) for link in info.ext_virtual_link_info], fixed


async def test_it_scales_heals_and_keeps_its_hosts_apart(sim: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    flavour = replace(asg, base_hot=None)
    one, _ = await instantiate(cloud, await asg_order(cloud, flavour))
    out = order_for("SCALE", one, flavour, level=2, type="SCALE_OUT", aspectId="VDU1_scale", numberOfSteps=2)
    three = read(await carry_out(cloud, out, one, *UPDATE, op_id="op2"))
    assert server_ids(one) < server_ids(three)
    hosts = {sim.cloud.nova.server(server)["OS-EXT-SRV-ATTR:host"] for server in server_ids(three)}
    assert len(hosts) == 3
    heal = order_for("HEAL", three, flavour, vnfcInstanceId=[three.vnfc_info[2].id])
    healed = read(await carry_out(cloud, heal, three, "mark-unhealthy", *UPDATE, op_id="op3"))
    assert len(server_ids(healed) & server_ids(three)) == 2
    group = sim.cloud.nova.server(next(iter(server_ids(healed) - server_ids(three))))["server_groups"]
    assert len(group) == 1  # a server that is made anew has the hint, too


async def test_a_new_package_gives_a_vnfc_another_port_on_a_link_that_is_there(cloud: Cloud, two_vdus: Flavour) -> None:
    old = replace(two_vdus, base_hot=None)
    pair, _ = await instantiate(cloud, await two_vdus_order(cloud, old))
    cp = replace(old.cps["VDU1_CP2"], id="VDU1_CP3")
    vdu = replace(old.vdus["VDU1"], cp_ids=(*old.vdus["VDU1"].cp_ids, "VDU1_CP3"))
    newer = replace(old, vdus=old.vdus | {"VDU1": vdu}, cps=old.cps | {"VDU1_CP3": cp})
    order = order_for("CHANGE_VNFPKG", pair, newer, old=old, vdus=("VDU1",), vnfdId="vnfd2")
    results = await carry_out(cloud, order, pair, "update-vnfc:0", "await-vnfc:0", op_id="op2")
    front = next(vnfc for vnfc in pair.vnfc_resource_info if vnfc.vdu_id == "VDU1")
    assert len(await ports_of(cloud, [front.id])) == 3
    after = read(await carry_out(cloud, order, pair, *UPDATE, op_id="op2", results=results))
    assert server_ids(after) == server_ids(pair)
    [link] = after.vnf_virtual_link_resource_info
    assert len(link.vnf_link_ports) == 3


@pytest.mark.parametrize("ends", ["done", "rolled back"])
async def test_a_new_package_gives_vnfcs_a_link_of_their_own(cloud: Cloud, two_vdus: Flavour, ends: str) -> None:
    """It is there before the first VNFC is updated; and none that is updated is touched again for the sake of the next."""
    old = replace(two_vdus, base_hot=None)
    pair, _ = await instantiate(cloud, await two_vdus_order(cloud, old))
    link = replace(old.virtual_links["internalVL1"], id="internalVL2", cidrs=("192.168.78.0/24",))
    cps = {f"{vdu}_CP3": replace(old.cps[f"{vdu}_CP2"], id=f"{vdu}_CP3", virtual_link_id=link.id) for vdu in old.vdus}
    vdus = {name: replace(vdu, cp_ids=(*vdu.cp_ids, f"{name}_CP3")) for name, vdu in old.vdus.items()}
    newer = replace(old, vdus=vdus, cps=old.cps | cps, virtual_links=old.virtual_links | {link.id: link})
    order = order_for("CHANGE_VNFPKG", pair, newer, old=old, vdus=("VDU1", "VDU2"), vnfdId="vnfd2")
    rolling = [f"{step}-vnfc:{n}" for n in (0, 1) for step in ("update", "await")]
    results = await carry_out(cloud, order, pair, *rolling[:2], op_id="op2")
    assert await ports(cloud, pair) == {"VDU1": 3, "VDU2": 2}
    results = await carry_out(cloud, order, pair, *rolling[2:], op_id="op2", results=results)
    assert await ports(cloud, pair) == {"VDU1": 3, "VDU2": 3}
    last = UPDATE if ends == "done" else ("restore-stack", "await-restored", "read-back")
    after = read(await carry_out(cloud, order, pair, *last, op_id="op2", results=results))
    assert server_ids(after) == server_ids(pair)
    links = {each.vnf_virtual_link_desc_id: len(each.vnf_link_ports) for each in after.vnf_virtual_link_resource_info}
    assert links == ({"internalVL1": 2, "internalVL2": 2} if ends == "done" else {"internalVL1": 2})
    assert isinstance(await terminate(cloud, before=after), Confirmed)


async def ports(cloud: Cloud, info: InstantiatedVnfInfo) -> dict[str, int]:
    """How many each VNFC has."""
    return {vnfc.vdu_id: len(await ports_of(cloud, [vnfc.id])) for vnfc in info.vnfc_resource_info}


async def test_a_port_of_the_requester(cloud: Cloud, asg: Flavour) -> None:
    private = (await network(cloud, "private"))["id"]
    body = {"port": {"network_id": private}}
    port = (await cloud.request("network", "POST", "/v2.0/ports", body=body)).body["port"]["id"]
    link = ext_link(ext_cp("VDU1_CP1", port="p1"), network=private, ports={"p1": port})
    info, _ = await instantiate(cloud, order_of(replace(asg, base_hot=None), extVirtualLinks=[link]))
    [shown] = info.ext_virtual_link_info[0].ext_link_ports
    assert (shown.id, shown.resource_handle.resource_id) == ("p1", port)
    assert [each.id for each in await ports_of(cloud, server_ids(info))] == [port]


async def test_a_size_without_a_name_is_made_by_an_administrator(
    sim: OpenStackSimulator, clouds: Clouds, cloud: Cloud, asg: Flavour
) -> None:
    vdu = replace(asg.vdus["VDU1"], requested_capability=None, virtual_cpus=1, virtual_memory=256 << 20)
    flavour = replace(asg, base_hot=None, vdus={"VDU1": vdu})
    results = await carry_out(cloud, await asg_order(cloud, flavour), None, "create-stack")
    failed = await finish(cloud, job("await-stack", results=results))
    assert isinstance(failed, Failed)
    assert "Policy doesn't allow" in failed.detail
    await terminate(cloud)
    account = sim.cloud.config.accounts[1]
    admin = clouds.cloud(connection(sim, username=account.name, password=account.password, project=account.project))
    info, _ = await instantiate(admin, await asg_order(admin, flavour))
    assert len(server_ids(info)) == 1


async def test_a_size_for_which_a_flavour_was_granted(cloud: Cloud, asg: Flavour) -> None:
    """None is made, neither then nor when the VNF is scaled by a grant that names none."""
    vdu = replace(asg.vdus["VDU1"], requested_capability=None, virtual_cpus=1, virtual_memory=256 << 20)
    flavour = replace(asg, base_hot=None, vdus={"VDU1": vdu})
    order = await asg_order(cloud, flavour)
    granted = VimComputeResourceFlavour(vnfd_virtual_compute_desc_id="VDU1", vim_flavour_id="m1.tiny")
    assets = VimAssets(compute_resource_flavours=(granted,))
    one, _ = await instantiate(cloud, replace(order, grant=replace(order.grant, vim_assets=assets)))
    out = order_for("SCALE", one, flavour, level=1, type="SCALE_OUT", aspectId="VDU1_scale", numberOfSteps=1)
    two = read(await carry_out(cloud, out, one, *UPDATE, op_id="op2"))
    assert server_ids(one) < server_ids(two)
    assert [(vnfc.metadata or {})["flavor"] for vnfc in two.vnfc_resource_info] == ["m1.tiny"] * 2


def test_rules_about_zones_are_left_to_the_grant(asg: Flavour) -> None:
    def policies(*rules: AffinityRule) -> list[Any]:
        resources = yaml.safe_load(base_hot_of(replace(asg, affinity_rules=rules)).template)["resources"]
        return [
            item["properties"]["policies"] for item in resources.values() if item["type"] == "OS::Nova::ServerGroup"
        ]

    zone = AffinityRule(id="z", kind="ANTI_AFFINITY", scope="zone", targets=("VDU1",))
    host = AffinityRule(id="h", kind="AFFINITY", scope="nfvi_node", targets=("VDU1",))
    assert policies(zone) == []
    assert policies(zone, host) == [["affinity"]]


def test_a_link_without_a_range_gets_one(two_vdus: Flavour) -> None:
    links = {name: replace(link, cidrs=()) for name, link in two_vdus.virtual_links.items()}
    resources = yaml.safe_load(base_hot_of(replace(two_vdus, virtual_links=links)).template)["resources"]
    assert resources["internalVL1_subnet"]["properties"]["cidr"] == "192.168.100.0/24"
