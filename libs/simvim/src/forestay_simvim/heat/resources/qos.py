"""OS::Neutron::QoS*: policies of networks and ports, and what they limit. Neutron lets nobody but an administrator make them."""

from __future__ import annotations

from typing import Any

from forestay_simvim.errors import NetworkError
from forestay_simvim.heat.model import Resource
from forestay_simvim.heat.resources.base import ResourceType, words
from forestay_simvim.ids import new_id


class Policy(ResourceType):
    """A policy, which has its ``rules``."""

    optional = words("name description shared tenant_id tags")
    updatable = words("name description shared tags")

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        _check_admin(resource, "create_policy")
        row = {"id": new_id(), "name": resource.physical_name, "project_id": resource.stack.project, "rules": []}
        resource.physical_id = self.cloud.neutron.qos_policies.add(row | props)["id"]

    async def delete(self, resource: Resource) -> None:
        net = self.cloud.neutron
        if any(row["qos_policy_id"] == resource.physical_id for table in (net.networks, net.ports) for row in table):
            raise NetworkError("QosPolicyInUse", 409, f"QoS Policy {resource.physical_id} is in use.")
        net.qos_policies.remove(resource.physical_id or "")


class BandwidthLimitRule(ResourceType):
    """The most that a port of a policy sends, or gets (``direction``: ingress)."""

    required = words("policy max_kbps")
    optional = words("max_burst_kbps direction tenant_id")

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        _check_admin(resource, "create_policy_bandwidth_limit_rule")
        policy = self.cloud.neutron.find("qos_policies", str(props["policy"]), resource.stack.project)
        if policy is None:
            raise NetworkError("QosPolicyNotFound", 404, f"QoS policy {props['policy']} could not be found.")
        resource.physical_id = new_id()
        limits = {"direction": "egress", **props, "max_kbps": int(props["max_kbps"])}
        policy["rules"].append({"id": resource.physical_id, "type": "bandwidth_limit"} | limits)

    async def delete(self, resource: Resource) -> None:
        for policy in self.cloud.neutron.qos_policies:
            policy["rules"] = [rule for rule in policy["rules"] if rule["id"] != resource.physical_id]


def _check_admin(resource: Resource, action: str) -> None:
    if not resource.stack.user.is_admin:
        raise NetworkError("PolicyNotAuthorized", 403, f"(rule:{action}) is disallowed by policy")
