"""The Identity API v3: what clients need to log in, to find services, and to list projects, users and regions."""

from __future__ import annotations

from typing import Any

from forestay_simvim.errors import ServiceError
from forestay_simvim.ids import isotime
from forestay_simvim.keystone.catalog import catalog
from forestay_simvim.keystone.identity import DOMAIN, Token
from forestay_simvim.table import Row, Table
from forestay_simvim.web import Call, Handler, Reply, Service

PREFIX = "/identity"


def error_body(error: ServiceError) -> dict[str, Any]:
    return {"error": {"code": error.status, "message": error.message, "title": error.kind}}


def _version(call: Call) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{call.base}{PREFIX}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def versions(call: Call) -> Reply:
    return Reply(300, {"versions": {"values": [_version(call)]}})


def version(call: Call) -> dict[str, Any]:
    return {"version": _version(call)}


def _token_body(call: Call, token: Token) -> dict[str, Any]:
    cloud = call.cloud
    body: dict[str, Any] = {
        "methods": token.methods,
        "user": {
            "id": token.user["id"], "name": token.user["name"], "password_expires_at": None,
            "domain": {"id": DOMAIN["id"], "name": DOMAIN["name"]},
        },
        "audit_ids": [token.audit_id],
        "issued_at": isotime(token.issued_at, fraction=True),
        "expires_at": isotime(token.expires_at, fraction=True),
    }  # fmt: skip
    project = cloud.identity.projects.get(token.project_id or "")
    if project:
        body["project"] = _public(project) | {"domain": body["user"]["domain"]}
        body["is_domain"] = False
    if token.roles:
        body["roles"] = [{"id": cloud.identity.role(name)["id"], "name": name} for name in token.roles]
    if project and "nocatalog" not in call.query:
        body["catalog"] = _catalog(call, token)
    return {"token": body}


def _catalog(call: Call, token: Token) -> list[Row]:
    config = call.cloud.config
    return catalog(call.base, config.region, token.project_id or "", config.tacker_endpoint)


def issue_token(call: Call) -> Reply:
    token = call.cloud.identity.authenticate(call.member("auth"))
    return Reply(201, _token_body(call, token), {"X-Subject-Token": token.id, "Vary": "X-Auth-Token"})


def _subject(call: Call) -> Token:
    try:
        return call.cloud.identity.check(call.headers.get("X-Subject-Token"))
    except ServiceError:
        raise ServiceError("Not Found", 404, "Could not find token.") from None


def show_token(call: Call) -> Reply:
    token = _subject(call)
    return Reply(200, _token_body(call, token), {"X-Subject-Token": token.id, "Vary": "X-Auth-Token"})


def revoke_token(call: Call) -> Reply:
    call.cloud.identity.tokens.pop(_subject(call).id, None)
    return Reply(204)


def auth_catalog(call: Call) -> dict[str, Any]:
    return {"catalog": _catalog(call, call.caller), "links": {}}


def _public(row: Row) -> Row:
    return {key: value for key, value in row.items() if not key.startswith("_")}


def _listing(call: Call, plural: str, rows: list[Row]) -> dict[str, Any]:
    filters = {key: value for key, value in call.query.items() if key in ("name", "domain_id", "type", "user_id")}
    found = [_public(row) for row in rows if all(row.get(key) == value for key, value in filters.items())]
    return {plural: found, "links": {"self": f"{call.base}{call.url_path}", "previous": None, "next": None}}


def _table(call: Call, plural: str) -> Table:
    identity = call.cloud.identity
    return {"projects": identity.projects, "users": identity.users, "roles": identity.roles}[plural]


def _one(call: Call, plural: str) -> Row:
    row = _table(call, plural).get(call.path["id"])
    if row is None:
        raise ServiceError("Not Found", 404, f"Could not find {plural[:-1]}: {call.path['id']}.")
    return row


def list_of(plural: str) -> Handler:
    def listing(call: Call) -> dict[str, Any]:
        return _listing(call, plural, list(_table(call, plural)))

    return listing


def one_of(plural: str) -> Handler:
    def one(call: Call) -> dict[str, Any]:
        return {plural[:-1]: _public(_one(call, plural))}

    return one


def _admin_only(call: Call) -> None:
    if not call.caller.is_admin:
        raise ServiceError("Forbidden", 403, "You are not authorized to perform the requested action.")


def create_project(call: Call) -> Reply:
    _admin_only(call)
    given = call.member("project")
    return Reply(201, {"project": call.cloud.identity.add_project(given["name"])})


def create_user(call: Call) -> Reply:
    _admin_only(call)
    given = call.member("user")
    user = call.cloud.identity.add_user(given["name"], given.get("password", ""))
    return Reply(201, {"user": _public(user)})


def grant_role(call: Call) -> Reply:
    _admin_only(call)
    role = call.cloud.identity.roles.get(call.path["role"])
    if role is None:
        raise ServiceError("Not Found", 404, f"Could not find role: {call.path['role']}.")
    call.cloud.identity.grant(call.path["user"], call.path["project"], role["name"])
    return Reply(204)


def _own(call: Call) -> None:
    if call.path["user"] != call.caller.user["id"]:
        raise ServiceError("Forbidden", 403, "You are not authorized to perform the requested action.")


def create_application_credential(call: Call) -> Reply:
    _own(call)
    given = call.member("application_credential")
    made = call.cloud.identity.add_application_credential(call.caller, given["name"], given.get("secret"))
    return Reply(201, {"application_credential": _public(made) | {"secret": made["_secret"]}})


def application_credentials(call: Call) -> dict[str, Any]:
    _own(call)
    rows = call.cloud.identity.application_credentials.find(user_id=call.path["user"])
    return _listing(call, "application_credentials", rows)


def delete_application_credential(call: Call) -> Reply:
    _own(call)
    identity = call.cloud.identity
    if identity.application_credentials.get(call.path["id"]) is None:
        raise ServiceError("Not Found", 404, f"Could not find Application Credential: {call.path['id']}.")
    identity.application_credentials.remove(call.path["id"])
    return Reply(204)


def trusts(call: Call) -> dict[str, Any]:
    if not call.cloud.may_trust(call.caller):
        message = "You are not authorized to perform the requested action: Delegated tokens cannot manage trusts."
        raise ServiceError("Forbidden", 403, message)
    return _listing(call, "trusts", [])


def my_projects(call: Call) -> dict[str, Any]:
    return _listing(call, "projects", call.cloud.identity.projects_of(call.caller.user["id"]))


def domains(call: Call) -> dict[str, Any]:
    return _listing(call, "domains", [DOMAIN])


def domain(call: Call) -> dict[str, Any]:
    if call.path["id"] != DOMAIN["id"]:
        raise ServiceError("Not Found", 404, f"Could not find domain: {call.path['id']}.")
    return {"domain": DOMAIN}


def _region(call: Call) -> Row:
    return {"id": call.cloud.config.region, "description": "", "parent_region_id": None}


def regions(call: Call) -> dict[str, Any]:
    return _listing(call, "regions", [_region(call)])


def region(call: Call) -> dict[str, Any]:
    if call.path["id"] != call.cloud.config.region:
        raise ServiceError("Not Found", 404, f"Could not find region: {call.path['id']}.")
    return {"region": _region(call)}


def services(call: Call) -> dict[str, Any]:
    rows = [
        {key: row[key] for key in ("id", "name", "type")} | {"enabled": True} for row in _catalog(call, call.caller)
    ]
    return _listing(call, "services", rows)


def endpoints(call: Call) -> dict[str, Any]:
    rows = [
        each | {"service_id": row["id"], "enabled": True}
        for row in _catalog(call, call.caller)
        for each in row["endpoints"]
    ]
    return _listing(call, "endpoints", rows)


def role_assignments(call: Call) -> dict[str, Any]:
    identity = call.cloud.identity
    rows: list[Row] = [
        {"scope": {"project": {"id": project}}, "user": {"id": user}, "role": {"id": identity.role(role)["id"]}}
        for (user, project), roles in identity.grants.items()
        for role in roles
    ]
    return {"role_assignments": rows, "links": {}}


SERVICE = Service(
    name="keystone",
    prefix=PREFIX,
    error_body=error_body,
    open_routes=(
        ("GET", "", versions),
        ("GET", "/", versions),
        ("GET", "/v3", version),
        ("GET", "/v3/", version),
        ("POST", "/v3/auth/tokens", issue_token),
    ),
    routes=(
        ("GET", "/v3/auth/tokens", show_token),
        ("DELETE", "/v3/auth/tokens", revoke_token),
        ("GET", "/v3/auth/catalog", auth_catalog),
        ("GET", "/v3/auth/projects", my_projects),
        ("GET", "/v3/auth/domains", domains),
        ("GET", "/v3/projects", list_of("projects")),
        ("POST", "/v3/projects", create_project),
        ("GET", "/v3/projects/{id}", one_of("projects")),
        ("PUT", "/v3/projects/{project}/users/{user}/roles/{role}", grant_role),
        ("GET", "/v3/users", list_of("users")),
        ("POST", "/v3/users", create_user),
        ("GET", "/v3/users/{id}", one_of("users")),
        ("GET", "/v3/users/{user}/application_credentials", application_credentials),
        ("POST", "/v3/users/{user}/application_credentials", create_application_credential),
        ("DELETE", "/v3/users/{user}/application_credentials/{id}", delete_application_credential),
        ("GET", "/v3/OS-TRUST/trusts", trusts),
        ("GET", "/v3/roles", list_of("roles")),
        ("GET", "/v3/roles/{id}", one_of("roles")),
        ("GET", "/v3/role_assignments", role_assignments),
        ("GET", "/v3/domains", domains),
        ("GET", "/v3/domains/{id}", domain),
        ("GET", "/v3/regions", regions),
        ("GET", "/v3/regions/{id}", region),
        ("GET", "/v3/services", services),
        ("GET", "/v3/endpoints", endpoints),
    ),
)
