"""What a resource type has to say: its properties, which of them change in place, and how to act on the cloud.

An action raises :class:`ServiceError` (told in the words of the service's client) or :class:`Failure`. Handlers hold no
state: everything about one resource is in the :class:`Resource`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from forestay_simvim.errors import ServiceError
from forestay_simvim.heat.model import Resource, Stack
from forestay_simvim.hot.functions import select
from forestay_simvim.hot.template import ResourceDefinition

if TYPE_CHECKING:
    from forestay_simvim.cloud import Cloud

Constraint = Callable[["Cloud", str, str], str | None]


def words(text: str) -> frozenset[str]:
    """A set of property names."""
    return frozenset(text.split())


class ReplaceNeeded(Exception):
    """Raised by ``update``: only a new resource can have these properties."""


class ResourceType:
    """Base of all types; the defaults suit a resource without anything behind it."""

    required: ClassVar[frozenset[str]] = frozenset()
    optional: ClassVar[frozenset[str]] = frozenset()
    updatable: ClassVar[frozenset[str]] = frozenset()
    constraints: ClassVar[dict[str, Constraint]] = {}
    always_updates: ClassVar[bool] = False

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        """Make it and wait until it can be used; sets ``resource.physical_id`` as soon as there is one."""
        resource.physical_id = resource.physical_name

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        """Change the *changed* properties in place."""

    async def delete(self, resource: Resource) -> None:
        """Remove it and wait until it is gone; what is gone already is no error."""

    async def suspend(self, resource: Resource) -> None:
        """Heat's stack suspend."""

    async def resume(self, resource: Resource) -> None:
        """Heat's stack resume."""

    def check(self, resource: Resource) -> None:
        """Look whether it is there and well; raises when it is not."""

    def told_name(self, resource: Resource) -> str:
        """The name that events have before there is an id: the service knows it by that unless the template names it."""
        return resource.physical_name

    def is_usable(self, resource: Resource) -> bool:
        """Whether what an engine was making when it was killed is taken as it is."""
        return False

    def reference(self, resource: Resource) -> Any:
        """The value of ``get_resource``."""
        return resource.physical_id

    def show(self, resource: Resource) -> dict[str, Any]:
        """All attributes, as the resource's ``attributes`` in the API."""
        return {}

    def attribute(self, resource: Resource, path: list[Any]) -> Any:
        """The value of ``get_attr`` with this path."""
        return select(self.show(resource), path)

    def prepare_for_replace(self, resource: Resource) -> None:
        """Free what the replacement needs (ports, addresses) before it is made."""

    def signal(self, resource: Resource, details: Any) -> None:
        """React to a signal; most types cannot."""
        message = f"Resource {resource.definition.type} is not able to receive a signal"
        raise ServiceError("ResourceActionNotSupported", 400, message)

    def validate(self, stack: Stack, definition: ResourceDefinition, props: dict[str, Any]) -> None:
        """Check the evaluated properties as Heat does when it validates a stack."""
        known = self.required | self.optional
        place = f"Property error: resources.{definition.name}.properties"
        for name in sorted(props.keys() - known):
            raise ServiceError("StackValidationFailed", 400, f"{place}: Unknown Property {name}")
        for name in sorted(self.required - definition.properties.keys()):
            raise ServiceError("StackValidationFailed", 400, f"{place}: Property {name} not assigned")
        for path, value in self._constrained(props):
            problem = self.constraints[path.rsplit(".", 1)[-1]](self.cloud, stack.project, str(value))
            if problem:
                message = f"{place}.{path}: Error validating value '{value}': {problem}"
                raise ServiceError("StackValidationFailed", 400, message)

    def _constrained(self, props: dict[str, Any]) -> list[tuple[str, Any]]:
        return [(name, props[name]) for name in self.constraints if props.get(name)]


def flavor_exists(cloud: Cloud, project: str, value: str) -> str | None:
    """Heat's ``nova.flavor``."""
    try:
        cloud.nova.flavor(value)
    except ServiceError as error:
        return f"{error.message} (HTTP 404)"
    return None


def image_exists(cloud: Cloud, project: str, value: str) -> str | None:
    """Heat's ``glance.image``."""
    return None if cloud.glance.find(value, project) else f"No images matching {{'name': '{value}'}}."


def _in_neutron(plural: str, singular: str) -> Constraint:
    def exists(cloud: Cloud, project: str, value: str) -> str | None:
        found = cloud.neutron.find(plural, value, project)
        return None if found else f"Unable to find {singular} with name or id '{value}'"

    return exists


network_exists = _in_neutron("networks", "network")
subnet_exists = _in_neutron("subnets", "subnet")
port_exists = _in_neutron("ports", "port")
router_exists = _in_neutron("routers", "router")
