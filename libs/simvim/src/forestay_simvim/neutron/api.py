"""The Networking API v2.0: the same five routes for each collection, plus router interfaces, quotas and extensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from multidict import MultiMapping

from forestay_simvim.errors import NetworkError, ServiceError
from forestay_simvim.journal import effect
from forestay_simvim.neutron.network import SINGULAR, Networking, visible
from forestay_simvim.neutron.trunks import trunk_details
from forestay_simvim.table import Row
from forestay_simvim.web import Call, Handler, Reply, Route, Service, page

PREFIX = "/networking"
_CONTROL = {"limit", "marker", "sort_key", "sort_dir", "page_reverse", "fields"}
_EXTENSIONS = (
    "agent", "allowed-address-pairs", "availability_zone", "binding", "external-net", "extra_dhcp_opt", "net-mtu",
    "network_availability_zone", "port-security", "provider", "quotas", "router", "security-group", "standard-attr-tag",
    "standard-attr-timestamp", "pagination", "sorting", "project-id", "subnet_allocation",
    "trunk", "trunk-details",
)  # fmt: skip


def error_body(error: ServiceError) -> dict[str, Any]:
    if error.status == 401:
        return {"error": {"code": 401, "message": error.message, "title": error.kind}}
    return {"NeutronError": {"type": error.kind, "message": error.message, "detail": ""}}


def _version(call: Call) -> dict[str, Any]:
    links = [{"rel": "self", "href": f"{call.base}{PREFIX}/v2.0/"}]
    return {"id": "v2.0", "status": "CURRENT", "links": links}


def versions(call: Call) -> dict[str, Any]:
    return {"versions": [_version(call)]}


def resources(call: Call) -> dict[str, Any]:
    links = {name: [{"rel": "self", "href": f"{call.base}{PREFIX}/v2.0/{name}"}] for name in SINGULAR}
    return {"resources": [{"name": SINGULAR[name], "collection": name, "links": links[name]} for name in SINGULAR]}


def _plural(call: Call) -> str:
    plural = call.path["collection"].replace("-", "_")
    if plural not in SINGULAR:
        raise NetworkError("HTTPNotFound", 404, "The resource could not be found.")
    return plural


def _show(net: Networking, plural: str, row: Row) -> Row:
    shown = {key: value for key, value in row.items() if not key.startswith("_")}
    if plural == "security_groups":
        shown["security_group_rules"] = net.security_group_rules.find(security_group_id=row["id"])
    return shown | (trunk_details(net, row["id"]) if plural == "ports" else {})


def _matches(row: Row, field: str, wanted: list[str]) -> bool:
    if field == "fixed_ips":
        pairs = [each.partition("=")[::2] for each in wanted]
        return any(all(ip.get(key) == value for key, value in pairs) for ip in row.get("fixed_ips", []))
    if field in ("tags", "tags-any"):
        names = {name for each in wanted for name in each.split(",")}
        return names <= set(row["tags"]) if field == "tags" else bool(names & set(row["tags"]))
    if field not in row:
        return True
    value = row[field]
    return (str(value).lower() if isinstance(value, bool) else str(value)) in [
        each.lower() if isinstance(value, bool) else each for each in wanted
    ]


def _search(call: Call, plural: str) -> list[Row]:
    table = call.cloud.neutron.table(plural)
    query: MultiMapping[str] = call.query
    key_fields = ("id", "device_id", "network_id", "name", "port_id", "mac_address", "security_group_id")
    narrow = next((key for key in key_fields if len(query.getall(key, [])) == 1), None)
    if narrow == "id":
        found = table.get(query["id"])
        rows = [found] if found else []
    else:
        rows = table.find(**{narrow: query[narrow]}) if narrow else list(table)
    filters = {key: query.getall(key) for key in query if key not in _CONTROL}
    seen = call.caller.is_admin
    return [
        row
        for row in rows
        if (seen or visible(row, call.project)) and all(_matches(row, key, want) for key, want in filters.items())
    ]


def index(call: Call) -> dict[str, Any]:
    plural = _plural(call)
    if plural == "security_groups" and call.project:
        call.cloud.neutron.default_group(call.project)
    most = call.cloud.settings.page.get("neutron", 0)
    rows, more = page(_search(call, plural), call.query, default=most, most=most)
    body: dict[str, Any] = {plural: [_show(call.cloud.neutron, plural, row) for row in rows]}
    if more:
        path = f"{call.base}{call.url_path}?limit={len(rows)}&marker={rows[-1]['id']}"
        body[f"{plural}_links"] = [{"rel": "next", "href": path}]
    return body


def _own(call: Call, plural: str, *, write: bool = False) -> Row:
    row = call.cloud.neutron.get(plural, call.path["id"])
    allowed = row["project_id"] == call.project if write else visible(row, call.project)
    if not allowed and not call.caller.is_admin:
        raise NetworkError("NotFound", 404, f"{SINGULAR[plural].capitalize()} {row['id']} could not be found.")
    return row


def show(call: Call) -> dict[str, Any]:
    plural = _plural(call)
    return {SINGULAR[plural]: _show(call.cloud.neutron, plural, _own(call, plural))}


def create(call: Call) -> Reply:
    plural = _plural(call)
    singular = SINGULAR[plural]
    make = getattr(call.cloud.neutron, f"create_{singular}")
    given = call.member(singular)
    project = given.pop("tenant_id", None) or given.pop("project_id", None) or call.project
    row = make(project if call.caller.is_admin else call.project, given)
    effect(f"{singular} created {row['id']}")
    return Reply(201, {singular: _show(call.cloud.neutron, plural, row)})


def update(call: Call) -> dict[str, Any]:
    plural = _plural(call)
    net, row, changes = call.cloud.neutron, _own(call, plural, write=True), call.member(SINGULAR[plural])
    special: dict[str, Callable[[], Row]] = {
        "ports": lambda: net.update_port(row, changes),
        "floatingips": lambda: net.associate(row, changes.get("port_id"), changes.get("fixed_ip_address")),
    }
    special.get(plural, lambda: net.update(plural, row, changes))()
    effect(f"{SINGULAR[plural]} updated {row['id']}")
    return {SINGULAR[plural]: _show(net, plural, row)}


def delete(call: Call) -> Reply:
    plural = _plural(call)
    getattr(call.cloud.neutron, f"delete_{SINGULAR[plural]}")(_own(call, plural, write=True))
    effect(f"{SINGULAR[plural]} deleted {call.path['id']}")
    return Reply(204)


def _interface(action: str) -> Handler:
    def change(call: Call) -> dict[str, Any]:
        router = call.cloud.neutron.get("routers", call.path["id"])
        done = getattr(call.cloud.neutron, action)(router, call.body or {})
        effect(f"{action} {router['id']} {done['port_id']}")
        return done

    return change


def set_tags(call: Call) -> dict[str, Any]:
    row = _own(call, _plural(call), write=True)
    row["tags"] = list(call.body["tags"])
    return {"tags": row["tags"]}


def extensions(call: Call) -> dict[str, Any]:
    rows = [{"alias": name, "name": name, "description": name, "links": []} for name in _EXTENSIONS]
    return {"extensions": [row | {"updated": "2015-01-01T00:00:00-00:00"} for row in rows]}


def extension(call: Call) -> dict[str, Any]:
    found = [row for row in extensions(call)["extensions"] if row["alias"] == call.path["alias"]]
    if not found:
        raise NetworkError("HTTPNotFound", 404, "The resource could not be found.")
    return {"extension": found[0]}


def quotas(call: Call) -> dict[str, Any]:
    names = ("network", "subnet", "port", "router", "floatingip", "security_group")
    return {"quota": {name: call.cloud.quota.limit(name) for name in names}}


_ROUTES: list[Route] = [
    ("GET", "/v2.0/extensions", extensions),
    ("GET", "/v2.0/extensions/{alias}", extension),
    ("GET", "/v2.0/quotas/{project}", quotas),
    ("PUT", "/v2.0/routers/{id}/add_router_interface", _interface("add_interface")),
    ("PUT", "/v2.0/routers/{id}/remove_router_interface", _interface("remove_interface")),
    ("PUT", "/v2.0/{collection}/{id}/tags", set_tags),
    ("GET", "/v2.0/{collection}", index),
    ("POST", "/v2.0/{collection}", create),
    ("GET", "/v2.0/{collection}/{id}", show),
    ("PUT", "/v2.0/{collection}/{id}", update),
    ("DELETE", "/v2.0/{collection}/{id}", delete),
]

SERVICE = Service(
    name="neutron",
    prefix=PREFIX,
    error_body=error_body,
    open_routes=(("GET", "", versions), ("GET", "/", versions)),
    routes=(("GET", "/v2.0", resources), ("GET", "/v2.0/", resources), *_ROUTES),
)
