"""The JSON parameter ``nfv`` of a BaseHOT, for VNFs without user data (Tacker's DefaultUserData).

Rules of this module:

* Pure. The template says what ``nfv`` must hold: each ``get_param: [nfv, A, B, ...]`` of a resource is a leaf to fill.
* The grant comes before the request, and both before the VNFD; ``additionalParams.nfv`` of the request, then that of
  the grant, are merged over everything (RFC 7396). A leaf that is empty in the end is an error that names it.
* What an operation is not about stays as it was: a change fills some leaves only; a leaf that nobody but the requester
  knows, and a zone that nobody chooses anew, are kept from before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import Any, cast

import msgspec
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import (
    ExtVirtualLinkData,
    Grant,
    GrantRequest,
    IpOverEthernetAddressData,
    VimAssets,
    VnfExtCpConfig,
    VnfExtCpData,
)

from forestay_lcm.adapters.openstack.template.hot import Json, Path, nfv_path, value_at
from forestay_lcm.adapters.openstack.template.parsing import unusable
from forestay_lcm.adapters.openstack.template.vnfcs import Name, name_of, nodes_of
from forestay_lcm.domain.connection_points import vdu_cp_id
from forestay_lcm.domain.merge_patch import merge_patch


class Sources(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Where the values of ``nfv`` come from.

    :ivar links: the external virtual links after the operation.
    :ivar overlays: ``additionalParams.nfv`` of the request and of the grant, in this order.
    :ivar granted: the id of the definition that adds a VNFC, by the VNFC's name, where each is a resource of its own.
    :ivar counts: how many instances of each VDU there shall be; of others, as many as the grant adds.
    :ivar before: ``nfv`` before the operation.
    """

    flavour: Flavour
    links: tuple[ExtVirtualLinkData, ...]
    grant_request: GrantRequest
    grant: Grant
    overlays: tuple[Json, ...] = ()
    granted: Mapping[str, str] = {}
    counts: Mapping[str, int] = {}
    before: Json = {}

    @cached_property
    def zones(self) -> dict[str, str]:
        """The zones that the grant has chosen, by the id of the definition that each is for."""
        zones = {zone.id: zone.zone_id for zone in self.grant.zones}
        infos = self.grant.add_resources
        return {info.resource_definition_id: zones[info.zone_id] for info in infos if info.zone_id in zones}


def nfv_parameter(template: Json, sources: Sources) -> Json:
    """The whole ``nfv`` parameter for a parsed template.

    :raises Permanent: 422, a leaf has no value; the message names its path.
    """
    others = {key: value for key, value in sources.before.items() if key not in ("VDU", "CP")}
    return _filled(others, list(_paths(template)), sources)


def changed_nfv(template: Json, sources: Sources, concerned: Callable[[Path], bool]) -> Json:
    """``nfv`` as it was before, with those leaves made anew that an operation is about.

    :raises Permanent: 422, such a leaf has no value; the message names its path.
    """
    return _filled(sources.before, [path for path in _paths(template) if concerned(path)], sources)


def _filled(base: Json, paths: list[Path], sources: Sources) -> Json:
    nfv = _laid_over(base, _nest({path: _value(path, sources) for path in paths}))
    for overlay in sources.overlays:
        nfv = merge_patch(nfv, overlay)
    if missing := sorted({"/".join(map(str, path)) for path in paths if _is_missing(nfv, path)}):
        raise unusable(
            f"No value for {', '.join(missing)} of the template parameter 'nfv': neither the grant, the request "
            "nor the VNFD has one. Give it in additionalParams.nfv; that of a CP comes with extVirtualLinks."
        )
    return nfv


def _laid_over(base: Any, top: Any) -> Any:
    """``top`` over ``base``, map by map. Unlike in a merge patch, null is a value: an address that is the VIM's choice."""
    if not isinstance(base, Mapping) or not isinstance(top, Mapping):
        return top
    below, above = cast("Json", base), cast("Json", top)
    return {**below, **{key: _laid_over(below.get(key), value) for key, value in above.items()}}


# The skeleton: what the template asks for.

_LONGEST = 64
"""Items that a list below ``nfv`` may have."""


def _paths(template: Json) -> Iterator[Path]:
    for resource in template["resources"].values():
        yield from _asked(resource.get("properties"))


def _asked(node: Any) -> Iterator[Path]:
    """The paths under ``nfv`` of at least three parts; shorter ones are for additionalParams alone (Tacker's rule)."""
    if isinstance(node, list):
        for item in cast("list[Any]", node):
            yield from _asked(item)
    elif isinstance(node, dict):
        for key, value in cast("Json", node).items():
            if (path := nfv_path({key: value})) is None:
                yield from _asked(value)
            elif len(path) >= 3:
                yield _within(path)


def _within(path: Path) -> Path:
    """:raises Permanent: 422, an index is none of a list, or of one that is too long."""
    if beyond := [part for part in path if isinstance(part, int) and not 0 <= part < _LONGEST]:
        where = "/".join(map(str, path))
        raise unusable(
            f"{beyond[0]} in the path {where} of the template parameter 'nfv' is not from 0 to {_LONGEST - 1}."
        )
    return path


def _nest(leaves: Mapping[Path, Any]) -> Any:
    """The tree with these leaves: integer parts make lists, the others maps."""
    if () in leaves:
        return leaves[()]
    branches: dict[str | int, dict[Path, Any]] = {}
    for path, value in leaves.items():
        branches.setdefault(path[0], {})[path[1:]] = value
    if branches and all(isinstance(part, int) for part in branches):
        return [_nest(branches.get(at, {})) for at in range(max(cast("Any", branches)) + 1)]
    return {str(part): _nest(branch) for part, branch in branches.items()}


_CHOSEN_BY_VIM = frozenset({"locationConstraints", "fixed_ips", "mac_address", "link_port"})


def _is_missing(nfv: Json, path: Path) -> bool:
    """A zone or an address is the VIM's to choose. Of a ``fixed_ips`` entry either leaf is enough: it chooses the other."""
    if path[-1] in _CHOSEN_BY_VIM or value_at(nfv, path) is not None:
        return False
    entry = value_at(nfv, path[:-1])
    chosen = "fixed_ips" in path and isinstance(entry, dict) and any(cast("Json", entry).values())
    return not chosen


# The values: where each well-known leaf comes from.


def _value(path: Path, sources: Sources) -> Any:
    group, node, leaf, *rest = path
    source = _LEAVES.get((group, leaf, len(rest)))
    name = name_of(str(node), nodes_of(sources.flavour))
    value = source(sources, name, *rest) if source else None
    if value is not None or (source and leaf != "locationConstraints"):
        return value
    others = _siblings(sources, group, name) if source is None and name.index is not None else ()
    known = (value_at(sources.before, (group, text, leaf, *rest)) for text in chain((node,), others))
    return next((value for value in known if value not in (None, ...)), None)


def _siblings(sources: Sources, group: str | int, name: Name) -> Iterator[str]:
    """The names of a node at other VNFCs: what only the requester knows, he said of one for all."""
    nodes, there = nodes_of(sources.flavour), sources.before.get(str(group)) or {}
    return (text for text in there if text.startswith(name.node) and name_of(text, nodes).node == name.node)


def _compute_flavour(sources: Sources, name: Name) -> str | None:
    assets = sources.grant.vim_assets or VimAssets()
    granted = {item.vnfd_virtual_compute_desc_id: item.vim_flavour_id for item in assets.compute_resource_flavours}
    vdu = sources.flavour.vdus.get(name.node)
    return granted.get(name.node) or (vdu.requested_capability if vdu else None)


def _image(sources: Sources, name: Name) -> str | None:
    assets = sources.grant.vim_assets or VimAssets()
    granted = {item.vnfd_software_image_id: item.vim_software_image_id for item in assets.software_images}
    image = sources.flavour.software_images().get(name.node)
    return granted.get(name.node) or (image.name if image else None)


def _zone(sources: Sources, name: Name) -> str | None:
    if name.index is not None:
        return sources.zones.get(sources.granted.get(str(name), ""))
    ours = _computes(sources, name.node)
    return next((zone for definition, zone in sources.zones.items() if definition in ours), None)


def _capacity(sources: Sources, name: Name) -> int:
    return sources.counts.get(name.node, len(_computes(sources, name.node)))


def _computes(sources: Sources, vdu_id: str) -> set[str]:
    added = sources.grant_request.add_resources
    return {item.id for item in added if (item.type, item.resource_template_id) == ("COMPUTE", vdu_id)}


def _network(sources: Sources, name: Name) -> str | None:
    connected = (link.resource_id for link in sources.links for cp in link.ext_cps if _is(sources, cp, name))
    return next(connected, None)


def _fixed_ip(sources: Sources, name: Name, at: str | int, member: str) -> str | None:
    wanted = _wanted_ips(sources, name)
    return wanted[at].get(member) if isinstance(at, int) and at < len(wanted) else None


def _fixed_ips(sources: Sources, name: Name) -> list[dict[str, str]] | None:
    return list(filter(None, _wanted_ips(sources, name))) or None


def _wanted_ips(sources: Sources, name: Name) -> list[dict[str, str]]:
    """What is asked of each address: its subnet, itself, both or nothing."""
    configs, beyond = _configs(sources, name)
    asked = [address for layer in _layers(configs) for address in layer.ip_addresses or ()]
    members = (
        {"subnet": address.subnet_id, "ip_address": None if beyond else wanted}
        for address in asked
        for wanted in address.fixed_addresses or [None] * (address.num_dynamic_addresses or 1)
    )
    return [{key: value for key, value in each.items() if value is not None} for each in members]


def _mac_address(sources: Sources, name: Name) -> str | None:
    configs, beyond = _configs(sources, name)
    return None if beyond else next((layer.mac_address for layer in _layers(configs) if layer.mac_address), None)


def _port(sources: Sources, name: Name) -> str | None:
    """The port that the requester made for a connection point."""
    configs, beyond = _configs(sources, name)
    given = {port.id: port.resource_handle.resource_id for link in sources.links for port in link.ext_link_ports}
    ports = (given.get(config.link_port_id) for config in configs if config.link_port_id)
    return None if beyond else next(ports, None)


def _configs(sources: Sources, name: Name) -> tuple[list[VnfExtCpConfig], bool]:
    """What is asked of a connection point; for a numbered VNFC, what has its number.

    An address can be given once: a VNFC beyond what was asked for (``True``) shares the last one's subnets only.
    """
    ours = (cp for link in sources.links for cp in link.ext_cps if _is(sources, cp, name))
    configs = [config for cp in ours for config in cp.cp_config.values()]
    if name.index is None:
        return configs, False
    return configs[: name.index + 1][-1:], name.index >= len(configs)


def _layers(configs: Iterable[VnfExtCpConfig]) -> Iterator[IpOverEthernetAddressData]:
    for config in configs:
        yield from (data.ip_over_ethernet for data in config.cp_protocol_data if data.ip_over_ethernet)


def _is(sources: Sources, cp: VnfExtCpData, name: Name) -> bool:
    return vdu_cp_id(sources.flavour, cp.cpd_id) == name.node


_LEAVES: dict[tuple[str | int, str | int, int], Callable[..., Any]] = {
    ("VDU", "computeFlavourId", 0): _compute_flavour,
    ("VDU", "vcImageId", 0): _image,
    ("VDU", "locationConstraints", 0): _zone,
    ("VDU", "desired_capacity", 0): _capacity,
    ("CP", "network", 0): _network,
    ("CP", "fixed_ips", 0): _fixed_ips,
    ("CP", "fixed_ips", 2): _fixed_ip,
    ("CP", "mac_address", 0): _mac_address,
    ("CP", "port", 0): _port,
    ("CP", "link_port", 0): _port,
}
