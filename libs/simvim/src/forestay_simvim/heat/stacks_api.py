"""The Orchestration API's stacks: create, look up, list, show, update, delete, actions, outputs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from forestay_simvim.errors import ServiceError
from forestay_simvim.heat import request, views
from forestay_simvim.heat.converge import FORGOTTEN
from forestay_simvim.heat.engine import new_stack
from forestay_simvim.heat.model import Stack
from forestay_simvim.heat.resources.registry import TYPES
from forestay_simvim.hot.functions import FUNCTIONS
from forestay_simvim.hot.parameters import shown
from forestay_simvim.hot.template import VERSIONS, invalid, parse
from forestay_simvim.journal import effect
from forestay_simvim.web import Call, Reply, Route, page

# What the gateway of the real API answers to an accepted update, where there is no JSON.
_ACCEPTED = (
    b"<html>\n <head>\n  <title>202 Accepted</title>\n </head>\n <body>\n  <h1>202 Accepted</h1>\n </body>\n</html>"
)


def accepted() -> Reply:
    return Reply(202, _ACCEPTED, content_type="text/html")


def stack_of(call: Call) -> Stack:
    """The stack that the path names, in the caller's project."""
    return call.cloud.heat.store.get(call.path["tenant"], call.path["name"], call.path["id"])


def lookup(call: Call) -> Reply:
    """Redirect a name or an id to the stack's canonical URL."""
    store = call.cloud.heat.store
    stack = store.lookup(call.path["tenant"], call.path["name"])
    if stack.deleted is not None and call.path["name"] != stack.id:
        raise ServiceError("EntityNotFound", 404, f"The Stack ({call.path['name']}) could not be found.")
    url = views.stack_url(call.base, stack) + (f"/{call.path['rest']}" if call.path.get("rest") else "")
    query = f"?{urlencode(list(call.query.items()))}" if call.query else ""
    return Reply(302, None, {"Location": url + query})


def create(call: Call) -> Reply:
    heat, body = call.cloud.heat, call.body or {}
    name = request.stack_name(body)
    if heat.store.has(call.project, name):
        raise ServiceError("StackExists", 409, f"The Stack ({name}) already exists.")
    if call.cloud.quota.exceeded("stacks", heat.store.count(call.project) + 1):
        limit = call.cloud.quota.limit("stacks")
        message = f"Request limit exceeded: You have reached the maximum stacks per tenant, {limit}. Please delete some stacks."
        raise invalid("RequestLimitExceeded", message)
    stack = new_stack(name, call.caller, request.blueprint(body))
    request.settle_options(stack, body)
    heat.create(stack)
    effect(f"stack created {stack.id}")
    links = [{"href": views.stack_url(call.base, stack), "rel": "self"}]
    return Reply(201, {"stack": {"id": stack.id, "links": links}}, {"Location": links[0]["href"]})


def preview(call: Call) -> dict[str, Any]:
    body = call.body or {}
    stack = new_stack(request.stack_name(body), call.caller, request.blueprint(body))
    request.settle_options(stack, body)
    call.cloud.heat.validate(stack)
    shown = views.detail(call.base, stack, call.cloud.heat, outputs=False)
    shown["resources"] = [
        {"resource_name": each.name, "resource_type": each.type, "properties": each.properties}
        for each in call.cloud.heat.scope(stack).enabled().values()
    ]
    return {"stack": shown}


def _tags_match(stack: Stack, call: Call) -> bool:
    have = set(stack.tags or ())
    query = {
        key: set(call.query[key].split(","))
        for key in ("tags", "tags_any", "not_tags", "not_tags_any")
        if key in call.query
    }
    return (
        query.get("tags", set()) <= have
        and ("tags_any" not in query or bool(query["tags_any"] & have))
        and not ("not_tags" in query and query["not_tags"] <= have)
        and not ("not_tags_any" in query and query["not_tags_any"] & have)
    )


def _chosen(call: Call) -> list[Stack]:
    query = call.query
    flags = {
        key: key in query and request.flag(key, query[key]) for key in ("show_nested", "show_deleted", "global_tenant")
    }
    if flags["global_tenant"] and not call.caller.is_admin:
        raise ServiceError("Forbidden", 403, "You are not authorized to use global_index.")
    project = None if flags["global_tenant"] else call.path["tenant"]
    found = call.cloud.heat.store.listing(project, nested=flags["show_nested"], deleted=flags["show_deleted"])
    names, ids = query.getall("name", []) + query.getall("stack_name", []), query.getall("id", [])
    states, actions = query.getall("status", []) + query.getall("stack_status", []), query.getall("action", [])
    return [
        stack
        for stack in found
        if (not names or stack.name in names)
        and (not ids or stack.id in ids)
        and (not states or any(stack.state == wanted or stack.status == wanted for wanted in states))
        and (not actions or stack.action in actions)
        and ("owner_id" not in query or (stack.owner is not None and stack.owner.id == query["owner_id"]))
        and _tags_match(stack, call)
    ]


def index(call: Call) -> dict[str, Any]:
    chosen = _chosen(call)
    if "sort_keys" in call.query or "sort_dir" in call.query:
        keys = {"stack_name": "name", "name": "name", "creation_time": "created", "stack_status": "state"}
        attribute = keys.get(call.query.get("sort_keys", "creation_time"), "created")
        descending = call.query.get("sort_dir", "asc") == "desc"
        chosen.sort(key=lambda stack: str(getattr(stack, attribute)), reverse=descending)
    markers = [{"id": stack.id, "stack": stack} for stack in chosen]
    rows, more = page(markers, call.query)
    body: dict[str, Any] = {"stacks": [views.summary(call.base, row["stack"]) for row in rows]}
    if more:
        query = urlencode([*((k, v) for k, v in call.query.items() if k != "marker"), ("marker", rows[-1]["id"])])
        body["links"] = [{"rel": "next", "href": f"{call.base}{call.url_path}?{query}"}]
    if "with_count" in call.query and request.flag("with_count", call.query["with_count"]):
        body["count"] = len(chosen)
    return body


def index_detail(call: Call) -> dict[str, Any]:
    return {"stacks": [views.detail(call.base, stack, call.cloud.heat) for stack in _chosen(call)]}


def show(call: Call) -> dict[str, Any]:
    outputs = request.flag("resolve_outputs", call.query.get("resolve_outputs", "true"))
    return {"stack": views.detail(call.base, stack_of(call), call.cloud.heat, outputs=outputs)}


def _update(call: Call, *, patch: bool) -> Reply:
    stack, body = stack_of(call), call.body or {}
    if stack.deleted is not None:
        raise ServiceError("EntityNotFound", 404, f"The Stack ({stack.name}) could not be found.")
    if stack.action == "SUSPEND":
        raise ServiceError("NotSupported", 400, "Updating a stack when it is suspended is not supported.")
    if stack.action == "DELETE":
        raise ServiceError("NotSupported", 400, "Updating a stack when it is deleting is not supported.")
    existing = patch or bool(body.get("existing"))
    blueprint = request.blueprint(body, stack if existing else None)
    if not existing:
        stack.tags = None
    request.settle_options(stack, body)
    call.cloud.heat.update(stack, blueprint)
    effect(f"stack updated {stack.id}")
    return accepted()


def update(call: Call) -> Reply:
    return _update(call, patch=False)


def update_patch(call: Call) -> Reply:
    return _update(call, patch=True)


def _preview_update(call: Call, *, patch: bool) -> dict[str, Any]:
    stack = stack_of(call)
    blueprint = request.blueprint(call.body or {}, stack if patch else None)
    trial = new_stack(stack.name, call.caller, blueprint)
    call.cloud.heat.validate(trial)
    wanted = call.cloud.heat.scope(trial).enabled()
    changes: dict[str, list[dict[str, Any]]] = {
        key: [] for key in ("added", "deleted", "replaced", "updated", "unchanged")
    }
    for name in wanted.keys() | stack.resources.keys():
        old, new = stack.resources.get(name), wanted.get(name)
        kind = "added" if old is None else "deleted" if new is None else None
        if old is not None and new is not None:
            another = type(call.cloud.heat.types.find(new.type, trial.blueprint)) is not type(old.type)
            kind = "unchanged" if old.definition == new else "replaced" if another else "updated"
        definition = new or (old.definition if old else None)
        shown = {
            "resource_name": name,
            "resource_type": definition.type if definition else "",
            "stack_name": stack.name,
        }
        changes[kind or "unchanged"].append(shown)
    return {"resource_changes": changes}


def preview_update(call: Call) -> dict[str, Any]:
    return _preview_update(call, patch=False)


def preview_update_patch(call: Call) -> dict[str, Any]:
    return _preview_update(call, patch=True)


def delete(call: Call) -> Reply:
    stack = stack_of(call)
    if stack.deleted is not None:
        return Reply(204)
    if stack.state == "DELETE_IN_PROGRESS" and stack.run is not FORGOTTEN:
        return Reply(204)
    call.cloud.heat.launch(stack, "DELETE", stack.blueprint)
    effect(f"stack delete started {stack.id}")
    return Reply(204)


def action(call: Call) -> Reply:
    stack, body = stack_of(call), call.body or {}
    heat = call.cloud.heat
    if len(body) != 1:
        raise request.bad_request("Multiple actions specified" if body else "No action specified")
    name = next(iter(body))
    simple = {"suspend": "SUSPEND", "resume": "RESUME", "check": "CHECK"}
    if name in simple:
        if stack.in_progress:
            message = f"Stack {stack.name} already has an action ({stack.action}) in progress."
            raise ServiceError("ActionInProgress", 409, message)
        heat.launch(stack, simple[name], stack.blueprint)
    elif name in ("cancel_update", "cancel_without_rollback"):
        allowed = {"UPDATE_IN_PROGRESS"} | ({"CREATE_IN_PROGRESS"} if name == "cancel_without_rollback" else set())
        if stack.state not in allowed:
            message = f"Cancelling update when stack is {stack.state} is not supported."
            raise ServiceError("NotSupported", 400, message)
        if name == "cancel_update":
            heat.launch(stack, "ROLLBACK", stack.blueprint)
        else:
            heat.cancel(stack)
    else:
        raise request.bad_request(f"Invalid action {name} specified")
    effect(f"stack {name} {stack.id}")
    return Reply(200, b"")


def template(call: Call) -> dict[str, Any]:
    return stack_of(call).blueprint.template.raw


def environment(call: Call) -> dict[str, Any]:
    blueprint = stack_of(call).blueprint
    return blueprint.environment | {"parameters": shown(blueprint.template.parameters, blueprint.given)}


def files(call: Call) -> dict[str, Any]:
    return dict(stack_of(call).blueprint.files)


def outputs(call: Call) -> dict[str, Any]:
    defined = stack_of(call).blueprint.template.outputs
    shown = [
        {"output_key": name, "description": each.get("description", "No description given")}
        for name, each in defined.items()
    ]
    return {"outputs": shown}


def output(call: Call) -> dict[str, Any]:
    stack, key = stack_of(call), call.path["key"]
    if key not in stack.blueprint.template.outputs:
        raise ServiceError("NotFound", 404, f"Specified output key {key} not found.")
    return {"output": views.output(stack, call.cloud.heat, key)}


def validate(call: Call) -> dict[str, Any]:
    body = call.body or {}
    if not body.get("template"):
        raise request.bad_request("No template specified")
    parsed, env = parse(body["template"]), request.environment(body)
    titles = {
        "string": "String",
        "number": "Number",
        "json": "Json",
        "boolean": "Boolean",
        "comma_delimited_list": "CommaDelimitedList",
    }
    shown: dict[str, Any] = {}
    for name, schema in parsed.parameters.items():
        kind = titles.get(str(schema.get("type", "string")), "String")
        shown[name] = {
            "Type": kind,
            "NoEcho": str(bool(schema.get("hidden"))).lower(),
            "Description": schema.get("description", ""),
            "Label": schema.get("label", name),
        }
        shown[name] |= {"Default": schema["default"]} if "default" in schema else {}
        shown[name] |= {"Value": env["parameters"][name]} if name in env["parameters"] else {}
    return {"Description": parsed.description, "Parameters": shown, "ParameterGroups": [], "Environment": env}


def build_info(call: Call) -> dict[str, Any]:
    return {"api": {"revision": "unknown"}, "engine": {"revision": "unknown"}}


def resource_types(call: Call) -> dict[str, Any]:
    return {"resource_types": sorted(TYPES)}


def resource_type(call: Call) -> dict[str, Any]:
    kind = TYPES.get(call.path["type"])
    if kind is None:
        raise ServiceError("EntityNotFound", 404, f"The Resource Type ({call.path['type']}) could not be found.")
    props = {
        name: {"type": "any", "required": name in kind.required, "update_allowed": name in kind.updatable}
        for name in sorted(kind.required | kind.optional)
    }
    return {
        "resource_type": call.path["type"],
        "properties": props,
        "attributes": {},
        "support_status": {"status": "SUPPORTED"},
    }


def template_versions(call: Call) -> dict[str, Any]:
    versions = [{"version": f"heat_template_version.{v}", "type": "hot", "aliases": []} for v in VERSIONS]
    return {"template_versions": versions}


def template_functions(call: Call) -> dict[str, Any]:
    return {"template_functions": [{"functions": name, "description": ""} for name in sorted(FUNCTIONS)]}


_STACK = "/v1/{tenant}/stacks/{name}/{id}"
ROUTES: tuple[Route, ...] = (
    ("GET", "/v1/{tenant}/build_info", build_info),
    ("POST", "/v1/{tenant}/validate", validate),
    ("GET", "/v1/{tenant}/resource_types", resource_types),
    ("GET", "/v1/{tenant}/resource_types/{type}", resource_type),
    ("GET", "/v1/{tenant}/template_versions", template_versions),
    ("GET", "/v1/{tenant}/template_versions/{version}/functions", template_functions),
    ("GET", "/v1/{tenant}/stacks", index),
    ("POST", "/v1/{tenant}/stacks", create),
    ("GET", "/v1/{tenant}/stacks/detail", index_detail),
    ("POST", "/v1/{tenant}/stacks/preview", preview),
    *((method, "/v1/{tenant}/stacks/{name}", lookup) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
    ("GET", "/v1/{tenant}/stacks/{name}/{rest:resources|events|template|actions|environment|files|outputs}", lookup),
    ("POST", "/v1/{tenant}/stacks/{name}/{rest:actions}", lookup),
    ("GET", _STACK, show),
    ("PUT", _STACK, update),
    ("PATCH", _STACK, update_patch),
    ("DELETE", _STACK, delete),
    ("PUT", f"{_STACK}/preview", preview_update),
    ("PATCH", f"{_STACK}/preview", preview_update_patch),
    ("POST", f"{_STACK}/actions", action),
    ("GET", f"{_STACK}/template", template),
    ("GET", f"{_STACK}/environment", environment),
    ("GET", f"{_STACK}/files", files),
    ("GET", f"{_STACK}/outputs", outputs),
    ("GET", f"{_STACK}/outputs/{{key}}", output),
)
