"""Where the JSON of version 1 differs from that of version 2, in both directions. Pure.

Version 1 has VIM connections in a list with ids, version 2 in a map by id; so it is with the ``cpConfig`` of external CPs, which
have no id in version 1 (their ``cpInstanceId`` is the server's). The types of VIMs have other names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

Json = dict[str, Any]

_OPENSTACK, _KUBERNETES = "ETSINFV.OPENSTACK_KEYSTONE.V_3", "ETSINFV.KUBERNETES.V_1"
#: Whoever says Keystone v2, which is no more, means an OpenStack: Tacker never looked at the type.
VIM_TYPES = {"openstack": _OPENSTACK, "ETSINFV.OPENSTACK_KEYSTONE.V_2": _OPENSTACK, "kubernetes": _KUBERNETES}
_ID = re.compile("[0-9a-f]{32}")
_IN_CAMEL_CASE = {
    "vim_id": "vimId", "vim_type": "vimType", "interface_info": "interfaceInfo", "access_info": "accessInfo"
}  # fmt: skip
_VIM_TYPES_V1 = {_OPENSTACK: "openstack", _KUBERNETES: "kubernetes", "ETSINFV.HELM.V_3": "kubernetes"}


def request_v2(body: Json) -> Json:
    """A request of version 1, or a patch, as one of version 2."""
    changed = dict(body)
    if "vimConnectionInfo" in body:
        changed["vimConnectionInfo"] = connections_v2(body["vimConnectionInfo"])
    if "extVirtualLinks" in body:
        changed["extVirtualLinks"] = [_link(link, _configs_v2) for link in body["extVirtualLinks"]]
    return changed


def request_v1(body: Json) -> Json:
    """A request of version 2 as one of version 1."""
    changed = dict(body)
    if "vimConnectionInfo" in body:
        changed["vimConnectionInfo"] = connections_v1(body["vimConnectionInfo"])
    if "extVirtualLinks" in body:
        changed["extVirtualLinks"] = [_link(link, _configs_v1) for link in body["extVirtualLinks"]]
    return changed


def patch_in_camel_case(body: Json) -> Json:
    """A patch of an instance; the VIM connections in Tacker's have the names of its objects (``vim_id``)."""
    entries: Any = body.get("vimConnectionInfo")
    if not isinstance(entries, list):
        return body
    renamed = [
        {_IN_CAMEL_CASE.get(name, name): value for name, value in entry.items()} if isinstance(entry, dict) else entry
        for entry in cast("list[Any]", entries)
    ]
    return body | {"vimConnectionInfo": renamed}


def connections_v2(connections: Iterable[Json]) -> Json:
    """VIM connections by id."""
    return {item["id"]: _connection(item | _access_v2(item), VIM_TYPES) for item in connections}


def connections_v1(connections: Json) -> list[Json]:
    """VIM connections as a list; one that a patch removes is left out."""
    return [{"id": key} | _connection(item, _VIM_TYPES_V1) for key, item in connections.items() if item is not None]


def _connection(item: Json, types: dict[str, str]) -> Json:
    """A connection without its id; a type that has no other name keeps its own."""
    members = {name: value for name, value in item.items() if name != "id"}
    return members | ({"vimType": types.get(item["vimType"], item["vimType"])} if "vimType" in item else {})


def _access_v2(item: Json) -> Json:
    """Keystone v2 had tenants, named by a name or by an id."""
    access: Json = dict(item.get("accessInfo") or {})
    if "tenant" not in access:
        return {}
    tenant = access.pop("tenant")
    return {"accessInfo": {"projectId" if _ID.fullmatch(str(tenant)) else "project": tenant} | access}


def _link(link: Json, configs: Any) -> Json:
    return link | {"extCps": [cp | {"cpConfig": configs(cp)} for cp in link["extCps"]]}


def _configs_v2(cp: Json) -> Json:
    """By their places, so that a later request for the same CPs means the same configurations."""
    names = (cp["cpdId"] if at == 0 else f"{cp['cpdId']}_{at}" for at in range(len(cp["cpConfig"])))
    return {
        name: {member: value for member, value in config.items() if member != "cpInstanceId"}
        for name, config in zip(names, cp["cpConfig"], strict=True)
    }


def _configs_v1(cp: Json) -> list[Json]:
    return list(cp["cpConfig"].values())
