"""What a stack's template functions see: its parameters, files, conditions and live resources."""

from __future__ import annotations

from typing import Any

from forestay_simvim.heat.model import Stack
from forestay_simvim.hot.functions import truth
from forestay_simvim.hot.template import ResourceDefinition, invalid


class StackScope:
    """The scope of one stack's current blueprint. References to what does not exist yet are ``None``."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.blueprint = stack.blueprint
        self._conditions: dict[str, bool] = {}

    def parameter(self, name: str) -> Any:
        pseudo = {
            "OS::stack_name": self.stack.name,
            "OS::stack_id": self.stack.id,
            "OS::project_id": self.stack.project,
        }
        return pseudo[name] if name in pseudo else self.blueprint.parameters[name]

    def reference(self, resource: str) -> Any:
        found = self.stack.resources.get(resource)
        return found.type.reference(found) if found else None

    def attribute(self, resource: str, path: list[Any]) -> Any:
        found = self.stack.resources.get(resource)
        if found is None or found.physical_id is None:
            return None
        return found.type.attribute(found, path)

    def file(self, name: str) -> str:
        try:
            return self.blueprint.files[name]
        except KeyError:
            message = f'No content found in the "files" section for get_file path: {name}'
            raise invalid("ValueError", message) from None

    def condition(self, name: str) -> bool:
        if name not in self._conditions:
            if name not in self.blueprint.template.conditions:
                raise invalid("StackValidationFailed", f'Invalid condition "{name}"')
            self._conditions[name] = truth(self.blueprint.template.conditions[name], self)
        return self._conditions[name]

    def enabled(self) -> dict[str, ResourceDefinition]:
        """The resources whose condition holds."""
        return {
            name: definition
            for name, definition in self.blueprint.template.resources.items()
            if definition.condition is None or truth(definition.condition, self)
        }
