"""The VNFCs of a VNF one by one: which there are, and the template in which each is a resource of its own.

Rules of this module (Tacker's StandardUserData, wire contract section 8.3): pure.

* A flavour is managed VNFC by VNFC when its template has a VDU of which there may be other than one as a resource of its
  own: a server, or a nested template. A group multiplies by itself, so a template with groups stays as it is.
* Such a template is a pattern. VNFC ``n`` of a VDU is a copy of the VDU's resource, and of its ports and volumes beside it,
  named ``<node>-<n>``; what it asks of ``nfv`` below ``VDU`` and ``CP`` has that name too.
* A VNFC keeps its number for life; new ones are numbered after all there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count, islice
from typing import Any, cast

import msgspec
from forestay_sol.resource_types import SERVER
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo, LcmOperation, ResourceDefinition, VnfcResourceInfo

from forestay_lcm.adapters.openstack.clients.heat import StackResource
from forestay_lcm.adapters.openstack.job import Order
from forestay_lcm.adapters.openstack.template.hot import Json

#: Operations that replace or change VNFCs where they are: what their grant adds comes in the place of what it removes.
_IN_PLACE: frozenset[LcmOperation] = frozenset({"HEAL", "CHANGE_EXT_CONN", "CHANGE_VNFPKG"})


class Name(msgspec.Struct, frozen=True):
    """The name of a VNFC's resource or parameter: the node of the VNFD, and the VNFC's number if it has one."""

    node: str
    index: int | None = None

    def __str__(self) -> str:
        return self.node if self.index is None else f"{self.node}-{self.index}"


def name_of(text: str, nodes: Collection[str]) -> Name:
    """A name taken apart; one that belongs to none of the nodes is a node itself."""
    node, _, index = text.rpartition("-")
    return Name(node, int(index)) if text not in nodes and node in nodes and index.isdecimal() else Name(text)


def nodes_of(flavour: Flavour) -> set[str]:
    """The nodes of which each VNFC has its own."""
    return {*flavour.vdus, *flavour.cps, *flavour.storages}


def index_of(vnfc: VnfcResourceInfo) -> int | None:
    """The number of a VNFC, ``None`` if it is a member of a group, or the only one of its VDU."""
    index = (vnfc.metadata or {}).get("vdu_idx")
    return None if index is None else int(index)


class Vnfcs(msgspec.Struct, frozen=True, kw_only=True):
    """The VNFCs of a VNF that are resources of their own.

    :ivar indexes: their numbers by VDU, ascending.
    :ivar granted: the id of the definition by which the grant adds a VNFC, by the VNFC's name.
    """

    indexes: dict[str, tuple[int, ...]]
    granted: dict[str, str] = {}


def vnfcs_before(info: InstantiatedVnfInfo) -> Vnfcs:
    """The numbered VNFCs of a VNF."""
    found: dict[str, list[int]] = {}
    for vnfc in info.vnfc_resource_info:
        if (index := index_of(vnfc)) is not None:
            found.setdefault(vnfc.vdu_id, []).append(index)
    return Vnfcs(indexes={vdu: tuple(sorted(indexes)) for vdu, indexes in found.items()})


def vnfcs_after(order: Order, before: InstantiatedVnfInfo | None) -> Vnfcs:
    """The numbered VNFCs after an operation. One that had no number and stays gets one."""
    indexes: dict[str, tuple[int, ...]] = {}
    granted: dict[str, str] = {}
    for vdu in order.flavour.vdus:
        former = [vnfc for vnfc in (before.vnfc_resource_info if before else ()) if vnfc.vdu_id == vdu]
        added, removed = _computes(order.grant_request.add_resources, vdu), _removed(order, vdu)
        numbers = {vnfc.compute_resource.resource_id: index_of(vnfc) for vnfc in former}
        fresh = count(max((number for number in numbers.values() if number is not None), default=-1) + 1)
        if order.operation in _IN_PLACE:
            pairs = zip(added, removed, strict=False)
            granted |= {str(Name(vdu, numbers[old])): new.id for new, old in pairs if numbers.get(old) is not None}
            added, removed = [], []
        staying = [number for server, number in numbers.items() if server not in removed]
        kept = [next(fresh) if number is None else number for number in staying]
        new = list(islice(fresh, len(added)))
        granted |= {str(Name(vdu, number)): item.id for number, item in zip(new, added, strict=True)}
        indexes[vdu] = tuple(sorted([*kept, *new]))
    return Vnfcs(indexes=indexes, granted=granted)


def _computes(definitions: tuple[ResourceDefinition, ...], vdu: str) -> list[ResourceDefinition]:
    return [item for item in definitions if (item.type, item.resource_template_id) == ("COMPUTE", vdu)]


def _removed(order: Order, vdu: str) -> list[str]:
    removed = _computes(order.grant_request.remove_resources, vdu)
    return [item.resource.resource_id for item in removed if item.resource]


def is_pattern(template: Json, flavour: Flavour) -> bool:
    """Whether a template is to be filled in VNFC by VNFC."""
    return any(_may_be_many(flavour, vdu) for vdu in _singles(template, flavour))


def unrolled(template: Json, flavour: Flavour, vnfcs: Vnfcs) -> Json:
    """The template with a copy of each VDU's resources for each of its VNFCs; one that is no pattern as it is."""
    if not is_pattern(template, flavour):
        return template
    given: Json = template["resources"]
    own = {vdu: {vdu, *flavour.vdus[vdu].cp_ids, *flavour.vdus[vdu].storage_ids} for vdu in _singles(template, flavour)}
    owned = set[str]().union(*own.values())
    resources = {name: resource for name, resource in given.items() if name not in owned}
    for vdu, nodes in own.items():
        for index in vnfcs.indexes.get(vdu, ()):
            copies = {str(Name(node, index)): _numbered(given[node], nodes, index) for node in given if node in nodes}
            resources |= copies
    return template | {"resources": resources}


def _singles(template: Json, flavour: Flavour) -> Iterator[str]:
    """The VDUs that the template has as resources of their own."""
    for name, resource in template["resources"].items():
        kind = str(resource.get("type"))
        if name in flavour.vdus and (kind == SERVER or not kind.startswith("OS::")):
            yield name


def _may_be_many(flavour: Flavour, vdu: str) -> bool:
    levels = flavour.instantiation_levels.values()
    scales = any(vdu in aspect.deltas for aspect in flavour.scaling_aspects.values())
    return scales or any(level.vdu_counts.get(vdu, 1) != 1 for level in levels)


def _numbered(node: Any, own: Collection[str], index: int) -> Any:
    """A VDU's resource as that of a VNFC: references to its own resources, and what it asks of ``nfv``, get the number."""
    if isinstance(node, list):
        return [_numbered(item, own, index) for item in cast("list[Any]", node)]
    match node:
        case {"get_param": ["nfv", "VDU" | "CP" as group, str(name), *rest]}:
            return {"get_param": ["nfv", group, str(Name(name, index)), *rest]}
        case {"get_resource": str(name)} if name in own:
            return {"get_resource": str(Name(name, index))}
        case {"get_attr": [str(name), *rest]} if name in own:
            return {"get_attr": [str(Name(name, index)), *rest]}
        case dict():
            return {key: _members(key, value, own, index) for key, value in cast("Json", node).items()}
        case _:
            return node


def _members(key: str, value: Any, own: Collection[str], index: int) -> Any:
    if key != "depends_on":
        return _numbered(value, own, index)
    names: list[str] = [value] if isinstance(value, str) else value
    return [str(Name(name, index)) if name in own else name for name in names]


def without_gone(nfv: Json, flavour: Flavour, before: Vnfcs, after: Vnfcs) -> Json:
    """``nfv`` without what belongs to VNFCs that are not there any more. A name that only looks like theirs is another node's."""
    owners = _owners(flavour)

    def is_gone(name: Name) -> bool:
        was, now = (each.indexes.get(owners.get(name.node, ""), ()) for each in (before, after))
        return name.index in was and name.index not in now

    left = dict(nfv)
    for group in ("VDU", "CP"):
        if group in nfv:
            left[group] = {text: value for text, value in nfv[group].items() if not is_gone(name_of(text, owners))}
    return left


def vnfc_of(text: str, flavour: Flavour) -> str:
    """The name of the VNFC whose resource or parameter this is the name of."""
    owners = _owners(flavour)
    name = name_of(text, owners)
    return str(Name(owners.get(name.node, name.node), name.index))


def _owners(flavour: Flavour) -> Mapping[str, str]:
    """The VDU of each node that a VNFC has."""
    owned = ((node, vdu.id) for vdu in flavour.vdus.values() for node in (vdu.id, *vdu.cp_ids, *vdu.storage_ids))
    return dict(owned)


def by_node(resources: Collection[StackResource], flavour: Flavour) -> list[StackResource]:
    """Resources of a stack under the names of their nodes, each with the number of its VNFC."""
    nodes, homes = nodes_of(flavour), {item.physical_id: item.name for item in resources if item.physical_id}
    found: list[StackResource] = []
    for item in resources:
        home = name_of(homes.get(item.stack.rpartition("/")[2], ""), nodes)
        name = name_of(item.name, nodes)
        index = home.index if name.index is None else name.index
        found.append(msgspec.structs.replace(item, name=name.node, index=index))
    return found


def servers(resources: Iterable[StackResource], flavour: Flavour) -> list[StackResource]:
    """The resources that are VNFCs: by VDU, the highest number first, then the newest."""
    ours = by_node(list(resources), flavour)
    found = [item for item in ours if item.type == SERVER and item.name in flavour.vdus and item.physical_id]
    found.sort(key=lambda item: (item.index or 0, item.creation_time, item.physical_id), reverse=True)
    return sorted(found, key=lambda item: item.name)


def is_home(resource: StackResource, server: StackResource) -> bool:
    """Whether a resource (by node) belongs to a server's VNFC."""
    return (resource.stack, resource.index) == (server.stack, server.index)
