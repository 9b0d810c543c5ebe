"""A BaseHOT for a flavour that ships none, made from its VNFD (SOL001 clause 6).

Rules of this module:

* Pure: a flavour always gives the same text.
* A VDU is a nested template: its server, a port for each VduCp, a volume for each block storage; one that the server does not
  boot from outlives it. The top template has one resource per VDU, so that each VNFC is one (:mod:`vnfcs`), and what VNFCs
  share: internal virtual links with their subnets, a port for each VipCp, whose addresses the ports of its targets may use,
  and a server group for each affinity or anti-affinity rule that holds for hosts.
* A VDU has the compute flavour that its VNFD names, or the grant; one that names none but says its size gets one of that
  size, which only an administrator's project may make.
* A link that names no range of addresses gets one: servers take no port without an address.
* The ports of a link with a maximum bit rate send no more: a QoS policy, which only an administrator may make.
* What nobody says (a zone, an address, a port of the requester's own) is the VIM's choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

import yaml
from forestay_sol.resource_types import NET, PORT, SECURITY_GROUP, SERVER, SUBNET, VOLUME
from forestay_sol.vnfd import (
    AffinityRule,
    BaseHot,
    Flavour,
    FloatingCp,
    SecurityRule,
    Subnet,
    Vdu,
    VduCp,
    VirtualStorage,
    VnfVirtualLink,
)

from forestay_lcm.adapters.openstack.template.hot import Json

_VERSION = "2021-04-16"
_BLOCK = "VirtualBlockStorage"
_POLICIES = {"AFFINITY": "affinity", "ANTI_AFFINITY": "anti-affinity"}


def base_hot_of(flavour: Flavour) -> BaseHot:
    """The templates of a flavour."""
    resources = {
        **dict(_links(flavour)),
        **{vip.id: _vip(flavour, vip) for vip in flavour.vip_cps.values()},
        **{rule.id: _server_group(rule) for rule in _host_rules(flavour)},
        **{f"{cp}_security": _security_group(flavour, cp) for cp in flavour.cps if _rules_for(flavour, cp)},
        **{f"{vdu.id}_flavor": _sized(vdu) for vdu in flavour.vdus.values() if _is_sized(vdu)},
        **{vdu.id: _member(flavour, vdu) for vdu in flavour.vdus.values()},
    }
    description = flavour.description or f"Deployment flavour {flavour.id}"
    return BaseHot(
        path=f"TOSCA/{flavour.id}.yaml",
        template=_text(description, {"nfv": {"type": "json"}}, resources),
        files={_file(vdu): _nested(flavour, vdu) for vdu in flavour.vdus.values()},
    )


def _text(description: str, parameters: Json, resources: Json, conditions: Json | None = None) -> str:
    head: Json = {"heat_template_version": _VERSION, "description": description, "parameters": parameters}
    parts = head | ({"conditions": conditions} if conditions else {}) | {"resources": resources}
    return yaml.dump(parts, Dumper=_Plain, sort_keys=False)


class _Plain(yaml.SafeDumper):
    """YAML without anchors: a template is for people too."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _file(vdu: Vdu) -> str:
    return f"{vdu.id}.yaml"


def _nfv(*path: str) -> Json:
    return {"get_param": ["nfv", *path]}


# What VNFCs share.


def _links(flavour: Flavour) -> Iterator[tuple[str, Json]]:
    for number, link in enumerate(flavour.virtual_links.values()):
        policy = {"get_resource": f"{link.id}_qospolicy"} if link.max_bitrate else None
        yield link.id, {"type": NET} | _with({"value_specs": link.segment, "qos_policy": policy})
        if link.max_bitrate:
            limit = {"policy": policy, "max_kbps": ceil(link.max_bitrate / 1000)}
            yield f"{link.id}_qospolicy", {"type": "OS::Neutron::QoSPolicy"}
            yield f"{link.id}_bandwidth", {"type": "OS::Neutron::QoSBandwidthLimitRule", "properties": limit}
        for at, subnet in enumerate(_ranges(link) or [Subnet(cidr=f"192.168.{100 + number % 100}.0/24")]):
            yield _subnet(link.id, at), {"type": SUBNET} | _with(_range(link, subnet))


def _with(properties: Json) -> Json:
    """A resource's properties, those that are said."""
    said = {name: value for name, value in properties.items() if value not in (None, [], {})}
    return {"properties": said} if said else {}


def _ranges(link: VnfVirtualLink) -> list[Subnet]:
    said = {subnet.cidr: subnet for subnet in link.subnets}
    return [said.get(cidr) or Subnet(cidr=cidr, ip_version=6 if ":" in cidr else 4) for cidr in link.cidrs]


def _range(link: VnfVirtualLink, subnet: Subnet) -> Json:
    return {
        "network": {"get_resource": link.id},
        "ip_version": subnet.ip_version,
        "cidr": subnet.cidr,
        "name": subnet.name,
        "gateway_ip": subnet.gateway,
        "enable_dhcp": subnet.dhcp,
        "allocation_pools": [{"start": start, "end": end} for start, end in subnet.pools],
        "ipv6_address_mode": subnet.ipv6_address_mode,
        "ipv6_ra_mode": subnet.ipv6_address_mode,
    }


def _subnets(flavour: Flavour, link: str) -> list[str]:
    return [_subnet(link, at) for at in range(max(1, len(_ranges(flavour.virtual_links[link]))))]


def _subnet(link: str, at: int) -> str:
    return f"{link}_subnet" if at == 0 else f"{link}_subnet_{at}"


def _vip(flavour: Flavour, vip: FloatingCp) -> Json:
    """The port that keeps a virtual address: no server has it."""
    if vip.virtual_link_id is None:
        leaves = ("network", "fixed_ips", "mac_address")
        return {"type": PORT, "properties": {leaf: _nfv("CP", vip.id, leaf) for leaf in leaves}}
    subnets = _subnets(flavour, vip.virtual_link_id)
    return {"type": PORT, "depends_on": subnets, "properties": {"network": {"get_resource": vip.virtual_link_id}}}


def _vips_of(flavour: Flavour, cp: VduCp) -> Json:
    """The virtual addresses that a connection point shares: of each VIP up to two, because it may have both families."""
    shared = (vip.id for vip in flavour.vip_cps.values() if cp.id in vip.target_ids)
    found = [{"ip_address": {"get_attr": [vip, "fixed_ips", at, "ip_address"]}} for vip in shared for at in range(2)]
    return {"filter": [[{"ip_address": None}], found]} if found else {}


def _host_rules(flavour: Flavour) -> list[AffinityRule]:
    """The rules that a server group can keep: zones are chosen with the grant, sites and sockets are not Nova's."""
    return [rule for rule in flavour.affinity_rules if rule.scope.lower() == "nfvi_node"]


def _server_group(rule: AffinityRule) -> Json:
    return {"type": "OS::Nova::ServerGroup", "properties": {"policies": [_POLICIES[rule.kind]]}}


def _rules_for(flavour: Flavour, cp: str) -> list[SecurityRule]:
    return [rule for rule in flavour.security_rules if cp in rule.cp_ids]


def _security_group(flavour: Flavour, cp: str) -> Json:
    """What a connection point lets through. Neutron lets everything out of one whose rules are about what comes in."""
    rules = [_security_rule(rule) for rule in _rules_for(flavour, cp)]
    return {"type": SECURITY_GROUP, "properties": {"rules": rules}}


def _security_rule(rule: SecurityRule) -> Json:
    ports = {} if rule.ports is None else {"port_range_min": rule.ports[0], "port_range_max": rule.ports[1]}
    protocol = {} if rule.protocol is None else {"protocol": rule.protocol}
    return {"direction": rule.direction, "ethertype": f"IPv{rule.ip_version}"} | protocol | ports


def _is_sized(vdu: Vdu) -> bool:
    return vdu.requested_capability is None and None not in (vdu.virtual_cpus, vdu.virtual_memory)


def _sized(vdu: Vdu) -> Json:
    disk = max(vdu.local_storage, vdu.software_image.min_disk if vdu.software_image else 0)
    size = {"vcpus": vdu.virtual_cpus, "ram": ceil((vdu.virtual_memory or 0) / 2**20), "disk": ceil(disk / 2**30)}
    return {"type": "OS::Nova::Flavor"} | _with(size | {"extra_specs": vdu.extra_specs})


# A VNFC in the top template: its parameters.


def _member(flavour: Flavour, vdu: Vdu) -> Json:
    flavor = {"get_resource": f"{vdu.id}_flavor"} if _is_sized(vdu) else _nfv("VDU", vdu.id, "computeFlavourId")
    properties: Json = {"flavor": flavor, "zone": _nfv("VDU", vdu.id, "locationConstraints")}
    if vdu.software_image:
        properties["image"] = _nfv("VDU", vdu.id, "vcImageId")
    for storage in _volumes(flavour, vdu):
        if storage.software_image:
            properties[f"{storage.id}_image"] = _nfv("VDU", storage.id, "vcImageId")
    if rule := _rule_of(flavour, vdu):
        properties["group"] = {"get_resource": rule.id}
    subnets: list[str] = []
    for cp in flavour.cps_of(vdu.id):
        if cp.virtual_link_id is None:
            leaves = ("network", "fixed_ips", "mac_address", "link_port")
            properties |= {f"{cp.id}_{leaf}": _nfv("CP", cp.id, leaf) for leaf in leaves}
        else:
            properties[f"{cp.id}_network"] = {"get_resource": cp.virtual_link_id}
            subnets += _subnets(flavour, cp.virtual_link_id)
        if vips := _vips_of(flavour, cp):
            properties[f"{cp.id}_vips"] = vips
        if _rules_for(flavour, cp.id):
            properties[f"{cp.id}_security"] = {"get_resource": f"{cp.id}_security"}
    after = {"depends_on": list(dict.fromkeys(subnets))} if subnets else {}
    return {"type": _file(vdu), **after, "properties": properties}


def _rule_of(flavour: Flavour, vdu: Vdu) -> AffinityRule | None:
    """The rule that places a VDU: Nova takes one group per server, so the first."""
    return next((rule for rule in _host_rules(flavour) if vdu.id in rule.targets), None)


def _volumes(flavour: Flavour, vdu: Vdu) -> list[VirtualStorage]:
    return [flavour.storages[node] for node in vdu.storage_ids if flavour.storages[node].kind == _BLOCK]


# A VNFC: its own template.


def _nested(flavour: Flavour, vdu: Vdu) -> str:
    volumes, cps = _volumes(flavour, vdu), flavour.cps_of(vdu.id)
    parameters: Json = {"flavor": {"type": "string"}, "zone": _optional()}
    parameters |= {"image": {"type": "string"}} if vdu.software_image else {}
    parameters |= {f"{volume.id}_image": {"type": "string"} for volume in volumes if volume.software_image}
    parameters |= {"group": {"type": "string"}} if _rule_of(flavour, vdu) else {}
    conditions: Json = {"placed": _is_given("zone")}
    resources: Json = {vdu.id: _server(flavour, vdu, volumes, cps)}
    for cp in sorted(cps, key=lambda cp: cp.order or 0):
        parameters[f"{cp.id}_network"] = {"type": "string"}
        vips = {"allowed_address_pairs": {"get_param": f"{cp.id}_vips"}} if _vips_of(flavour, cp) else {}
        parameters |= {f"{cp.id}_vips": {"type": "json", "default": []}} if vips else {}
        if secured := _rules_for(flavour, cp.id):
            parameters[f"{cp.id}_security"] = {"type": "string"}
        groups = {"security_groups": [{"get_param": f"{cp.id}_security"}]} if secured else {}
        kind = {"binding:vnic_type": cp.vnic_type} if cp.vnic_type else {}
        resources[cp.id] = _port(cp, vips | groups | kind)
        if cp.is_external:
            parameters |= {f"{cp.id}_{leaf}": _optional() for leaf in ("mac_address", "link_port")}
            parameters[f"{cp.id}_fixed_ips"] = {"type": "json", "default": []}
            conditions |= {
                f"{cp.id}_made": _is_left(f"{cp.id}_link_port"),
                f"{cp.id}_has_mac": _is_given(f"{cp.id}_mac_address"),
            }
    resources |= {volume.id: _volume(volume) for volume in volumes}
    resources |= {
        f"{volume.id}_attachment": _attachment(vdu, volume) for volume in volumes if volume != _boot(vdu, volumes)
    }
    return _text(vdu.description or f"A VNFC of {vdu.id}", parameters, resources, conditions)


def _optional() -> Json:
    return {"type": "string", "default": ""}


def _is_left(parameter: str) -> Json:
    return {"equals": [{"get_param": parameter}, ""]}


def _is_given(parameter: str) -> Json:
    return {"not": _is_left(parameter)}


def _server(flavour: Flavour, vdu: Vdu, volumes: list[VirtualStorage], cps: tuple[VduCp, ...]) -> Json:
    properties: Json = {
        "flavor": {"get_param": "flavor"},
        "availability_zone": {"if": ["placed", {"get_param": "zone"}]},
        "user_data_format": "RAW",
    }
    properties |= {"image": {"get_param": "image"}} if vdu.software_image else {}
    if boot := vdu.boot_data:
        properties |= {"user_data": boot.content} if boot.content is not None else {}
        properties |= {"metadata": boot.pairs} if boot.pairs else {}
    properties |= {"scheduler_hints": {"group": {"get_param": "group"}}} if _rule_of(flavour, vdu) else {}
    if boot := _boot(vdu, volumes):
        device = {"volume_id": {"get_resource": boot.id}, "boot_index": 0, "delete_on_termination": False}
        properties["block_device_mapping_v2"] = [device]
    properties["networks"] = [{"port": _port_of(cp)} for cp in sorted(cps, key=lambda cp: cp.order or 0)]
    return {"type": SERVER, "properties": properties}


def _boot(vdu: Vdu, volumes: list[VirtualStorage]) -> VirtualStorage | None:
    """What a server without an image of its own boots from: of the volumes that have one, the first in the VDU's boot order."""
    bootable = [each for each in volumes if each.software_image] if vdu.software_image is None else []
    bootable.sort(key=lambda each: vdu.boot_order.index(each.id) if each.id in vdu.boot_order else len(vdu.boot_order))
    return next(iter(bootable), None)


def _attachment(vdu: Vdu, volume: VirtualStorage) -> Json:
    """A volume that moves to the server that replaces one, which it could not as a part of the server's definition."""
    both = {"instance_uuid": {"get_resource": vdu.id}, "volume_id": {"get_resource": volume.id}}
    return {"type": "OS::Cinder::VolumeAttachment", "properties": both}


def _port_of(cp: VduCp) -> Json:
    made = {"get_resource": cp.id}
    return {"if": [f"{cp.id}_made", made, {"get_param": f"{cp.id}_link_port"}]} if cp.is_external else made


def _port(cp: VduCp, more: Json) -> Json:
    network = {"network": {"get_param": f"{cp.id}_network"}} | more
    if not cp.is_external:
        return {"type": PORT, "properties": network}
    addresses = {
        "fixed_ips": {"get_param": f"{cp.id}_fixed_ips"},
        "mac_address": {"if": [f"{cp.id}_has_mac", {"get_param": f"{cp.id}_mac_address"}]},
    }
    return {"type": PORT, "condition": f"{cp.id}_made", "properties": network | addresses}


def _volume(volume: VirtualStorage) -> Json:
    image = volume.software_image
    least = max(volume.size or 0, image.min_disk if image else 0)
    source = {"image": {"get_param": f"{volume.id}_image"}} if image else {}
    return {"type": VOLUME, "properties": {"size": max(1, ceil(least / 2**30)), **source}}
