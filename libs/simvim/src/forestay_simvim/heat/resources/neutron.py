"""OS::Neutron::*: each is one object of the simulated Neutron, looked up by name or id where Heat does so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from forestay_simvim.errors import NetworkError
from forestay_simvim.heat.model import Resource, Stack
from forestay_simvim.heat.resources.base import (
    ResourceType,
    network_exists,
    port_exists,
    router_exists,
    subnet_exists,
    words,
)
from forestay_simvim.hot.functions import select
from forestay_simvim.neutron.trunks import checked_subports
from forestay_simvim.table import Row


class NeutronResource(ResourceType):
    """A resource that is one row of a Neutron collection."""

    plural: ClassVar[str]

    def find(self, plural: str, key: Any, stack: Stack) -> str:
        """The id behind a name or id; Neutron's 404."""
        row = self.cloud.neutron.find(plural, str(key), stack.project)
        return row["id"] if row else self.cloud.neutron.get(plural, str(key))["id"]

    def body(self, resource: Resource, props: dict[str, Any]) -> dict[str, Any]:
        """The object as the API takes it."""
        given = {key: value for key, value in props.items() if value is not None and key != "value_specs"}
        if policy := self.cloud.neutron.find("qos_policies", str(given.pop("qos_policy", "")), resource.stack.project):
            given["qos_policy_id"] = policy["id"]
        return {"name": resource.physical_name} | given | (props.get("value_specs") or {})

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        make: Callable[[str, Row], Row] = getattr(self.cloud.neutron, f"create_{self.plural[:-1]}")
        row = make(resource.stack.project, self.body(resource, props))
        resource.physical_id = row["id"]

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        full = self.body(resource, props)
        self.cloud.neutron.update(self.plural, self.row(resource), {key: full[key] for key in changed if key in full})

    async def delete(self, resource: Resource) -> None:
        row = self.cloud.neutron.table(self.plural).get(resource.physical_id or "")
        if row:
            remove: Callable[[Row], None] = getattr(self.cloud.neutron, f"delete_{self.plural[:-1]}")
            await _as_soon_as_free(lambda: remove(row))

    def row(self, resource: Resource) -> Row:
        """The object behind the resource; Neutron's 404."""
        return self.cloud.neutron.get(self.plural, resource.physical_id or "")

    def check(self, resource: Resource) -> None:
        self.row(resource)

    def show(self, resource: Resource) -> dict[str, Any]:
        row = self.cloud.neutron.table(self.plural).get(resource.physical_id or "") or {}
        return {key: value for key, value in row.items() if not key.startswith("_")}


async def _as_soon_as_free(remove: Callable[[], None]) -> None:
    """Heat tries a deletion again that is a conflict, such as of a subnet with a port in a nested stack, which it does not
    know to be there: five times, after 2 to 32 seconds, which are shorter here."""
    for attempt in range(5):
        try:
            remove()
            return
        except NetworkError as error:
            if error.status != 409:
                raise
        await asyncio.sleep(0.02 * 2**attempt)
    remove()


class Net(NeutronResource):
    plural = "networks"
    optional = words(
        "name value_specs admin_state_up tenant_id shared dhcp_agent_ids port_security_enabled qos_policy dns_domain "
        "availability_zone_hints tags"
    )
    updatable = optional - words("tenant_id availability_zone_hints")

    def attribute(self, resource: Resource, path: list[Any]) -> Any:
        if path and path[0] == "subnets":
            table = self.cloud.neutron.subnets
            return select([table.get(key) for key in self.row(resource)["subnets"]], path[1:])
        return super().attribute(resource, path)


class Subnet(NeutronResource):
    plural = "subnets"
    optional = words(
        "network network_id subnetpool prefixlen cidr value_specs name ip_version dns_nameservers gateway_ip enable_dhcp "
        "allocation_pools tenant_id host_routes ipv6_ra_mode ipv6_address_mode segment tags"
    )
    updatable = words(
        "value_specs name dns_nameservers gateway_ip enable_dhcp allocation_pools host_routes segment tags"
    )
    constraints: ClassVar = {"network": network_exists}

    def body(self, resource: Resource, props: dict[str, Any]) -> dict[str, Any]:
        network = props.get("network") or props.get("network_id")
        given = super().body(resource, props)
        given.pop("network", None)
        return given | {"network_id": self.find("networks", network, resource.stack)}


class Port(NeutronResource):
    plural = "ports"
    required = words("network")
    optional = words(
        "network_id name device_id device_owner fixed_ips security_groups replacement_policy dns_name tags value_specs "
        "admin_state_up mac_address allowed_address_pairs binding:vnic_type port_security_enabled qos_policy "
        "propagate_uplink_status no_fixed_ips"
    )
    updatable = optional - words("network_id mac_address")
    constraints: ClassVar = {"network": network_exists}

    def body(self, resource: Resource, props: dict[str, Any]) -> dict[str, Any]:
        given = super().body(resource, props)
        given["network_id"] = self.find(
            "networks", given.pop("network", None) or given.get("network_id"), resource.stack
        )
        if given.pop("no_fixed_ips", False):
            given["fixed_ips"] = []
        elif given.get("fixed_ips"):
            given["fixed_ips"] = [self._fixed_ip(each, resource.stack) for each in given["fixed_ips"]]
        else:
            given.pop("fixed_ips", None)
        if "security_groups" in given:
            stack = resource.stack
            given["security_groups"] = [self.find("security_groups", key, stack) for key in given["security_groups"]]
        return given

    def _fixed_ip(self, given: dict[str, Any], stack: Stack) -> dict[str, Any]:
        subnet = given.get("subnet") or given.get("subnet_id")
        wanted = {"subnet_id": self.find("subnets", subnet, stack)} if subnet else {}
        return wanted | ({"ip_address": given["ip_address"]} if given.get("ip_address") else {})

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        full = self.body(resource, props)
        if "fixed_ips" in changed:
            self._expect_network_owner(resource)
        self.cloud.neutron.update_port(self.row(resource), {key: full[key] for key in changed if key in full})

    def prepare_for_replace(self, resource: Resource) -> None:
        row = self.cloud.neutron.ports.get(resource.physical_id or "")
        if row:
            self._expect_network_owner(resource)
            self.cloud.neutron.update_port(row, {"fixed_ips": []})

    def _expect_network_owner(self, resource: Resource) -> None:
        """Neutron lets only the owner of a network change the addresses of a port on it, a shared network's too."""
        network = self.cloud.neutron.get("networks", self.row(resource)["network_id"])
        if network["project_id"] != resource.stack.project and not resource.stack.user.is_admin:
            message = "(rule:update_port and rule:update_port:fixed_ips) is disallowed by policy"
            raise NetworkError("Forbidden", 403, message)

    def show(self, resource: Resource) -> dict[str, Any]:
        row = super().show(resource)
        subnets = [self.cloud.neutron.subnets.get(ip["subnet_id"]) for ip in row.get("fixed_ips", [])]
        return row | {"subnets": subnets} if row else {}


class Router(NeutronResource):
    plural = "routers"
    optional = words(
        "name external_gateway_info value_specs admin_state_up l3_agent_id l3_agent_ids distributed ha "
        "availability_zone_hints tags"
    )
    updatable = optional - words("distributed ha")

    def body(self, resource: Resource, props: dict[str, Any]) -> dict[str, Any]:
        given = super().body(resource, props)
        gateway = given.get("external_gateway_info")
        if gateway:
            network = self.find("networks", gateway["network"], resource.stack)
            given["external_gateway_info"] = {"network_id": network, "enable_snat": True, "external_fixed_ips": []}
        return given


class RouterInterface(ResourceType):
    optional = words("router router_id subnet subnet_id port port_id")
    constraints: ClassVar = {"router": router_exists, "subnet": subnet_exists, "port": port_exists}

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        net, project = self.cloud.neutron, resource.stack.project
        router = net.find("routers", props.get("router") or props["router_id"], project)
        subnet_key, port_key = props.get("subnet") or props.get("subnet_id"), props.get("port") or props.get("port_id")
        plural, key = ("subnets", subnet_key) if subnet_key else ("ports", port_key)
        found = net.find(plural, str(key), project)
        if router is None or found is None:
            raise NetworkError("NotFound", 404, f"{plural[:-1].capitalize()} {key} could not be found.")
        done = net.add_interface(router, {f"{plural[:-1]}_id": found["id"]})
        resource.data = {"router": router["id"], "port": done["port_id"]}
        resource.physical_id = f"{router['id']}:{plural[:-1]}_id={found['id']}"

    async def delete(self, resource: Resource) -> None:
        router = self.cloud.neutron.routers.get(resource.data.get("router", ""))
        if router and self.cloud.neutron.ports.get(resource.data["port"]):
            self.cloud.neutron.remove_interface(router, {"port_id": resource.data["port"]})


class FloatingIP(NeutronResource):
    plural = "floatingips"
    required = words("floating_network")
    optional = words(
        "floating_network_id floating_subnet value_specs port_id fixed_ip_address floating_ip_address dns_name dns_domain"
    )
    updatable = words("port_id fixed_ip_address dns_name dns_domain")
    constraints: ClassVar = {"floating_network": network_exists}

    def body(self, resource: Resource, props: dict[str, Any]) -> dict[str, Any]:
        given = super().body(resource, props)
        given["floating_network_id"] = self.find("networks", given.pop("floating_network"), resource.stack)
        return given

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        self.cloud.neutron.associate(self.row(resource), props.get("port_id"), props.get("fixed_ip_address"))


class FloatingIPAssociation(ResourceType):
    required = words("floatingip_id")
    optional = words("port_id fixed_ip_address")
    updatable = required | optional

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        net = self.cloud.neutron
        net.associate(
            net.get("floatingips", props["floatingip_id"]), props.get("port_id"), props.get("fixed_ip_address")
        )
        resource.physical_id = resource.id

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        await self.delete(resource)
        await self.create(resource, props)

    async def delete(self, resource: Resource) -> None:
        row = self.cloud.neutron.floatingips.get(resource.properties.get("floatingip_id", ""))
        if row:
            self.cloud.neutron.associate(row, None)


class Trunk(NeutronResource):
    plural = "trunks"
    required = words("port")
    optional = words("name description admin_state_up sub_ports")
    updatable = optional
    constraints: ClassVar = {"port": port_exists}

    def body(self, resource: Resource, props: dict[str, Any]) -> dict[str, Any]:
        given = super().body(resource, props)
        given["port_id"] = self.find("ports", given.pop("port"), resource.stack)
        subports = [
            {**each, "port_id": self.find("ports", each["port"], resource.stack)}
            for each in given.get("sub_ports") or []
        ]
        return given | {
            "sub_ports": [{key: value for key, value in each.items() if key != "port"} for each in subports]
        }

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        net, row, full = self.cloud.neutron, self.row(resource), self.body(resource, props)
        full["sub_ports"] = checked_subports(net, full["sub_ports"], row["id"])
        net.update("trunks", row, {key: full[key] for key in changed if key in full})


class SecurityGroup(NeutronResource):
    plural = "security_groups"
    optional = words("name description rules stateful")
    updatable = optional

    def body(self, resource: Resource, props: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in super().body(resource, props).items() if key != "rules"}

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        await super().create(resource, props)
        self._set_rules(resource, props)

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        await super().update(resource, props, changed)
        if "rules" in changed:
            for rule in self.cloud.neutron.security_group_rules.find(security_group_id=resource.physical_id):
                self.cloud.neutron.delete_security_group_rule(rule)
            self._set_rules(resource, props)

    def _set_rules(self, resource: Resource, props: dict[str, Any]) -> None:
        for rule in props.get("rules") or []:
            given = {key: value for key, value in rule.items() if key != "remote_mode"}
            own = {"security_group_id": resource.physical_id}
            self.cloud.neutron.create_security_group_rule(resource.stack.project, given | own)
