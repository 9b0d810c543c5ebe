"""The Block Storage API v3: volumes and types, with the project in the path."""

from __future__ import annotations

import ast
from typing import Any

from forestay_simvim.errors import ServiceError
from forestay_simvim.journal import effect
from forestay_simvim.table import Row
from forestay_simvim.web import Call, Reply, Service, none_of, page

PREFIX = "/volume"
_BY_METADATA, _REVERT = (3, 22), (3, 40)
_KEYS = {
    400: "badRequest",
    403: "forbidden",
    404: "itemNotFound",
    409: "conflict",
    413: "overLimit",
    500: "computeFault",
}


def error_body(error: ServiceError) -> dict[str, Any]:
    if error.status == 401:
        return {"error": {"code": 401, "message": error.message, "title": error.kind}}
    return {_KEYS.get(error.status, "computeFault"): {"code": error.status, "message": error.message}}


def _version(call: Call) -> dict[str, Any]:
    return {
        "id": "v3.0", "status": "CURRENT", "version": "3.71", "min_version": "3.0", "updated": "2018-07-17T00:00:00Z",
        "links": [{"rel": "self", "href": f"{call.base}{PREFIX}/v3/"}],
    }  # fmt: skip


def versions(call: Call) -> Reply:
    return Reply(300, {"versions": [_version(call)]})


def version(call: Call) -> dict[str, Any]:
    return {"versions": [_version(call)]}


def _own(call: Call) -> Row:
    row = call.cloud.cinder.get(call.path["id"])
    if row["project_id"] != call.project and not call.caller.is_admin:
        raise ServiceError("NotFound", 404, f"Volume {row['id']} could not be found.")
    return row


def _public(call: Call, row: Row) -> Row:
    path = f"{PREFIX}/v3/{call.path['project']}/volumes/{row['id']}"
    shown = {key: value for key, value in row.items() if not key.startswith("_")}
    return shown | {"links": [{"rel": "self", "href": call.base + path}]}


def _search(call: Call) -> list[Row]:
    table = call.cloud.cinder.volumes
    everyone = call.caller.is_admin and call.query.get("all_tenants") in ("1", "True", "true")
    rows = list(table) if everyone else table.find(project_id=call.project)
    fields = ("name", "status", "availability_zone", "bootable")
    filters = {key: call.query[key] for key in fields if key in call.query}
    return [row for row in reversed(rows) if all(str(row[key]) == value for key, value in filters.items())]


def _paged(call: Call, plural: str, found: list[Row]) -> dict[str, Any]:
    most = call.cloud.settings.page.get("cinder", 1000)
    rows, more = page(found, call.query, default=most, most=most)
    body: dict[str, Any] = {plural: rows}
    if more:
        path = f"{call.base}{call.url_path}?limit={len(rows)}&marker={rows[-1]['id']}"
        body[f"{plural}_links"] = [{"rel": "next", "href": path}]
    return body


def index(call: Call) -> dict[str, Any]:
    keys = ("id", "name", "links")
    shown = [{key: value for key, value in _public(call, row).items() if key in keys} for row in _search(call)]
    return _paged(call, "volumes", shown)


def detail(call: Call) -> dict[str, Any]:
    return _paged(call, "volumes", [_public(call, row) for row in _search(call)])


def show(call: Call) -> dict[str, Any]:
    return {"volume": _public(call, _own(call))}


def create(call: Call) -> Reply:
    row = call.cloud.cinder.create(call.caller.user["id"], call.project, call.member("volume"))
    effect(f"volume created {row['id']}")
    return Reply(202, {"volume": _public(call, row)})


def update(call: Call) -> dict[str, Any]:
    row, changes = _own(call), call.member("volume")
    allowed = {key: changes[key] for key in ("name", "description", "metadata") if key in changes}
    call.cloud.cinder.volumes.change(row, **allowed)
    return {"volume": _public(call, row)}


def delete(call: Call) -> Reply:
    call.cloud.cinder.delete(_own(call))
    effect(f"volume deleted {call.path['id']}")
    return Reply(202)


def action(call: Call) -> Reply:
    row = _own(call)
    extend, reset, revert = (call.body.get(key) for key in ("os-extend", "os-reset_status", "revert"))
    if revert and _microversion(call) >= _REVERT:
        call.cloud.cinder.revert(row, revert["snapshot_id"])
    elif extend:
        call.cloud.cinder.extend(row, int(extend["new_size"]))
    elif reset:
        call.cloud.cinder.volumes.change(row, status=reset["status"])
    else:
        raise ServiceError("BadRequest", 400, f"There is no such action: {next(iter(call.body), '')}")
    effect(f"volume {next(iter(call.body))} {row['id']}")
    return Reply(202)


def _microversion(call: Call) -> tuple[int, int]:
    asked = call.headers.get("OpenStack-API-Version", "volume 3.0").removeprefix("volume").strip()
    major, _, minor = asked.partition(".")
    return int(major), int(minor)


def set_metadata(call: Call) -> dict[str, Any]:
    row = _own(call)
    row["metadata"] = row["metadata"] | call.member("metadata")
    return {"metadata": row["metadata"]}


def snapshots(call: Call) -> dict[str, Any]:
    rows = call.cloud.cinder.snapshots.find(project_id=call.project)
    for key in ("name", "volume_id", "status"):
        rows = [row for row in rows if key not in call.query or row[key] == call.query[key]]
    if "metadata" in call.query and _microversion(call) >= _BY_METADATA:
        wanted: dict[str, str] = ast.literal_eval(call.query["metadata"])
        rows = [row for row in rows if wanted.items() <= row["metadata"].items()]
    return _paged(call, "snapshots", rows)


def create_snapshot(call: Call) -> Reply:
    given = call.member("snapshot")
    row = call.cloud.cinder.create_snapshot(call.cloud.cinder.get(given["volume_id"]), given)
    effect(f"volume snapshot created {row['id']}")
    return Reply(202, {"snapshot": row})


def show_snapshot(call: Call) -> dict[str, Any]:
    return {"snapshot": call.cloud.cinder.snapshot(call.path["id"])}


def delete_snapshot(call: Call) -> Reply:
    row = call.cloud.cinder.snapshot(call.path["id"])
    call.cloud.cinder.snapshots.remove(row["id"])
    effect(f"volume snapshot deleted {row['id']}")
    return Reply(202)


def types(call: Call) -> dict[str, Any]:
    return {"volume_types": list(call.cloud.cinder.types)}


def one_type(call: Call) -> dict[str, Any]:
    cinder = call.cloud.cinder
    row = cinder.default_type if call.path["id"] == "default" else cinder.types.get(call.path["id"])
    if row is None:
        raise ServiceError("NotFound", 404, f"Volume type {call.path['id']} could not be found.")
    return {"volume_type": row}


def create_type(call: Call) -> dict[str, Any]:
    if not call.caller.is_admin:
        raise ServiceError("Forbidden", 403, "Policy doesn't allow volume_extension:type_create to be performed.")
    return {"volume_type": call.cloud.cinder.create_type(call.member("volume_type"))}


def zones(call: Call) -> dict[str, Any]:
    return {"availabilityZoneInfo": [{"zoneName": "nova", "zoneState": {"available": True}}]}


def limits(call: Call) -> dict[str, Any]:
    quota = call.cloud.quota
    used = call.cloud.cinder.volumes.count("project_id", call.project)
    absolute = {"maxTotalVolumes": quota.limit("volumes"), "maxTotalVolumeGigabytes": quota.limit("gigabytes")}
    return {"limits": {"rate": [], "absolute": absolute | {"totalVolumesUsed": used}}}


def quotas(call: Call) -> dict[str, Any]:
    names = ("volumes", "gigabytes")
    return {"quota_set": {"id": call.path["target"], **{name: call.cloud.quota.limit(name) for name in names}}}


SERVICE = Service(
    name="cinder",
    prefix=PREFIX,
    error_body=error_body,
    headers=lambda call: {"OpenStack-API-Version": call.headers.get("OpenStack-API-Version", "volume 3.0")},
    open_routes=(
        ("GET", "", versions),
        ("GET", "/", versions),
        ("GET", "/v3", version),
        ("GET", "/v3/", version),
    ),
    routes=(
        ("GET", "/v3/{project}/volumes", index),
        ("POST", "/v3/{project}/volumes", create),
        ("GET", "/v3/{project}/volumes/detail", detail),
        ("GET", "/v3/{project}/volumes/{id}", show),
        ("PUT", "/v3/{project}/volumes/{id}", update),
        ("DELETE", "/v3/{project}/volumes/{id}", delete),
        ("POST", "/v3/{project}/volumes/{id}/action", action),
        ("GET", "/v3/{project}/types", types),
        ("POST", "/v3/{project}/types", create_type),
        ("GET", "/v3/{project}/types/{id}", one_type),
        ("GET", "/v3/{project}/os-availability-zone", zones),
        ("GET", "/v3/{project}/limits", limits),
        ("GET", "/v3/{project}/os-quota-sets/{target}", quotas),
        ("POST", "/v3/{project}/volumes/{id}/metadata", set_metadata),
        ("GET", "/v3/{project}/snapshots", snapshots),
        ("GET", "/v3/{project}/snapshots/detail", snapshots),
        ("POST", "/v3/{project}/snapshots", create_snapshot),
        ("GET", "/v3/{project}/snapshots/{id}", show_snapshot),
        ("DELETE", "/v3/{project}/snapshots/{id}", delete_snapshot),
        ("GET", "/v3/{project}/extensions", none_of("extensions")),
    ),
)
