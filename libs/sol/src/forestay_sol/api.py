"""Declaration of an API: how its requests are negotiated and how its errors look.

Rules hang on the :class:`Api` of a route, not on the application, so that one process serves all of them on one port.
:mod:`forestay_sol.web` applies them in the order of SOL013 and Tacker: caller, content type (415), JSON (400),
``Accept`` (406), ``Version`` (400, 406), then the handler.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from aiohttp import web
from forestay_events.errors import Rejected

from forestay_sol.parameters import Query
from forestay_sol.problem import Answer, problem_response, tacker_error_response

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ErrorFlavour = Callable[[Answer], web.Response]

JSON = ("application/json", "text/plain")
MERGE_PATCH = ("application/merge-patch+json", *JSON)
ANY = ("*/*",)

_WEIGHT = re.compile(r"[01](\.[0-9]{0,3})?")
_VERSION = re.compile(r"(?P<number>[1-9]\d*\.\d+\.\d+)(-impl:.+)?", re.ASCII)


class Api(msgspec.Struct, frozen=True, kw_only=True):
    """One API.

    :param name: for logs and metrics.
    :param prefix: path under which it lives; an unknown path below it is answered in its error flavour.
    :param version: value of the ``Version`` response header (SOL013 9.3) while no other is agreed, ``None`` if there is none.
    :param accepted: versions that a request may ask for; empty if the request's header is ignored. A newer minor version only
        adds to an older one, so all are answered alike.
    :param consumes: media types of request bodies, the first is assumed when the header is missing.
    :param produces: media types of answers; empty if ``Accept`` is ignored.
    :param ranges: ``Accept-Ranges`` of answers that say nothing else, errors too, ``None`` if it is left to the handler.
    :param failure: writes an error.
    :param authenticated: whether a caller must be known.
    :param suffix: a suffix that every path may also carry (``.json``).
    """

    name: str
    prefix: str
    version: str | None = None
    accepted: frozenset[str] = frozenset()
    consumes: tuple[str, ...] = JSON
    produces: tuple[str, ...] = ("application/json",)
    ranges: str | None = None
    failure: ErrorFlavour = problem_response
    authenticated: bool = True
    suffix: str = ""

    def check_version(self, request: web.Request) -> str | None:
        """Give the version in which the request is answered (SOL013 9.3): that which it asks for, if it has to ask.

        :raises Rejected: 400, ``Version`` is missing or malformed; 406, that version is not served.
        """
        if not self.accepted:
            return self.version
        given = request.headers.get("Version")
        if given is None:
            raise Rejected(400, f"'Version' HTTP header missing. This API serves {self._served()}.")
        match = _VERSION.fullmatch(given)
        if match is None:
            raise Rejected(400, f"'Version' HTTP header is malformed, write it as {self._served()}.")
        if match["number"] not in self.accepted:
            raise Rejected(406, f"Version {match['number']} not supported. This API serves {self._served()}.")
        return match["number"]

    def _served(self) -> str:
        return ", ".join(sorted(self.accepted))


class Route(msgspec.Struct, frozen=True):
    """One operation of an API.

    :param path: template as in ``/vnflcm/v2/vnf_instances/{vnfInstanceId}``.
    :param consumes: overrides the API's media types of request bodies (``MERGE_PATCH``, ``("application/zip",)``).
    :param produces: overrides the API's media types of answers; empty leaves ``Accept`` to the handler.
    :param streamed: the body is left unread for the handler, whatever its size.

    What follows is for the OpenAPI document only (:mod:`forestay_sol.openapi`), which shows the routes that have a summary:

    :param summary: what it does, in a few words.
    :param takes: type of the body, ``T | None`` if it may be missing, ``bytes`` if it is no JSON; ``None`` if there is none.
    :param gives: type of a successful answer's body, as above.
    :param status: of a successful answer.
    :param query: the query parameters.
    :param versioned: whether the resource has an ``ETag`` to be compared with.
    """

    method: str
    path: str
    handler: Handler
    api: Api
    consumes: tuple[str, ...] | None = None
    produces: tuple[str, ...] | None = None
    streamed: bool = False
    summary: str = ""
    takes: Any = None
    gives: Any = None
    status: int = 200
    query: tuple[Query, ...] = ()
    versioned: bool = False

    @property
    def request_types(self) -> tuple[str, ...]:
        """Media types that a request body may have."""
        return self.api.consumes if self.consumes is None else self.consumes

    @property
    def answer_types(self) -> tuple[str, ...]:
        """Media types of a successful answer."""
        return self.api.produces if self.produces is None else self.produces


def media_type(header: str) -> str:
    """Give the media type of a header value, lower case and without parameters."""
    return header.partition(";")[0].strip().lower()


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            return float(value) if _WEIGHT.fullmatch(value.strip()) else 0.0
    return 1.0


def covers(pattern: str, media: str) -> bool:
    """Tell whether a media range such as ``*/*`` or ``text/*`` covers a media type."""
    return pattern in ("*/*", media) or (pattern.endswith("/*") and media.startswith(pattern[:-1]))


def negotiate(accept: str | None, offers: Sequence[str]) -> str:
    """Choose the media type of an answer (RFC 9110 12.5.1).

    :param accept: value of the ``Accept`` header, several joined with a comma; missing or empty means anything.
    :param offers: what can be given, preferred first.
    :raises Rejected: 406 when nothing fits.
    """
    if not accept or not accept.strip():
        return offers[0]
    ranges = [(media_type(item), _quality(item.partition(";")[2])) for item in accept.split(",")]

    def wish(offer: str) -> float:
        fits = [(pattern.count("*"), quality) for pattern, quality in ranges if covers(pattern, offer)]
        return min(fits, key=lambda fit: fit[0])[1] if fits else 0.0

    best = max(offers, key=wish)
    if wish(best) <= 0:
        raise Rejected(406, f"The answer can only be given as {' or '.join(offers)}: ask for it in 'Accept'.")
    return best


VNFLCM_V2 = Api(
    name="vnflcm-v2",
    prefix="/vnflcm/v2",
    version="2.0.0",
    accepted=frozenset({"2.0.0", "2.1.0", "2.2.0", "2.3.0"}),
    ranges="none",
)
"""VNF lifecycle management, version 2 (SOL003 5, SOL002 5)."""

VNFLCM_V1 = Api(name="vnflcm-v1", prefix="/vnflcm/v1", consumes=ANY, produces=())
"""VNF lifecycle management, version 1 (SOL003 2.6.1); ``Version`` and ``Accept`` are ignored as in Tacker."""

VNFLCM_VERSIONS = Api(name="vnflcm-versions", prefix="/vnflcm", version="2.0.0", ranges="none")
"""``/vnflcm/api_versions`` and ``/vnflcm/v2/api_versions``: any ``Version`` may be asked for (SOL013 9.2)."""

VNFPKGM_V1 = Api(name="vnfpkgm-v1", prefix="/vnfpkgm/v1", consumes=ANY, produces=())
"""VNF package management, version 1 (SOL005 9); ``Version`` and ``Accept`` are ignored as in Tacker."""

VNFPKGM_V2 = Api(
    name="vnfpkgm-v2",
    prefix="/vnfpkgm/v2",
    version="2.4.0",
    accepted=frozenset({"2.0.0", "2.1.0", "2.2.0", "2.3.0", "2.4.0"}),
    ranges="none",
)
"""VNF package management, version 2 (SOL005 9, SOL003 10); each minor version holds the ones before it."""

VNFPKGM_VERSIONS = Api(name="vnfpkgm-versions", prefix="/vnfpkgm", version="2.4.0", ranges="none")
"""``/vnfpkgm/api_versions`` and ``/vnfpkgm/v2/api_versions``: any ``Version`` may be asked for (SOL013 9.2)."""

VNFFM_V1 = Api(
    name="vnffm-v1",
    prefix="/vnffm/v1",
    version="1.3.0",
    accepted=frozenset({"1.3.0", "1.4.0", "1.5.0"}),
    ranges="none",
)
"""VNF fault management, version 1 (SOL003 7, SOL002 7)."""

VNFFM_VERSIONS = Api(name="vnffm-versions", prefix="/vnffm", version="1.3.0", ranges="none")
"""``/vnffm/api_versions`` and ``/vnffm/v1/api_versions``: any ``Version`` may be asked for (SOL013 9.2)."""

POLICY_V1 = Api(name="policy-v1", prefix="/policy/v1")
"""Forestay's own API for policies, see ``docs/policy.md``; there is no ``Version`` header."""

LEGACY = Api(name="legacy", prefix="/v1.0", consumes=ANY, produces=(), failure=tacker_error_response, suffix=".json")
"""Tacker's own API for VIMs."""

ROOT = Api(name="root", prefix="/", produces=(), authenticated=False)
"""The list of API versions at ``/``, and the flavour of paths that belong to no API."""

OPERATIONS = Api(name="operations", prefix="/", produces=(), authenticated=False)
"""Health and metrics: for the platform, not for NFV."""
