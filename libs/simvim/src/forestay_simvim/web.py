"""How a simulated service is written down: a table of routes, each with a plain function.

A handler takes a :class:`Call` and returns a :class:`Reply`, or only the JSON body for a 200. It runs to its end without
waiting, so a request is atomic. A handler raises :class:`ServiceError`; the service's ``error_body`` puts it into its own JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from multidict import MultiMapping

from forestay_simvim.errors import ServiceError

if TYPE_CHECKING:
    from forestay_simvim.cloud import Cloud
    from forestay_simvim.keystone.identity import Token


@dataclass(slots=True)
class Call:
    """One request, as a handler sees it. ``base`` is the scheme and authority that the client used."""

    cloud: Cloud
    method: str
    path: Mapping[str, str]
    query: MultiMapping[str]
    headers: Mapping[str, str]
    body: Any
    raw: bytes
    base: str
    url_path: str
    token: Token | None = None

    @property
    def caller(self) -> Token:
        """The checked token of a route that needs one."""
        assert self.token is not None  # noqa: S101 - the gateway has refused calls without a token
        return self.token

    @property
    def project(self) -> str:
        """The project that the token is scoped to, ``""`` when it is not."""
        return self.caller.project_id or ""

    def member(self, name: str) -> dict[str, Any]:
        """The object under *name* in the JSON body; 400 when it is missing."""
        value = self.body.get(name) if isinstance(self.body, dict) else None
        if not isinstance(value, dict):
            raise ServiceError("BadRequest", 400, f"'{name}' is a required property")
        return value


@dataclass(slots=True)
class Reply:
    """An answer: ``body`` is JSON data, bytes or ``None``."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    content_type: str = "application/json"


Handler = Callable[[Call], Reply | dict[str, Any]]
Route = tuple[str, str, Handler]


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the cloud, with the URL prefix it lives under.

    ``open_routes`` need no token; ``headers`` are added to every answer (microversions).
    """

    name: str
    prefix: str
    routes: Sequence[Route]
    error_body: Callable[[ServiceError], Any]
    open_routes: Sequence[Route] = ()
    headers: Callable[[Call], dict[str, str]] = lambda call: {}


def page(
    rows: list[dict[str, Any]], query: MultiMapping[str], *, key: str = "id", default: int = 0, most: int = 0
) -> tuple[list[dict[str, Any]], bool]:
    """The rows after ``marker``, at most ``limit``; and whether there may be more.

    :param default: the limit when none is asked for, ``most`` the highest; 0: there is none.
    """
    marker, limit = query.get("marker"), int(query.get("limit") or default)
    limit = min(limit, most) if most else limit
    if marker:
        at = next((n for n, row in enumerate(rows) if row[key] == marker), None)
        if at is None:
            raise ServiceError("BadRequest", 400, f"marker [{marker}] not found")
        rows = rows[at + 1 :]
    return (rows[:limit], len(rows) > limit) if limit > 0 else (rows, False)


def none_of(plural: str) -> Handler:
    """A handler for a collection that is always empty."""

    def empty(call: Call) -> dict[str, Any]:
        return {plural: []}

    return empty
