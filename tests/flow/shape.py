"""The shape of a document: its members and the kinds of their values, without the values.

What two clouds make of the same VNF has the same shape. The shapes stand in ``shapes/``; ``FORESTAY_WRITE_SHAPES=1`` writes anew
those that the tests come across.
"""

from __future__ import annotations

import json
import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

SHAPES = Path(__file__).parent / "shapes"

_ID = r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"
_KINDS = {
    "id": re.compile(rf"{_ID}"),
    "path": re.compile(rf"\S+/{_ID}"),
    "mac": re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}"),
    "time": re.compile(r"\d{4}-\d\d-\d\dT\S+"),
}


def shape(value: Any) -> Any:
    """Members stay, elements of a list are told once for each shape that they have, any other value becomes its kind."""
    if isinstance(value, dict):
        members: dict[str, Any] = value
        return {name: shape(member) for name, member in sorted(members.items())}
    if isinstance(value, list):
        elements: list[Any] = value
        told = {json.dumps(each): each for each in map(shape, elements)}
        return [told[key] for key in sorted(told)]
    return _kind(value) if isinstance(value, str) else type(value).__name__


def _kind(text: str) -> str:
    try:
        return f"IPv{ip_address(text).version}"
    except ValueError:
        return next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(text)), "text")


def assert_shape(name: str, document: Any) -> None:
    """The document has the shape that is kept under this name. :raises AssertionError: it has another."""
    file, found = SHAPES / f"{name}.json", shape(document)
    if os.environ.get("FORESTAY_WRITE_SHAPES"):
        file.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(file.read_text()), f"not the shape of {file.name}: {json.dumps(found)}"
