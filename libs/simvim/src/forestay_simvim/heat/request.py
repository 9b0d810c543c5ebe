"""From a request body to a blueprint: template, environment, files and parameters, new or on top of what a stack has."""

from __future__ import annotations

import json
import re
from typing import Any

from forestay_simvim.errors import ServiceError
from forestay_simvim.heat.model import Blueprint, Stack
from forestay_simvim.hot.parameters import resolve
from forestay_simvim.hot.template import invalid, load_yaml, parse

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,254}")


def bad_request(message: str) -> ServiceError:
    """The 400 of Heat's API layer."""
    return ServiceError("HTTPBadRequest", 400, message)


def stack_name(body: dict[str, Any]) -> str:
    """The checked name of a new stack."""
    name = body.get("stack_name")
    if not name:
        raise bad_request("No stack name specified")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid(
            "StackValidationFailed",
            f'Invalid stack name {name} must contain only alphanumeric or "_-." characters, must start with alpha '
            "and must be 255 characters or less.",
        )
    return name


def environment(body: dict[str, Any]) -> dict[str, Any]:
    """The merged environment of a body, its ``environment_files`` included; ``parameters`` of the body win."""
    files = body.get("files") or {}
    parts = [files.get(name, "") for name in body.get("environment_files") or []] + [body.get("environment") or {}]
    merged: dict[str, dict[str, Any]] = {"parameters": {}, "parameter_defaults": {}, "resource_registry": {}}
    for part in parts:
        data = load_yaml(part) if isinstance(part, str) else part
        if data is not None and not isinstance(data, dict):
            raise bad_request("The environment is not a valid YAML mapping data type.")
        for section, content in merged.items():
            content.update((data or {}).get(section) or {})
    merged["parameters"].update(body.get("parameters") or {})
    return merged


def blueprint(body: dict[str, Any], existing: Stack | None = None) -> Blueprint:
    """The blueprint that a body asks for.

    :param existing: for a PATCH, the stack whose template, files and parameters are kept where the body says nothing.
    """
    old = existing.blueprint if existing else Blueprint()
    given_env = environment(body)
    source = body.get("template")
    if source:
        template = parse(source)
    elif existing:
        template = old.template
    else:
        raise bad_request("No template specified")
    cleared = set(body.get("clear_parameters") or [])
    kept = {name: value for name, value in old.given.items() if name not in cleared and name in template.parameters}
    given = kept | given_env["parameters"]
    defaults = old.defaults | given_env["parameter_defaults"]
    return Blueprint(
        template=template,
        files=old.files | {name: _text(content) for name, content in (body.get("files") or {}).items()},
        given=given,
        defaults=defaults,
        registry=old.registry | given_env["resource_registry"],
        parameters=resolve(template.parameters, given, defaults),
    )


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content)


def flag(name: str, value: Any) -> bool:
    """A boolean of a body or query; Heat's 400."""
    text = str(value).lower()
    if text not in ("true", "false"):
        raise bad_request(f'Unrecognized value "{value}" for "{name}", acceptable values are: true, false')
    return text == "true"


def settle_options(stack: Stack, body: dict[str, Any]) -> None:
    """Take ``timeout_mins``, ``disable_rollback`` and ``tags`` over from a body."""
    minutes = body.get("timeout_mins")
    if minutes is not None:
        if not str(minutes).isdigit():
            raise bad_request(f"Only integer is allowed for timeout_mins: {minutes}")
        stack.timeout_mins = int(minutes) or None
    if "disable_rollback" in body:
        stack.disable_rollback = flag("disable_rollback", body["disable_rollback"])
    tags = body.get("tags")
    if tags is not None:
        stack.tags = [tag for tag in (tags.split(",") if isinstance(tags, str) else tags) if tag]
