"""The resource types by the name that templates use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forestay_simvim.errors import ServiceError
from forestay_simvim.heat.model import Blueprint
from forestay_simvim.heat.resources import cinder, groups, heat, neutron, nova, qos
from forestay_simvim.heat.resources.base import ResourceType

if TYPE_CHECKING:
    from forestay_simvim.cloud import Cloud

TYPES: dict[str, type[ResourceType]] = {
    "OS::Cinder::Volume": cinder.Volume,
    "OS::Cinder::VolumeAttachment": cinder.VolumeAttachment,
    "OS::Cinder::VolumeType": cinder.VolumeType,
    "OS::Heat::AutoScalingGroup": groups.AutoScalingGroup,
    "OS::Heat::None": heat.Nothing,
    "OS::Heat::RandomString": heat.RandomString,
    "OS::Heat::ResourceGroup": groups.ResourceGroup,
    "OS::Heat::ScalingPolicy": heat.ScalingPolicy,
    "OS::Heat::TestResource": heat.TestResource,
    "OS::Heat::Value": heat.Value,
    "OS::Neutron::FloatingIP": neutron.FloatingIP,
    "OS::Neutron::FloatingIPAssociation": neutron.FloatingIPAssociation,
    "OS::Neutron::Net": neutron.Net,
    "OS::Neutron::Port": neutron.Port,
    "OS::Neutron::QoSBandwidthLimitRule": qos.BandwidthLimitRule,
    "OS::Neutron::QoSPolicy": qos.Policy,
    "OS::Neutron::Router": neutron.Router,
    "OS::Neutron::RouterInterface": neutron.RouterInterface,
    "OS::Neutron::SecurityGroup": neutron.SecurityGroup,
    "OS::Neutron::Subnet": neutron.Subnet,
    "OS::Neutron::Trunk": neutron.Trunk,
    "OS::Nova::Flavor": nova.Flavor,
    "OS::Nova::Server": nova.Server,
    "OS::Nova::ServerGroup": nova.ServerGroup,
}


class TypeRegistry:
    """Finds the handler of a type; a name that ends in ``.yaml`` or ``.template`` is a template in the stack's files."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._handlers: dict[str, ResourceType] = {name: handler(cloud) for name, handler in TYPES.items()}

    def _mapped(self, name: str, blueprint: Blueprint) -> str:
        mapped = blueprint.registry.get(name)
        return mapped if isinstance(mapped, str) else name

    def knows(self, name: str, blueprint: Blueprint) -> bool:
        """Whether there is such a type for this stack."""
        mapped = self._mapped(name, blueprint)
        return mapped in self._handlers or mapped.endswith((".yaml", ".template", ".yml"))

    def find(self, name: str, blueprint: Blueprint) -> ResourceType:
        """The handler; Heat's validation error when there is none."""
        mapped = self._mapped(name, blueprint)
        if mapped not in self._handlers:
            if not self.knows(name, blueprint):
                message = f"The Resource Type ({name}) could not be found."
                raise ServiceError("StackValidationFailed", 400, message)
            self._handlers[mapped] = groups.TemplateResource(self._cloud, mapped)
        return self._handlers[mapped]
