"""Stacks and resources, and how their failures are worded.

A reason names the error, the path to the resource through the nested stacks, and the message:
``ResourceInError: resources.VDU1_group.resources.abc.resources.VDU1: Went to status ERROR due to "…"``.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from forestay_simvim.errors import ServiceError
from forestay_simvim.hot.template import EMPTY, ResourceDefinition, Template
from forestay_simvim.ids import new_id, short_id
from forestay_simvim.keystone.identity import Token

if TYPE_CHECKING:
    from forestay_simvim.heat.resources.base import ResourceType

IN_PROGRESS, COMPLETE, FAILED = "IN_PROGRESS", "COMPLETE", "FAILED"
# What a template with values of the wrong shape makes Python raise: a failed resource in Heat, too.
MISTAKES = (LookupError, ValueError, TypeError, AttributeError)
_EVENTS_KEPT = 1000


class Failure(Exception):
    """An action on a resource failed.

    :param action: what was being done to the innermost resource that this failure is told about.
    :param error: the exception's class name in Heat or in a service's client, ``None`` for a plain message.
    :param path: alternating section and resource names from the stack down.
    """

    def __init__(self, action: str, error: str | None, path: tuple[str, ...], message: str) -> None:
        self.action, self.error, self.path, self.message = action, error, path, message
        super().__init__(f"{f'{error}: ' if error else ''}{_joined(path)}{message}")

    @property
    def stack_reason(self) -> str:
        """The words of the stack that holds the resource."""
        return f"Resource {self.action} failed: {self}"

    def seen_from(self, resource: Resource, action: str) -> Failure:
        """The failure of a nested stack as its parent resource tells it."""
        place = ("resources", resource.name)
        if action == self.action:
            return Failure(action, self.error, place + self.path, self.message)
        return Failure(action, None, place, self.stack_reason)


def _joined(path: tuple[str, ...]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if step.isdigit() else f".{step}" if text else step
    return f"{text}: " if text else ""


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a stack's history."""

    id: str
    time: float
    name: str
    type: str
    physical_id: str | None
    action: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a stack is made from. ``parameters`` are typed, ``given`` is what the user said."""

    template: Template = EMPTY
    files: dict[str, str] = field(default_factory=dict[str, str])
    given: dict[str, Any] = field(default_factory=dict[str, Any])
    defaults: dict[str, Any] = field(default_factory=dict[str, Any])
    registry: dict[str, Any] = field(default_factory=dict[str, Any])
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def environment(self) -> dict[str, Any]:
        """The ``environment`` member of the API."""
        return {
            "parameters": self.given, "parameter_defaults": self.defaults, "resource_registry": self.registry,
            "encrypted_param_names": [], "event_sinks": [],
        }  # fmt: skip


class Resource:
    """One resource of a stack. ``properties`` are those of the last action, evaluated."""

    __slots__ = (
        "action", "created", "data", "definition", "half_made", "id", "metadata", "name", "needs", "nested", "physical_id",
        "physical_name", "properties", "reason", "stack", "status", "type", "updated",
    )  # fmt: skip

    def __init__(self, stack: Stack, definition: ResourceDefinition, type_: ResourceType, needs: set[str]) -> None:
        self.id = new_id()
        self.stack = stack
        self.name = definition.name
        self.definition = definition
        self.type = type_
        self.needs = needs
        self.properties: dict[str, Any] = {}
        self.physical_id: str | None = None
        self.physical_name = f"{stack.name}-{definition.name}-{short_id()}"
        self.action, self.status, self.reason = "INIT", COMPLETE, ""
        self.created = self.updated = time.time()
        self.metadata: dict[str, Any] = {}
        self.data: dict[str, Any] = {}
        self.nested: Stack | None = None
        self.half_made = False

    @property
    def state(self) -> str:
        return f"{self.action}_{self.status}"

    def set_state(self, action: str, status: str, reason: str = "state changed") -> None:
        """Change the state and write the event."""
        self.action, self.status, self.reason = action, status, reason
        self.updated = time.time()
        known_as = self.physical_id or self.type.told_name(self)
        self.stack.record(self.name, self.definition.type, known_as, action, status, reason)


class Stack:
    """One stack, nested or not."""

    __slots__ = (
        "action", "blueprint", "created", "deleted", "disable_rollback", "events", "id", "leftovers", "name", "owner",
        "parent_resource", "previous", "project", "reason", "resources", "run", "status", "tags", "task", "timeout_mins",
        "updated", "user", "working",
    )  # fmt: skip

    def __init__(
        self, name: str, user: Token, project: str, blueprint: Blueprint, *, owner: Stack | None = None,
        parent_resource: str | None = None,
    ) -> None:  # fmt: skip
        self.id = new_id()
        self.name = name
        self.user = user
        self.project = project
        self.blueprint = blueprint
        self.previous: Blueprint | None = None
        self.owner = owner
        self.parent_resource = parent_resource
        self.action, self.status, self.reason = "CREATE", IN_PROGRESS, ""
        self.created = time.time()
        self.updated: float | None = None
        self.deleted: float | None = None
        self.tags: list[str] | None = None
        self.timeout_mins: int | None = None
        self.disable_rollback = True
        self.resources: dict[str, Resource] = {}
        self.leftovers: list[Resource] = []
        self.events: deque[Event] = deque(maxlen=_EVENTS_KEPT)
        self.task: asyncio.Task[None] | None = None
        self.run: object = None
        self.working = asyncio.Lock()

    @property
    def state(self) -> str:
        return f"{self.action}_{self.status}"

    @property
    def in_progress(self) -> bool:
        return self.status == IN_PROGRESS

    @property
    def root(self) -> Stack:
        """The stack that the user created."""
        return self.owner.root if self.owner else self

    @property
    def identity(self) -> str:
        """Heat's name for the stack."""
        return f"arn:openstack:heat::{self.project}:stacks/{self.name}/{self.id}"

    def set_state(self, action: str, status: str, reason: str) -> None:
        """Change the state and write the event."""
        self.action, self.status, self.reason = action, status, reason
        self.record(self.name, "OS::Heat::Stack", self.id, action, status, reason)

    def record(self, name: str, type_: str, physical_id: str | None, action: str, status: str, reason: str) -> None:
        """Write an event."""
        self.events.append(Event(new_id(), time.time(), name, type_, physical_id, action, status, reason))

    def find(self, name: str) -> Resource:
        """A resource by name or physical id; Heat's 404."""
        found = self.resources.get(name)
        if found is None:
            found = next((each for each in self.resources.values() if each.physical_id == name), None)
        if found is None:
            message = f"The Resource ({name}) could not be found in Stack {self.name}."
            raise ServiceError("ResourceNotFound", 404, message)
        return found
