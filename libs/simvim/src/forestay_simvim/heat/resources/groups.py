"""Resources that are a nested stack: a template of one's own, OS::Heat::ResourceGroup, OS::Heat::AutoScalingGroup.

They are always updated, so that the resources inside decide for themselves whether they have to change or be replaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from forestay_simvim.errors import ServiceError
from forestay_simvim.heat.model import COMPLETE, FAILED, Blueprint, Failure, Resource, Stack
from forestay_simvim.heat.resources.base import ReplaceNeeded, ResourceType, words
from forestay_simvim.hot.functions import evaluate, select
from forestay_simvim.hot.parameters import resolve
from forestay_simvim.hot.template import ResourceDefinition, Template, parse
from forestay_simvim.ids import short_id


class NestedStack(ResourceType):
    """A resource whose physical object is a stack named ``<stack>-<resource>-<random>``."""

    always_updates = True

    def blueprint(self, resource: Resource, props: dict[str, Any]) -> Blueprint:
        """What the nested stack is to be made from."""
        raise NotImplementedError

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        child = self.cloud.heat.open_nested(resource, self.blueprint(resource, props))
        resource.nested, resource.physical_id = child, child.id
        await self.bring(resource, "CREATE", child.blueprint)

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        if resource.nested is None or (resource.state == f"CHECK_{FAILED}" and resource.nested.action != "CHECK"):
            raise ReplaceNeeded
        await self.bring(resource, "UPDATE", self.blueprint(resource, props))

    async def bring(self, resource: Resource, action: str, blueprint: Blueprint) -> None:
        """Run an action of the nested stack to its end; its failure is told with the path through this resource."""
        assert resource.nested is not None  # noqa: S101 - set by create
        try:
            await self.cloud.heat.run_nested(resource.nested, action, blueprint)
        except Failure as failure:
            raise failure.seen_from(resource, resource.action) from None

    async def delete(self, resource: Resource) -> None:
        if resource.nested and resource.nested.deleted is None:
            await self.bring(resource, "DELETE", resource.nested.blueprint)

    async def suspend(self, resource: Resource) -> None:
        if resource.nested:
            await self.bring(resource, "SUSPEND", resource.nested.blueprint)

    async def resume(self, resource: Resource) -> None:
        if resource.nested:
            await self.bring(resource, "RESUME", resource.nested.blueprint)

    def reference(self, resource: Resource) -> Any:
        return resource.nested.identity if resource.nested else None

    def member_attribute(self, resource: Resource, name: str, path: list[Any]) -> Any:
        """An attribute of one resource inside; its reference when there is no path."""
        member = resource.nested.resources.get(name) if resource.nested else None
        if member is None:
            return None
        return member.type.attribute(member, path) if path else member.type.reference(member)


class TemplateResource(NestedStack):
    """A resource whose type is a template out of the stack's files; its outputs are its attributes."""

    def __init__(self, cloud: Any, template_name: str) -> None:
        super().__init__(cloud)
        self.template_name = template_name

    def _template(self, files: dict[str, str]) -> Template:
        if self.template_name not in files:
            message = f'Could not fetch remote template "{self.template_name}": Invalid URL scheme '
            raise ServiceError("NotFound", 404, message)
        return parse(files[self.template_name])

    def blueprint(self, resource: Resource, props: dict[str, Any]) -> Blueprint:
        outer = resource.stack.blueprint
        template = self._template(outer.files)
        given = {key: value for key, value in props.items() if value is not None}
        try:
            parameters = resolve(template.parameters, given, outer.defaults)
        except ServiceError as error:
            raise Failure(resource.action, error.kind, ("resources", resource.name), error.message) from None
        return Blueprint(template, outer.files, given, outer.defaults, outer.registry, parameters)

    def validate(self, stack: Stack, definition: ResourceDefinition, props: dict[str, Any]) -> None:
        try:
            template = self._template(stack.blueprint.files)
        except ServiceError as error:
            message = f"{error.kind}: resources.{definition.name}: {error.message}"
            raise ServiceError("StackValidationFailed", 400, message) from None
        place = f"Property error: resources.{definition.name}.properties"
        for name in sorted(props.keys() - template.parameters.keys()):
            raise ServiceError("StackValidationFailed", 400, f"{place}: Unknown Property {name}")
        for name, schema in template.parameters.items():
            if "default" not in schema and name not in definition.properties and name not in stack.blueprint.defaults:
                raise ServiceError("StackValidationFailed", 400, f"{place}: Property {name} not assigned")
        stack_path = f"resources.{definition.name}<{self.template_name}>"
        for inner in template.resources.values():
            if not self.cloud.heat.types.knows(inner.type, stack.blueprint):
                message = f"{stack_path}.resources.{inner.name}: The Resource Type ({inner.type}) could not be found."
                raise ServiceError("StackValidationFailed", 400, message)

    def show(self, resource: Resource) -> dict[str, Any]:
        child = resource.nested
        return {name: self._output(child, name) for name in child.blueprint.template.outputs} if child else {}

    def _output(self, child: Stack, name: str) -> Any:
        outputs = child.blueprint.template.outputs
        return evaluate(outputs[name].get("value"), self.cloud.heat.scope(child)) if name in outputs else None

    def attribute(self, resource: Resource, path: list[Any]) -> Any:
        name, *rest = path or ["show"]
        child = resource.nested
        if child is None:
            return None
        if str(name).startswith("resource."):
            _, inner, *more = str(name).split(".", 2)
            return self.member_attribute(resource, inner, [*more, *rest])
        return select(self.show(resource) if name == "show" else self._output(child, str(name)), rest)


def _group_template(members: dict[str, ResourceDefinition]) -> Template:
    shown = {name: {"type": member.type, "properties": member.properties} for name, member in members.items()}
    raw = {"heat_template_version": "2015-04-30", "resources": shown}
    return Template(
        raw=raw, version="2015-04-30", description="", parameters={}, conditions={}, resources=members, outputs={}
    )


def _member(name: str, given: dict[str, Any]) -> ResourceDefinition:
    return ResourceDefinition(
        name=name, type=given["type"], properties=given.get("properties") or {}, metadata=given.get("metadata")
    )


class Group(NestedStack):
    """What both groups share: a nested stack of members of one definition."""

    def outline(self, resource: Resource, members: dict[str, ResourceDefinition]) -> Blueprint:
        """The nested stack's blueprint with these members."""
        outer = resource.stack.blueprint
        return Blueprint(_group_template(members), outer.files, {}, outer.defaults, outer.registry, {})

    def members(self, resource: Resource) -> list[Resource]:
        """The living members, the oldest first, as Heat orders them for replacement and removal."""
        found = resource.nested.resources.values() if resource.nested else ()
        return sorted(found, key=lambda each: (each.status != FAILED, each.created, each.name))

    def size(self, resource: Resource) -> int:
        """How many members there are."""
        return len([each for each in self.members(resource) if each.status != FAILED])

    def validate(self, stack: Stack, definition: ResourceDefinition, props: dict[str, Any]) -> None:
        super().validate(stack, definition, props)
        inner = props.get("resource") or props.get("resource_def") or {}
        if not self.cloud.heat.types.knows(inner.get("type", ""), stack.blueprint):
            message = f"resources.{definition.name}: The Resource Type ({inner.get('type')}) could not be found."
            raise ServiceError("StackValidationFailed", 400, message)


class ResourceGroup(Group):
    """Members are named ``0``, ``1``, …; the highest go first, unless the removal policies name others."""

    required = words("resource_def")
    optional = words("count index_var removal_policies removal_policies_mode")
    updatable = required | words("count removal_policies removal_policies_mode")

    def blueprint(self, resource: Resource, props: dict[str, Any]) -> Blueprint:
        skipped = self._skipped(resource, props)
        names: list[str] = []
        number = 0
        while len(names) < int(props.get("count", 1)):
            names += [str(number)] if str(number) not in skipped else []
            number += 1
        mark = props.get("index_var") or "%index%"
        text = json.dumps(props["resource_def"])
        return self.outline(resource, {name: _member(name, json.loads(text.replace(mark, name))) for name in names})

    def _skipped(self, resource: Resource, props: dict[str, Any]) -> set[str]:
        skipped: set[str] = set(resource.data.get("skipped", ()))
        if props.get("removal_policies_mode") == "update":
            skipped = set()
        refs = {each.physical_id: each.name for each in self.members(resource)}
        for policy in props.get("removal_policies") or []:
            skipped |= {refs.get(str(each), str(each)) for each in policy.get("resource_list") or []}
        resource.data = {"skipped": sorted(skipped)}
        return skipped

    def _in_order(self, resource: Resource) -> list[Resource]:
        return sorted(self.members(resource), key=lambda each: int(each.name))

    def attribute(self, resource: Resource, path: list[Any]) -> Any:
        name, *rest = path or ["refs"]
        members = self._in_order(resource)
        if str(name).startswith("resource."):
            _, inner, *more = str(name).split(".", 2)
            return self.member_attribute(resource, inner, [*more, *rest])
        if name in ("refs", "refs_map"):
            refs = {each.name: each.type.reference(each) for each in members}
            return select(refs if name == "refs_map" else list(refs.values()), rest)
        if name == "removed_rsrc_list":
            return resource.data.get("skipped", [])
        if name == "attributes":
            return {each.name: each.type.attribute(each, rest) for each in members}
        return [each.type.attribute(each, [name, *rest]) for each in members]

    def show(self, resource: Resource) -> dict[str, Any]:
        return {name: self.attribute(resource, [name]) for name in ("refs", "refs_map", "removed_rsrc_list")}


class AutoScalingGroup(Group):
    """Members have random names; a changed definition reaches them in batches, scaling in removes the oldest."""

    required = words("resource max_size min_size")
    optional = words("cooldown desired_capacity rolling_updates")
    updatable = required | optional

    def reference(self, resource: Resource) -> Any:
        return resource.physical_name

    def blueprint(self, resource: Resource, props: dict[str, Any]) -> Blueprint:
        return self._sized(resource, props, _bounded(props, props.get("desired_capacity") or props["min_size"]), 0)

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        if resource.nested is None or (resource.state == f"CHECK_{FAILED}" and resource.nested.action != "CHECK"):
            raise ReplaceNeeded
        current = len(self.members(resource))
        wanted = _bounded(props, props.get("desired_capacity") or current)
        if "resource" in changed:
            policy = props.get("rolling_updates") or {}
            for size, batch in _batches(min(wanted, current), current, policy):
                await self.bring(resource, "UPDATE", self._sized(resource, props, size, batch))
        await self.bring(resource, "UPDATE", self._sized(resource, props, wanted, 0))

    def start_resize(self, resource: Resource, size: int) -> None:
        """Bring the group to *size* within its bounds, in the background."""
        assert resource.nested is not None  # noqa: S101 - the group exists
        wanted = _bounded(resource.properties, size)
        blueprint = self._sized(resource, resource.properties, wanted, 0)
        self.cloud.heat.launch(resource.nested, "UPDATE", blueprint)

    def _sized(self, resource: Resource, props: dict[str, Any], size: int, replace: int) -> Blueprint:
        known = resource.nested.blueprint.template.resources if resource.nested else {}
        kept = [each for each in self.members(resource) if each.name in known][-size:] if size else []
        replace -= size - len(kept)
        members: dict[str, ResourceDefinition] = {}
        for old in kept:
            new = _member(old.name, props["resource"])
            if replace > 0 and new != old.definition:
                replace -= 1
                members[old.name] = new
            else:
                members[old.name] = old.definition
        for _ in range(size - len(kept)):
            name = short_id()
            members[name] = _member(name, props["resource"])
        return self.outline(resource, members)

    def attribute(self, resource: Resource, path: list[Any]) -> Any:
        name, *rest = path or ["refs"]
        members = [each for each in self.members(resource) if each.status == COMPLETE or each.physical_id]
        if name == "current_size":
            return self.size(resource)
        if str(name).startswith("resource."):
            _, number, *more = str(name).split(".", 2)
            member = members[int(number)].name if number.isdigit() and int(number) < len(members) else ""
            return self.member_attribute(resource, member, [*more, *rest])
        wanted = rest if str(name).startswith("outputs") else []
        values = {each.name: self.member_attribute(resource, each.name, wanted) for each in members}
        return values if name in ("outputs", "refs_map") else list(values.values())

    def show(self, resource: Resource) -> dict[str, Any]:
        return {name: self.attribute(resource, [name]) for name in ("current_size", "refs", "refs_map")}


def _bounded(props: dict[str, Any], size: Any) -> int:
    return max(int(props["min_size"]), min(int(props["max_size"]), int(size)))


def _batches(target: int, capacity: int, policy: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """The (size, members that get the new definition) of each step of a rolling update."""
    batch_size, least = int(policy.get("max_batch_size", 1)), int(policy.get("min_in_service", 0))
    updated = 0
    while not updated >= capacity == target:
        batch = min(batch_size, max(target - updated, 0))
        capacity = batch + max(min(capacity, target - batch), min(least, target, capacity))
        yield capacity, batch
        updated += batch
