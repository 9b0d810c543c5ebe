"""Stacks, resources and events as the Orchestration API shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from forestay_simvim.errors import ServiceError
from forestay_simvim.heat.engine import Engine
from forestay_simvim.heat.model import Event, Resource, Stack
from forestay_simvim.hot.functions import evaluate, truth
from forestay_simvim.hot.parameters import as_text
from forestay_simvim.ids import isotime

PREFIX = "/heat-api"


def stack_url(base: str, stack: Stack) -> str:
    """The canonical URL of a stack."""
    return f"{base}{PREFIX}/v1/{stack.project}/stacks/{stack.name}/{stack.id}"


def _links(base: str, stack: Stack) -> list[dict[str, str]]:
    return [{"href": stack_url(base, stack), "rel": "self"}]


def summary(base: str, stack: Stack) -> dict[str, Any]:
    """A stack in a list."""
    return {
        "id": stack.id, "stack_name": stack.name, "description": stack.blueprint.template.description,
        "stack_status": stack.state, "stack_status_reason": stack.reason, "creation_time": isotime(stack.created),
        "updated_time": isotime(stack.updated), "deletion_time": isotime(stack.deleted),
        "stack_owner": stack.user.user["name"], "parent": stack.owner.id if stack.owner else None,
        "stack_user_project_id": stack.project, "tags": stack.tags, "links": _links(base, stack),
    }  # fmt: skip


def detail(base: str, stack: Stack, engine: Engine, *, outputs: bool = True) -> dict[str, Any]:
    """A stack on its own."""
    pseudo = {"OS::stack_name": stack.name, "OS::stack_id": stack.id, "OS::project_id": stack.project}
    schemas = stack.blueprint.template.parameters
    shown = {name: as_text(schemas.get(name, {}), value) for name, value in stack.blueprint.parameters.items()}
    body = summary(base, stack) | {
        "parameters": pseudo | shown, "template_description": stack.blueprint.template.description, "capabilities": [],
        "notification_topics": [], "disable_rollback": stack.disable_rollback, "timeout_mins": stack.timeout_mins,
    }  # fmt: skip
    if outputs:
        body["outputs"] = [output(stack, engine, name) for name in stack.blueprint.template.outputs]
    return body


def output(stack: Stack, engine: Engine, name: str) -> dict[str, Any]:
    """One output with its value, or why there is none."""
    definition = stack.blueprint.template.outputs[name]
    shown: dict[str, Any] = {"output_key": name, "description": definition.get("description", "No description given")}
    try:
        if not truth(definition.get("condition", True), engine.scope(stack)):
            return shown | {"output_value": None}
        return shown | {"output_value": evaluate(definition.get("value"), engine.scope(stack))}
    except (ServiceError, KeyError, ValueError, TypeError) as error:
        return shown | {"output_value": None, "output_error": str(error)}


def required_by(stack: Stack) -> dict[str, list[str]]:
    """The names of the resources that need each resource."""
    users: dict[str, list[str]] = {}
    for each in stack.resources.values():
        for name in each.needs:
            users.setdefault(name, []).append(each.name)
    return users


def resource(base: str, item: Resource, users: dict[str, list[str]]) -> dict[str, Any]:
    """A resource in a list."""
    stack_link = stack_url(base, item.stack)
    links = [{"href": f"{stack_link}/resources/{item.name}", "rel": "self"}, {"href": stack_link, "rel": "stack"}]
    if item.nested:
        links.append({"href": stack_url(base, item.nested), "rel": "nested"})
    shown = {
        "resource_name": item.name, "logical_resource_id": item.name, "physical_resource_id": item.physical_id or "",
        "resource_type": item.definition.type, "resource_status": item.state, "resource_status_reason": item.reason,
        "creation_time": isotime(item.created), "updated_time": isotime(item.updated),
        "required_by": users.get(item.name, []), "links": links,
    }  # fmt: skip
    if item.stack.parent_resource:
        shown["parent_resource"] = item.stack.parent_resource
    return shown


def resource_detail(base: str, item: Resource, users: dict[str, list[str]]) -> dict[str, Any]:
    """A resource on its own."""
    more = {"description": item.definition.description, "attributes": item.type.show(item), "metadata": item.metadata}
    return resource(base, item, users) | more


def resources(base: str, stack: Stack, depth: int, *, with_detail: bool) -> list[dict[str, Any]]:
    """The stack's resources, those of nested stacks down to *depth* included."""
    users = required_by(stack)
    show = resource_detail if with_detail else resource
    found = [show(base, each, users) for each in stack.resources.values()]
    if depth > 0:
        for each in stack.resources.values():
            if each.nested and each.nested.deleted is None:
                found += resources(base, each.nested, depth - 1, with_detail=with_detail)
    return found


def event(base: str, stack: Stack, item: Event, *, root: Stack | None = None) -> dict[str, Any]:
    """One event."""
    url = stack_url(base, stack)
    place = f"{url}/resources/{item.name}"
    links = [{"href": f"{place}/events/{item.id}", "rel": "self"}, {"href": place, "rel": "resource"}]
    links.append({"href": url, "rel": "stack"})
    if root:
        links.append({"href": stack_url(base, root), "rel": "root_stack"})
    return {
        "id": item.id, "event_time": isotime(item.time), "resource_name": item.name, "logical_resource_id": item.name,
        "physical_resource_id": item.physical_id, "resource_status": f"{item.action}_{item.status}",
        "resource_status_reason": item.reason, "links": links,
    }  # fmt: skip


def events(stack: Stack, depth: int) -> Iterable[tuple[Stack, Event]]:
    """The stack's events with those of nested stacks down to *depth*, the oldest first."""
    found = [(stack, item) for item in stack.events]
    if depth > 0:
        for each in stack.resources.values():
            if each.nested:
                found += events(each.nested, depth - 1)
    return sorted(found, key=lambda pair: pair[1].time)
