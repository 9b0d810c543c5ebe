"""Who sends a request, and as which command: an :class:`Authenticator` finds project, actor and roles, :func:`caller` gives them.

Rules: a request is one command, whose id everything is derived from that it makes; so a request that is sent again makes the
same things again, which the log knows (see :mod:`forestay_sol.idempotency`).
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID, uuid4, uuid5

import msgspec
from aiohttp import web
from forestay_events.aggregate import Origin


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The sender of a request: the project that owns what it makes, and the actor whom the log names.

    :ivar command_id: UUID of the request; the same for one that is sent again under its ``Idempotency-Key``.
    :ivar repeated: the request has been here before, and nobody knows how far it came.
    :ivar expected: versions of the resource that the request is meant for (``If-Match``); ``None``: any.
    """

    project: str
    actor: str
    roles: frozenset[str] = frozenset()
    command_id: str = msgspec.field(default_factory=lambda: str(uuid4()))
    repeated: bool = False
    expected: frozenset[int] | None = None

    def origin(self) -> Origin:
        """The origin of the request's command."""
        return Origin(
            command_id=self.command_id,
            project=self.project,
            actor=self.actor,
            repeated=self.repeated,
            expected=self.expected,
        )

    def new_id(self, name: str = "") -> str:
        """A UUID for what the request makes; ``name`` tells several apart."""
        return str(uuid5(UUID(self.command_id), name))


CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)


class Authenticator(Protocol):
    """Finds the caller of a request."""

    async def authenticate(self, request: web.Request) -> Caller:
        """Give the caller; raise ``Rejected(401)`` when the request does not prove who sends it."""
        ...


class NoAuthentication:
    """Everybody is the administrator of one project: only for a server that listens on the loopback interface."""

    def __init__(self, default_project: str, actor: str = "admin") -> None:
        self._caller = Caller(project=default_project, actor=actor, roles=frozenset({"admin", "member", "reader"}))

    async def authenticate(self, request: web.Request) -> Caller:
        """Give the one caller."""
        return self._caller


def caller(request: web.Request) -> Caller:
    """Give the caller of a request of an API with ``authenticated=True`` (:class:`KeyError` with any other)."""
    return request[CALLER]
