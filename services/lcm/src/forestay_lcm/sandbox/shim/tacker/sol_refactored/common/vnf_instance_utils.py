"""Merging of JSON, and look-ups in a VnfInstance."""

from __future__ import annotations

from typing import Any


def json_merge_patch(target: Any, patch: Any) -> Any:
    """``target`` after an RFC 7396 merge patch; a map that is given is changed and given back."""
    if not isinstance(patch, dict):
        return patch
    merged: dict[str, Any] = target if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = json_merge_patch(merged.get(key), value)
    return merged


def select_vim_info(vim_connection_info: dict[str, Any]) -> Any:
    """The first VIM connection."""
    return next(iter(vim_connection_info.values()))
