"""The Compute API v2.1 up to the microversion that clients ask for: what is shown depends on it where clients notice."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from forestay_simvim.errors import ServiceError
from forestay_simvim.journal import effect
from forestay_simvim.nova.compute import Compute
from forestay_simvim.table import Row
from forestay_simvim.web import Call, Reply, Service, none_of, page

PREFIX = "/compute"
LATEST = (2, 96)
_KEYS = {400: "badRequest", 403: "forbidden", 404: "itemNotFound", 409: "conflictingRequest", 413: "overLimit"}
_FLAVOR_INLINE, _GROUP_POLICY = (2, 47), (2, 64)


def error_body(error: ServiceError) -> dict[str, Any]:
    if error.status == 401:
        return {"error": {"code": 401, "message": error.message, "title": error.kind}}
    return {_KEYS.get(error.status, "computeFault"): {"code": error.status, "message": error.message}}


def microversion(call: Call) -> tuple[int, int]:
    """The microversion that the request asks for."""
    asked = call.headers.get("OpenStack-API-Version", "").removeprefix("compute").strip()
    asked = asked or call.headers.get("X-OpenStack-Nova-API-Version", "") or "2.1"
    if asked == "latest":
        return LATEST
    major, _, minor = asked.partition(".")
    if not (major.isdigit() and minor.isdigit() and (2, 1) <= (int(major), int(minor)) <= LATEST):
        latest = ".".join(str(n) for n in LATEST)
        message = f"Version {asked} is not supported by the API. Minimum is 2.1 and maximum is {latest}."
        raise ServiceError("NotAcceptable", 406, message)
    return int(major), int(minor)


def version_headers(call: Call) -> dict[str, str]:
    number = "{}.{}".format(*microversion(call))
    vary = "OpenStack-API-Version, X-OpenStack-Nova-API-Version"
    return {"OpenStack-API-Version": f"compute {number}", "X-OpenStack-Nova-API-Version": number, "Vary": vary}


def _version(call: Call) -> dict[str, Any]:
    return {
        "id": "v2.1", "status": "CURRENT", "version": "{}.{}".format(*LATEST), "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z", "links": [{"rel": "self", "href": f"{call.base}{PREFIX}/v2.1/"}],
    }  # fmt: skip


def versions(call: Call) -> dict[str, Any]:
    return {"versions": [_version(call)]}


def version(call: Call) -> dict[str, Any]:
    return {"version": _version(call)}


def _link(call: Call, kind: str, key: str) -> list[dict[str, str]]:
    return [{"rel": "self", "href": f"{call.base}{PREFIX}/v2.1/{kind}/{key}"}]


def addresses(compute: Compute, server_id: str) -> dict[str, list[Row]]:
    """Nova's ``addresses`` of a server, by network name."""
    found: dict[str, list[Row]] = {}
    net = compute.networking
    for port in net.ports.find(device_id=server_id):
        network = net.networks.get(port["network_id"])
        shown = found.setdefault(network["name"] if network else "", [])
        floating = [row["floating_ip_address"] for row in net.floatingips.find(port_id=port["id"])]
        pairs = [("fixed", ip["ip_address"]) for ip in port["fixed_ips"]] + [("floating", ip) for ip in floating]
        for kind, address in pairs:
            shown.append({
                "addr": address, "version": 6 if ":" in address else 4, "OS-EXT-IPS:type": kind,
                "OS-EXT-IPS-MAC:mac_addr": port["mac_address"],
            })  # fmt: skip
    return found


def server_view(call: Call, row: Row) -> Row:
    """A server as the API shows it."""
    compute = call.cloud.nova
    shown = {key: value for key, value in row.items() if not key.startswith("_") and key != "project_id"}
    flavor = row["_flavor"]
    inline = {
        "vcpus": flavor["vcpus"], "ram": flavor["ram"], "disk": flavor["disk"], "ephemeral": 0, "swap": 0,
        "original_name": flavor["name"], "extra_specs": flavor["extra_specs"],
    }  # fmt: skip
    by_link = {"id": flavor["id"], "links": _link(call, "flavors", flavor["id"])}
    shown["flavor"] = inline if microversion(call) >= _FLAVOR_INLINE else by_link
    shown["addresses"] = addresses(compute, row["id"])
    shown["links"] = _link(call, "servers", row["id"])
    if row["image"]:
        shown["image"] = row["image"] | {"links": _link(call, "images", row["image"]["id"])}
    shown["os-extended-volumes:volumes_attached"] = compute.volumes_of(row)
    return shown


def _own(call: Call) -> Row:
    row = call.cloud.nova.server(call.path["id"])
    if row["project_id"] != call.project and not call.caller.is_admin:
        raise ServiceError("NotFound", 404, f"Instance {row['id']} could not be found.")
    return row


def _search(call: Call) -> list[Row]:
    servers, query = call.cloud.nova.servers, call.query
    everyone = call.caller.is_admin and query.get("all_tenants", "").lower() in ("1", "true")
    rows = list(servers) if everyone else servers.find(project_id=call.project)
    equal = {"status": "status", "host": "OS-EXT-SRV-ATTR:host", "availability_zone": "OS-EXT-AZ:availability_zone"}
    filters = {field: query[key] for key, field in equal.items() if query.get(key)}
    if query.get("name"):
        rows = [row for row in rows if re.search(query["name"], row["name"])]
    if query.get("image"):
        rows = [row for row in rows if row["image"] and row["image"]["id"] == query["image"]]
    if query.get("tags"):
        rows = [row for row in rows if set(query["tags"].split(",")) <= set(row["tags"])]
    return [row for row in reversed(rows) if all(row[field] == value for field, value in filters.items())]


def _paged(call: Call, shown: Callable[[Row], Row]) -> dict[str, Any]:
    most = call.cloud.settings.page.get("nova", 0)
    rows, more = page(_search(call), call.query, default=most, most=most)
    body: dict[str, Any] = {"servers": [shown(row) for row in rows]}
    if more:
        path = f"{call.base}{call.url_path}?limit={len(rows)}&marker={rows[-1]['id']}"
        body["servers_links"] = [{"rel": "next", "href": path}]
    return body


def index(call: Call) -> dict[str, Any]:
    return _paged(call, lambda row: {"id": row["id"], "name": row["name"], "links": _link(call, "servers", row["id"])})


def detail(call: Call) -> dict[str, Any]:
    return _paged(call, lambda row: server_view(call, row))


def show(call: Call) -> dict[str, Any]:
    return {"server": server_view(call, _own(call))}


def create(call: Call) -> Reply:
    hints = call.body.get("os:scheduler_hints") or call.body.get("OS-SCH-HNT:scheduler_hints")
    spec = call.member("server") | ({"os:scheduler_hints": hints} if hints else {})
    row = call.cloud.nova.create(call.caller, call.project, spec)
    effect(f"server created {row['id']}")
    return Reply(202, {"server": {"id": row["id"], "links": _link(call, "servers", row["id"]), "adminPass": "x"}})


def update(call: Call) -> dict[str, Any]:
    row = _own(call)
    call.cloud.nova.servers.change(
        row, **{k: v for k, v in call.member("server").items() if k in ("name", "description")}
    )
    return {"server": server_view(call, row)}


def delete(call: Call) -> Reply:
    call.cloud.nova.delete(_own(call))
    effect(f"server deleted {call.path['id']}")
    return Reply(204)


_STATUS_AFTER = {
    "os-start": "ACTIVE", "os-stop": "SHUTOFF", "reboot": "ACTIVE", "suspend": "SUSPENDED", "resume": "ACTIVE",
}  # fmt: skip
_STARTS_FROM = {"os-start": ("stopped",), "os-stop": ("active", "error")}


def action(call: Call) -> Reply:
    compute, name, reply = call.cloud.nova, next(iter(call.body or {}), ""), Reply(202)
    row = _own(call) if name == "os-resetState" else _idle(call, name.removeprefix("os-"))
    _expect_state(row, name)
    if name == "os-resetState":
        compute.set_status(row, call.body[name]["state"].upper())
    elif name == "resize":
        compute.resize(row, call.body[name]["flavorRef"])
    elif name == "rebuild":
        compute.rebuild(row, call.body[name])
        reply = Reply(202, {"server": server_view(call, row)})
    elif name == "createImage":
        image = compute.create_image(row, call.body[name])
        reply = Reply(202, None, {"Location": f"{call.base}/image/v2/images/{image['id']}"})
    elif name in _STATUS_AFTER:
        compute.set_status(row, _STATUS_AFTER[name])
    elif name != "confirmResize":
        raise ServiceError("BadRequest", 400, f"There is no such action: {name}")
    effect(f"server {name} {row['id']}")
    return reply


def _expect_state(row: Row, name: str) -> None:
    """Nova's 409 about a server that is not where the action starts from."""
    state, verb = row["OS-EXT-STS:vm_state"], name.removeprefix("os-")
    if state not in _STARTS_FROM.get(name, (state,)):
        raise ServiceError("Conflict", 409, f"Cannot '{verb}' instance {row['id']} while it is in vm_state {state}")


def get_metadata(call: Call) -> dict[str, Any]:
    return {"metadata": _own(call)["metadata"]}


def set_metadata(call: Call) -> dict[str, Any]:
    row = _own(call)
    row["metadata"] = (row["metadata"] if call.method == "POST" else {}) | call.member("metadata")
    return {"metadata": row["metadata"]}


def delete_metadata(call: Call) -> Reply:
    if _own(call)["metadata"].pop(call.path["key"], None) is None:
        raise ServiceError("NotFound", 404, "Metadata item was not found")
    return Reply(204)


def _interface(port: Row) -> Row:
    return {
        "port_id": port["id"], "net_id": port["network_id"], "mac_addr": port["mac_address"], "port_state": port["status"],
        "fixed_ips": port["fixed_ips"],
    }  # fmt: skip


def interfaces(call: Call) -> dict[str, Any]:
    ports = call.cloud.neutron.ports.find(device_id=_own(call)["id"])
    return {"interfaceAttachments": [_interface(port) for port in ports]}


def attach_interface(call: Call) -> dict[str, Any]:
    given = call.member("interfaceAttachment")
    port = call.cloud.nova.attach_port(_own(call), {"port": given.get("port_id"), "uuid": given.get("net_id")})
    effect(f"interface attached {port['id']}")
    return {"interfaceAttachment": _interface(port)}


def detach_interface(call: Call) -> Reply:
    call.cloud.nova.detach_port(_own(call), call.path["port"])
    effect(f"interface detached {call.path['port']}")
    return Reply(202)


def volume_attachments(call: Call) -> dict[str, Any]:
    rows = call.cloud.cinder.of_server(_own(call)["id"])
    return {"volumeAttachments": [{"id": v["id"], "volumeId": v["id"], "serverId": call.path["id"],
            "device": v["attachments"][0]["device"], "tag": None, "delete_on_termination": v.get("_own", False),
            "attachment_id": v["attachments"][0]["attachment_id"], "bdm_uuid": v["id"]} for v in rows]}  # fmt: skip


def _idle(call: Call, name: str) -> Row:
    """The server, if it has no task, as Nova wants it of an action."""
    row = _own(call)
    if task := row["OS-EXT-STS:task_state"]:
        raise ServiceError("Conflict", 409, f"Cannot '{name}' instance {row['id']} while it is in task_state {task}")
    return row


def attach_volume(call: Call) -> dict[str, Any]:
    row = _idle(call, "attach_volume")
    volume = call.cloud.cinder.get(call.member("volumeAttachment")["volumeId"])
    device = f"/dev/vd{chr(98 + len(call.cloud.cinder.of_server(row['id'])))}"
    call.cloud.cinder.attach(volume, row["id"], device)
    effect(f"volume attached {volume['id']}")
    return {"volumeAttachment": {"id": volume["id"], "volumeId": volume["id"], "serverId": row["id"], "device": device}}


def detach_volume(call: Call) -> Reply:
    row = _idle(call, "detach_volume")
    volume = next((v for v in call.cloud.cinder.of_server(row["id"]) if v["id"] == call.path["volume"]), None)
    if volume is None:
        raise ServiceError("NotFound", 404, f"volume_id not found: {call.path['volume']}")
    call.cloud.cinder.detach(volume)
    effect(f"volume detached {volume['id']}")
    return Reply(202)


def _flavor(call: Call, row: Row) -> Row:
    return row | {"links": _link(call, "flavors", row["id"])}


def flavors(call: Call) -> dict[str, Any]:
    keys = ("id", "name", "links", "description")
    rows, _ = page(list(call.cloud.nova.flavors), call.query)
    return {"flavors": [{key: _flavor(call, row)[key] for key in keys} for row in rows]}


def flavors_detail(call: Call) -> dict[str, Any]:
    rows, _ = page(list(call.cloud.nova.flavors), call.query)
    return {"flavors": [_flavor(call, row) for row in rows]}


def flavor(call: Call) -> dict[str, Any]:
    row = call.cloud.nova.flavors.get(call.path["id"])
    if row is None:
        raise ServiceError("NotFound", 404, f"Flavor {call.path['id']} could not be found.")
    return {"flavor": _flavor(call, row)}


def extra_specs(call: Call) -> dict[str, Any]:
    return {"extra_specs": flavor(call)["flavor"]["extra_specs"]}


def _zones(call: Call, *, hosts: bool) -> dict[str, Any]:
    service = {"nova-compute": {"active": True, "available": True, "updated_at": None}}
    return {"availabilityZoneInfo": [
        {"zoneName": name, "zoneState": {"available": True}, "hosts": dict.fromkeys(members, service) if hosts else None}
        for name, members in call.cloud.config.zones.items()
    ]}  # fmt: skip


def zones(call: Call) -> dict[str, Any]:
    return _zones(call, hosts=False)


def zones_detail(call: Call) -> dict[str, Any]:
    return _zones(call, hosts=True)


def limits(call: Call) -> dict[str, Any]:
    quota, used = call.cloud.quota, call.cloud.nova.used.get(call.project, {})
    names = {"Instances": "instances", "Cores": "cores", "RAMSize": "ram"}
    most = {f"maxTotal{title}": quota.limit(name) for title, name in names.items()}
    now = {f"total{title.removesuffix('Size')}Used": used.get(name, 0) for title, name in names.items()}
    return {
        "limits": {
            "rate": [],
            "absolute": most | now | {"maxServerMeta": 128, "maxServerGroups": quota.limit("server_groups")},
        }
    }


def quotas(call: Call) -> dict[str, Any]:
    names = ("instances", "cores", "ram", "server_groups")
    return {"quota_set": {"id": call.path["project"], **{name: call.cloud.quota.limit(name) for name in names}}}


def _group(call: Call, row: Row) -> Row:
    hidden = ("policies", "metadata") if microversion(call) >= _GROUP_POLICY else ("policy", "rules")
    return {key: value for key, value in row.items() if key not in hidden}


def groups(call: Call) -> dict[str, Any]:
    return {"server_groups": [_group(call, row) for row in call.cloud.nova.groups.find(project_id=call.project)]}


def create_group(call: Call) -> dict[str, Any]:
    row = call.cloud.nova.create_group(call.caller, call.project, call.member("server_group"))
    effect(f"server group created {row['id']}")
    return {"server_group": _group(call, row)}


def _one_group(call: Call) -> Row:
    row = call.cloud.nova.groups.get(call.path["id"])
    if row is None or row["project_id"] != call.project:
        raise ServiceError("NotFound", 404, f"Instance group {call.path['id']} could not be found.")
    return row


def group(call: Call) -> dict[str, Any]:
    return {"server_group": _group(call, _one_group(call))}


def delete_group(call: Call) -> Reply:
    call.cloud.nova.groups.remove(_one_group(call)["id"])
    return Reply(204)


SERVICE = Service(
    name="nova",
    prefix=PREFIX,
    error_body=error_body,
    headers=version_headers,
    open_routes=(("GET", "", versions), ("GET", "/", versions), ("GET", "/v2.1", version), ("GET", "/v2.1/", version)),
    routes=(
        ("GET", "/v2.1/servers", index),
        ("POST", "/v2.1/servers", create),
        ("GET", "/v2.1/servers/detail", detail),
        ("GET", "/v2.1/servers/{id}", show),
        ("PUT", "/v2.1/servers/{id}", update),
        ("DELETE", "/v2.1/servers/{id}", delete),
        ("POST", "/v2.1/servers/{id}/action", action),
        ("GET", "/v2.1/servers/{id}/metadata", get_metadata),
        ("POST", "/v2.1/servers/{id}/metadata", set_metadata),
        ("PUT", "/v2.1/servers/{id}/metadata", set_metadata),
        ("DELETE", "/v2.1/servers/{id}/metadata/{key}", delete_metadata),
        ("GET", "/v2.1/servers/{id}/os-interface", interfaces),
        ("POST", "/v2.1/servers/{id}/os-interface", attach_interface),
        ("DELETE", "/v2.1/servers/{id}/os-interface/{port}", detach_interface),
        ("GET", "/v2.1/servers/{id}/os-volume_attachments", volume_attachments),
        ("POST", "/v2.1/servers/{id}/os-volume_attachments", attach_volume),
        ("DELETE", "/v2.1/servers/{id}/os-volume_attachments/{volume}", detach_volume),
        ("GET", "/v2.1/flavors", flavors),
        ("GET", "/v2.1/flavors/detail", flavors_detail),
        ("GET", "/v2.1/flavors/{id}", flavor),
        ("GET", "/v2.1/flavors/{id}/os-extra_specs", extra_specs),
        ("GET", "/v2.1/os-availability-zone", zones),
        ("GET", "/v2.1/os-availability-zone/detail", zones_detail),
        ("GET", "/v2.1/limits", limits),
        ("GET", "/v2.1/os-quota-sets/{project}", quotas),
        ("GET", "/v2.1/os-server-groups", groups),
        ("POST", "/v2.1/os-server-groups", create_group),
        ("GET", "/v2.1/os-server-groups/{id}", group),
        ("DELETE", "/v2.1/os-server-groups/{id}", delete_group),
        ("GET", "/v2.1/os-keypairs", none_of("keypairs")),
        ("GET", "/v2.1/extensions", none_of("extensions")),
    ),
)
