"""What is kept of what scripts of a package give: metadata of a VNF instance, beside what its driver writes there.

A script gives back the whole instance (wire section 12). Taken of it are members of ``instantiatedVnfInfo.metadata`` and of the
VNFCs' ``metadata``, never those by which a driver finds what it has made: a script must not lead it to other resources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec
from forestay_sol.vnflcm import InstantiatedVnfInfo

Json = dict[str, Any]

WRITTEN = "written_metadata"
"""Member of a script's result: ``vnf`` and, by VNFC, ``vnfcs``; what is null was taken away."""

ERROR_DATA = "userScriptErrHandlingData"
"""Member of an operation's error: what a script that failed wants to find when it runs again (wire section 12)."""

_DRIVERS = frozenset(
    {
        "stack_id",
        "stack_operation",
        "nfv",
        "tenant",
        "tenant_id",
        "namespace",
        "creation_time",
        "parent_stack_id",
        "parent_resource_name",
        "vdu_idx",
    }
    | {"flavor", "zone", "lcm-operation-user-data", "lcm-operation-user-data-class"}
)
_DRIVERS_PREFIX = "image-"


def written(info: InstantiatedVnfInfo, returned: Any) -> Json:
    """What a script has changed.

    :param info: as the script got it.
    :param returned: ``instantiatedVnfInfo`` as it gave it back, which may be anything.
    """
    if not isinstance(returned, Mapping):
        return {}
    given = cast("Mapping[str, Any]", returned)
    vnfcs = {vnfc.id: vnfc.metadata or {} for vnfc in info.vnfc_resource_info}
    changed = {
        item["id"]: change
        for item in _maps(given.get("vnfcResourceInfo"))
        if item.get("id") in vnfcs and (change := _change(vnfcs[item["id"]], item.get("metadata")))
    }
    found: Json = {"vnf": _change(info.metadata or {}, given.get("metadata")), "vnfcs": changed}
    return {name: value for name, value in found.items() if value}


def with_written(info: InstantiatedVnfInfo, results: Iterable[Mapping[str, Any]]) -> InstantiatedVnfInfo:
    """The state of a VNF with what scripts have written, in the order of the steps' results."""
    for change in (result[WRITTEN] for result in results if WRITTEN in result):
        vnfcs = change.get("vnfcs", {})
        info = msgspec.structs.replace(
            info,
            metadata=_changed(info.metadata, change.get("vnf", {})),
            vnfc_resource_info=tuple(
                msgspec.structs.replace(vnfc, metadata=_changed(vnfc.metadata, vnfcs[vnfc.id]))
                if vnfc.id in vnfcs
                else vnfc
                for vnfc in info.vnfc_resource_info
            ),
        )
    return info


def _maps(items: Any) -> list[Mapping[str, Any]]:
    if not isinstance(items, list):
        return []
    return [cast("Mapping[str, Any]", item) for item in cast("list[Any]", items) if isinstance(item, Mapping)]


def _change(before: Mapping[str, Any], after: Any) -> Json:
    if not isinstance(after, Mapping):
        return {}
    now = {str(name): value for name, value in cast("Mapping[Any, Any]", after).items()}
    changed = {name: value for name, value in now.items() if value is not None and before.get(name) != value}
    gone = dict.fromkeys(before.keys() - now.keys())
    return {name: value for name, value in (changed | gone).items() if not _is_drivers(name)}


def _is_drivers(name: str) -> bool:
    return name in _DRIVERS or name.startswith(_DRIVERS_PREFIX)


def _changed(before: Mapping[str, Any] | None, change: Mapping[str, Any]) -> Json | None:
    return {name: value for name, value in {**(before or {}), **change}.items() if value is not None} or None
