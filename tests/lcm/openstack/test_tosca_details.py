"""What a VNFD says of its servers, ports, links and volumes is made of it when it ships no template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from forestay_csar import read_package
from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_lcm.adapters.openstack.template.hot import without_links
from forestay_lcm.adapters.openstack.template.tosca import base_hot_of
from forestay_lcm.executor import Confirmed
from forestay_simvim import OpenStackSimulator
from forestay_sol.vnfd import Flavour
from msgspec.structs import replace

from tests.scripts.packages import variant

from .conftest import connection
from .stepping import instantiate, server_ids, terminate, two_vdus_order

Json = dict[str, Any]


def said(flavour: Json, tree: Path) -> None:
    for template in (tree / "BaseHOT" / "simple").rglob("*.yaml"):
        template.unlink()
    topology = flavour["topology_template"]
    nodes = topology["node_templates"]
    nodes["VDU1"]["properties"]["boot_data"] = {
        "kvp_data": {"data": {"role": "front"}},
        "content_or_file_data": {"content": "#!/bin/sh\necho front\n"},
    }
    nodes["VDU1"]["capabilities"]["virtual_compute"]["properties"] = {
        "virtual_memory": {"virtual_mem_size": "512 MiB", "vdu_mem_requirements": {"hw:mem_page_size": "large"}},
        "virtual_cpu": {
            "num_virtual_cpu": 1,
            "virtual_cpu_pinning": {"virtual_cpu_pinning_policy": "static"},
        },
        "virtual_local_storage": [{"size_of_storage": "3 GB"}, {"size_of_storage": "1 GiB"}],
        "compute_requirements": {"hw:watchdog_action": "reset", "nova_extra_specs": "{hw:numa_nodes: 1}"},
    }
    nodes["internalVL1"]["properties"]["vl_profile"]["max_bitrate_requirements"] = {
        "root": 9_000_000,
        "leaf": 1_048_576,
    }
    nodes["VDU2"]["properties"]["boot_data"] = {"content_or_file_data": {"source_path": "../Files/boot.txt"}}
    (tree / "Files").mkdir(exist_ok=True)
    (tree / "Files" / "boot.txt").write_text("from a file\n")
    nodes["VDU1_CP1"]["properties"]["vnic_type"] = "virtio_forwarder"
    nodes["internalVL1"]["properties"]["vl_profile"]["virtual_link_protocol_data"] = [
        {
            "associated_layer_protocol": "ipv4",
            "l2_protocol_data": {"name": "inner", "mtu": 1400},
            "l3_protocol_data": {
                "name": "range",
                "ip_version": "ipv4",
                "cidr": "192.168.77.0/24",
                "gateway_ip": "192.168.77.254",
                "dhcp_enabled": False,
                "ip_allocation_pools": [{"start_ip_address": "192.168.77.10", "end_ip_address": "192.168.77.20"}],
            },
        },
        {
            "associated_layer_protocol": "ipv6",
            "l3_protocol_data": {"ip_version": "ipv6", "cidr": "fd00:77::/64", "ipv6_address_mode": "slaac"},
        },
    ]
    rule = "tosca.policies.nfv.SecurityGroupRule"
    topology["policies"] += [
        {"ssh": {"type": rule, "properties": {"port_range_min": 22, "port_range_max": 22}, "targets": ["VDU1_CP1"]}},
        {
            "pings": {
                "type": rule,
                "properties": {"direction": "egress", "ether_type": "ipv6", "protocol": "ICMP"},
                "targets": ["virtual_link_external_1", "VDU2_CP1"],
            }
        },
    ]


@pytest.fixture
def flavour(tmp_path: Path) -> Flavour:
    return read_package(variant(tmp_path, "sample-two-vdus", name="said", edit=said)).vnfd.flavour()


def test_the_templates(flavour: Flavour) -> None:
    hot = base_hot_of(flavour)
    top: Json = yaml.safe_load(hot.template)["resources"]
    front: Json = yaml.safe_load(hot.files["VDU1.yaml"])["resources"]
    back: Json = yaml.safe_load(hot.files["VDU2.yaml"])["resources"]
    assert top["VDU1_flavor"]["properties"] == {
        "vcpus": 1, "ram": 512, "disk": 4,
        "extra_specs": {
            "hw:cpu_policy": "dedicated", "hw:mem_page_size": "large", "hw:watchdog_action": "reset", "hw:numa_nodes": "1",
        },
    }  # fmt: skip
    policy = {"get_resource": "internalVL1_qospolicy"}
    assert top["internalVL1"]["properties"] == {"value_specs": {"mtu": 1400}, "qos_policy": policy}
    assert top["internalVL1_bandwidth"]["properties"] == {"policy": policy, "max_kbps": 1049}
    assert top["internalVL1_subnet"]["properties"] == {
        "network": {"get_resource": "internalVL1"}, "ip_version": 4, "cidr": "192.168.77.0/24", "name": "range",
        "gateway_ip": "192.168.77.254", "enable_dhcp": False,
        "allocation_pools": [{"start": "192.168.77.10", "end": "192.168.77.20"}],
    }  # fmt: skip
    six = top["internalVL1_subnet_1"]["properties"]
    assert (six["ip_version"], six["ipv6_address_mode"], six["ipv6_ra_mode"]) == (6, "slaac", "slaac")
    assert top["VDU1_CP1_security"]["properties"]["rules"] == [
        {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
        {"direction": "egress", "ethertype": "IPv6", "protocol": "icmp"},
    ]
    assert len(top["VDU2_CP1_security"]["properties"]["rules"]) == 1
    server = front["VDU1"]["properties"]
    assert (server["user_data"], server["metadata"]) == ("#!/bin/sh\necho front\n", {"role": "front"})
    assert back["VDU2"]["properties"]["user_data"] == "from a file\n"
    port = front["VDU1_CP1"]["properties"]
    assert port["binding:vnic_type"] == "virtio-forwarder"
    assert port["security_groups"] == [{"get_param": "VDU1_CP1_security"}]
    assert "security_groups" not in front["VDU1_CP2"]["properties"]


def test_a_link_of_somebody_else_has_its_own_bit_rate(flavour: Flavour) -> None:
    top: Json = yaml.safe_load(base_hot_of(flavour).template)
    left = without_links(top, {"internalVL1": "net-1"})["resources"]
    assert [name for name in left if name.startswith("internalVL1")] == []


async def test_the_vnf(sim: OpenStackSimulator, clouds: Clouds, flavour: Flavour) -> None:
    account = sim.cloud.config.accounts[1]
    cloud = clouds.cloud(connection(sim, username=account.name, password=account.password, project=account.project))
    info, _ = await instantiate(cloud, await two_vdus_order(cloud, flavour))
    assert len(server_ids(info)) == 2
    front = next(vnfc for vnfc in info.vnfc_resource_info if vnfc.vdu_id == "VDU1")
    assert sim.cloud.nova.server(front.id)["metadata"]["role"] == "front"
    groups = {
        port["binding:vnic_type"]: port["security_groups"] for port in sim.cloud.neutron.ports.find(device_id=front.id)
    }
    assert groups["virtio-forwarder"] != groups["normal"]
    [policy] = sim.cloud.neutron.qos_policies
    assert [rule["max_kbps"] for rule in policy["rules"]] == [1049]
    assert [each["name"] for each in sim.cloud.neutron.networks if each["qos_policy_id"] == policy["id"]]
    assert isinstance(await terminate(cloud, before=info), Confirmed)
    assert not list(sim.cloud.neutron.qos_policies)


@pytest.mark.parametrize(
    ("order", "first"), [((), "VDU2_Storage"), (("other",), "other"), (("none", "VDU2_Storage"), "VDU2_Storage")]
)
def test_the_volume_to_boot_from(two_vdus: Flavour, order: tuple[str, ...], first: str) -> None:
    storage = two_vdus.storages["VDU2_Storage"]
    vdu = replace(two_vdus.vdus["VDU2"], storage_ids=("VDU2_Storage", "other"), boot_order=order)
    flavour = replace(
        two_vdus,
        base_hot=None,
        vdus=two_vdus.vdus | {"VDU2": vdu},
        storages=two_vdus.storages | {"other": replace(storage, id="other")},
    )
    server: Json = yaml.safe_load(base_hot_of(flavour).files["VDU2.yaml"])["resources"]["VDU2"]["properties"]
    assert [each["volume_id"] for each in server["block_device_mapping_v2"]] == [{"get_resource": first}]
