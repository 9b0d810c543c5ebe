"""Heat v1: stacks and their resources, as the steps need them.

A stack is found by its name and from then on meant by its id, so that a later stack of the same name is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Protocol

import msgspec

from forestay_lcm.adapters.openstack.clients.transport import NotFound, Reply

SERVICE = "orchestration"

_RANDOM = re.compile("-[a-z2-7]{12}")
"""The end of a name that Heat gives."""


class Caller(Protocol):
    """A cloud, as its services use it."""

    async def request(
        self,
        service: str,
        method: str,
        path: str,
        *,
        query: Any = None,
        body: Any = None,
        acts: bool = False,
        version: str | None = None,
    ) -> Reply: ...


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """A stack; ``action`` and ``status`` are the halves of Heat's ``stack_status`` (CREATE, IN_PROGRESS).

    :ivar since: when it was created or last updated.
    """

    id: str
    name: str
    action: str
    status: str
    reason: str
    since: datetime
    tags: tuple[str, ...] = ()
    parameters: dict[str, Any] = {}

    @property
    def path(self) -> str:
        return f"{self.name}/{self.id}"


class Logical(NamedTuple):
    """A resource as a template has it: the stack (``name/id``) and the name there."""

    stack: str
    name: str


class StackResource(msgspec.Struct, frozen=True, kw_only=True):
    """A resource of a stack or of one nested in it.

    :ivar stack: ``name/id`` of the stack that it is in.
    :ivar required_by: names of the resources of the same stack that refer to it.
    :ivar index: the number of the VNFC that it belongs to, once that is known.
    """

    name: str
    type: str
    physical_id: str
    status: str
    reason: str
    stack: str
    creation_time: str
    required_by: tuple[str, ...] = ()
    index: int | None = None

    @property
    def is_marked(self) -> bool:
        """Whether somebody found it unhealthy: the next update of its stack makes another."""
        return self.status == "CHECK_FAILED"


class MadeOf(msgspec.Struct, frozen=True, kw_only=True):
    """What a stack was given: its template (as Heat has parsed it), its parameters and its files."""

    template: dict[str, Any]
    parameters: dict[str, Any]
    files: dict[str, str]


class _Stack(msgspec.Struct):
    """A stack as Heat shows it."""

    id: str
    stack_name: str
    stack_status: str
    creation_time: datetime
    updated_time: datetime | None = None
    stack_status_reason: str | None = None
    tags: tuple[str, ...] | None = None
    parameters: dict[str, Any] | None = None


class _Made(msgspec.Struct):
    id: str


class _Link(msgspec.Struct):
    rel: str
    href: str


class _Shown(msgspec.Struct, kw_only=True):
    """What Heat shows of a resource, and of what happens to it."""

    resource_name: str
    resource_status: str
    resource_status_reason: str | None = None
    physical_resource_id: str | None = None
    links: tuple[_Link, ...] = ()


class _Resource(_Shown, kw_only=True):
    resource_type: str
    creation_time: str | None = None
    required_by: tuple[str, ...] | None = None


class _Event(_Shown, kw_only=True):
    event_time: datetime


class _Environment(msgspec.Struct):
    parameters: dict[str, Any] | None = None


class Heat:
    """The stacks of a project. All methods raise as :meth:`Transport.request` does."""

    def __init__(self, cloud: Caller) -> None:
        self._cloud = cloud

    async def find(self, name: str) -> Stack | None:
        """The stack of a name (parameters left out), ``None`` when there is none."""
        reply = await self._cloud.request(SERVICE, "GET", "/stacks", query={"name": name})
        return next((_stack(shown) for shown in reply.read(list[_Stack], "stacks") if shown.stack_name == name), None)

    async def tagged(self, tag: str) -> list[Stack]:
        """The stacks that have a tag (parameters left out)."""
        reply = await self._cloud.request(SERVICE, "GET", "/stacks", query={"tags": tag})
        return [_stack(shown) for shown in reply.read(list[_Stack], "stacks")]

    async def show(self, name: str, stack_id: str) -> Stack | None:
        """The stack of an id, ``None`` when it is gone or deleted. Its outputs, which cost Heat most, are left out."""
        try:
            path = f"/stacks/{name}/{stack_id}"
            reply = await self._cloud.request(SERVICE, "GET", path, query={"resolve_outputs": "false"})
        except NotFound:
            return None
        stack = _stack(reply.read(_Stack, "stack"))
        return None if (stack.action, stack.status) == ("DELETE", "COMPLETE") else stack

    async def template(self, stack: Stack) -> dict[str, Any]:
        """The template that the stack was given last, as Heat has parsed it."""
        return (await self._cloud.request(SERVICE, "GET", f"/stacks/{stack.path}/template")).read(dict[str, Any])

    async def made_of(self, stack: Stack) -> MadeOf:
        """What the stack was given last."""
        template = await self.template(stack)
        environment, files = [
            await self._cloud.request(SERVICE, "GET", f"/stacks/{stack.path}/{part}")
            for part in ("environment", "files")
        ]
        return MadeOf(
            template=template,
            parameters=environment.read(_Environment).parameters or {},
            files=files.read(dict[str, str]) if files.body else {},
        )

    async def create(self, name: str, fields: dict[str, Any]) -> str:
        """Start to make a stack; gives its id. :raises AlreadyExists: the name is taken."""
        reply = await self._cloud.request(SERVICE, "POST", "/stacks", body={"stack_name": name, **fields}, acts=True)
        return reply.read(_Made, "stack").id

    async def update(self, stack: Stack, fields: dict[str, Any], *, existing: bool = True) -> None:
        """Start to change a stack: only ``fields`` (PATCH), or to exactly ``fields`` (PUT, ``existing=False``)."""
        method = "PATCH" if existing else "PUT"
        await self._cloud.request(SERVICE, method, f"/stacks/{stack.path}", body=fields, acts=True)

    async def quiet(self, stack: Stack) -> float:
        """Seconds since anything happened in a stack and in those nested in it, by Heat's own clock.

        A resource does not tell when its state has changed; an event does.
        """
        query = {"nested_depth": 2, "sort_dir": "desc", "limit": 1}
        reply = await self._cloud.request(SERVICE, "GET", f"/stacks/{stack.path}/events", query=query)
        last = max([stack.since, *(event.event_time for event in reply.read(list[_Event], "events"))])
        return (_told(reply.headers) - last).total_seconds()

    async def failures(self, resource: StackResource, since: datetime) -> list[str]:
        """Heat's reasons for all failed tries of a resource since then: it makes several, and shows the last one's reason."""
        path = f"/stacks/{resource.stack}/resources/{resource.name}/events"
        events = (await self._cloud.request(SERVICE, "GET", path)).read(list[_Event], "events")
        failed = [event for event in events if event.event_time >= since and event.resource_status.endswith("_FAILED")]
        return [event.resource_status_reason or "" for event in failed]

    async def names(self, stack: Stack, type_: str, status: str) -> dict[str, Logical]:
        """The names that Heat has given to resources of a type, in a stack and in those nested in it, whose creation came to a
        status while Heat had no id of them; and of what each is.

        :param status: ``IN_PROGRESS``: all that it has begun to make; ``FAILED``: what it has failed with.
        """
        query = {
            "nested_depth": 2,
            "resource_type": type_,
            "resource_action": "CREATE",
            "resource_status": status,
        }
        reply = await self._cloud.request(SERVICE, "GET", f"/stacks/{stack.path}/events", query=query)
        return {
            event.physical_resource_id or "": Logical(_home(event), event.resource_name)
            for event in reply.read(list[_Event], "events")
            if _is_made_up(event)
        }

    async def delete(self, stack: Stack) -> None:
        """Start to delete a stack; one that is gone is fine."""
        try:
            await self._cloud.request(SERVICE, "DELETE", f"/stacks/{stack.path}", acts=True)
        except NotFound:
            return

    async def resources(self, name: str, stack_id: str) -> list[StackResource]:
        """The resources of a stack and of the stacks nested in it, two levels deep."""
        path = f"/stacks/{name}/{stack_id}/resources"
        reply = await self._cloud.request(SERVICE, "GET", path, query={"nested_depth": 2})
        return [_resource(shown) for shown in reply.read(list[_Resource], "resources")]

    async def mark(self, resource: StackResource, *, unhealthy: bool, reason: str) -> None:
        """Mark a resource unhealthy, or take the mark away; ``reason`` becomes the resource's.

        :raises Retryable: the resource is being worked on.
        """
        body = {"mark_unhealthy": unhealthy, "resource_status_reason": reason}
        path = f"/stacks/{resource.stack}/resources/{resource.name}"
        await self._cloud.request(SERVICE, "PATCH", path, body=body, acts=True)


def is_named_by(stack_name: str, name: str) -> bool:
    """Whether a name is one that Heat makes up for what is in a stack, or in one nested in it."""
    return name.startswith(f"{stack_name}-") and _RANDOM.fullmatch(name[-13:]) is not None


def _is_made_up(event: _Event) -> bool:
    """Whether an event has the name that Heat has made up, which it may have shortened, and not yet an id."""
    name = event.physical_resource_id or ""
    whole = f"{_home(event).partition('/')[0].rstrip('*')}-{event.resource_name}{name[-13:]}"
    shortened = f"{whole[:2]}-{whole[3 - len(name) :]}"
    return name in (whole, shortened) and _RANDOM.fullmatch(name[-13:]) is not None


def _told(headers: Mapping[str, str]) -> datetime:
    """When Heat has answered: its clock may differ from ours."""
    return parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)


def _stack(shown: _Stack) -> Stack:
    action, _, status = shown.stack_status.partition("_")
    return Stack(
        id=shown.id,
        name=shown.stack_name,
        action=action,
        status=status,
        reason=shown.stack_status_reason or "",
        since=shown.updated_time or shown.creation_time,
        tags=shown.tags or (),
        parameters=shown.parameters or {},
    )


def _home(shown: _Shown) -> str:
    """``name/id`` of the stack that a resource or an event is in."""
    url = next((link.href for link in shown.links if link.rel == "stack"), "")
    return "/".join(url.rsplit("/", 2)[-2:])


def _resource(shown: _Resource) -> StackResource:
    return StackResource(
        name=shown.resource_name,
        type=shown.resource_type,
        physical_id=shown.physical_resource_id or "",
        status=shown.resource_status,
        reason=shown.resource_status_reason or "",
        stack=_home(shown),
        creation_time=shown.creation_time or "",
        required_by=shown.required_by or (),
    )
