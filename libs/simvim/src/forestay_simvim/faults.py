"""Faults on demand: rules that match calls or Heat resources, used up after N times or kept.

A call's fault strikes ``before`` or ``after`` the service has acted: an error status, no answer at all, a connection that is
reset, or only a delay. A resource's fault strikes inside Heat: the action fails with a given reason, hangs IN_PROGRESS until
the rule is removed, or takes longer.
"""

from __future__ import annotations

import asyncio
import random
import re
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from forestay_simvim.heat.model import Failure, Resource
from forestay_simvim.ids import short_id


class CallFault(msgspec.Struct, kw_only=True, tag_field="on", tag="call"):
    """A fault of API calls.

    :param service: ``heat``, ``nova``, …; any when ``None``.
    :param path: a regular expression searched in the path with its query.
    :param effect: ``status`` answers *status* with *message* (and ``Retry-After``), ``hang`` never answers, ``reset`` cuts the
        connection, ``latency`` only waits *delay* seconds.
    :param times: how often it strikes, ``None`` for always; the first *skip* matching calls are let through.
    """

    id: str = ""
    service: str | None = None
    method: str | None = None
    path: str = ""
    effect: Literal["status", "hang", "reset", "latency"] = "status"
    when: Literal["before", "after"] = "before"
    status: int = 503
    message: str = "The server is currently unavailable. Please try again at a later time."
    retry_after: int | None = None
    delay: float = 0.0
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    hits: int = 0


class ResourceFault(msgspec.Struct, kw_only=True, tag_field="on", tag="resource"):
    """A fault of one action on Heat resources; *name*, *type* and *stack* are shell patterns.

    :param stack: matches the resource's stack or its root stack by name.
    :param effect: ``fail`` with *error* and *reason* as a service would give them, ``stuck``, or ``delay`` by *delay* seconds.
    :param leaves_object: whether a failed create leaves its physical object behind.
    :param notes_object: whether Heat gets to know the id of what a create that fails, or is stuck, has made: not if the
        service's answer comes too late, or the engine is killed before it comes.
    """

    id: str = ""
    name: str = "*"
    type: str = "*"
    stack: str = "*"
    action: str = "CREATE"
    effect: Literal["fail", "stuck", "delay"] = "fail"
    error: str = "ResourceInError"
    reason: str = 'Went to status ERROR due to "Message: No valid host was found. , Code: 500"'
    leaves_object: bool = True
    notes_object: bool = True
    delay: float = 0.0
    times: int | None = 1
    hits: int = 0


Fault = CallFault | ResourceFault


class Faults:
    """The rules in force, in the order in which they were added."""

    def __init__(self) -> None:
        self._rules: dict[str, Fault] = {}
        self._released: dict[str, asyncio.Event] = {}

    def add(self, fault: Fault) -> Fault:
        """Put a rule in force; it gets an id when it has none."""
        fault.id = fault.id or short_id()
        self._rules[fault.id] = fault
        return fault

    def remove(self, key: str) -> bool:
        """Take the rule out; resources that are stuck by it go on."""
        released = self._released.pop(key, None)
        if released:
            released.set()
        return self._rules.pop(key, None) is not None

    def clear(self) -> None:
        """Take all rules out."""
        for key in [*self._rules, *self._released]:
            self.remove(key)

    def all(self) -> list[Fault]:
        """The rules in force."""
        return list(self._rules.values())

    def for_call(self, service: str, method: str, path: str) -> list[CallFault]:
        """The faults that this call gets: any number of delays, at most one of the other kinds."""
        struck: list[CallFault] = []
        for fault in list(self._rules.values()):
            if not isinstance(fault, CallFault) or not _matches_call(fault, service, method, path):
                continue
            if fault.effect != "latency" and any(each.effect != "latency" for each in struck):
                continue
            if fault.skip > 0:
                fault.skip -= 1
            elif random.random() < fault.probability:  # noqa: S311 - not for secrets
                self._use(fault)
                struck.append(fault)
        return sorted(struck, key=lambda fault: fault.effect != "latency")

    async def before_resource(self, resource: Resource, action: str) -> None:
        """Wait, hang or fail before the action; raises :class:`Failure`."""
        for fault in self._for_resource(resource, action):
            if not _comes_after(fault):
                await self._strike(fault, resource)

    async def after_resource(self, resource: Resource, action: str) -> None:
        """Hang or fail after the object was made; raises :class:`Failure`."""
        for fault in self._for_resource(resource, action):
            if _comes_after(fault):
                resource.physical_id = resource.physical_id if fault.notes_object else None
                await self._strike(fault, resource)

    async def _strike(self, fault: ResourceFault, resource: Resource) -> None:
        self._use(fault)
        if fault.effect == "delay":
            await asyncio.sleep(fault.delay)
        elif fault.effect == "stuck":
            await self._released.setdefault(fault.id, asyncio.Event()).wait()
        else:
            raise Failure(fault.action, fault.error, ("resources", resource.name), fault.reason)

    def _for_resource(self, resource: Resource, action: str) -> list[ResourceFault]:
        if not self._rules:
            return []
        stacks = {resource.stack.name, resource.stack.root.name}
        return [
            fault
            for fault in list(self._rules.values())
            if isinstance(fault, ResourceFault)
            and fault.action == action
            and fnmatchcase(resource.name, fault.name)
            and fnmatchcase(resource.definition.type, fault.type)
            and any(fnmatchcase(name, fault.stack) for name in stacks)
        ]

    def _use(self, fault: Fault) -> None:
        fault.hits += 1
        if fault.times is not None and fault.hits >= fault.times:
            self._rules.pop(fault.id, None)


def _matches_call(fault: CallFault, service: str, method: str, path: str) -> bool:
    return (
        fault.service in (None, service) and fault.method in (None, method) and re.search(fault.path, path) is not None
    )


def _comes_after(fault: ResourceFault) -> bool:
    """Whether it strikes when the object is made."""
    leaves = fault.leaves_object if fault.effect == "fail" else not fault.notes_object
    return fault.action == "CREATE" and fault.effect != "delay" and leaves
