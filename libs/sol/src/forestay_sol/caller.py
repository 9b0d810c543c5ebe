"""Who sends a request: project, actor and roles. An :class:`Authenticator` finds them, :func:`caller` gives them."""

from __future__ import annotations

from typing import Protocol

import msgspec
from aiohttp import web


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The sender of a request: the project that owns what it makes, and the actor whom the log names."""

    project: str
    actor: str
    roles: frozenset[str] = frozenset()


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
