"""What scripts build the HOT parameter ``nfv`` with (wire section 8.2). Plain maps, as on the wire, in and out.

The grant comes before the request, and both before the VNFD.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .vnf_instance_utils import json_merge_patch
from .vnfd_utils import Vnfd

__all__ = [
    "apply_ext_managed_vls", "apply_ext_managed_vls_from_inst", "get_current_capacity", "get_param_capacity",
    "get_param_fixed_ips", "get_param_fixed_ips_from_inst", "get_param_flavor", "get_param_image", "get_param_network",
    "get_param_network_from_inst", "get_param_zone", "get_param_zone_by_vnfc", "get_vdu_info", "get_vnfd",
    "init_nfv_dict", "json_merge_patch",
]  # fmt: skip

Json = dict[str, Any]


def get_vnfd(vnfd_id: str, csar_dir: str) -> Vnfd:
    """The VNFD of an extracted package."""
    vnfd = Vnfd(vnfd_id)
    vnfd.init_from_csar_dir(csar_dir)
    return vnfd


def init_nfv_dict(hot_template: Json) -> Json:
    """The tree of all ``get_param: [nfv, A, B, C...]`` of a template's resources, with ``None`` as leaves.

    Entries of ``fixed_ips`` are a map with integer keys.
    """
    nfv: Json = {}
    for resource in (hot_template.get("resources") or {}).values():
        for path in _asked((resource or {}).get("properties")):
            node: Any = nfv
            for part in path[:-1]:
                node = node.setdefault(part, {})
            node.setdefault(path[-1], None)
    return nfv


def _asked(node: Any) -> Iterator[list[Any]]:
    if isinstance(node, list):
        for item in node:
            yield from _asked(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "get_param" and isinstance(value, list) and len(value) >= 4 and value[0] == "nfv":
                yield value[1:]
            else:
                yield from _asked(value)


def get_param_flavor(vdu_name: str, flavour_id: str, vnfd: Vnfd, grant: Json) -> str | None:
    """The VIM's compute flavour of a VDU."""
    granted = (grant.get("vimAssets") or {}).get("computeResourceFlavours") or ()
    ids = (entry["vimFlavourId"] for entry in granted if entry["vnfdVirtualComputeDescId"] == vdu_name)
    return next(ids, None) or vnfd.get_compute_flavor(flavour_id, vdu_name)


def get_param_image(vdu_name: str, flavour_id: str, vnfd: Vnfd, grant: Json, fallback_vnfd: bool = True) -> str | None:
    """The image of a VDU or storage: an id when granted, else the VNFD's name for it."""
    granted = (grant.get("vimAssets") or {}).get("softwareImages") or ()
    ids = (entry["vimSoftwareImageId"] for entry in granted if entry["vnfdSoftwareImageId"] == vdu_name)
    found = next(ids, None)
    return found or (vnfd.get_sw_image(flavour_id).get(vdu_name) if fallback_vnfd else None)


def get_param_zone(vdu_name: str, grant_req: Json, grant: Json) -> str | None:
    """The zone of the first added resource of a VDU that has one."""
    added = (entry["id"] for entry in _computes(grant_req, "addResources", vdu_name))
    return next((zone for entry in added if (zone := get_param_zone_by_vnfc(entry, grant))), None)


def get_param_zone_by_vnfc(res_id: str, grant: Json) -> str | None:
    """The zone that is granted for a resource definition."""
    zones = {zone["id"]: zone["zoneId"] for zone in grant.get("zones") or ()}
    for kind in ("addResources", "updateResources"):
        for entry in grant.get(kind) or ():
            if entry.get("resourceDefinitionId") == res_id and entry.get("zoneId") in zones:
                return zones[entry["zoneId"]]
    return None


def get_current_capacity(vdu_name: str, inst: Json) -> int:
    """The VNFCs of a VDU."""
    vnfcs = (inst.get("instantiatedVnfInfo") or {}).get("vnfcResourceInfo") or ()
    return sum(vnfc["vduId"] == vdu_name for vnfc in vnfcs)


def get_param_capacity(vdu_name: str, inst: Json, grant_req: Json) -> int:
    """The VNFCs of a VDU once the granted operation is done."""
    added, removed = (len(_computes(grant_req, kind, vdu_name)) for kind in ("addResources", "removeResources"))
    return get_current_capacity(vdu_name, inst) + added - removed


def _computes(grant_req: Json, kind: str, vdu_name: str) -> list[Json]:
    entries = grant_req.get(kind) or ()
    return [entry for entry in entries if (entry["type"], entry.get("resourceTemplateId")) == ("COMPUTE", vdu_name)]


def ext_links(grant: Json, req: Json) -> list[Json]:
    """The external virtual links to use: the grant's, and those of the request that the grant does not name."""
    granted = grant.get("extVirtualLinks") or []
    named = {link["id"] for link in granted}
    return [*granted, *(link for link in req.get("extVirtualLinks") or () if link["id"] not in named)]


def ext_cps(cp_name: str, links: list[Json]) -> Iterator[tuple[Json, Json]]:
    """The (link, extCps entry) pairs of a connection point."""
    for link in links:
        yield from ((link, cp) for cp in link.get("extCps") or () if cp["cpdId"] == cp_name)


def get_param_network(cp_name: str, grant: Json, req: Json) -> str | None:
    """The network that a connection point is connected to."""
    return next((link["resourceId"] for link, _ in ext_cps(cp_name, ext_links(grant, req))), None)


def get_param_fixed_ips(cp_name: str, grant: Json, req: Json) -> list[dict[str, str]]:
    """``subnet`` and ``ip_address`` of each address of a connection point, as far as given."""
    return [address for _, cp in ext_cps(cp_name, ext_links(grant, req)) for address in _get_fixed_ips_from_extcp(cp)]


def _get_fixed_ips_from_extcp(extcp: Json) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for layer in cp_protocols(extcp):
        for address in layer.get("ipAddresses") or ():
            given = {
                "subnet": address.get("subnetId"),
                "ip_address": next(iter(address.get("fixedAddresses") or ()), None),
            }
            found.append({name: value for name, value in given.items() if value})
    return found


def cp_protocols(extcp: Json) -> Iterator[Json]:
    """The ``ipOverEthernet`` members of an extCps entry."""
    for config in (extcp.get("cpConfig") or {}).values():
        for data in (config or {}).get("cpProtocolData") or ():
            if data.get("ipOverEthernet"):
                yield data["ipOverEthernet"]


def given_ports(pairs: list[tuple[Json, Json]]) -> Iterator[str]:
    """The ports that the requester made for the instances of a connection point."""
    for link, cp in pairs:
        ports = {port["id"]: port["resourceHandle"]["resourceId"] for port in link.get("extLinkPorts") or ()}
        named = ((config or {}).get("linkPortId") for config in (cp.get("cpConfig") or {}).values())
        yield from (ports[name] for name in named if name in ports)


def _inst_links(inst: Json) -> list[Json]:
    links = (inst.get("instantiatedVnfInfo") or {}).get("extVirtualLinkInfo") or ()
    return [
        {"resourceId": link["resourceHandle"]["resourceId"], "extCps": link.get("currentVnfExtCpData")}
        for link in links
    ]


def get_param_network_from_inst(cp_name: str, inst: Json) -> str | None:
    """The network that a connection point of an instance is connected to."""
    return next((link["resourceId"] for link, _ in ext_cps(cp_name, _inst_links(inst))), None)


def get_param_fixed_ips_from_inst(cp_name: str, inst: Json) -> list[dict[str, str]]:
    """``subnet`` and ``ip_address`` of each address of a connection point of an instance."""
    return [address for _, cp in ext_cps(cp_name, _inst_links(inst)) for address in _get_fixed_ips_from_extcp(cp)]


def get_vdu_info(grant: Json, inst: Json, vnfd: Vnfd) -> dict[str, Json]:
    """``image`` and ``flavor`` of each VDU (and of the storages that VDUs boot from, under the VDU) by VDU."""
    flavour_id = inst["instantiatedVnfInfo"]["flavourId"]
    found: dict[str, Json] = {}
    for name, node in vnfd.get_vdu_nodes(flavour_id).items():
        owners = (name, *vnfd.get_vdu_storages(node))
        images = (get_param_image(owner, flavour_id, vnfd, grant) for owner in owners)
        image = next(filter(None, images), None)
        found[name] = {"flavor": get_param_flavor(name, flavour_id, vnfd, grant), "image": image}
    return found


def apply_ext_managed_vls(hot_dict: Json, req: Json, grant: Json) -> None:
    """Take the virtual links that others manage out of a template, with their subnets; references become network ids."""
    links = [*(req.get("extManagedVirtualLinks") or ()), *(grant.get("extManagedVirtualLinks") or ())]
    _without_links(hot_dict, {link["vnfVirtualLinkDescId"]: link["resourceId"] for link in links})


def apply_ext_managed_vls_from_inst(hot_dict: Json, inst: Json) -> None:
    """As :func:`apply_ext_managed_vls`, with the links that an instance has."""
    links = (inst.get("instantiatedVnfInfo") or {}).get("extManagedVirtualLinkInfo") or ()
    _without_links(hot_dict, {link["vnfVirtualLinkDescId"]: link["networkResource"]["resourceId"] for link in links})


def _without_links(hot_dict: Json, networks: dict[str, str]) -> None:
    resources: Json = hot_dict.get("resources") or {}
    gone = {name for name, resource in resources.items() if name in networks or _is_subnet_of(resource, networks)}
    for name in gone:
        del resources[name]
    for name, resource in resources.items():
        resources[name] = _detached(_connected(resource, networks), gone)


def _is_subnet_of(resource: Json, networks: dict[str, str]) -> bool:
    network = (resource.get("properties") or {}).get("network")
    name = network.get("get_resource") if isinstance(network, dict) else network
    return resource.get("type") == "OS::Neutron::Subnet" and name in networks


def _connected(node: Any, networks: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_connected(item, networks) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("get_resource") in networks:
        return networks[node["get_resource"]]
    return {key: _connected(value, networks) for key, value in node.items()}


def _detached(resource: Json, gone: set[str]) -> Json:
    if after := resource.get("depends_on"):
        names = [after] if isinstance(after, str) else after
        resource["depends_on"] = [name for name in names if name not in gone]
    return resource
