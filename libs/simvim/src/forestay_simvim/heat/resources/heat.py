"""OS::Heat::RandomString, Value, None, TestResource and ScalingPolicy."""

from __future__ import annotations

import asyncio
import math
import secrets
import string
from collections.abc import Callable
from typing import Any

from forestay_simvim.errors import ServiceError
from forestay_simvim.heat.model import COMPLETE, Failure, Resource, Stack
from forestay_simvim.heat.resources.base import ReplaceNeeded, ResourceType, words
from forestay_simvim.heat.resources.groups import AutoScalingGroup
from forestay_simvim.hot.template import ResourceDefinition

_CLASSES = {
    "lettersdigits": string.ascii_letters + string.digits,
    "letters": string.ascii_letters,
    "lowercase": string.ascii_lowercase,
    "uppercase": string.ascii_uppercase,
    "digits": string.digits,
    "hexdigits": string.digits + "ABCDEF",
    "octdigits": string.octdigits,
}


class RandomString(ResourceType):
    optional = words("length sequence character_classes character_sequences salt")

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        classes = props.get("character_classes") or [{"class": props.get("sequence") or "lettersdigits"}]
        sets = [(_CLASSES[each.get("class", "lettersdigits")], int(each.get("min", 1))) for each in classes]
        sets += [(each["sequence"], int(each.get("min", 1))) for each in props.get("character_sequences") or []]
        chosen = [secrets.choice(letters) for letters, least in sets for _ in range(least)]
        pool = "".join(letters for letters, _ in sets)
        chosen += [secrets.choice(pool) for _ in range(int(props.get("length") or 32) - len(chosen))]
        secrets.SystemRandom().shuffle(chosen)
        resource.data = {"value": "".join(chosen)}
        resource.physical_id = resource.physical_name

    def reference(self, resource: Resource) -> Any:
        return resource.data.get("value")

    def show(self, resource: Resource) -> dict[str, Any]:
        return {"value": resource.data.get("value")}


class Value(ResourceType):
    required = words("value")
    optional = words("type")
    updatable = required | optional

    def show(self, resource: Resource) -> dict[str, Any]:
        return {"value": resource.properties.get("value")}


class Nothing(ResourceType):
    """OS::Heat::None takes any property and does nothing."""

    always_updates = True

    def validate(self, stack: Stack, definition: ResourceDefinition, props: dict[str, Any]) -> None:
        """Everything is valid."""

    def attribute(self, resource: Resource, path: list[Any]) -> Any:
        return None


class TestResource(ResourceType):
    """Heat's own resource for tests: it waits, fails, or asks for its replacement."""

    optional = words(
        "value fail update_replace update_replace_value wait_secs action_wait_secs client_name entity_name "
        "attr_wait_secs constraint_prop_secs"
    )
    updatable = optional

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        resource.physical_id = resource.physical_name
        waits = (props.get("action_wait_secs") or {}).get(resource.action.lower(), props.get("wait_secs") or 0)
        await asyncio.sleep(float(waits))
        if str(props.get("fail")).lower() == "true":
            message = f"Test Resource failed {resource.name}"
            raise Failure(resource.action, "ValueError", ("resources", resource.name), message)

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        if str(props.get("update_replace")).lower() == "true":
            raise ReplaceNeeded
        await self.create(resource, props)

    def show(self, resource: Resource) -> dict[str, Any]:
        return {"output": resource.properties.get("value")}


def _percent(current: int, adjustment: float) -> int:
    delta = current * adjustment / 100
    toward, away = (math.floor, math.ceil) if delta > 0 else (math.ceil, math.floor)
    return current + (away(delta) if abs(delta) < 1 else toward(delta))


_ADJUST: dict[str, Callable[[int, float], int]] = {
    "change_in_capacity": lambda current, adjustment: current + int(adjustment),
    "exact_capacity": lambda current, adjustment: int(adjustment),
    "percent_change_in_capacity": _percent,
}


class ScalingPolicy(ResourceType):
    required = words("scaling_adjustment adjustment_type auto_scaling_group_id")
    optional = words("cooldown min_adjustment_step")
    updatable = optional | words("scaling_adjustment adjustment_type")

    def signal(self, resource: Resource, details: Any) -> None:
        """Scale the group in the background, as an alarm would."""
        props = resource.properties
        for group in resource.stack.resources.values():
            if isinstance(group.type, AutoScalingGroup) and group.physical_name == props["auto_scaling_group_id"]:
                new_size = _ADJUST[props["adjustment_type"]](group.type.size(group), props["scaling_adjustment"])
                group.type.start_resize(group, new_size)
                resource.set_state("SIGNAL", COMPLETE, "alarm state changed to ALARM (signal)")
                return
        message = f'Alarm {resource.name} could not find scaling group named "{props["auto_scaling_group_id"]}"'
        raise ServiceError("NotFound", 404, message)

    def show(self, resource: Resource) -> dict[str, Any]:
        stack = resource.stack
        path = f"/v1/{stack.project}/stacks/{stack.name}/{stack.id}/resources/{resource.name}/signal"
        url = f"{self.cloud.base_url}/heat-api{path}"
        return {"alarm_url": url, "signal_url": url}
