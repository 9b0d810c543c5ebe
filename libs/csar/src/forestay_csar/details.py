"""What a VNFD says of its servers, ports and links beyond their being there: for those who make a template of it.

Rules of this module: what has no counterpart in OpenStack is not read here, but told by the linter (:mod:`lint.unbuilt`); names
are those of Nova and Neutron afterwards. A requirement of a VDU is an extra spec if it is written as one, with a colon.

Meaning: ETSI GS NFV-SOL 001 clauses 6.2, 6.8 and 6.10.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Literal, cast

import yaml
from forestay_sol.vnfd import BootData, SecurityRule, Subnet

from forestay_csar.documents import Tree

_PINNING = {"static": "dedicated", "dynamic": "shared"}
_PORTS = (1, 65535)
_HAVE_PORTS = ("tcp", "udp", "sctp", "dccp", "udplite")
SECURITY_RULE = "tosca.policies.nfv.SecurityGroupRule"


def local_storage(compute: Tree) -> int:
    """Bytes of all local disks of a VDU's ``virtual_compute``."""
    return sum(disk.at("size_of_storage").size() for disk in compute.at("virtual_local_storage").elements())


def extra_specs(compute: Tree) -> dict[str, str]:
    """What a compute flavour needs besides its size."""
    pinning = compute.at("virtual_cpu", "virtual_cpu_pinning", "virtual_cpu_pinning_policy").text("")
    policy = {"hw:cpu_policy": _PINNING[pinning]} if pinning in _PINNING else {}
    return policy | {name: each.text() for name, each in requirements(compute).items() if ":" in name}


def requirements(compute: Tree) -> dict[str, Tree]:
    """The requirements of a server, its processors and memory that no standard names."""
    places = (
        ("compute_requirements",),
        ("virtual_cpu", "vdu_cpu_requirements"),
        ("virtual_memory", "vdu_mem_requirements"),
    )
    said = {name: each for place in places for name, each in compute.at(*place).mapping().items()}
    return said | _nova_extra_specs(said.pop("nova_extra_specs", None))


def _nova_extra_specs(given: Tree | None) -> dict[str, Tree]:
    """What Tacker's translator takes for extra specs: a map, or its YAML text."""
    if given is None or not isinstance(given.value, str):
        return given.mapping() if given else {}
    try:
        meant = yaml.safe_load(given.value)
    except yaml.YAMLError:
        meant = None
    if not isinstance(meant, dict):
        raise given.wrong("a map of extra specs", "vnfd-type")
    return given.replaced(meant).mapping()


def boot_data(properties: Tree, read: Callable[[Tree], str]) -> BootData | None:
    """:param read: the text of the file that a place names."""
    data = properties.at("boot_data")
    given, source = data.at("content_or_file_data", "content"), data.at("content_or_file_data", "source_path")
    content = given.optional_text() if given.value is not None else read(source) if source.value is not None else None
    pairs = {name: each.text() for name, each in data.at("kvp_data", "data").mapping().items()}
    return BootData(content=content, pairs=pairs) if content is not None or pairs else None


def boot_order(properties: Tree) -> tuple[str, ...]:
    """The storages to boot from; other forms of the property, which editions before 2.7.1 have, say nothing."""
    order = properties.at("boot_order")
    return order.texts() if isinstance(order.value, list) else ()


def vnic_type(properties: Tree) -> str | None:
    """The kind of virtual network interface of a connection point."""
    given = properties.at("vnic_type").optional_text()
    return given and given.replace("_", "-")


def subnets(properties: Tree) -> tuple[Subnet, ...]:
    """The ranges of addresses of a virtual link."""
    layers = (each.at("l3_protocol_data") for each in _protocols(properties))
    return tuple(_subnet(layer) for layer in layers if layer)


def _subnet(layer: Tree) -> Subnet:
    cidr = layer.at("cidr").optional_text()
    version = layer.at("ip_version").text("ipv6" if ":" in (cidr or "") else "ipv4")
    pools = layer.at("ip_allocation_pools").elements()
    dhcp = layer.at("dhcp_enabled").value
    return Subnet(
        cidr=cidr,
        ip_version=6 if version.endswith("6") else 4,
        name=layer.at("name").optional_text(),
        gateway=layer.at("gateway_ip").optional_text(),
        dhcp=dhcp if isinstance(dhcp, bool) else None,
        pools=tuple((pool.at("start_ip_address").text(), pool.at("end_ip_address").text()) for pool in pools),
        ipv6_address_mode=layer.at("ipv6_address_mode").optional_text(),
    )


def segment(properties: Tree) -> dict[str, Any]:
    """What is asked of the network of a virtual link; its kind and number are for administrators to choose."""
    layer = next((layer for each in _protocols(properties) if (layer := each.at("l2_protocol_data"))), None)
    if layer is None:
        return {}
    number, mtu, transparent = layer.at("segmentation_id"), layer.at("mtu"), layer.at("vlan_transparent").value
    said: dict[str, Any] = {
        "provider:network_type": layer.at("network_type").optional_text(),
        "provider:segmentation_id": None if number.value is None else int(number.text()),
        "mtu": None if mtu.value is None else mtu.number(),
        "vlan_transparent": transparent or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def max_bitrate(properties: Tree) -> int | None:
    """The most bits per second of each port on a virtual link; ``root``, of all together, has no counterpart."""
    rates = properties.at("vl_profile", "max_bitrate_requirements").value
    leaf: Any = cast("dict[str, Any]", rates).get("leaf") if isinstance(rates, dict) else None
    return leaf if isinstance(leaf, int) and leaf > 0 else None


def _protocols(properties: Tree) -> list[Tree]:
    given = properties.at("vl_profile", "virtual_link_protocol_data")
    return given.elements() if isinstance(given.value, list) else [given]


def security_rules(
    policies: Iterable[tuple[str, Tree]], ports: Mapping[str, Collection[str]]
) -> tuple[SecurityRule, ...]:
    """
    :param policies: those that are rules, by name.
    :param ports: for each target that a rule may have, the connection points of VDUs that it is about then.
    :raises PackageInvalid: a rule has another target.
    """
    return tuple(_security_rule(name, policy, ports) for name, policy in policies)


def _security_rule(name: str, policy: Tree, known: Mapping[str, Collection[str]]) -> SecurityRule:
    said, targets = policy.at("properties"), policy.at("targets").elements()
    for target in targets:
        if target.text() not in known:
            raise target.wrong("a connection point of this flavour", "reference-unknown")
    cps = (cp for target in targets for cp in known[target.text()])
    protocol = said.at("protocol").text("tcp").lower()
    first, last = said.at("port_range_min").number(0), said.at("port_range_max").number(_PORTS[1])
    ports = (max(first, _PORTS[0]), last)
    direction: Literal["ingress", "egress"] = (
        "egress" if said.at("direction").text("").lower() == "egress" else "ingress"
    )
    return SecurityRule(
        id=name,
        cp_ids=tuple(dict.fromkeys(cps)),
        direction=direction,
        ip_version=6 if said.at("ether_type").text("").endswith("6") else 4,
        protocol=protocol if protocol not in ("any", "hopopt", "0") else None,
        ports=ports if protocol in _HAVE_PORTS and ports != _PORTS else None,
        description=said.at("description").text(""),
    )
