"""Users, projects and tokens. Tokens are random, live in memory and expire; authorisation is by role name only."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from forestay_simvim.config import SimConfig
from forestay_simvim.errors import ServiceError, unauthorized
from forestay_simvim.ids import hex_id
from forestay_simvim.table import Row, Table

DOMAIN: Row = {"id": "default", "name": "Default", "enabled": True, "description": "The default domain", "tags": []}
_PURGE_AT = 10_000


@dataclass(slots=True)
class Token:
    """An issued token; ``project_id`` is ``None`` when it is unscoped."""

    id: str
    user: Row
    project_id: str | None
    roles: list[str]
    methods: list[str]
    issued_at: float
    expires_at: float
    audit_id: str = field(default_factory=lambda: hex_id()[:22])

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles


class Identity:
    """Keystone's data."""

    def __init__(self, config: SimConfig) -> None:
        self.lifetime = config.token_lifetime
        self.projects = Table("name")
        self.users = Table("name")
        self.roles = Table("name")
        self.application_credentials = Table("user_id")
        self.grants: dict[tuple[str, str], list[str]] = {}
        self.tokens: dict[str, Token] = {}
        for account in config.accounts:
            project = self.project_named(account.project) or self.add_project(account.project)
            user = self.add_user(account.name, account.password)
            for role in account.roles:
                self.grant(user["id"], project["id"], role)

    def add_project(self, name: str, **more: Any) -> Row:
        """A new enabled project of the default domain; 409 when the name is taken."""
        if self.project_named(name):
            raise ServiceError(
                "Conflict",
                409,
                f"Conflict occurred attempting to store project - it is not permitted to have two projects "
                f"with the same name in the same domain: {name}.",
            )
        row = {
            "id": hex_id(), "name": name, "domain_id": DOMAIN["id"], "parent_id": DOMAIN["id"], "enabled": True,
            "is_domain": False, "description": "", "tags": [], "options": {},
        }  # fmt: skip
        return self.projects.add(row | more)

    def add_user(self, name: str, password: str, **more: Any) -> Row:
        """A new enabled user of the default domain."""
        row = {"id": hex_id(), "name": name, "domain_id": DOMAIN["id"], "enabled": True, "options": {}}
        return self.users.add({**row, **more, "_password": password})

    def role(self, name: str) -> Row:
        """The role of that name, made when there is none."""
        found = self.roles.find(name=name)
        return found[0] if found else self.roles.add({"id": hex_id(), "name": name, "domain_id": None, "options": {}})

    def grant(self, user_id: str, project_id: str, role: str) -> None:
        """Give the user a role on the project."""
        self.role(role)
        roles = self.grants.setdefault((user_id, project_id), [])
        if role not in roles:
            roles.append(role)

    def project_named(self, name: str) -> Row | None:
        """The project of that name."""
        return next(iter(self.projects.find(name=name)), None)

    def projects_of(self, user_id: str) -> list[Row]:
        """The projects on which the user has a role."""
        found = (self.projects.get(project) for user, project in self.grants if user == user_id)
        return [row for row in found if row]

    def check(self, token_id: str | None) -> Token:
        """The token behind an ``X-Auth-Token``; 401 when it is missing, unknown or expired."""
        token = self.tokens.get(token_id or "")
        if token is None or token.expires_at <= time.time():
            self.tokens.pop(token_id or "", None)
            raise unauthorized()
        return token

    def authenticate(self, auth: dict[str, Any]) -> Token:
        """Issue a token for the ``auth`` object of ``POST /v3/auth/tokens``; 401 when it does not convince."""
        identity: dict[str, Any] = auth.get("identity") or {}
        methods: list[str] = identity.get("methods") or []
        now = time.time()
        expires = now + self.lifetime
        if "password" in methods:
            user = self._by_password((identity.get("password") or {}).get("user") or {})
            default_scope: dict[str, Any] = {}
        elif "application_credential" in methods:
            if auth.get("scope"):
                raise unauthorized()
            given = self._by_application(identity.get("application_credential") or {})
            user, default_scope = self._owner(given), {"project": {"id": given["project_id"]}}
        elif "token" in methods:
            old = self.check((identity.get("token") or {}).get("id"))
            user, expires = old.user, old.expires_at
            default_scope = {"project": {"id": old.project_id}} if old.project_id else {}
        else:
            raise unauthorized()
        project_id, roles = self._scope(user, auth.get("scope") or default_scope)
        token = Token(hex_id() + hex_id(), user, project_id, roles, methods, now, expires)
        if len(self.tokens) >= _PURGE_AT:
            self.tokens = {key: each for key, each in self.tokens.items() if each.expires_at > now}
        self.tokens[token.id] = token
        return token

    def _by_password(self, given: dict[str, Any]) -> Row:
        user = self.users.get(given.get("id", "")) or next(iter(self.users.find(name=given.get("name"))), None)
        domain: dict[str, Any] = given.get("domain") or {}
        known_domain = "id" in given or domain.get("id") == DOMAIN["id"] or domain.get("name") == DOMAIN["name"]
        if user is None or not known_domain or not user["enabled"] or given.get("password") != user["_password"]:
            raise unauthorized()
        return user

    def _by_application(self, given: dict[str, Any]) -> Row:
        """The application credential of an id, or of a user's name for it."""
        found = self.application_credentials.get(given.get("id", ""))
        if "id" not in given:
            user: dict[str, Any] = given.get("user") or {}
            owner = self.users.get(user.get("id", "")) or next(iter(self.users.find(name=user.get("name"))), None)
            owned = self.application_credentials.find(user_id=owner["id"]) if owner else []
            found = next((row for row in owned if row["name"] == given.get("name")), None)
        if found is None or given.get("secret") != found["_secret"]:
            raise unauthorized()
        return found

    def _owner(self, given: Row) -> Row:
        owner = self.users.get(given["user_id"])
        if owner is None:
            raise unauthorized()
        return owner

    def add_application_credential(self, token: Token, name: str, secret: str | None = None) -> Row:
        """An application credential of the token's user for the token's project; ``_secret`` is told once."""
        taken = self.application_credentials.find(user_id=token.user["id"])
        if any(row["name"] == name for row in taken):
            raise ServiceError("Conflict", 409, f"Duplicate entry found with name {name}.")
        row = {
            "id": hex_id(), "name": name, "user_id": token.user["id"], "project_id": token.project_id,
            "roles": [{"id": self.role(role)["id"], "name": role} for role in token.roles], "expires_at": None,
            "unrestricted": False, "description": None, "_secret": secret or hex_id() + hex_id(),
        }  # fmt: skip
        return self.application_credentials.add(row)

    def _scope(self, user: Row, scope: Any) -> tuple[str | None, list[str]]:
        if not isinstance(scope, dict) or "project" not in scope:
            anywhere = {role for (user_id, _), roles in self.grants.items() if user_id == user["id"] for role in roles}
            return None, sorted(anywhere & {"admin"}) if scope else []
        wanted: dict[str, Any] = scope["project"]
        project = self.projects.get(wanted["id"]) if "id" in wanted else self.project_named(wanted.get("name", ""))
        roles = self.grants.get((user["id"], project["id"])) if project else None
        if project is None or not roles or not project["enabled"]:
            raise unauthorized()
        return project["id"], list(roles)
