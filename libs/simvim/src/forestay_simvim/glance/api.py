"""The Image API v2: list, show, create, upload, download, patch, tags, delete."""

from __future__ import annotations

from typing import Any

from forestay_simvim.errors import ServiceError
from forestay_simvim.glance.images import visible
from forestay_simvim.journal import effect
from forestay_simvim.table import Row
from forestay_simvim.web import Call, Reply, Service, page

PREFIX = "/image"
_CONTROL = {
    "limit",
    "marker",
    "sort",
    "sort_key",
    "sort_dir",
    "tag",
    "member_status",
    "os_hidden",
    "size_min",
    "size_max",
}


_TITLES = {
    404: "Not Found",
    409: "Conflict",
    403: "Forbidden",
    400: "Bad Request",
    413: "Request Entity Too Large",
}


def error_body(error: ServiceError) -> Any:
    title = _TITLES.get(error.status, error.kind)
    text = f"<html>\n <head>\n  <title>{error.status} {title}</title>\n </head>\n <body>\n  <h1>{error.status} {title}</h1>\n"
    return f"{text}  {error.message}<br /><br />\n\n\n </body>\n</html>".encode()


def versions(call: Call) -> Reply:
    links = [{"rel": "self", "href": f"{call.base}{PREFIX}/v2/"}]
    numbers = ("2.16", "2.15", "2.13", "2.11", "2.9", "2.7", "2.5", "2.4", "2.3", "2.2", "2.1", "2.0")
    values = [{"id": f"v{n}", "status": "SUPPORTED", "links": links} for n in numbers]
    values[0]["status"] = "CURRENT"
    return Reply(300, {"versions": values})


def _own(call: Call) -> Row:
    row = call.cloud.glance.images.get(call.path["id"])
    if row is None or not (call.caller.is_admin or visible(row, call.project)):
        raise ServiceError("HTTPNotFound", 404, f"No image found with ID {call.path['id']}")
    return row


def index(call: Call) -> dict[str, Any]:
    images = call.cloud.glance.images
    name = call.query.get("name")
    rows = [row for row in (images.find(name=name) if name else images) if visible(row, call.project)]
    filters = {key: value for key, value in call.query.items() if key not in _CONTROL}
    filters = {key: value.removeprefix("in:") for key, value in filters.items()}
    tags = set(call.query.getall("tag", []))
    rows = [
        row
        for row in rows
        if tags <= set(row["tags"]) and all(str(row.get(key)) in value.split(",") for key, value in filters.items())
    ]
    rows, more = page(rows, call.query, default=25, most=1000)
    body: dict[str, Any] = {"images": rows, "schema": "/v2/schemas/images", "first": "/v2/images"}
    if more:
        body["next"] = f"/v2/images?limit={len(rows)}&marker={rows[-1]['id']}"
    return body


def show(call: Call) -> Any:
    return _own(call)


def create(call: Call) -> Reply:
    _checked_tags(call, set((call.body or {}).get("tags", ())))
    row = call.cloud.glance.create(call.project, call.body or {})
    effect(f"image created {row['id']}")
    return Reply(201, row, {"Location": f"{call.base}{PREFIX}/v2/images/{row['id']}"})


def upload(call: Call) -> Reply:
    call.cloud.glance.upload(_own(call), call.raw)
    effect(f"image uploaded {call.path['id']}")
    return Reply(204)


def download(call: Call) -> Reply:
    data = call.cloud.glance.data.get(_own(call)["id"])
    return Reply(204) if data is None else Reply(200, data, content_type="application/octet-stream")


def patch(call: Call) -> Any:
    row = _own(call)
    for change in call.body:
        field = change["path"].lstrip("/")
        if change["op"] == "remove":
            row.pop(field, None)
        else:
            call.cloud.glance.images.change(row, **{field: change["value"]})
    effect(f"image updated {row['id']}")
    return row


def _checked_tags(call: Call, tags: set[str]) -> None:
    if call.cloud.quota.exceeded("image_tags", len(tags)):
        words = f"Image tag limit exceeded. Attempted: {len(tags)}, Maximum: {call.cloud.quota.limit('image_tags')}"
        raise ServiceError("HTTPRequestEntityTooLarge", 413, words)


def add_tag(call: Call) -> Reply:
    tags = _own(call)["tags"]
    if call.path["tag"] not in tags:
        _checked_tags(call, {*tags, call.path["tag"]})
        tags.append(call.path["tag"])
    return Reply(204)


def remove_tag(call: Call) -> Reply:
    tags = _own(call)["tags"]
    if call.path["tag"] not in tags:
        raise ServiceError("HTTPNotFound", 404, "Tag not found")
    tags.remove(call.path["tag"])
    return Reply(204)


def delete(call: Call) -> Reply:
    row = _own(call)
    if row["owner"] != call.project and not call.caller.is_admin:
        raise ServiceError("HTTPForbidden", 403, "You are not authorized to complete delete_image action.")
    call.cloud.glance.delete(row)
    effect(f"image deleted {row['id']}")
    return Reply(204)


def schema(call: Call) -> dict[str, Any]:
    return {"name": call.path["name"], "properties": {}, "additionalProperties": {"type": "string"}}


SERVICE = Service(
    name="glance",
    prefix=PREFIX,
    error_body=error_body,
    open_routes=(("GET", "", versions), ("GET", "/", versions), ("GET", "/versions", versions)),
    routes=(
        ("GET", "/v2/images", index),
        ("POST", "/v2/images", create),
        ("GET", "/v2/images/{id}", show),
        ("PATCH", "/v2/images/{id}", patch),
        ("DELETE", "/v2/images/{id}", delete),
        ("PUT", "/v2/images/{id}/file", upload),
        ("GET", "/v2/images/{id}/file", download),
        ("PUT", "/v2/images/{id}/tags/{tag}", add_tag),
        ("DELETE", "/v2/images/{id}/tags/{tag}", remove_tag),
        ("GET", "/v2/schemas/{name}", schema),
    ),
)
