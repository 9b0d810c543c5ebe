"""How VNFs are connected: virtual, floating, fixed and dynamic addresses, trunks, security groups, ports of others."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_standalone.rest import RestApi

from tests.flow.clouds import ScenarioCloud
from tests.flow.life import Life, born
from tests.flow.scenario import PAIR
from tests.flow.shape import assert_shape

Json = dict[str, Any]
MAC = "fa:16:3e:0a:0b:0c"


async def virtual_addresses(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Without a BaseHOT: an address inside of both families that VNFCs share, and one outside; both move with CHANGE_EXT_CONN."""
    life = await born(api, cloud, directory, PAIR, edit=sharing)
    private, subnet = await cloud.network("private")
    home = link(
        private, cp("VDU1_CP1", fixed(subnet, "10.10.0.77", "10.10.0.78"), MAC), cp("VDU2_CP1", dynamic(subnet))
    )
    home["extCps"].append(cp("front", fixed(subnet, "10.10.0.99")))
    instance = await life.instantiated(extVirtualLinks=[home])
    assert_shape("virtual-addresses", instance["instantiatedVnfInfo"])
    servers, at_first = {vdu: server for server, vdu in (await vdus(life)).items()}, await external(life)
    assert at_first["VDU1_CP1"] == (MAC, [("10.10.0.77", False), ("10.10.0.78", False)])
    assert at_first["front"][1] == [("10.10.0.99", False)]
    vips = await shared(life)
    assert vips["inner_vip"] == {f"VDU1_CP2-{servers['VDU1']}", f"VDU2_CP2-{servers['VDU2']}"}
    assert vips["outer_vip"] == {f"VDU1_CP1-{servers['VDU1']}"}
    inside = await pairs(life)
    assert "10.10.0.99" in inside
    assert {":" in address for address in inside} == {False, True}

    async with network(cloud, "10.30.0.0/24", "fd00:30::/64") as (other, (v4, v6)):
        wanted = [*fixed(v4, "10.30.0.7"), *fixed(v6, "fd00:30::7")]
        moved = link(other, cp("VDU1_CP1", wanted), cp("front", [*fixed(v4, "10.30.0.99"), *dynamic(v6, "IPV6")]))
        changed = await life.done("change_ext_conn", {"extVirtualLinks": [moved]})
        assert {(vip["cpdId"], vip["changeType"]) for vip in changed["affectedVipCps"]} == {
            ("outer_vip", "REMOVED"), ("outer_vip", "ADDED"),
        }  # fmt: skip
        [affected] = changed["resourceChanges"]["affectedVnfcs"]
        assert (affected["id"], affected["changeType"]) == (servers["VDU1"], "MODIFIED")
        assert affected["affectedVnfcCpIds"] == [f"VDU1_CP1-{servers['VDU1']}"]
        ports = changed["resourceChanges"]["affectedExtLinkPorts"]
        assert sorted(port["changeType"] for port in ports) == ["ADDED", "ADDED", "REMOVED", "REMOVED"]
        assert {item["resourceHandle"]["resourceId"] for item in changed["changedExtConnectivity"]} == {other, private}
        there = await external(life)
        assert there["VDU1_CP1"][1] == [("10.30.0.7", False), ("fd00:30::7", False)]
        assert [(address, is_dynamic) for address, is_dynamic in there["front"][1] if ":" not in address] == [
            ("10.30.0.99", False)
        ]
        assert there["VDU2_CP1"] == at_first["VDU2_CP1"]
        assert "10.30.0.99" in await pairs(life)
        await life.done("change_ext_conn", {"extVirtualLinks": [home]})
        back = await external(life)
        assert (back["VDU1_CP1"], back["front"][1]) == (at_first["VDU1_CP1"], at_first["front"][1])
    assert await vdus(life) == {server: vdu for vdu, server in servers.items()}
    await life.ends()


async def ports_of_others(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """A port and an internal network that the requester made are used, survive a heal, and stay when the VNF ends."""
    life = await born(api, cloud, directory, PAIR, edit=only_tosca)
    private, subnet = await cloud.network("private")
    async with network(cloud, "10.31.0.0/24") as (managed, _), port(cloud, private) as outer:
        given = link(
            private,
            cp("VDU1_CP1", dynamic(subnet)),
            {"cpdId": "VDU2_CP1", "cpConfig": {"given": {"linkPortId": "mine"}}},
        )
        given["extLinkPorts"] = [{"id": "mine", "resourceHandle": {"resourceId": outer["id"]}}]
        inside = {"id": "inside", "vnfVirtualLinkDescId": "internalVL1", "resourceId": managed}
        instance = await life.instantiated(extVirtualLinks=[given], extManagedVirtualLinks=[inside])
        assert_shape("ports-of-others", instance["instantiatedVnfInfo"])
        assert await external(life, "VDU2_CP1") == addresses_of(outer)
        await life.done("heal", {"vnfcInstanceId": await life.of_vdu("VDU2"), "additionalParams": {"all": True}})
        assert await external(life, "VDU2_CP1") == addresses_of(outer)
        await life.ends()
        [[kept]] = await cloud.resources(("network", f"/v2.0/ports?id={outer['id']}", "ports"))
        assert kept["device_id"] == ""


async def parts_of_the_template(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """A BaseHOT with a floating address, a security group, an allowed address and a trunk: each is told, and survives a heal."""
    life = await born(api, cloud, directory, PAIR, edit=furnished)
    instance = await life.instantiated()
    assert_shape("parts-of-the-template", instance["instantiatedVnfInfo"])
    server = await furnishing_is_told(life)
    await life.done("heal", {"vnfcInstanceId": await life.of_vdu("VDU1")})
    assert await furnishing_is_told(life) != server
    await life.ends()
    left = await cloud.resources(
        ("network", "/v2.0/trunks", "trunks"),
        ("network", "/v2.0/floatingips", "floatingips"),
        ("network", "/v2.0/security-groups?name=front", "security_groups"),
    )
    assert left == [[], [], []]


async def furnishing_is_told(life: Life) -> str:
    """The server of VDU1, of which all that the template has beside it is told as it is."""
    _, (floating, *_) = await external(life, "VDU1_CP1")
    assert floating[0].startswith("172.24.4.")
    [server] = [server for server, vdu in (await vdus(life)).items() if vdu == "VDU1"]
    vnfc = (await life.vnfcs())[server]
    cps = {each["cpdId"]: each for each in vnfc["vnfcCpInfo"]}
    assert cps["VDU1_CP3"]["parentCpId"] == cps["VDU1_CP2"]["id"]
    assert addresses(cps["VDU1_CP3"])[1][0][0].startswith("192.168.77.")
    [inside] = (await life.info())["vnfVirtualLinkResourceInfo"]
    trunks = {each["id"]: each.get("trunkResourceId") for each in inside["vnfLinkPorts"]}
    [trunk] = (await life.cloud.resources(("network", "/v2.0/trunks", "trunks")))[0]
    assert trunks[cps["VDU1_CP2"]["vnfLinkPortId"]] == trunk["id"]
    assert [each["port_id"] for each in trunk["sub_ports"]] == [cps["VDU1_CP3"]["vnfLinkPortId"]]
    [front] = (await life.cloud.resources(("network", f"/v2.0/ports?device_id={server}&name=front", "ports")))[0]
    assert front["allowed_address_pairs"][0]["ip_address"] == "10.99.0.0/24"
    [groups] = await life.cloud.resources(("network", "/v2.0/security-groups?name=front", "security_groups"))
    assert front["security_groups"] == [group["id"] for group in groups]
    return server


# What packages have.


def only_tosca(_: Json, tree: Path) -> None:
    """An edit: the templates are made from the VNFD."""
    shutil.rmtree(tree / "BaseHOT")


def sharing(flavour: Json, tree: Path) -> None:
    """An edit: VNFCs share an address inside and one outside; the link inside has both families."""
    only_tosca(flavour, tree)
    topology = flavour["topology_template"]
    nodes = topology["node_templates"]
    nodes["inner_vip"] = vip("VDU1_CP2", "VDU2_CP2", link="internalVL1")
    nodes["outer_vip"] = vip("VDU1_CP1")
    topology["substitution_mappings"]["requirements"]["front"] = ["outer_vip", "virtual_link"]
    data = nodes["internalVL1"]["properties"]["vl_profile"]["virtual_link_protocol_data"]
    sixth = {"ip_version": "ipv6", "cidr": "fd00:77::/64"}
    data.append({"associated_layer_protocol": "ipv6", "l3_protocol_data": sixth})


def vip(*targets: str, link: str | None = None) -> Json:
    requirements = [*({"target": target} for target in targets), *([{"virtual_link": link}] if link else [])]
    properties = {"layer_protocols": ["ipv4"], "vip_function": "high_availability"}
    return {"type": "tosca.nodes.nfv.VipCp", "properties": properties, "requirements": requirements}


def furnished(flavour: Json, tree: Path) -> None:
    """An edit: what a template may have beside servers and ports. A floating address, a group, an allowed address, a trunk."""
    nodes = flavour["topology_template"]["node_templates"]
    bound = [{"virtual_binding": "VDU1"}, {"virtual_link": "internalVL1"}]
    nodes["VDU1_CP3"] = {
        "type": "tosca.nodes.nfv.VduCp",
        "properties": {"layer_protocols": ["ipv4"], "order": 2},
        "requirements": bound,
    }
    file = tree / "BaseHOT" / "simple" / "two_vdus.yaml"
    template = yaml.safe_load(file.read_text())
    resources = template["resources"]
    resources["VDU1_CP1"]["properties"] |= {
        "name": "front",
        "security_groups": [{"get_resource": "front_group"}],
        "allowed_address_pairs": [{"ip_address": "10.99.0.0/24"}],
    }
    rule = {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
    resources["front_group"] = {"type": "OS::Neutron::SecurityGroup", "properties": {"name": "front", "rules": [rule]}}
    leads = {"floating_network": "public", "port_id": {"get_resource": "VDU1_CP1"}}
    resources["VDU1_FIP"] = {"type": "OS::Neutron::FloatingIP", "properties": leads}
    resources["VDU1_CP3"] = resources["VDU1_CP2"]
    carried = {"port": {"get_resource": "VDU1_CP3"}, "segmentation_type": "vlan", "segmentation_id": 7}
    trunk = {"port": {"get_resource": "VDU1_CP2"}, "sub_ports": [carried]}
    resources["VDU1_trunk"] = {"type": "OS::Neutron::Trunk", "properties": trunk}
    resources["VDU1"]["depends_on"] = "VDU1_trunk"
    file.write_text(yaml.safe_dump(template, sort_keys=False))


# What requests ask for.


def link(network: str, *cps: Json) -> Json:
    """An external virtual link."""
    return {"id": f"link-{network}", "resourceId": network, "extCps": list(cps)}


def cp(name: str, addresses: list[Json], mac: str | None = None) -> Json:
    """An external CP that asks for these addresses."""
    ethernet = {"ipAddresses": addresses} | ({"macAddress": mac} if mac else {})
    data = {"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": ethernet}
    return {"cpdId": name, "cpConfig": {name: {"cpProtocolData": [data]}}}


def fixed(subnet: str, *wanted: str) -> list[Json]:
    version = "IPV6" if ":" in wanted[0] else "IPV4"
    return [{"type": version, "subnetId": subnet, "fixedAddresses": list(wanted)}]


def dynamic(subnet: str, version: str = "IPV4") -> list[Json]:
    return [{"type": version, "subnetId": subnet, "numDynamicAddresses": 1}]


# What is told, and what there is.


def addresses(told: Json) -> tuple[str, list[tuple[str, bool]]]:
    """The MAC address of a CP, and its IP addresses, each with whether it is dynamic."""
    ethernet = told["cpProtocolInfo"][0]["ipOverEthernet"]
    found = [(ip, each["isDynamic"]) for each in ethernet["ipAddresses"] for ip in each["addresses"]]
    return ethernet["macAddress"], found


def addresses_of(port: Json) -> tuple[str, list[tuple[str, bool]]]:
    """The addresses of a port that was given."""
    return port["mac_address"], [(each["ip_address"], True) for each in port["fixed_ips"]]


async def external(life: Life, name: str = "") -> Any:
    """The addresses of the external CPs by cpdId, or those of one."""
    found = {each["cpdId"]: addresses(each) for each in (await life.info())["extCpInfo"]}
    return found[name] if name else found


async def vdus(life: Life) -> dict[str, str]:
    return {server: vnfc["vduId"] for server, vnfc in (await life.vnfcs()).items()}


async def shared(life: Life) -> dict[str, set[str]]:
    """The CPs that share each virtual address."""
    return {each["cpdId"]: set(each["associatedVnfcCpIds"]) for each in (await life.info())["vipCpInfo"]}


async def pairs(life: Life) -> set[str]:
    """The addresses that Neutron lets the VNF's servers use beside their own; those of the VIPs that are told."""
    ids = "&".join(f"device_id={server}" for server in await life.vnfcs())
    [ports] = await life.cloud.resources(("network", f"/v2.0/ports?{ids}", "ports"))
    allowed = {pair["ip_address"] for port in ports for pair in port["allowed_address_pairs"]}
    told = {ip for each in (await life.info())["vipCpInfo"] for ip, _ in addresses(each)[1]}
    assert allowed == told
    return allowed


@asynccontextmanager
async def network(cloud: ScenarioCloud, *cidrs: str) -> AsyncGenerator[tuple[str, list[str]]]:
    """Ids of a network of the project and of its subnets, deleted when the context ends."""
    async with Clouds() as clouds:
        own = clouds.cloud(cloud.connection)
        made = (await own.request("network", "POST", "/v2.0/networks", body={"network": {"name": "scenario"}})).body[
            "network"
        ]
        subnets: list[str] = []
        for cidr in cidrs:
            body = {"subnet": {"network_id": made["id"], "cidr": cidr, "ip_version": 6 if ":" in cidr else 4}}
            subnets.append((await own.request("network", "POST", "/v2.0/subnets", body=body)).body["subnet"]["id"])
        yield made["id"], subnets
        await own.request("network", "DELETE", f"/v2.0/networks/{made['id']}")


@asynccontextmanager
async def port(cloud: ScenarioCloud, network: str) -> AsyncGenerator[Json]:
    """A port of the project, deleted when the context ends."""
    async with Clouds() as clouds:
        own = clouds.cloud(cloud.connection)
        made: Json = (await own.request("network", "POST", "/v2.0/ports", body={"port": {"network_id": network}})).body[
            "port"
        ]
        yield made
        await own.request("network", "DELETE", f"/v2.0/ports/{made['id']}")
