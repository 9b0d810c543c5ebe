"""The OpenAPI 3.1 document of what a process serves, made from its routes and the types that they declare.

Rules: what :mod:`forestay_sol.web` does for all routes is said here for all routes, in the same places: negotiation, keys,
tags, problems. A route without a summary is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import Any, get_args

import msgspec
from aiohttp import hdrs

from forestay_sol import idempotency, preconditions
from forestay_sol.api import ANY, Api, Route
from forestay_sol.parameters import DRY_RUN, PAGE
from forestay_sol.problem import PROBLEM_JSON, InvalidParam, ProblemDetails, problem_response, title_of

Json = dict[str, Any]

_PLACEHOLDER = re.compile(r"\{(?P<name>\w+)(:[^{}]*)?\}")
_REFERENCE = "#/components/schemas/{name}"
_JSON = "application/json"
_BODIES = frozenset({hdrs.METH_POST, hdrs.METH_PATCH, hdrs.METH_PUT})
_ERROR: Json = {
    "type": "object",
    "properties": {
        "TackerError": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("type", "message", "detail")},
        }
    },
    "required": ["TackerError"],
}


def document(routes: Iterable[Route]) -> Json:
    """Describe routes.

    :raises TypeError: a declared type has no JSON Schema.
    """
    shown = [route for route in routes if route.summary]
    types = list(dict.fromkeys(type_ for route in shown for type_ in _types(route)))
    references, components = msgspec.json.schema_components(
        [*types, InvalidParam, ProblemDetails], ref_template=_REFERENCE
    )
    components["ProblemDetails"]["properties"].pop("extra")
    schemas = dict(zip(types, references, strict=False))
    paths: dict[str, Json] = {}
    for route in shown:
        path = _PLACEHOLDER.sub(r"{\g<name>}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Forestay",
            "version": version("forestay-sol"),
            "summary": "An event-sourced VNF manager: ETSI NFV-SOL 002, 003 and 005, and what OpenStack Tacker's clients know",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(route.api.name for route in shown)],
        "paths": paths,
        "components": {"schemas": components | {"TackerError": _ERROR}},
    }


def _types(route: Route) -> Iterator[Any]:
    yield from (_required(declared) for declared in (route.takes, route.gives) if declared not in (None, bytes))


def _required(declared: Any) -> Any:
    """``T`` of ``T | None``."""
    return next((each for each in get_args(declared) if type(None) in get_args(declared)), declared)


def _operation(route: Route, schemas: dict[Any, Json]) -> Json:
    operation: Json = {
        "operationId": "_".join(re.findall(r"[A-Za-z0-9]+", f"{route.method.lower()} {route.path}")),
        "summary": route.summary,
        "tags": [route.api.name],
        "parameters": list(_parameters(route)),
        "responses": dict(_responses(route, schemas)),
    }
    if route.takes is not None:
        types = route.request_types if route.request_types != ANY else (_JSON,)
        operation["requestBody"] = {
            "required": type(None) not in get_args(route.takes),
            "content": _content(route.takes, types, schemas),
        }
    return operation


def _content(declared: Any, types: Sequence[str], schemas: dict[Any, Json]) -> Json:
    return {
        each: {} if declared is bytes else {"schema": schemas[_required(declared)]}
        for each in types
        if each != "text/plain"
    }


def _parameters(route: Route) -> Iterator[Json]:
    for found in _PLACEHOLDER.finditer(route.path):
        yield _parameter("path", found["name"], {"type": "string"}, required=True)
    for query in route.query:
        yield _parameter("query", query.name, query.schema, query.description)
    if route.api.accepted:
        versions = {"type": "string", "enum": sorted(route.api.accepted)}
        yield _parameter("header", "Version", versions, "Version of the API (SOL013 9.3).", required=True)
    if route.method == hdrs.METH_POST and route.api.authenticated:
        said = f"Names the request: sent again within {idempotency.RETENTION} hours, it is answered again and does not act again."
        yield _parameter("header", idempotency.HEADER, {"type": "string", "format": "uuid"}, said)
    if route.versioned and route.method in preconditions.CHANGES:
        yield _parameter("header", hdrs.IF_MATCH, {"type": "string"}, "Change only what has this `ETag`; else 412.")
    elif route.versioned and route.method == hdrs.METH_GET:
        yield _parameter("header", hdrs.IF_NONE_MATCH, {"type": "string"}, "Answer 304 if it still has this `ETag`.")


def _parameter(place: str, name: str, schema: Json, description: str = "", *, required: bool = False) -> Json:
    parameter: Json = {"in": place, "name": str(name), "required": required, "schema": schema}
    return parameter | ({"description": description} if description else {})


def _responses(route: Route, schemas: dict[Any, Json]) -> Iterator[tuple[str, Json]]:
    yield str(route.status), _success(route, schemas)
    if route.status != 200 and DRY_RUN in route.query:
        yield "200", {"description": "What would be done", "content": {_JSON: {"schema": {"type": "object"}}}}
    if route.versioned and route.method == hdrs.METH_GET:
        yield "304", {"description": title_of(304)}
    for status in sorted(_refusals(route)):
        yield str(status), _problem(title_of(status), route.api)
    yield "default", _problem("Any other problem", route.api)


def _success(route: Route, schemas: dict[Any, Json]) -> Json:
    names = {
        hdrs.LOCATION: route.status in (201, 202),
        preconditions.ETAG: route.versioned and route.method == hdrs.METH_GET,
        hdrs.LINK: PAGE[0] in route.query,
        "Version": route.api.version is not None,
    }
    headers = {str(name): {"schema": {"type": "string"}} for name, given in names.items() if given}
    response: Json = {"description": title_of(route.status), "headers": headers}
    if route.gives is not None:
        anything = ("*/*",) if route.gives is bytes else (_JSON,)
        response["content"] = _content(route.gives, route.answer_types or anything, schemas)
    return response


def _refusals(route: Route) -> Iterator[int]:
    """The statuses with which a request to a route can be refused."""
    yield 400
    if _PLACEHOLDER.search(route.path):
        yield 404
    if route.answer_types:
        yield 406
    if route.method in _BODIES | preconditions.CHANGES:
        yield 409
    if route.takes is not None:
        yield 413
        if route.request_types != ANY:
            yield 415
    if route.method == hdrs.METH_POST:
        yield 422
    if route.versioned and route.method in preconditions.CHANGES:
        yield 412
    yield 503


def _problem(description: str, api: Api) -> Json:
    name, media = ("ProblemDetails", PROBLEM_JSON) if api.failure is problem_response else ("TackerError", _JSON)
    return {"description": description, "content": {media: {"schema": {"$ref": _REFERENCE.format(name=name)}}}}
