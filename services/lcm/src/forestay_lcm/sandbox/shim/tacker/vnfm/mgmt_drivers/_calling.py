"""Calls LCM hooks of Tacker's first API (wire section 12): methods of a class, where those of the second are programs.

A driver gets ``context`` (empty), the instance, the request, the grant and the grant request, whose attributes are named in
``snake_case``; of a modification the first three. What it returns is no result.
"""

# The tree has two names: scripts know it as `tacker`.
# ruff: noqa: TID252
from __future__ import annotations

import inspect
from typing import Any

from ..lcm_user_data._calling import Members
from .vnflcm_abstract_driver import VnflcmMgmtAbstractDriver

Json = dict[str, Any]


def call_driver(found: Json, arguments: Json) -> None:
    """Call the hook of a script's driver, if it has one.

    :param found: what is global in the script.
    :param arguments: those of a hook of the second API.
    """
    drivers = [each for each in found.values() if _is_driver(each)]
    hook = getattr(drivers[-1](), arguments["operation"], None) if drivers else None
    if hook is None:
        return
    given = (arguments.get(name) for name in ("vnf_instance", "request", "grant_response", "grant_request"))
    objects = [Members({}), *(Members(each or {}) for each in given)]
    hook(*objects[: 3 if arguments["operation"].startswith("modify_information") else 5])


def _is_driver(value: Any) -> bool:
    return (
        inspect.isclass(value) and issubclass(value, VnflcmMgmtAbstractDriver) and value is not VnflcmMgmtAbstractDriver
    )
