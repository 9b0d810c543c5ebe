"""What a VNF's stack is made of: its template, its parameters and its files, for each operation.

Rules of this module:

* Pure: the same job gives the same blueprint, whoever makes it and whenever; so a second worker sends what the first sent,
  and what there was before an operation need not be kept beside the log.
* An operation either replaces the stack's template (a new flavour, a new package), or keeps it and changes a part of
  ``nfv``. A kept template is sent again only when what :mod:`hot` takes out of it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

import msgspec
from forestay_events.errors import Permanent
from forestay_sol.vnfd import BaseHot, Flavour
from forestay_sol.vnflcm import ChangeVnfFlavourRequest, ExtManagedVirtualLinkData, InstantiatedVnfInfo, LcmOperation

from forestay_lcm.adapters.openstack.job import Order
from forestay_lcm.adapters.openstack.template.connectivity import (
    ext_links,
    managed_by_others,
    managed_of,
    new_ext_links,
)
from forestay_lcm.adapters.openstack.template.group_sizes import sized
from forestay_lcm.adapters.openstack.template.hot import Json, Path, value_at, without_links, without_nulls
from forestay_lcm.adapters.openstack.template.nfv import Sources, changed_nfv, nfv_parameter
from forestay_lcm.adapters.openstack.template.parsing import parsed_text, unusable
from forestay_lcm.adapters.openstack.template.tosca import base_hot_of
from forestay_lcm.adapters.openstack.template.vnfcs import (
    Vnfcs,
    name_of,
    nodes_of,
    unrolled,
    vnfc_of,
    vnfcs_after,
    vnfcs_before,
    without_gone,
)
from forestay_lcm.domain.connection_points import vdu_cp_id

_REPLACING: frozenset[LcmOperation] = frozenset({"INSTANTIATE", "CHANGE_FLAVOUR", "CHANGE_VNFPKG"})

_OF_VNFCS = ("VDU", "CP")

Concern = Callable[[Order, Sources], Callable[[Path], bool]]


class Blueprint(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a request to Heat that say what a stack is."""

    template: Json
    parameters: Json
    files: dict[str, str]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a stack. ``existing``: what ``fields`` do not say stays (PATCH), else it goes (PUT)."""

    fields: Json
    existing: bool


def stack_name(vnf_id: str) -> str:
    """The name of a VNF's stack: one VNF, one name, so that whoever comes next finds it."""
    return f"vnf-{vnf_id}"


def blueprint_after(order: Order, before: InstantiatedVnfInfo | None) -> Blueprint:
    """What the stack is to be made of after the operation.

    :raises Permanent: 422, the BaseHOT is none, or a template parameter has no value.
    """
    named = _granted(order) | ({} if order.operation in _REPLACING else _made_with(order.flavour, before))
    order = msgspec.structs.replace(order, flavour=_as_granted(order.flavour, named))
    hot, vnfcs = _base_hot(order.flavour), vnfcs_after(order, before)
    template = unrolled(parsed(hot), order.flavour, vnfcs)
    nfv = _nfv_after(order, before, vnfcs, template)
    return _drawn(hot, template, nfv, managed_by_others(order, before), counts_after(order, before))


def blueprint_before(order: Order, before: InstantiatedVnfInfo) -> Blueprint:
    """What the stack was made of before the operation. :raises Permanent: 422, its BaseHOT is none."""
    flavour = order.old_flavour or order.flavour
    flavour = _as_granted(flavour, _made_with(flavour, before))
    hot = _base_hot(flavour)
    template = unrolled(parsed(hot), flavour, vnfcs_before(before))
    return _drawn(hot, template, nfv_of(before), managed_of(before), _counts(flavour, before))


def own_blueprint(flavour: Flavour, managed: Mapping[str, ExtManagedVirtualLinkData]) -> Blueprint:
    """The template of a flavour as it stands in the package, nothing filled in.

    :param managed: the virtual links that others manage, which are not in it.
    """
    hot = _base_hot(flavour)
    template = without_links(parsed(hot), _networks(managed)) if managed else parsed(hot)
    return Blueprint(template=template, parameters={}, files=dict(hot.files))


def change_to(wanted: Blueprint, present: Blueprint, order: Order) -> Change:
    """The change that leads from one blueprint to another, forward or back."""
    if order.operation in _REPLACING:
        return Change(fields=msgspec.to_builtins(wanted), existing=False)
    redrawn = {} if wanted.template == present.template else {"template": wanted.template, "files": wanted.files}
    return Change(fields={"parameters": wanted.parameters, **redrawn}, existing=True)


def nfv_of(info: InstantiatedVnfInfo | None) -> Json:
    """The ``nfv`` parameter that was read back last."""
    return (info.metadata or {}).get("nfv") or {} if info else {}


def counts_after(order: Order, before: InstantiatedVnfInfo | None) -> dict[str, int]:
    """How many instances of each VDU there are after the operation: those before, what the grant adds and removes."""
    if isinstance(order.request, ChangeVnfFlavourRequest):
        return dict(order.flavour.level(order.request.instantiation_level_id).vdu_counts)
    counts = _counts(order.flavour, before)
    for sign, definitions in ((1, order.grant_request.add_resources), (-1, order.grant_request.remove_resources)):
        for vdu in (item.resource_template_id for item in definitions if item.type == "COMPUTE"):
            counts[vdu] = counts.get(vdu, 0) + sign
    return counts


def _as_granted(flavour: Flavour, named: Mapping[str, str]) -> Flavour:
    """A VDU that names no compute flavour has the one that it was granted; none is made of its size then."""
    vdus = {
        name: msgspec.structs.replace(vdu, requested_capability=vdu.requested_capability or named.get(name))
        for name, vdu in flavour.vdus.items()
    }
    return flavour if vdus == flavour.vdus else msgspec.structs.replace(flavour, vdus=vdus)


def _granted(order: Order) -> dict[str, str]:
    """The compute flavours of a grant, by VDU."""
    granted = order.grant.vim_assets.compute_resource_flavours if order.grant.vim_assets else ()
    return {item.vnfd_virtual_compute_desc_id: item.vim_flavour_id for item in granted}


def _made_with(flavour: Flavour, info: InstantiatedVnfInfo | None) -> dict[str, str]:
    """The compute flavours that a VNF's ``nfv`` names, by VDU."""
    given: Json = nfv_of(info).get("VDU") or {}
    names = {name_of(text, flavour.vdus).node: leaves.get("computeFlavourId") for text, leaves in given.items()}
    return {name: chosen for name, chosen in names.items() if chosen}


def _counts(flavour: Flavour, info: InstantiatedVnfInfo | None) -> dict[str, int]:
    """How many instances of each VDU there are."""
    counts = dict.fromkeys(flavour.vdus, 0)
    for vnfc in info.vnfc_resource_info if info else ():
        counts[vnfc.vdu_id] = counts.get(vnfc.vdu_id, 0) + 1
    return counts


def _nfv_after(order: Order, before: InstantiatedVnfInfo | None, vnfcs: Vnfcs, template: Json) -> Json:
    overlays = (order.request.additional_params, order.grant.additional_params)
    sources = Sources(
        flavour=order.flavour,
        links=ext_links(order, before),
        grant_request=order.grant_request,
        grant=order.grant,
        overlays=tuple(cast("Json", overlay)["nfv"] for overlay in overlays if overlay and overlay.get("nfv")),
        granted=vnfcs.granted,
        counts=counts_after(order, before),
        before=without_gone(nfv_of(before), order.flavour, vnfcs_before(before), vnfcs) if before else {},
    )
    if order.operation in _REPLACING:
        _expect_defaults(template, _base_hot(order.flavour).path)
        return nfv_parameter(template, sources)
    if not sources.before and "nfv" in (template.get("parameters") or {}):
        raise unusable(
            "It is not known which 'nfv' the VNF's stack was made with (metadata.nfv of instantiatedVnfInfo)."
        )
    return changed_nfv(template, sources, _CONCERNS.get(order.operation, _nothing)(order, sources))


def _nothing(order: Order, sources: Sources) -> Callable[[Path], bool]:
    return lambda path: False


def _sizes(order: Order, sources: Sources) -> Callable[[Path], bool]:
    """The sizes of groups, and all of VNFCs that were not there but what an earlier request has said of them."""

    def is_new(path: Path) -> bool:
        known: Json = sources.before.get(str(path[0])) or {}
        granted = vnfc_of(str(path[1]), order.flavour) in sources.granted
        return path[1] not in known or (granted and value_at(sources.before, path) is ...)

    return lambda path: path[2:] == ("desired_capacity",) or (path[0] in _OF_VNFCS and is_new(path))


def _named_cps(order: Order, sources: Sources) -> Callable[[Path], bool]:
    cpds = (cp.cpd_id for link in new_ext_links(order) for cp in link.ext_cps)
    named, nodes = {vdu_cp_id(order.flavour, cpd) for cpd in cpds}, nodes_of(order.flavour)
    return lambda path: path[0] == "CP" and name_of(str(path[1]), nodes).node in named


#: Which leaves of ``nfv`` an operation that keeps the template is about.
_CONCERNS: Mapping[LcmOperation, Concern] = {
    "SCALE": _sizes,
    "SCALE_TO_LEVEL": _sizes,
    "CHANGE_EXT_CONN": _named_cps,
}


def _drawn(
    hot: BaseHot,
    template: Json,
    nfv: Json,
    managed: Mapping[str, ExtManagedVirtualLinkData],
    counts: Mapping[str, int],
) -> Blueprint:
    """A blueprint from the template of a BaseHOT with its VNFCs."""
    parameters = {"nfv": nfv} if "nfv" in (template.get("parameters") or {}) else {}
    whole = without_links(sized(template, hot.files, counts), _networks(managed))
    drawn = without_nulls(whole, parameters, _optional(hot))
    return Blueprint(template=drawn, parameters=parameters, files=dict(hot.files))


def _networks(managed: Mapping[str, ExtManagedVirtualLinkData]) -> dict[str, str]:
    return {name: link.resource_id for name, link in managed.items()}


def _optional(hot: BaseHot) -> dict[str, frozenset[str]]:
    """The parameters that nested templates have a default for, by template; a file may be something else."""
    optional: dict[str, frozenset[str]] = {}
    for name, text in hot.files.items():
        with suppress(Permanent):
            declared: Json = parsed_text(text).get("parameters") or {}
            optional[name] = frozenset(key for key, schema in declared.items() if "default" in (schema or {}))
    return optional


def _base_hot(flavour: Flavour) -> BaseHot:
    """What the package has for OpenStack, else what the VNFD gives."""
    return flavour.base_hot or base_hot_of(flavour)


def parsed(hot: BaseHot) -> Json:
    """A BaseHOT's template. :raises Permanent: 422, it is no HOT."""
    return parsed_text(hot.template, hot.path)


def _expect_defaults(template: Json, path: str) -> None:
    """All parameters but ``nfv`` need a default, because only ``nfv`` is filled. :raises Permanent: 422, one has none."""
    declared: Mapping[str, Any] = template.get("parameters") or {}
    if missing := [name for name, schema in declared.items() if name != "nfv" and "default" not in (schema or {})]:
        raise unusable(
            f"No value for the parameter {', '.join(missing)} of {path}: only 'nfv' is filled, others need a default."
        )
