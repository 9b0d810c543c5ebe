"""Templates as Heat reads them.

Rules of this module: pure. A template is kept parsed, as the JSON that Heat stores: a date is text, a key is text, and nothing
stands in two places, so that whoever goes through one meets no more than would be sent.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, cast

import msgspec
import yaml
from forestay_csar import Limits, PackageInvalid
from forestay_csar.documents import measure
from forestay_events.errors import Permanent

from forestay_lcm.adapters.openstack.template.hot import Json

_LARGEST = 8 << 20
"""Characters of a template as JSON."""

_LIMITS = Limits(yaml_nodes=1_000_000)
"""What a template may have as YAML: one that a user data class gives may have many VNFCs."""

_CSafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_CSafeLoader):
    """Safe YAML without time stamps."""


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _CSafeLoader.construct_yaml_str)


class _Resource(msgspec.Struct, frozen=True):
    type: str = ""
    properties: dict[str, Any] | None = None
    depends_on: list[str] | str | None = None


class _Template(msgspec.Struct, frozen=True):
    """The members of a template that are looked into here."""

    resources: dict[str, _Resource]
    parameters: dict[str, dict[str, Any] | None] | None = None


def unusable(detail: str) -> Permanent:
    """The error about a template that cannot be used."""
    return Permanent(detail, status=422, title="Template cannot be used")


def parsed_text(text: str, path: str = "The template") -> Json:
    """A template. :raises Permanent: 422, it is no HOT; ``path`` is what it is called."""
    return checked(loaded(text, path), path)


def checked(template: Any, path: str = "The template") -> Json:
    """A template that was given parsed. :raises Permanent: 422, it is no HOT; ``path`` is what it is called."""
    try:
        msgspec.convert(template, _Template)
    except msgspec.ValidationError as error:
        raise unusable(f"{path} is no template: {error}") from error
    return cast("Json", template)


def loaded(text: str, path: str = "The template") -> Any:
    """What a text says that is JSON or YAML.

    :raises Permanent: 422, it is neither, or more than Heat would take, once its aliases are resolved.
    """
    with suppress(msgspec.DecodeError, ValueError, RecursionError):
        return msgspec.json.decode(text)
    try:
        measure(text, path, _LIMITS, _LIMITS.yaml_nodes)
        return msgspec.json.decode(_as_json(yaml.load(text, Loader=_Loader), path))  # noqa: S506 - a safe loader
    except PackageInvalid as error:
        raise unusable(str(error)) from error
    except (yaml.YAMLError, msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
        raise unusable(f"{path} is not YAML: {error}") from error


def _as_json(value: Any, path: str) -> str:
    """A value as JSON. Aliases may repeat a long text: who counts what comes stops in time."""
    pieces: list[str] = []
    size = 0
    for piece in json.JSONEncoder().iterencode(value):
        size += len(piece)
        if size > _LARGEST:
            raise unusable(f"{path} has more than {_LARGEST} characters as JSON.")
        pieces.append(piece)
    return "".join(pieces)
