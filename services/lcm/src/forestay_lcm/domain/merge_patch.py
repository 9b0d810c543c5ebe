"""JSON merge patch (RFC 7396)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast


def merge_patch(target: Any, patch: Any) -> Any:
    """``target`` after a merge patch; neither is changed."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(cast("dict[str, Any]", target)) if isinstance(target, Mapping) else {}
    for key, value in cast("dict[str, Any]", patch).items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
