"""Parameters: types, defaults, constraints. Values are checked as Heat checks them when a stack is created or updated."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from forestay_simvim.hot.template import invalid

_TRUE, _FALSE = ("t", "true", "on", "y", "yes", "1"), ("f", "false", "off", "n", "no", "0")


def _number(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    number = float(value)
    return int(number) if number.is_integer() and "." not in str(value) else number


def _boolean(value: Any) -> bool:
    text = str(value).lower()
    if text in _TRUE + _FALSE:
        return text in _TRUE
    raise ValueError(f'Unrecognized value "{value}" for "boolean", acceptable values are: {", ".join(_TRUE + _FALSE)}')


def _json(value: Any) -> Any:
    if isinstance(value, dict | list):
        return value
    return json.loads(value) if value else {}


def _comma_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [part.strip() for part in str(value).split(",")] if value else []


_TYPES: dict[str, Callable[[Any], Any]] = {
    "string": lambda value: json.dumps(value) if isinstance(value, dict | list) else _plain(value),
    "number": _number,
    "boolean": _boolean,
    "json": _json,
    "comma_delimited_list": _comma_list,
}


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _in_range(value: Any, rule: dict[str, Any]) -> bool:
    return rule.get("min", value) <= value <= rule.get("max", value)


def _modulo(value: Any, rule: dict[str, Any]) -> bool:
    return value % rule["step"] == rule.get("offset", 0)


# Each constraint: does the value hold it, and how Heat words that it does not.
_CONSTRAINTS: dict[str, tuple[Callable[[Any, Any], bool], Callable[[Any, Any], str]]] = {
    "length": (
        lambda value, rule: rule.get("min", 0) <= len(value) <= rule.get("max", len(value)),
        lambda value, rule: f"length ({len(value)}) is out of range (min: {rule.get('min')}, max: {rule.get('max')})",
    ),
    "range": (
        _in_range,
        lambda value, rule: f"{value} is out of range (min: {rule.get('min')}, max: {rule.get('max')})",
    ),
    "modulo": (
        _modulo,
        lambda value, rule: f"{value} is not a multiple of {rule['step']} with an offset of {rule.get('offset', 0)})",
    ),
    "allowed_values": (
        lambda value, rule: all(each in rule for each in value) if isinstance(value, list) else value in rule,
        lambda value, rule: f'"{value}" is not an allowed value [{", ".join(str(each) for each in rule)}]',
    ),
    "allowed_pattern": (
        lambda value, rule: re.fullmatch(rule, str(value)) is not None,
        lambda value, rule: f'"{value}" does not match pattern "{rule}"',
    ),
}  # fmt: skip


def resolve(schemas: dict[str, dict[str, Any]], given: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The typed value of every declared parameter.

    :param schemas: a template's ``parameters``.
    :param given: values by name; an unknown name is Heat's ``UnknownUserParameter``, a missing one ``UserParameterMissing``.
    :param defaults: the environment's ``parameter_defaults``.
    """
    for name in given.keys() - schemas.keys():
        raise invalid("UnknownUserParameter", f"The Parameter ({name}) was not defined in template.")
    return {name: _value(name, schema, given, defaults) for name, schema in schemas.items()}


def _value(name: str, schema: dict[str, Any], given: dict[str, Any], defaults: dict[str, Any]) -> Any:
    source = next((each for each in (given, defaults) if each.get(name) is not None), None)
    if source is None and "default" not in schema:
        raise invalid("UserParameterMissing", f"The Parameter ({name}) was not provided.")
    value = schema["default"] if source is None else source[name]
    convert = _TYPES.get(str(schema.get("type", "string")).lower())
    if convert is None:
        raise invalid("InvalidSchemaError", f"Invalid type ({schema.get('type')})")
    try:
        typed = convert(value)
    except (ValueError, TypeError) as error:
        raise invalid("StackValidationFailed", f"Parameter '{name}' is invalid: {error}") from None
    for constraint in schema.get("constraints") or []:
        _check(name, typed, constraint)
    return typed


def _check(name: str, value: Any, constraint: dict[str, Any]) -> None:
    for kind, rule in constraint.items():
        holds, words = _CONSTRAINTS.get(kind, (None, None))
        if holds and words and not holds(value, rule):
            reason = constraint.get("description") or words(value, rule)
            raise invalid("StackValidationFailed", f"Parameter '{name}' is invalid: {reason}")


def _is_hidden(schema: dict[str, Any]) -> bool:
    return schema.get("hidden") in (True, "true")


def shown(schemas: dict[str, dict[str, Any]], given: dict[str, Any]) -> dict[str, Any]:
    """Given values as the stack's ``environment`` shows them."""
    return {name: "******" if _is_hidden(schemas.get(name, {})) else value for name, value in given.items()}


def as_text(schema: dict[str, Any], value: Any) -> str:
    """A parameter's value as the stack's ``parameters`` show it."""
    if _is_hidden(schema):
        return "******"
    if schema.get("type") == "comma_delimited_list":
        return ",".join(str(each) for each in value)
    if isinstance(value, dict | list):
        return json.dumps(value)
    return str(value)
