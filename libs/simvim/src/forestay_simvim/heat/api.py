"""The Orchestration API v1 as a service: version discovery, resources, events, and Heat's error body."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from forestay_simvim.errors import ServiceError
from forestay_simvim.heat import request, stacks_api, views
from forestay_simvim.heat.model import COMPLETE, FAILED
from forestay_simvim.heat.stacks_api import stack_of
from forestay_simvim.journal import effect
from forestay_simvim.web import Call, Reply, Service, page

_EXPLANATIONS = {
    400: "The server could not comply with the request since it is either malformed or otherwise incorrect.",
    403: "Access was denied to this resource.",
    404: "The resource could not be found.",
    409: "There was a conflict when trying to complete your request.",
    500: "The server has either erred or is incapable of performing the requested operation.",
}


def error_body(error: ServiceError) -> dict[str, Any]:
    if error.status == 401:
        return {"error": {"code": 401, "message": error.message, "title": error.kind}}
    said = {"message": error.message} if error.status < 500 else {}  # only its own errors are safe to be told
    return {
        "code": error.status,
        "title": HTTPStatus(error.status).phrase,
        "explanation": _EXPLANATIONS.get(error.status, HTTPStatus(error.status).phrase),
        "error": {"type": error.kind, "traceback": None, **said},
    }


def versions(call: Call) -> Reply:
    links = [{"rel": "self", "href": f"{call.base}{views.PREFIX}/v1/"}]
    return Reply(300, {"versions": [{"id": "v1.0", "status": "CURRENT", "links": links}]})


def resource_list(call: Call) -> dict[str, Any]:
    query = call.query
    unknown = set(query) - {
        "type",
        "status",
        "name",
        "action",
        "id",
        "physical_resource_id",
        "nested_depth",
        "with_detail",
    }
    if unknown:
        raise request.bad_request(f"Invalid filter parameters {sorted(unknown)}")
    depth = query.get("nested_depth", "0")
    if not depth.isdigit():
        raise request.bad_request(f"Only integer is allowed for nested_depth: {depth}")
    with_detail = request.flag("with_detail", query.get("with_detail", "false"))
    found = views.resources(call.base, stack_of(call), int(depth), with_detail=with_detail)
    fields = {"type": "resource_type", "name": "resource_name", "physical_resource_id": "physical_resource_id"}
    for key, field in fields.items():
        if key in query:
            found = [each for each in found if each[field] in query.getall(key)]
    for key, part in (("action", 0), ("status", 1)):
        if key in query:
            found = [each for each in found if each["resource_status"].split("_", 1)[part] in query.getall(key)]
    return {"resources": found}


def resource_show(call: Call) -> dict[str, Any]:
    stack = stack_of(call)
    item = stack.find(call.path["resource"])
    return {"resource": views.resource_detail(call.base, item, views.required_by(stack))}


def resource_metadata(call: Call) -> dict[str, Any]:
    return {"metadata": stack_of(call).find(call.path["resource"]).metadata}


def signal(call: Call) -> Reply:
    item = stack_of(call).find(call.path["resource"])
    item.type.signal(item, call.body)
    effect(f"resource signalled {item.stack.id} {item.name}")
    return Reply(200, None)


def mark_unhealthy(call: Call) -> Reply:
    body = call.body or {}
    unknown = set(body) - {"mark_unhealthy", "resource_status_reason"}
    if unknown:
        raise request.bad_request(f"Invalid keys in resource mark unhealthy {unknown}")
    if "mark_unhealthy" not in body:
        raise request.bad_request("Missing mandatory (mark_unhealthy) key from mark unhealthy request")
    item = stack_of(call).find(call.path["resource"])
    reason = body.get("resource_status_reason") or "state changed by resource_mark_unhealthy api"
    if item.status == "IN_PROGRESS":
        message = f"Stack {item.stack.name} already has an action ({item.stack.action}) in progress."
        raise ServiceError("ActionInProgress", 409, message)
    if request.flag("mark_unhealthy", body["mark_unhealthy"]):
        item.set_state("CHECK", FAILED, reason)
    elif item.state == f"CHECK_{FAILED}":
        item.set_state("CHECK", COMPLETE, reason)
    effect(f"resource {item.state} {item.stack.id} {item.name}")
    return Reply(200, None)


def _events(call: Call, name: str | None = None) -> list[dict[str, Any]]:
    stack, query = stack_of(call), call.query
    depth = int(query.get("nested_depth", 0))
    types = query.getall("resource_type", [])
    rows = [
        views.event(call.base, owner, item, root=stack if depth else None)
        for owner, item in views.events(stack, depth)
        if not types or item.type in types
    ]
    if name is not None:
        rows = [row for row in rows if row["resource_name"] == name]
    if "resource_name" in query:
        rows = [row for row in rows if row["resource_name"] in query.getall("resource_name")]
    for key, part in (("resource_action", 0), ("resource_status", 1)):
        if key in query:
            rows = [row for row in rows if row["resource_status"].split("_", 1)[part] in query.getall(key)]
    return list(reversed(rows)) if query.get("sort_dir") == "desc" else rows


def event_list(call: Call) -> dict[str, Any]:
    rows, _ = page(_events(call), call.query)
    return {"events": rows}


def resource_events(call: Call) -> dict[str, Any]:
    rows, _ = page(_events(call, call.path["resource"]), call.query)
    if not rows:
        raise ServiceError("HTTPNotFound", 404, f"No events found for resource {call.path['resource']}")
    return {"events": rows}


def event_show(call: Call) -> dict[str, Any]:
    stack = stack_of(call)
    for item in stack.events:
        if item.id == call.path["event"]:
            known = stack.resources.get(item.name)
            more = {"resource_type": item.type, "resource_properties": known.properties if known else {}}
            return {"event": views.event(call.base, stack, item) | more}
    raise ServiceError("HTTPNotFound", 404, f"No event {call.path['event']} found")


_STACK = "/v1/{tenant}/stacks/{name}/{id}"
_RESOURCE = f"{_STACK}/resources/{{resource}}"

SERVICE = Service(
    name="heat",
    prefix=views.PREFIX,
    error_body=error_body,
    open_routes=(("GET", "", versions), ("GET", "/", versions)),
    routes=(
        *stacks_api.ROUTES,
        ("GET", f"{_STACK}/resources", resource_list),
        ("GET", _RESOURCE, resource_show),
        ("PATCH", _RESOURCE, mark_unhealthy),
        ("GET", f"{_RESOURCE}/metadata", resource_metadata),
        ("POST", f"{_RESOURCE}/signal", signal),
        ("GET", f"{_RESOURCE}/events", resource_events),
        ("GET", f"{_RESOURCE}/events/{{event}}", event_show),
        ("GET", f"{_STACK}/events", event_list),
    ),
)
