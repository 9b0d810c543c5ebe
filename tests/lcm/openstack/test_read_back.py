"""instantiatedVnfInfo says what Heat, Neutron and Nova show, and what changed is the difference of two of them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import msgspec
from forestay_lcm.adapters.openstack.clients.heat import Stack, StackResource
from forestay_lcm.adapters.openstack.clients.neutron import FixedIp, Port
from forestay_lcm.adapters.openstack.clients.nova import Server
from forestay_lcm.adapters.openstack.job import Order
from forestay_lcm.adapters.openstack.read_back import instantiated_vnf_info
from forestay_lcm.adapters.openstack.template.connectivity import ext_links, managed_by_others
from forestay_lcm.adapters.openstack.view import Known, Observed
from forestay_lcm.domain.resource_changes import Vnfds, resource_changes
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo

from .conftest import ext_cp, ext_link, order_of

TOP = "vnf-vnf1/top"
KINDS = {"s": "OS::Nova::Server", "p": "OS::Neutron::Port", "n": "OS::Neutron::Net", "v": "OS::Cinder::Volume"}
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
NFV = {"VDU": {"VDU1": {"computeFlavourId": "m1.tiny", "vcImageId": "cirros", "locationConstraints": "nova"}}}


def _resource(name: str, physical: str, *, stack: str = TOP, at: str = "2026-01-01T00:00:00Z") -> StackResource:
    kind = KINDS.get(physical[0], "OS::Heat::AutoScalingGroup")
    return StackResource(
        name=name, type=kind, physical_id=physical, status="CREATE_COMPLETE", reason="", stack=stack, creation_time=at
    )


def _port(port_id: str, server: str, *addresses: tuple[str, str]) -> Port:
    fixed = tuple(FixedIp(subnet, ip) for subnet, ip in addresses)
    return Port(id=port_id, network_id="n", device_id=server, mac_address="fa:16:3e:00:00:01", fixed_ips=fixed)


def _info(
    order: Order,
    resources: list[StackResource],
    ports: list[Port],
    *,
    before: InstantiatedVnfInfo | None = None,
    status: Mapping[str, str] = MappingProxyType({}),
) -> InstantiatedVnfInfo:
    nfv = msgspec.json.encode(NFV).decode()
    stack = Stack(
        id="top", name="vnf-vnf1", action="CREATE", status="COMPLETE", reason="", parameters={"nfv": nfv}, since=SINCE
    )
    ids = [item.physical_id for item in resources if item.type == KINDS["s"]]
    servers = {server: Server(id=server, status=status.get(server, "ACTIVE"), zone="az-real") for server in ids}
    return instantiated_vnf_info(
        Observed(stack=stack, resources=resources, ports={port.id: port for port in ports}, servers=servers),
        Known(
            flavour=order.flavour,
            links=ext_links(order, None),
            managed=managed_by_others(order, None),
            scale_status=(),
            connection_id="vim1",
            tenant="demo",
            tenant_id="5f1c",
            before=before,
        ),
    )


TWO = [
    _resource("VDU1", "s1"),
    _resource("VDU2", "s2"),
    _resource("VDU1_CP1", "p11"),
    _resource("VDU1_CP2", "p12"),
    _resource("VDU2_CP1", "p21"),
    _resource("VDU2_CP2", "p22"),
    _resource("internalVL1", "n1"),
    _resource("VDU2_Storage", "v1"),
]
PORTS = [
    _port("p11", "s1", ("sub-1", "10.10.0.7"), ("sub-6", "2001:db8::5")),
    _port("p12", "s1", ("sub-i", "192.168.77.2")),
    _port("p21", "s2", ("sub-1", "10.10.0.99")),
    _port("p22", "s2", ("sub-i", "192.168.77.3")),
]
LINK = ext_link(ext_cp("VDU1_CP1", fixed="10.10.0.7", subnet="sub-1"), ext_cp("VDU2_CP1"))


def test_two_vdus_in_the_top_stack(two_vdus: Flavour) -> None:
    info = _info(order_of(two_vdus, extVirtualLinks=[LINK]), TWO, PORTS)
    vnfcs = {vnfc.id: vnfc for vnfc in info.vnfc_resource_info}
    assert {key: vnfc.vdu_id for key, vnfc in vnfcs.items()} == {"s1": "VDU1", "s2": "VDU2"}
    assert vnfcs["s2"].storage_resource_ids == ("v1",)
    assert vnfcs["s1"].storage_resource_ids == ()
    assert vnfcs["s1"].zone_id == "az-real"
    assert vnfcs["s1"].compute_resource.vim_connection_id == "vim1"
    assert vnfcs["s1"].metadata == {
        "creation_time": "2026-01-01T00:00:00Z",
        "stack_id": TOP,
        "flavor": "m1.tiny",
        "zone": "nova",
        "image-VDU1": "cirros",
    }
    outer, inner = vnfcs["s1"].vnfc_cp_info
    assert (outer.id, outer.vnf_ext_cp_id, outer.vnf_link_port_id) == ("VDU1_CP1-s1", "cp-p11", None)
    assert (inner.id, inner.vnf_ext_cp_id, inner.vnf_link_port_id) == ("VDU1_CP2-s1", None, "p12")
    assert msgspec.to_builtins(inner.cp_protocol_info[0])["ipOverEthernet"]["ipAddresses"] == (
        {"type": "IPV4", "addresses": ("192.168.77.2",), "isDynamic": True, "subnetId": "sub-i"},
    )
    network = info.vnf_virtual_link_resource_info[0]
    assert (network.id, network.vnf_virtual_link_desc_id) == ("n1", "internalVL1")
    assert [(port.id, port.cp_instance_id, port.cp_instance_type) for port in network.vnf_link_ports] == [
        ("p12", "VDU1_CP2-s1", "VNFC_CP"),
        ("p22", "VDU2_CP2-s2", "VNFC_CP"),
    ]
    assert info.virtual_storage_resource_info[0].virtual_storage_desc_id == "VDU2_Storage"
    assert {item.id for item in info.vnfc_info} == {"VDU1-s1", "VDU2-s2"}
    assert info.metadata == {"stack_id": TOP, "nfv": NFV, "tenant": "demo", "tenant_id": "5f1c"}


def test_external_connection_points_show_real_addresses(two_vdus: Flavour) -> None:
    info = _info(order_of(two_vdus, extVirtualLinks=[LINK]), TWO, PORTS)
    link = info.ext_virtual_link_info[0]
    assert (link.id, link.resource_handle.resource_id) == ("vl-net-1", "net-1")
    assert msgspec.json.decode(msgspec.json.encode(link.current_vnf_ext_cp_data)) == LINK["extCps"]
    assert [(port.id, port.cp_instance_id) for port in link.ext_link_ports] == [("p11", "cp-p11"), ("p21", "cp-p21")]
    first, second = info.ext_cp_info
    assert (first.cpd_id, first.cp_config_id, first.ext_link_port_id) == ("VDU1_CP1", "cfg-VDU1_CP1", "p11")
    assert first.associated_vnfc_cp_id == "VDU1_CP1-s1"
    assert msgspec.to_builtins(first.cp_protocol_info[0]) == {
        "layerProtocol": "IP_OVER_ETHERNET",
        "ipOverEthernet": {
            "macAddress": "fa:16:3e:00:00:01",
            "ipAddresses": (
                {"type": "IPV4", "addresses": ("10.10.0.7",), "isDynamic": False, "subnetId": "sub-1"},
                {"type": "IPV6", "addresses": ("2001:db8::5",), "isDynamic": True, "subnetId": "sub-6"},
            ),
        },
    }
    dynamic = msgspec.to_builtins(second.cp_protocol_info[0])["ipOverEthernet"]["ipAddresses"][0]
    assert dynamic == {"type": "IPV4", "addresses": ("10.10.0.99",), "isDynamic": True, "subnetId": "sub-1"}


def test_a_group_of_nested_stacks(asg: Flavour) -> None:
    group = "vnf-vnf1-grp/grp"
    resources = [_resource("VDU1_scale_group", "grp")]
    for at, member in enumerate(("aaa", "bbb", "ccc")):
        home = f"vnf-vnf1-{member}/{member}"
        resources += [
            _resource(member, member, stack=group),
            _resource("VDU1", f"s-{member}", stack=home, at=f"2026-01-01T00:00:0{at}Z"),
            _resource("VDU1_CP1", f"p-{member}", stack=home),
        ]
    order = order_of(asg, extVirtualLinks=[ext_link(ext_cp("VDU1_CP1"))])
    info = _info(order, resources, [_port(f"p-{m}", f"s-{m}", ("sub", f"10.0.0.{ord(m[0])}")) for m in ("aaa", "bbb")])
    assert [vnfc.id for vnfc in info.vnfc_resource_info] == ["s-ccc", "s-bbb", "s-aaa"]  # newest first
    newest = info.vnfc_resource_info[0]
    assert newest.metadata is not None
    assert newest.metadata["stack_id"] == "vnf-vnf1-ccc/ccc"
    assert newest.metadata["parent_stack_id"] == group
    assert newest.metadata["parent_resource_name"] == "ccc"
    assert [cp.id for cp in newest.vnfc_cp_info] == ["VDU1_CP1-s-ccc"]  # Neutron did not show this port
    assert {item.aspect_id: item.scale_level for item in info.max_scale_levels} == {
        aspect.id: aspect.max_scale_level for aspect in asg.scaling_aspects.values()
    }


def test_the_order_of_the_answer_does_not_matter(two_vdus: Flavour) -> None:
    order = order_of(two_vdus, extVirtualLinks=[LINK])
    shuffled = random.Random(7).sample(TWO, len(TWO))
    assert _info(order, shuffled, PORTS[::-1]) == _info(order, TWO, PORTS)


def test_given_ports_keep_their_ids(two_vdus: Flavour) -> None:
    link = ext_link(ext_cp("VDU1_CP1", port="mine"), ext_cp("VDU2_CP1"), ports={"mine": "p-given"})
    managed = {
        "id": "m",
        "vnfVirtualLinkDescId": "internalVL1",
        "resourceId": "net-9",
        "vnfLinkPort": [{"vnfLinkPortId": "inner", "resourceHandle": {"resourceId": "p-inner"}}],
    }
    order = order_of(two_vdus, extVirtualLinks=[link], extManagedVirtualLinks=[managed])
    resources = [item for item in TWO if item.physical_id not in ("p11", "p12", "n1")]
    ports = [*PORTS[2:], _port("p-given", "s1", ("x", "10.1.1.1")), _port("p-inner", "s1", ("y", "10.2.2.2"))]
    info = _info(order, resources, ports)
    vnfc = next(item for item in info.vnfc_resource_info if item.id == "s1")
    assert {cp.cpd_id: (cp.vnf_ext_cp_id, cp.vnf_link_port_id) for cp in vnfc.vnfc_cp_info} == {
        "VDU1_CP1": ("cp-p-given", None),
        "VDU1_CP2": (None, "req-inner"),
    }
    assert [port.id for port in info.ext_virtual_link_info[0].ext_link_ports] == ["mine", "p21"]
    assert info.ext_cp_info[0].cp_config_id == "cfg-VDU1_CP1"
    link_info = info.ext_managed_virtual_link_info[0]
    assert (link_info.id, link_info.network_resource.resource_id) == ("m", "net-9")
    assert {port.id for port in link_info.vnf_link_ports} == {"req-inner", "p22"}
    assert info.vnf_virtual_link_resource_info == ()


def test_a_given_port_of_a_cp_that_only_the_former_vnfd_knew(two_vdus: Flavour) -> None:
    link = ext_link(ext_cp("VDU1_CP1", port="mine"), ext_cp("VDU2_CP1"), ports={"mine": "p-given"})
    cps = {name: cp for name, cp in two_vdus.cps.items() if name != "VDU1_CP1"}
    order = order_of(msgspec.structs.replace(two_vdus, cps=cps), extVirtualLinks=[link])
    info = _info(order, TWO, [*PORTS[1:], _port("p-given", "s1", ("x", "10.1.1.1"))])
    vnfc = next(item for item in info.vnfc_resource_info if item.id == "s1")
    assert {cp.cpd_id: cp.vnf_ext_cp_id for cp in vnfc.vnfc_cp_info} == {"VDU1_CP1": "cp-p-given", "VDU1_CP2": None}


def test_several_configs_go_to_the_ports_that_have_their_addresses(asg: Flavour) -> None:
    fixed = ext_cp("VDU1_CP1", fixed="10.0.0.2")["cpConfig"]["cfg-VDU1_CP1"]
    configs = {"any": ext_cp("x")["cpConfig"]["cfg-x"], "two": fixed}
    at_once = [{"cpdId": "VDU1_CP1", "cpConfig": configs}]
    one_by_one = [{"cpdId": "VDU1_CP1", "cpConfig": {name: config}} for name, config in configs.items()]
    resources = [
        item
        for m in ("a", "b")
        for item in (_resource("VDU1", f"s{m}", stack=f"n/{m}"), _resource("VDU1_CP1", f"p{m}", stack=f"n/{m}"))
    ]
    ports = [_port("pa", "sa", ("s", "10.0.0.2")), _port("pb", "sb", ("s", "10.0.0.3"))]
    for cps in (at_once, one_by_one):
        info = _info(order_of(asg, extVirtualLinks=[ext_link(*cps)]), resources, ports)
        assert {item.ext_link_port_id: item.cp_config_id for item in info.ext_cp_info} == {"pa": "two", "pb": "any"}


def test_changes_of_an_instantiation_and_of_its_end(two_vdus: Flavour) -> None:
    info = _info(order_of(two_vdus, extVirtualLinks=[LINK]), TWO, PORTS)
    made = resource_changes(None, info)
    assert {(item.id, item.change_type) for item in made.affected_vnfcs} == {("s1", "ADDED"), ("s2", "ADDED")}
    back = next(item for item in made.affected_vnfcs if item.id == "s2")
    assert (back.added_storage_resource_ids, back.removed_storage_resource_ids) == (("v1",), ())
    assert back.affected_vnfc_cp_ids == ("VDU2_CP1-s2", "VDU2_CP2-s2")
    assert [(item.id, item.change_type, item.vnf_link_port_ids) for item in made.affected_virtual_links] == [
        ("n1", "ADDED", ("p12", "p22"))
    ]
    assert [(item.id, item.ext_cp_instance_id) for item in made.affected_ext_link_ports] == [
        ("p11", "cp-p11"),
        ("p21", "cp-p21"),
    ]
    assert [(item.id, item.change_type) for item in made.affected_virtual_storages] == [("v1", "ADDED")]
    gone = resource_changes(info, InstantiatedVnfInfo(flavour_id="simple", vnf_state="STOPPED"))
    assert {item.change_type for item in (*gone.affected_vnfcs, *gone.affected_virtual_storages)} == {"REMOVED"}
    assert resource_changes(info, info) == resource_changes(None, None)


def test_a_healed_vnfc_is_one_removed_and_one_added(two_vdus: Flavour) -> None:
    order = order_of(two_vdus, extVirtualLinks=[LINK])
    new = [_resource("VDU1", "s9"), _resource("VDU1_CP2", "p92")]
    healed = [*new, *(item for item in TWO if item.physical_id not in ("s1", "p12"))]
    moved = [*PORTS[2:], _port("p11", "s9"), _port("p92", "s9")]
    changes = resource_changes(_info(order, TWO, PORTS), _info(order, healed, moved))
    assert [(item.id, item.change_type) for item in changes.affected_vnfcs] == [("s9", "ADDED"), ("s1", "REMOVED")]
    links = [(item.id, item.change_type, item.vnf_link_port_ids) for item in changes.affected_virtual_links]
    assert links == [("n1", "LINK_PORT_ADDED", ("p92",)), ("n1", "LINK_PORT_REMOVED", ("p12",))]
    assert changes.affected_ext_link_ports == ()


def test_a_vnfc_that_stays_is_modified_by_another_port_or_volume(two_vdus: Flavour) -> None:
    order = order_of(two_vdus, extVirtualLinks=[LINK])
    before = _info(order, TWO, PORTS)
    others = {"p11": _resource("VDU1_CP1", "p19"), "v1": _resource("VDU2_Storage", "v9")}
    moved = _port("p19", "s1", ("sub-1", "10.10.0.7"))
    after = _info(order, [others.get(item.physical_id, item) for item in TWO], [moved, *PORTS[1:]])
    changed = {item.id: item for item in resource_changes(before, after).affected_vnfcs}
    assert {item.change_type for item in changed.values()} == {"MODIFIED"}
    assert changed["s1"].affected_vnfc_cp_ids == ("VDU1_CP1-s1",)
    assert (changed["s2"].added_storage_resource_ids, changed["s2"].removed_storage_resource_ids) == (("v9",), ("v1",))
    named = resource_changes(before, after, vnfds=Vnfds("old", "new")).affected_virtual_storages
    assert [(item.id, item.change_type, item.vnfd_id) for item in named] == [
        ("v9", "ADDED", "new"),
        ("v1", "REMOVED", "old"),
    ]


def test_names_properties_and_metadata_survive(two_vdus: Flavour) -> None:
    order = order_of(two_vdus)
    first = msgspec.to_builtins(_info(order, TWO, PORTS))
    first["vnfcInfo"] = [{**first["vnfcInfo"][0], "id": "mine", "vnfcConfigurableProperties": {"k": 1}}]
    first["vnfcResourceInfo"][0]["metadata"]["server_notification"] = {"alarmId": "a"}
    first["metadata"] |= {"ServerNotifierUri": "http://n", "tenant": "old", "tenant_id": "older"}
    before = msgspec.convert(first, InstantiatedVnfInfo)
    again = _info(order, TWO, PORTS, before=before)
    assert {item.id: item.vnfc_configurable_properties for item in again.vnfc_info} == {
        "mine": {"k": 1},
        "VDU2-s2": None,
    }
    assert [(vnfc.metadata or {}).get("server_notification") for vnfc in again.vnfc_resource_info] == [
        {"alarmId": "a"},
        None,
    ]
    assert again.metadata == {
        "stack_id": TOP,
        "nfv": NFV,
        "tenant": "demo",
        "tenant_id": "5f1c",
        "ServerNotifierUri": "http://n",
    }


def test_a_server_that_does_not_run_is_a_stopped_vnfc(two_vdus: Flavour) -> None:
    order = order_of(two_vdus)

    def states(**status: str) -> tuple[str, list[str]]:
        info = _info(order, TWO, PORTS, status=status)
        return info.vnf_state, [vnfc.vnfc_state for vnfc in info.vnfc_info]

    assert states(s1="ACTIVE", s2="ERROR") == ("STARTED", ["STARTED", "STARTED"])
    assert states(s1="SHUTOFF") == ("STARTED", ["STOPPED", "STARTED"])
    assert states(s1="SHUTOFF", s2="SUSPENDED") == ("STOPPED", ["STOPPED", "STOPPED"])
