"""Neutron's data and rules: one method per thing that can be made, changed or deleted.

Deleting obeys the real rules (a network with ports, a subnet in use and a router with interfaces are refused).
"""

from __future__ import annotations

import itertools
import time
from typing import Any

from forestay_simvim.config import SimConfig
from forestay_simvim.errors import NetworkError
from forestay_simvim.ids import isotime, new_id
from forestay_simvim.keystone.identity import Identity
from forestay_simvim.neutron.addresses import Allocator, default_pools
from forestay_simvim.neutron.floating import reachable_address
from forestay_simvim.neutron.trunks import checked_parent, checked_subports, keep_ports_of_trunks
from forestay_simvim.quota import Quota
from forestay_simvim.table import Row, Table

SINGULAR = {
    "networks": "network",
    "subnets": "subnet",
    "ports": "port",
    "routers": "router",
    "floatingips": "floatingip",
    "security_groups": "security_group",
    "security_group_rules": "security_group_rule",
    "trunks": "trunk",
}
_TITLES = {"floatingips": "FloatingIP", "security_groups": "SecurityGroup", "security_group_rules": "SecurityGroupRule"}
# Ports that do not keep a network or subnet from being deleted: Neutron makes and removes them itself.
_OWN_PORTS = ("network:dhcp",)


class Networking:
    """All network objects of the cloud."""

    def __init__(self, config: SimConfig, identity: Identity, quota: Quota) -> None:
        self.quota = quota
        self.networks = Table("project_id", "name")
        self.subnets = Table("project_id", "name", "network_id")
        self.ports = Table("project_id", "name", "network_id", "device_id", "mac_address")
        self.routers = Table("project_id", "name")
        self.floatingips = Table("project_id", "port_id", "floating_ip_address")
        self.security_groups = Table("project_id", "name")
        self.security_group_rules = Table("project_id", "security_group_id")
        self.trunks = Table("project_id", "name", "port_id")
        self.qos_policies = Table("project_id", "name")
        self._defaults: dict[str, str] = {}
        self._allocators: dict[str, Allocator] = {}
        self._macs = itertools.count(1)
        self._segments = itertools.count(100)
        for known in config.networks:
            owner = identity.project_named(known.project or "admin")
            project = owner["id"] if owner else ""
            more = {"router:external": known.external, "shared": known.shared}
            network = self.create_network(project, {"name": known.name, **more})
            subnet = {"name": f"{known.name}-subnet", "network_id": network["id"], "cidr": known.cidr}
            made = self.create_subnet(project, subnet | {"enable_dhcp": known.dhcp})
            for outside in self.networks.find(name=known.router) if known.router else ():
                gateway = {"network_id": outside["id"], "enable_snat": True, "external_fixed_ips": []}
                router = self.create_router(project, {"name": "router1", "external_gateway_info": gateway})
                self.add_interface(router, {"subnet_id": made["id"]})

    def table(self, plural: str) -> Table:
        """The table of a collection, by the name it has in URLs."""
        return getattr(self, plural)

    def get(self, plural: str, key: str) -> Row:
        """The object with this id; Neutron's 404 when there is none."""
        row = self.table(plural).get(key)
        if row is None:
            singular = SINGULAR[plural]
            title = _TITLES.get(plural, singular.capitalize())
            raise NetworkError(f"{title}NotFound", 404, f"{title} {key} could not be found.")
        return row

    def find(self, plural: str, key: str, project: str) -> Row | None:
        """The object with this id or name that the project may see."""
        row = self.table(plural).get(key)
        if row is not None:
            return row
        return next((each for each in self.table(plural).find(name=key) if visible(each, project)), None)

    def update(self, plural: str, row: Row, changes: dict[str, Any]) -> Row:
        """Set plain fields of *row*."""
        return self.table(plural).change(row, **changes, **_touched(row))

    # --- networks and subnets

    def create_network(self, project: str, given: dict[str, Any]) -> Row:
        self._check_quota("network", self.networks, project)
        row = _base(project, given) | {
            "status": "ACTIVE", "admin_state_up": True, "shared": False, "router:external": False, "mtu": 1500,
            "subnets": [], "availability_zones": ["nova"], "availability_zone_hints": [], "port_security_enabled": True,
            "provider:network_type": "vxlan", "provider:physical_network": None, "qos_policy_id": None,
            "provider:segmentation_id": next(self._segments), "ipv4_address_scope": None, "ipv6_address_scope": None,
            "l2_adjacency": True, "is_default": False, "vlan_transparent": None,
        }  # fmt: skip
        return self.networks.add(row | given | {"project_id": project, "tenant_id": project})

    def delete_network(self, row: Row) -> None:
        if any(port["device_owner"] not in _OWN_PORTS for port in self.ports.find(network_id=row["id"])):
            raise NetworkError(
                "NetworkInUse",
                409,
                f"Unable to complete operation on network {row['id']}. There are one or more ports still in use on "
                "the network.",
            )
        for subnet in self.subnets.find(network_id=row["id"]):
            self.delete_subnet(subnet)
        self.networks.remove(row["id"])

    def create_subnet(self, project: str, given: dict[str, Any]) -> Row:
        self._check_quota("subnet", self.subnets, project)
        network = self.get("networks", given.get("network_id", ""))
        cidr = given.get("cidr")
        if not cidr:
            raise NetworkError(
                "BadRequest", 400, "Bad subnets request: a subnetpool must be specified in the absence of a cidr."
            )
        try:
            probe = Allocator(cidr, [])
        except ValueError:
            message = f"Invalid input for cidr. Reason: '{cidr}' is not a valid IP subnet."
            raise NetworkError("HTTPBadRequest", 400, message) from None
        gateway = given.get("gateway_ip", str(probe.network[1]))
        pools = given.get("allocation_pools") or default_pools(str(probe.network), gateway)
        row: Row = _base(project, given) | {
            "enable_dhcp": True, "dns_nameservers": [], "host_routes": [], "ipv6_ra_mode": None, "service_types": [],
            "ipv6_address_mode": None, "subnetpool_id": None, "segment_id": None, "dns_publish_fixed_ip": False,
        }  # fmt: skip
        row |= given | {
            "project_id": project, "tenant_id": project, "cidr": str(probe.network), "gateway_ip": gateway,
            "allocation_pools": pools, "ip_version": probe.network.version, "_shared": network["shared"],
        }  # fmt: skip
        allocator = Allocator(str(probe.network), pools)
        self._allocators[str(row["id"])] = allocator
        if gateway:
            allocator.claim(gateway)
        network["subnets"].append(row["id"])
        return self.subnets.add(row)

    def delete_subnet(self, row: Row) -> None:
        if any(
            ip["subnet_id"] == row["id"]
            for port in self.ports.find(network_id=row["network_id"])
            for ip in port["fixed_ips"]
        ):
            raise NetworkError(
                "SubnetInUse",
                409,
                f"Unable to complete operation on subnet {row['id']}: One or more ports have an IP allocation from "
                "this subnet.",
            )
        network = self.networks.get(row["network_id"])
        if network:
            network["subnets"].remove(row["id"])
        self._allocators.pop(row["id"], None)
        self.subnets.remove(row["id"])

    # --- ports

    def create_port(self, project: str, given: dict[str, Any]) -> Row:
        self._check_quota("port", self.ports, project)
        network = self.get("networks", given.get("network_id", ""))
        mac = given.get("mac_address") or self._new_mac()
        if given.get("mac_address") and any(p["network_id"] == network["id"] for p in self.ports.find(mac_address=mac)):
            message = f"Unable to complete operation for network {network['id']}. The mac address {mac} is in use."
            raise NetworkError("MacAddressInUse", 409, message)
        row = _base(project, given) | {
            "status": "DOWN", "admin_state_up": True, "device_id": "", "device_owner": "", "allowed_address_pairs": [],
            "extra_dhcp_opts": [], "security_groups": self._default_groups(project), "port_security_enabled": True,
            "binding:vnic_type": "normal", "binding:profile": {}, "binding:host_id": "", "binding:vif_type": "unbound",
            "binding:vif_details": {}, "qos_policy_id": None, "dns_name": "", "dns_assignment": [], "dns_domain": "",
        }  # fmt: skip
        fixed_ips = self._allocate(network, given.get("fixed_ips"))
        row |= given | {"project_id": project, "tenant_id": project, "mac_address": mac, "fixed_ips": fixed_ips}
        return self.ports.add(row)

    def update_port(self, row: Row, changes: dict[str, Any]) -> Row:
        if "fixed_ips" in changes:
            wanted, kept = self._split_kept(row["fixed_ips"], changes["fixed_ips"] or [])
            fresh = self._allocate(self.get("networks", row["network_id"]), wanted)
            self._release(ip for ip in row["fixed_ips"] if ip not in kept)
            changes = changes | {"fixed_ips": kept + fresh}
        return self.update("ports", row, changes)

    def delete_port(self, row: Row, *, force: bool = False) -> None:
        if not force and row["device_owner"].startswith("network:router"):
            message = (
                f"Port {row['id']} cannot be deleted directly via the port API: has device owner {row['device_owner']}."
            )
            raise NetworkError("ServicePortInUse", 409, message)
        keep_ports_of_trunks(self, row["id"])
        for address in self.floatingips.find(port_id=row["id"]):
            self.floatingips.change(address, port_id=None, fixed_ip_address=None, status="DOWN")
        self._release(row["fixed_ips"])
        self.ports.remove(row["id"])

    def bind_port(self, row: Row, device_id: str, owner: str, host: str) -> None:
        """Attach the port to a device; it is ACTIVE at once."""
        binding = {"binding:host_id": host, "binding:vif_type": "ovs" if host else "unbound"}
        self.ports.change(row, device_id=device_id, device_owner=owner, status="ACTIVE" if host else "DOWN", **binding)

    def _new_mac(self) -> str:
        number = next(self._macs)
        return "fa:16:3e:" + ":".join(f"{number >> shift & 0xFF:02x}" for shift in (16, 8, 0))

    def _default_groups(self, project: str) -> list[str]:
        return [self.default_group(project)["id"]] if project else []

    def default_group(self, project: str) -> Row:
        """The project's ``default`` security group, made when it is first asked for."""
        row = self.security_groups.get(self._defaults.get(project, ""))
        if row is None:
            row = self.create_security_group(project, {"name": "default"})
            self._defaults[project] = row["id"]
        return row

    def _split_kept(self, have: list[Row], wanted: list[Row]) -> tuple[list[Row], list[Row]]:
        kept = [ip for ip in have if any(ip["ip_address"] == each.get("ip_address") for each in wanted)]
        taken = {ip["ip_address"] for ip in kept}
        for each in wanted:
            same = [ip for ip in have if ip not in kept and ip["subnet_id"] == each.get("subnet_id")]
            if not each.get("ip_address") and same:
                kept.append(same[0])
                taken.add(id(each))
        return [each for each in wanted if each.get("ip_address") not in taken and id(each) not in taken], kept

    def _allocate(self, network: Row, wanted: list[Row] | None) -> list[Row]:
        if wanted is None:
            subnets = [self.get("subnets", key) for key in network["subnets"]]
            firsts = {subnet["ip_version"]: subnet for subnet in reversed(subnets)}
            wanted = [{"subnet_id": subnet["id"]} for _, subnet in sorted(firsts.items())]
        done: list[Row] = []
        try:
            done.extend(self._allocate_one(network, each.get("subnet_id"), each.get("ip_address")) for each in wanted)
        except NetworkError:
            self._release(done)
            raise
        return done

    def _allocate_one(self, network: Row, subnet_id: str | None, address: str | None) -> Row:
        candidates = [subnet_id] if subnet_id else list(network["subnets"])
        for key in candidates:
            self.get("subnets", key)
            allocator = self._allocators[key]
            if address is None:
                found = allocator.take()
                if found:
                    return {"subnet_id": key, "ip_address": found}
            elif allocator.contains(address):
                if not allocator.claim(address):
                    message = f"IP address {address} already allocated in subnet {key}"
                    raise NetworkError("IpAddressAlreadyAllocated", 409, message)
                return {"subnet_id": key, "ip_address": address}
        if address is not None:
            message = f"IP address {address} is not a valid IP for the specified subnet."
            raise NetworkError("InvalidIpForSubnet", 400, message)
        message = f"No more IP addresses available on network {network['id']}."
        raise NetworkError("IpAddressGenerationFailure", 409, message)

    def _release(self, fixed_ips: Any) -> None:
        for ip in fixed_ips:
            allocator = self._allocators.get(ip["subnet_id"])
            if allocator:
                allocator.free(ip["ip_address"])

    # --- routers, floating IPs, security groups

    def create_router(self, project: str, given: dict[str, Any]) -> Row:
        self._check_quota("router", self.routers, project)
        row = _base(project, given) | {
            "status": "ACTIVE", "admin_state_up": True, "external_gateway_info": None, "routes": [], "ha": False,
            "distributed": False, "availability_zones": ["nova"], "availability_zone_hints": [], "flavor_id": None,
        }  # fmt: skip
        return self.routers.add(row | given | {"project_id": project, "tenant_id": project})

    def delete_router(self, row: Row) -> None:
        if self.ports.count("device_id", row["id"]):
            raise NetworkError("RouterInUse", 409, f"Router {row['id']} still has ports")
        self.routers.remove(row["id"])

    def add_interface(self, row: Row, given: dict[str, Any]) -> Row:
        """Put the router into a subnet (on its gateway address) or take over a port."""
        if given.get("port_id"):
            port = self.get("ports", given["port_id"])
        else:
            subnet = self.get("subnets", given.get("subnet_id", ""))
            self._allocators[subnet["id"]].free(subnet["gateway_ip"])
            where = {"subnet_id": subnet["id"], "ip_address": subnet["gateway_ip"]}
            port = self.create_port(row["project_id"], {"network_id": subnet["network_id"], "fixed_ips": [where]})
        self.bind_port(port, row["id"], "network:router_interface", "")
        subnet_id = port["fixed_ips"][0]["subnet_id"]
        return {"id": row["id"], "port_id": port["id"], "subnet_id": subnet_id, "subnet_ids": [subnet_id],
                "network_id": port["network_id"], "tenant_id": row["project_id"]}  # fmt: skip

    def remove_interface(self, row: Row, given: dict[str, Any]) -> Row:
        for port in self.ports.find(device_id=row["id"]):
            subnet_id = port["fixed_ips"][0]["subnet_id"]
            if given.get("port_id") == port["id"] or given.get("subnet_id") == subnet_id:
                self.delete_port(port, force=True)
                return {
                    "id": row["id"],
                    "port_id": port["id"],
                    "subnet_id": subnet_id,
                    "network_id": port["network_id"],
                }
        raise NetworkError("RouterInterfaceNotFound", 404, f"Router {row['id']} does not have this interface")

    def create_floatingip(self, project: str, given: dict[str, Any]) -> Row:
        self._check_quota("floatingip", self.floatingips, project)
        network = self.get("networks", given.get("floating_network_id", ""))
        wanted = [{"ip_address": given["floating_ip_address"]}] if given.get("floating_ip_address") else None
        allocated = self._allocate(network, wanted)
        row = _base(project, given) | {
            "floating_network_id": network["id"], "floating_ip_address": allocated[0]["ip_address"], "router_id": None,
            "port_id": None, "fixed_ip_address": None, "status": "DOWN", "port_details": None, "port_forwardings": [],
            "_fixed_ips": allocated, "tags": [], "dns_name": "", "dns_domain": "",
        }  # fmt: skip
        self.floatingips.add(row)
        try:
            return self.associate(row, given.get("port_id"), given.get("fixed_ip_address"))
        except NetworkError:
            self.delete_floatingip(row)
            raise

    def associate(self, row: Row, port_id: str | None, fixed_ip: str | None = None) -> Row:
        """Point the floating IP at a port, or at nothing."""
        port = self.get("ports", port_id) if port_id else None
        address = reachable_address(self, row["floating_network_id"], port, fixed_ip) if port else None
        status = "ACTIVE" if port else "DOWN"
        return self.floatingips.change(row, port_id=port_id, fixed_ip_address=address, status=status)

    def delete_floatingip(self, row: Row) -> None:
        self._release(row["_fixed_ips"])
        self.floatingips.remove(row["id"])

    def create_trunk(self, project: str, given: dict[str, Any]) -> Row:
        self._check_quota("trunk", self.trunks, project)
        port = checked_parent(self, given.get("port_id", ""))
        row = _base(project, given) | {"admin_state_up": True, "status": "ACTIVE"} | given
        subports = checked_subports(self, given.get("sub_ports") or [], str(row["id"]))
        return self.trunks.add(row | {"project_id": project, "port_id": port["id"], "sub_ports": subports})

    def delete_trunk(self, row: Row) -> None:
        self.trunks.remove(row["id"])

    def create_security_group(self, project: str, given: dict[str, Any]) -> Row:
        self._check_quota("security_group", self.security_groups, project)
        row = self.security_groups.add(_base(project, given) | {"stateful": True, "shared": False} | given)
        for version in ("IPv4", "IPv6"):
            rule = {"security_group_id": row["id"], "direction": "egress", "ethertype": version}
            self.create_security_group_rule(project, rule)
        return row

    def delete_security_group(self, row: Row) -> None:
        if any(row["id"] in port["security_groups"] for port in self.ports.find(project_id=row["project_id"])):
            raise NetworkError("SecurityGroupInUse", 409, f"Security Group {row['id']} in use.")
        for rule in self.security_group_rules.find(security_group_id=row["id"]):
            self.security_group_rules.remove(rule["id"])
        self.security_groups.remove(row["id"])

    def create_security_group_rule(self, project: str, given: dict[str, Any]) -> Row:
        self.get("security_groups", given.get("security_group_id", ""))
        row = _base(project, given) | {
            "direction": "ingress", "ethertype": "IPv4", "protocol": None, "port_range_min": None, "port_range_max": None,
            "remote_ip_prefix": None, "remote_group_id": None, "remote_address_group_id": None,
        }  # fmt: skip
        return self.security_group_rules.add(row | given)

    def delete_security_group_rule(self, row: Row) -> None:
        self.security_group_rules.remove(row["id"])

    def _check_quota(self, resource: str, table: Table, project: str) -> None:
        if self.quota.exceeded(resource, table.count("project_id", project) + 1):
            raise NetworkError("OverQuota", 409, f"Quota exceeded for resources: ['{resource}'].")


def visible(row: Row, project: str) -> bool:
    """Whether a member of *project* sees the object."""
    open_to_all = row.get("shared") or row.get("_shared") or row.get("router:external")
    return row["project_id"] == project or bool(open_to_all)


def _touched(row: Row) -> dict[str, Any]:
    return {"updated_at": isotime(time.time()), "revision_number": row.get("revision_number", 0) + 1}


def _base(project: str, given: dict[str, Any]) -> Row:
    now = isotime(time.time())
    return {
        "id": new_id(), "name": given.get("name") or "", "description": given.get("description") or "",
        "project_id": project, "tenant_id": project, "tags": list(given.get("tags") or []), "created_at": now,
        "updated_at": now, "revision_number": 1,
    }  # fmt: skip
