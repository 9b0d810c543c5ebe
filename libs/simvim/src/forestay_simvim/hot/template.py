"""A parsed template. Templates are immutable and shared: the same text is parsed once.

Dates stay strings, as Heat's own YAML loader keeps them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
import yaml

from forestay_simvim.errors import ServiceError

VERSIONS = (
    "2013-05-23", "2014-10-16", "2015-04-30", "2015-10-15", "2016-04-08", "2016-10-14", "newton", "2017-02-24", "ocata",
    "2017-09-01", "pike", "2018-03-02", "queens", "2018-08-31", "rocky", "2021-04-16", "wallaby",
)  # fmt: skip
_SECTIONS = {
    "heat_template_version", "description", "parameters", "parameter_groups", "resources", "outputs", "conditions",
}  # fmt: skip
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _HotLoader(_Loader):
    """Safe YAML without time stamps."""


_HotLoader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in _Loader.yaml_implicit_resolvers.items()
}


class ResourceDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One member of a template's ``resources``; ``properties`` and ``metadata`` are not evaluated yet."""

    name: str
    type: str
    properties: dict[str, Any] = {}
    metadata: Any = None
    depends_on: tuple[str, ...] = ()
    condition: Any = None
    deletion_policy: str = "Delete"
    description: str = ""
    external_id: Any = None


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template, with its sections as they were written."""

    raw: dict[str, Any]
    version: str
    description: str
    parameters: dict[str, dict[str, Any]]
    conditions: dict[str, Any]
    resources: dict[str, ResourceDefinition]
    outputs: dict[str, dict[str, Any]]


EMPTY = Template(raw={}, version="2013-05-23", description="", parameters={}, conditions={}, resources={}, outputs={})


def load_yaml(text: str) -> Any:
    """YAML or JSON text as Heat reads it; 400 when it is neither."""
    try:
        return yaml.load(text, Loader=_HotLoader)  # noqa: S506 - derived from the safe loader
    except yaml.YAMLError as error:
        raise ServiceError("ValueError", 400, f"Error parsing template: {error}") from None


@lru_cache(maxsize=512)
def _parse_text(text: str) -> Template:
    data = load_yaml(text)
    if not isinstance(data, dict):
        raise ServiceError("ValueError", 400, "The template is not a JSON object or YAML mapping.")
    return _build(data)


@lru_cache(maxsize=512)
def _parse_json(text: str) -> Template:
    return _build(json.loads(text))


def parse(source: str | Mapping[str, Any]) -> Template:
    """The template behind YAML text, JSON text or already parsed data; a ServiceError in Heat's words if it is none."""
    if isinstance(source, str):
        return _parse_text(source)
    return _parse_json(json.dumps(source, sort_keys=False))


def invalid(kind: str, message: str) -> ServiceError:
    """A 400 of Heat."""
    return ServiceError(kind, 400, message)


def _build(data: dict[str, Any]) -> Template:
    version = str(data.get("heat_template_version", ""))
    if not version:
        raise invalid("InvalidTemplateVersion", "The template version is invalid: Template format version not found.")
    if version not in VERSIONS:
        known = ", ".join(sorted(VERSIONS))
        problem = f'"heat_template_version: {version}". "heat_template_version" should be one of: {known}'
        raise invalid("InvalidTemplateVersion", f"The template version is invalid: {problem}")
    for section in data.keys() - _SECTIONS:
        raise invalid("InvalidTemplateSection", f"The template section is invalid: {section}")
    sections = {name: data.get(name) or {} for name in ("parameters", "conditions", "resources", "outputs")}
    for name, content in sections.items():
        if not isinstance(content, dict) or not all(
            isinstance(each, dict) for each in content.values() if name != "conditions"
        ):
            raise invalid("StackValidationFailed", f'The "{name}" section must be a map of maps')
    resources = {name: _definition(name, given) for name, given in sections["resources"].items()}
    for definition in resources.values():
        for wanted in definition.depends_on:
            if wanted not in resources:
                place = f"resources.{definition.name}.depends_on"
                message = f'The specified reference "{wanted}" (in {place}) is incorrect.'
                raise invalid("InvalidTemplateReference", message)
    return Template(
        raw=data, version=version, description=data.get("description") or "", parameters=sections["parameters"],
        conditions=sections["conditions"], resources=resources, outputs=sections["outputs"],
    )  # fmt: skip


def _definition(name: str, given: dict[str, Any]) -> ResourceDefinition:
    if not isinstance(given.get("type"), str):
        raise invalid("StackValidationFailed", f'resources.{name}: Missing "type" attribute in resource definition')
    known = {"type", "properties", "metadata", "depends_on", "condition", "deletion_policy", "update_policy",
             "description", "external_id"}  # fmt: skip
    for key in given.keys() - known:
        raise invalid("StackValidationFailed", f'"{key}" is not a valid keyword inside a resource definition')
    depends = given.get("depends_on") or ()
    return ResourceDefinition(
        name=name,
        type=given["type"],
        properties=given.get("properties") or {},
        metadata=given.get("metadata"),
        depends_on=(depends,) if isinstance(depends, str) else tuple(depends),
        condition=given.get("condition"),
        deletion_policy=str(given.get("deletion_policy") or "Delete").capitalize(),
        description=given.get("description") or "",
        external_id=given.get("external_id"),
    )
