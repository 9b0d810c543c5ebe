"""Virtual addresses that VNFCs share, and floating ones that lead to a port: how they are made, read back and told to scripts."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.inventory import differences
from forestay_lcm.adapters.openstack.looking import look
from forestay_lcm.domain.connection_points import address_of
from forestay_lcm.domain.resource_changes import affected_vip_cps
from forestay_simvim import OpenStackSimulator
from forestay_sol.vnfd import Flavour, FloatingCp, VnfExtCp
from forestay_sol.vnflcm import CpProtocolInfo, InstantiatedVnfInfo
from msgspec.structs import replace

from .conftest import ext_cp, ext_link, order_of
from .stepping import asg_order, carry_out, instantiate, network, order_for, own_network

INNER = FloatingCp(id="inner_vip", virtual_link_id="internalVL1", target_ids=("VDU1_CP2", "VDU2_CP2"))
OUTER = FloatingCp(id="outer_vip", target_ids=("VDU1_CP1",))


@pytest.fixture
def shared(two_vdus: Flavour) -> Flavour:
    """Its VDUs share an internal address; VDU1 has another outside, which the VNFD calls ``front``."""
    front = VnfExtCp(id="front", floating_cp_id="outer_vip")
    return replace(two_vdus, base_hot=None, vip_cps={vip.id: vip for vip in (INNER, OUTER)}, ext_cps={"front": front})


def addresses(protocols: tuple[CpProtocolInfo, ...]) -> list[str]:
    layers = [protocol.ip_over_ethernet for protocol in protocols if protocol.ip_over_ethernet]
    return [address for layer in layers for ip in layer.ip_addresses or () for address in ip.addresses or ()]


async def vnf(cloud: Cloud, flavour: Flavour) -> InstantiatedVnfInfo:
    private = await network(cloud, "private")
    cps = ext_cp("VDU1_CP1"), ext_cp("VDU2_CP1"), ext_cp("front", fixed="10.10.0.99", subnet=private["subnets"][0])
    info, _ = await instantiate(cloud, order_of(flavour, extVirtualLinks=[ext_link(*cps, network=private["id"])]))
    return info


async def test_a_vip_is_read_back_with_those_that_share_it(
    sim: OpenStackSimulator, cloud: Cloud, shared: Flavour
) -> None:
    info = await vnf(cloud, shared)
    inner, outer = info.vip_cp_info
    servers = {vnfc.vdu_id: vnfc.id for vnfc in info.vnfc_resource_info}
    assert (inner.cpd_id, outer.cpd_id) == ("inner_vip", "outer_vip")
    assert sorted(inner.associated_vnfc_cp_ids) == [f"VDU1_CP2-{servers['VDU1']}", f"VDU2_CP2-{servers['VDU2']}"]
    assert addresses(inner.cp_protocol_info)[0].startswith("192.168.77.")
    [link] = info.vnf_virtual_link_resource_info
    [port] = [port for port in link.vnf_link_ports if port.id == inner.vnf_link_port_id]
    assert (port.vip_cp_instance_id, port.cp_instance_id, port.cp_instance_type) == (inner.cp_instance_id, None, None)
    # Neutron lets the ports of the VNFCs use the address.
    row = sim.cloud.neutron.ports.find(device_id=servers["VDU1"])
    pairs = {pair["ip_address"] for each in row for pair in each["allowed_address_pairs"]}
    assert pairs == {*addresses(inner.cp_protocol_info), "10.10.0.99"}


async def test_a_vip_that_is_exposed_is_an_external_connection_point(cloud: Cloud, shared: Flavour) -> None:
    info = await vnf(cloud, shared)
    [front] = [cp for cp in info.ext_cp_info if cp.cpd_id == "front"]
    [vip] = [vip for vip in info.vip_cp_info if vip.vnf_ext_cp_id == front.id]
    assert (front.associated_vip_cp_id, front.associated_vnfc_cp_id) == (vip.cp_instance_id, None)
    assert addresses(front.cp_protocol_info) == addresses(vip.cp_protocol_info) == ["10.10.0.99"]
    assert vip.vnf_link_port_id is None
    [link] = info.ext_virtual_link_info
    assert front.ext_link_port_id in {port.id for port in link.ext_link_ports if port.cp_instance_id == front.id}


async def test_a_vip_moves_to_another_network(cloud: Cloud, shared: Flavour) -> None:
    info = await vnf(cloud, shared)
    link = ext_link(ext_cp("front"), network=await own_network(cloud))
    order = order_for("CHANGE_EXT_CONN", info, shared, extVirtualLinks=[link])
    results = await carry_out(cloud, order, info, "update-stack", "await-update", "read-back", op_id="op2")
    told = results["read-back"]["instantiated_vnf_info"]
    [front] = [cp for cp in told["extCpInfo"] if cp["cpdId"] == "front"]
    [ip] = front["cpProtocolInfo"][0]["ipOverEthernet"]["ipAddresses"]
    assert ip["addresses"][0].startswith("10.20.0.")


async def test_what_an_operation_changed_of_vips_is_told(cloud: Cloud, shared: Flavour) -> None:
    info = await vnf(cloud, shared)
    inner, outer = info.vip_cp_info
    both = {inner.cp_instance_id, outer.cp_instance_id}
    assert {(vip.cp_instance_id, vip.change_type) for vip in affected_vip_cps(None, info)} == {
        (vip, "ADDED") for vip in both
    }
    assert {vip.change_type for vip in affected_vip_cps(info, None)} == {"REMOVED"}
    fewer = replace(info, vip_cp_info=(replace(inner, associated_vnfc_cp_ids=()), outer))
    [changed] = affected_vip_cps(info, fewer)
    assert (changed.cpd_id, changed.change_type) == ("inner_vip", "MODIFIED")


async def test_a_vip_without_a_server_is_watched(cloud: Cloud, shared: Flavour) -> None:
    info = await vnf(cloud, shared)
    assert differences("vim", info, await look(cloud, info, shared, "vim1")) == ()
    [port] = [vip.vnf_link_port_id for vip in info.vip_cp_info if vip.vnf_link_port_id]
    await cloud.request("network", "DELETE", f"/v2.0/ports/{port}")
    found = differences("vim", info, await look(cloud, info, shared, "vim1"))
    assert [(each.kind, each.resource_id) for each in found] == [("MISSING", port)]


async def floating(cloud: Cloud, flavour: Flavour) -> Flavour:
    """The flavour with a floating address for its connection point, beside it in the nested template."""
    public = await network(cloud, "public")
    assert flavour.base_hot is not None
    files = {name: yaml.safe_load(text) for name, text in flavour.base_hot.files.items()}
    [(name, nested)] = files.items()
    properties: dict[str, Any] = {"floating_network": public["id"], "port_id": {"get_resource": "VDU1_CP1"}}
    nested["resources"]["VDU1_FIP"] = {"type": "OS::Neutron::FloatingIP", "properties": properties}
    return replace(flavour, base_hot=replace(flavour.base_hot, files={name: yaml.safe_dump(nested)}))


async def test_a_floating_address_comes_first_and_scripts_get_it(cloud: Cloud, asg: Flavour) -> None:
    flavour = await floating(cloud, asg)
    info, _ = await instantiate(cloud, await asg_order(cloud, flavour))
    [cp], [vnfc] = info.ext_cp_info, info.vnfc_resource_info
    outside, inside = addresses(cp.cp_protocol_info)
    assert outside.startswith("172.24.4.")
    assert inside.startswith("10.10.0.")
    assert address_of(info, vnfc, "VDU1_CP1") == outside
    order = order_for("CHANGE_VNFPKG", info, flavour, old=flavour, vdus=("VDU1",), vnfdId="vnfd2")
    results = await carry_out(cloud, order, info, "update-vnfc:0", "await-vnfc:0", op_id="op2")
    assert results["await-vnfc:0"]["cp_addresses"] == {"VDU1_CP1": outside, "VDU1_FIP": outside}


async def test_a_floating_address_that_somebody_took_away_is_drift(cloud: Cloud, asg: Flavour) -> None:
    flavour = await floating(cloud, asg)
    info, _ = await instantiate(cloud, await asg_order(cloud, flavour))
    reply = await cloud.request("network", "GET", "/v2.0/floatingips")
    [ip] = reply.body["floatingips"]
    await cloud.request("network", "PUT", f"/v2.0/floatingips/{ip['id']}", body={"floatingip": {"port_id": None}})
    [found] = differences("vim", info, await look(cloud, info, flavour, "vim1"))
    assert (found.kind, ip["floating_ip_address"] in found.detail) == ("CHANGED", True)
