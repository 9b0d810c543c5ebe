"""What changes in a BaseHOT before Heat gets it.

Rules of this module: pure; the given template stays as it is.

* Internal virtual links that somebody else manages leave the template with their subnets and bit rates, and references become
  the given network's id.
* A property whose leaf of ``nfv`` is null or not there leaves it, because Heat takes that for an empty text, which is
  no address and no zone. A nested template keeps those of its properties for which it has no default.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from forestay_sol.resource_types import SUBNET

Json = dict[str, Any]
Path = tuple[str | int, ...]


def nfv_path(node: Any) -> Path | None:
    """The path under ``nfv`` that ``{get_param: [nfv, ...]}`` asks for, ``None`` for any other node."""
    match node:
        case {"get_param": ["nfv", *rest]} if all(isinstance(part, str | int) for part in rest):
            return tuple(cast("list[str | int]", rest))
        case _:
            return None


def value_at(tree: Any, path: Path) -> Any:
    """The value at a path; ``...`` where the path leads nowhere (an overlay has taken it away)."""
    try:
        for part in path:
            tree = tree[part]
    except (KeyError, IndexError, TypeError):
        return ...
    return tree


def without_nulls(template: Json, parameters: Json, optional: Mapping[str, Collection[str]] = {}) -> Json:
    """The template without the properties whose leaf of the parameter ``nfv`` is null or not there.

    :param optional: the parameters that nested templates have a default for, by template.
    """

    def is_null(node: Any) -> bool:
        path = nfv_path(node)
        return path is not None and value_at(parameters, ("nfv", *path)) in (None, ...)

    def pruned(node: Any) -> Any:
        if isinstance(node, list):
            return [pruned(item) for item in cast("list[Any]", node)]
        if not isinstance(node, dict):
            return node
        members = cast("Json", node)
        kind = str(members.get("type", "OS::"))
        if not kind.startswith("OS::"):
            given: Json = members.get("properties") or {}
            kept = {
                name: value for name, value in given.items() if name not in optional.get(kind, ()) or not is_null(value)
            }
            return members if kept == given else members | {"properties": kept}
        return {key: pruned(value) for key, value in members.items() if not is_null(value)}

    return template | {"resources": {name: pruned(resource) for name, resource in template["resources"].items()}}


def without_links(template: Json, networks: Mapping[str, str]) -> Json:
    """The template without these virtual links; ``networks`` are the given networks' ids by virtual link."""
    resources: Json = template["resources"]
    limits = {f"{link}_{part}" for link in networks for part in ("qospolicy", "bandwidth")}
    gone = {
        name
        for name, resource in resources.items()
        if name in limits or name in networks or (resource.get("type") == SUBNET and _network_of(resource) in networks)
    }
    kept = {name: _detached(resource, networks, gone) for name, resource in resources.items() if name not in gone}
    return template | {"resources": kept}


def _detached(resource: Json, networks: Mapping[str, str], gone: set[str]) -> Json:
    detached: Json = _replaced(resource, networks)
    after: str | list[str] = resource.get("depends_on") or []
    left = [name for name in ([after] if isinstance(after, str) else after) if name not in gone]
    return detached | ({"depends_on": left} if after else {})


def _network_of(subnet: Json) -> str | None:
    network = (subnet.get("properties") or {}).get("network")
    name = cast("Json", network).get("get_resource") if isinstance(network, dict) else network
    return name if isinstance(name, str) else None


def _replaced(node: Any, networks: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_replaced(item, networks) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    members = cast("Json", node)
    name = members.get("get_resource")
    if isinstance(name, str) and name in networks:
        return networks[name]
    return {key: _replaced(value, networks) for key, value in members.items()}
