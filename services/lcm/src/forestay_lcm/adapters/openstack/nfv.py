"""The request that Heat gets: the flavour's BaseHOT and its one JSON parameter ``nfv``, for VNFs without user data.

Rules of this module:

* Pure. The template says what ``nfv`` must hold: each ``get_param: [nfv, A, B, ...]`` of a resource is a leaf to fill.
* The grant comes before the request, and both before the VNFD; ``additionalParams.nfv`` of the request, then that of
  the grant, are merged over everything (RFC 7396). A leaf that is empty in the end is an error that names it.
* What the template has too much leaves it: :mod:`hot`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
import yaml
from forestay_events.errors import Permanent
from forestay_sol.vnfd import BaseHot, Flavour
from forestay_sol.vnflcm import (
    Grant,
    GrantRequest,
    InstantiateVnfRequest,
    IpOverEthernetAddressData,
    VimAssets,
    VnfExtCpData,
)

from forestay_lcm.adapters.openstack.hot import Json, Path, nfv_path, value_at, without_links, without_nulls
from forestay_lcm.domain.connection_points import effective_links, managed_links, vdu_cp_id


class HeatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What POST /stacks gets; its fields are the members of the body, ``timeout_mins`` is minutes."""

    stack_name: str
    template: str
    parameters: Json
    files: dict[str, str]
    tags: str
    timeout_mins: int


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where the values of ``nfv`` come from."""

    flavour: Flavour
    request: InstantiateVnfRequest
    grant_request: GrantRequest
    grant: Grant


def stack_name(vnf_id: str) -> str:
    """The name of a VNF's stack: one VNF, one name, so that whoever comes next finds it."""
    return f"vnf-{vnf_id}"


def instantiate_request(vnf_id: str, sources: Sources, *, tags: Sequence[str], timeout_mins: int = 20) -> HeatRequest:
    """The request that makes the stack of a VNF.

    :raises Permanent: 422, the flavour has no BaseHOT, or a template parameter has no value.
    """
    hot = sources.flavour.base_hot
    if hot is None:
        raise _unusable(f"Flavour {sources.flavour.id!r} has no template in BaseHOT/{sources.flavour.id}.")
    template = _parse(hot)
    parameters = _parameters(template, sources, hot.path)
    managed = managed_links(sources.grant.ext_managed_virtual_links, sources.request.ext_managed_virtual_links)
    networks = {name: link.resource_id for name, link in managed.items()}
    changed = without_nulls(without_links(template, networks), parameters)
    return HeatRequest(
        stack_name=stack_name(vnf_id),
        template=hot.template if changed == template else yaml.safe_dump(changed, sort_keys=False),
        parameters=parameters,
        files=dict(hot.files),
        tags=",".join(tags),
        timeout_mins=timeout_mins,
    )


def nfv_parameter(template: Json, sources: Sources) -> Json:
    """The ``nfv`` parameter for a parsed template.

    :raises Permanent: 422, a leaf has no value; the message names its path.
    """
    paths = list(_paths(template))
    nfv: Json = _nest({path: _value(path, sources) for path in paths})
    for overlay in (sources.request.additional_params, sources.grant.additional_params):
        nfv = merge_patch(nfv, (overlay or {}).get("nfv") or {})
    if missing := sorted({"/".join(map(str, path)) for path in paths if _is_missing(nfv, path)}):
        raise _unusable(
            f"No value for {', '.join(missing)} of the template parameter 'nfv': neither the grant, the request "
            "nor the VNFD has one. Give it in additionalParams.nfv."
        )
    return nfv


def merge_patch(target: Any, patch: Any) -> Any:
    """``target`` after an RFC 7396 merge patch; neither is changed."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(cast("Json", target)) if isinstance(target, Mapping) else {}
    for key, value in cast("Json", patch).items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _unusable(detail: str) -> Permanent:
    return Permanent(detail, status=422, title="Template cannot be used")


def _parse(hot: BaseHot) -> Json:
    try:
        template = yaml.safe_load(hot.template)
    except yaml.YAMLError as error:
        raise _unusable(f"{hot.path} is not YAML: {error}") from error
    if not isinstance(template, dict) or not isinstance(cast("Json", template).get("resources"), dict):
        raise _unusable(f"{hot.path} has no resources.")
    return cast("Json", template)


def _parameters(template: Json, sources: Sources, path: str) -> Json:
    declared: Json = template.get("parameters") or {}
    if missing := [name for name, schema in declared.items() if name != "nfv" and "default" not in (schema or {})]:
        raise _unusable(
            f"No value for the parameter {', '.join(missing)} of {path}: only 'nfv' is filled, others need a default."
        )
    return {"nfv": nfv_parameter(template, sources)} if "nfv" in declared else {}


# The skeleton: what the template asks for.


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
                yield path


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


def _is_missing(nfv: Json, path: Path) -> bool:
    """A zone is the VIM's to choose. Of a ``fixed_ips`` entry either leaf is enough: the VIM chooses the other."""
    if path[-1] == "locationConstraints" or value_at(nfv, path) is not None:
        return False
    entry = value_at(nfv, path[:-1])
    chosen = "fixed_ips" in path and isinstance(entry, dict) and any(cast("Json", entry).values())
    return not chosen


# The values: where each well-known leaf comes from.


def _value(path: Path, sources: Sources) -> Any:
    group, node, leaf, *rest = path
    source = _LEAVES.get((group, leaf, len(rest)))
    return source(sources, str(node), *rest) if source else None


def _compute_flavour(sources: Sources, vdu_id: str) -> str | None:
    assets = sources.grant.vim_assets or VimAssets()
    granted = {item.vnfd_virtual_compute_desc_id: item.vim_flavour_id for item in assets.compute_resource_flavours}
    vdu = sources.flavour.vdus.get(vdu_id)
    return granted.get(vdu_id) or (vdu.requested_capability if vdu else None)


def _image(sources: Sources, node: str) -> str | None:
    assets = sources.grant.vim_assets or VimAssets()
    granted = {item.vnfd_software_image_id: item.vim_software_image_id for item in assets.software_images}
    image = sources.flavour.software_images().get(node)
    return granted.get(node) or (image.name if image else None)


def _zone(sources: Sources, vdu_id: str) -> str | None:
    grant, ours = sources.grant, _computes(sources, vdu_id)
    zones: dict[str | None, str] = {zone.id: zone.zone_id for zone in grant.zones}
    chosen = (zones.get(info.zone_id) for info in grant.add_resources if info.resource_definition_id in ours)
    return next(filter(None, chosen), None)


def _capacity(sources: Sources, vdu_id: str) -> int:
    return len(_computes(sources, vdu_id))


def _computes(sources: Sources, vdu_id: str) -> set[str]:
    added = sources.grant_request.add_resources
    return {item.id for item in added if (item.type, item.resource_template_id) == ("COMPUTE", vdu_id)}


def _network(sources: Sources, cp_id: str) -> str | None:
    links = effective_links(sources.grant.ext_virtual_links, sources.request.ext_virtual_links)
    connected = (link.resource_id for link in links for cp in link.ext_cps if _is(sources, cp, cp_id))
    return next(connected, None)


def _fixed_ip(sources: Sources, cp_id: str, at: str | int, member: str) -> str | None:
    addresses = [address for layer in _addresses(sources, cp_id) for address in layer.ip_addresses or ()]
    if not isinstance(at, int) or at >= len(addresses):
        return None
    address = addresses[at]
    return {"subnet": address.subnet_id, "ip_address": next(iter(address.fixed_addresses or ()), None)}.get(member)


def _mac_address(sources: Sources, cp_id: str) -> str | None:
    return next((layer.mac_address for layer in _addresses(sources, cp_id) if layer.mac_address), None)


def _addresses(sources: Sources, cp_id: str) -> Iterator[IpOverEthernetAddressData]:
    for link in effective_links(sources.grant.ext_virtual_links, sources.request.ext_virtual_links):
        for config in (config for cp in link.ext_cps if _is(sources, cp, cp_id) for config in cp.cp_config.values()):
            yield from (data.ip_over_ethernet for data in config.cp_protocol_data if data.ip_over_ethernet)


def _is(sources: Sources, cp: VnfExtCpData, cp_id: str) -> bool:
    return vdu_cp_id(sources.flavour, cp.cpd_id) == cp_id


_LEAVES: dict[tuple[str | int, str | int, int], Callable[..., Any]] = {
    ("VDU", "computeFlavourId", 0): _compute_flavour,
    ("VDU", "vcImageId", 0): _image,
    ("VDU", "locationConstraints", 0): _zone,
    ("VDU", "desired_capacity", 0): _capacity,
    ("CP", "network", 0): _network,
    ("CP", "fixed_ips", 2): _fixed_ip,
    ("CP", "mac_address", 0): _mac_address,
}
