"""Updating VNFC by VNFC (CHANGE_VNFPKG, wire contract section 8.5): before the whole stack is replaced, each VNFC is.

Rules of this module:

* ``n`` of ``update-vnfc:<n>`` counts the COMPUTEs of the grant request's ``removeResources``.
* A VNFC in a nested template is a stack of its own, be it a member of a group or not: it gets the new nested template, and
  those of its parameters that come from ``nfv``. The VNF's stack is touched only before the first of them, for what they
  share that the new package brings, because Heat then brings all VNFCs back to what it knows.
* Any other VNFC is in the top stack: its resources and ``nfv`` change, with those of the VNFCs that were updated before it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, NamedTuple, cast

from forestay_events.errors import Permanent
from forestay_sol.resource_types import PORT
from forestay_sol.vnflcm import VnfcResourceInfo

from forestay_lcm.adapters.openstack.addresses import first_address
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.heat import Stack
from forestay_lcm.adapters.openstack.job import Job, Order, existing, ordered
from forestay_lcm.adapters.openstack.steps.reckoning import reckoned
from forestay_lcm.adapters.openstack.steps.restore import take_back_if_late
from forestay_lcm.adapters.openstack.steps.stack import (
    changed,
    is_left,
    is_of_operation,
    is_started,
    send,
    sent,
    vnf_stack,
)
from forestay_lcm.adapters.openstack.steps.waiting import delay
from forestay_lcm.adapters.openstack.template.blueprint import Blueprint, Change
from forestay_lcm.adapters.openstack.template.hot import Json, nfv_path, value_at
from forestay_lcm.adapters.openstack.template.parsing import parsed_text
from forestay_lcm.adapters.openstack.template.vnfcs import Name, index_of, name_of, nodes_of
from forestay_lcm.adapters.openstack.template.wanted import stack_after, stack_before
from forestay_lcm.executor import Again, Confirmed, Outcome


async def update_vnfc(cloud: Cloud, job: Job) -> Outcome:
    """Start to update one VNFC."""
    turn = _turns(job)[_index(job)]
    if _is_member(turn.vnfc) and _index(job) == 0 and (waits := await _bring_shared(cloud, job)):
        return waits
    stack = await _home(cloud, job, turn.vnfc)
    if stack is None:
        return Confirmed({})
    if _is_member(turn.vnfc):
        change = await _of_member(cloud, job, turn.vnfc)
    else:
        change = await reckoned(change_in_top, job, whole=is_left(stack, job))
    if waits := await send(cloud, job, stack, change):
        return waits
    await take_back_if_late(cloud, job)
    return sent(stack)


async def await_vnfc(cloud: Cloud, job: Job) -> Outcome:
    """Look whether the VNFC is updated; a failure says Heat's reason and that of each resource that failed.

    The result has its addresses by connection point, ``cp_addresses``: a script may have to reach it before all is done.
    """
    vnfc = _turns(job)[_index(job)].vnfc
    home = await _home(cloud, job, vnfc)
    if home is None:
        return Confirmed({"cp_addresses": {}})
    outcome = await changed(cloud, job, home, f"update-vnfc:{_index(job)}")
    return (
        Confirmed({"cp_addresses": await _addresses(cloud, job, home, vnfc)}) if outcome == Confirmed({}) else outcome
    )


async def _addresses(cloud: Cloud, job: Job, home: Stack, vnfc: VnfcResourceInfo) -> dict[str, str]:
    """Where to reach a VNFC, by connection point; and by the name of a floating IP address that is a resource beside it."""
    nodes = nodes_of(ordered(job).flavour)
    resources = [item for item in await cloud.heat.resources(home.name, home.id) if item.stack == home.path]
    names = {item.physical_id: name_of(item.name, nodes) for item in resources if item.type == PORT}
    index = None if _is_member(vnfc) else index_of(vnfc)
    own = {port: name.node for port, name in names.items() if name.index == index}
    ports = await cloud.neutron.ports(list(own))
    floating = {ip.id: ip.floating_ip_address for port in ports for ip in port.floating_ips}
    named = {item.name: floating[item.physical_id] for item in resources if item.physical_id in floating}
    return named | {own[port.id]: address for port in ports if (address := first_address(port))}


class _Turn(NamedTuple):
    vdu_id: str
    vnfc: VnfcResourceInfo


def _turns(job: Job) -> list[_Turn]:
    vnfcs = {vnfc.compute_resource.resource_id: vnfc for vnfc in existing(job).vnfc_resource_info}
    removed = ordered(job).grant_request.remove_resources
    return [
        _Turn(item.resource_template_id, vnfcs[item.resource.resource_id])
        for item in removed
        if item.type == "COMPUTE" and item.resource
    ]


def _index(job: Job) -> int:
    return int(job.step.partition(":")[2])


def _is_member(vnfc: VnfcResourceInfo) -> bool:
    return "parent_stack_id" in (vnfc.metadata or {})


async def _home(cloud: Cloud, job: Job, vnfc: VnfcResourceInfo) -> Stack | None:
    """The stack that a VNFC is in; ``None`` if an operation that was given up has removed it: what there is instead is updated
    with the whole stack.

    :raises Permanent: 404, it has vanished.
    """
    top = await vnf_stack(cloud, job)
    if not _is_member(vnfc):
        return top
    path: str = (vnfc.metadata or {})["stack_id"]
    name, _, stack_id = path.rpartition("/")
    stack = await cloud.heat.show(name, stack_id)
    if stack is None and not (is_left(top, job) or is_of_operation(top, job)):
        raise Permanent(f"The stack {path} of VNFC {vnfc.id} has vanished.", status=404, title="Stack not found")
    return stack


def change_in_top(job: Job, *, whole: bool = False) -> Change:
    """Only what belongs to the VNFCs up to this one changes; the rest stays until the whole stack is replaced.

    :param whole: the stack is not known to be made of what there was before.
    """
    order, before, after = ordered(job), stack_before(job), stack_after(job)
    updated = {name for turn in _turns(job)[: _index(job) + 1] for name in _own(order, turn.vnfc)}
    old, new = before.parameters.get("nfv", {}), after.parameters.get("nfv", {})
    parameters = {"nfv": old | {group: _mixed(old.get(group, {}), new.get(group, {}), updated) for group in _GROUPS}}
    if after.template == before.template and not whole:
        return Change(fields={"parameters": parameters}, existing=True)
    return _redrawn(before, after, updated | _coming(order, before, after), parameters)


def _redrawn(before: Blueprint, after: Blueprint, names: Container[str], parameters: Json) -> Change:
    """The template as it was, but for resources of these names."""
    resources = _mixed(before.template["resources"], after.template["resources"], names)
    template = before.template | {"resources": resources}
    fields = {"template": template, "parameters": parameters, "files": after.files | before.files}
    return Change(fields=fields, existing=True)


def _coming(order: Order, before: Blueprint, after: Blueprint) -> set[str]:
    """The names of resources that only the new package has, and that belong to no VNFC."""
    present, coming = (each.template["resources"].keys() for each in (before, after))
    owned = nodes_of(order.flavour)
    return {name for name in coming - present if name_of(name, owned).node not in owned}


async def _bring_shared(cloud: Cloud, job: Job) -> Outcome | None:
    """Have what VNFCs share that only the new package has, such as a link; ``None`` when it is there."""
    before, after = [await reckoned(made_of, job) for made_of in (stack_before, stack_after)]
    names = _coming(ordered(job), before, after)
    if not names:
        return None
    top = await vnf_stack(cloud, job)
    if not is_started(top, job):
        old, new = before.parameters.get("nfv", {}), after.parameters.get("nfv", {})
        nfv = old | {group: new.get(group, {}) | old.get(group, {}) for group in _GROUPS}
        if waits := await send(cloud, job, top, _redrawn(before, after, names, {"nfv": nfv})):
            return waits
        await take_back_if_late(cloud, job)
        return Again(delay=delay(job), note=f"{', '.join(sorted(names))} of the new package come first")
    outcome = await changed(cloud, job, top, job.step)
    return None if outcome == Confirmed({}) else outcome


_GROUPS = ("VDU", "CP")


def _own(order: Order, vnfc: VnfcResourceInfo) -> Iterator[str]:
    """The names of a VNFC's own resources and parameters, before and after."""
    for flavour in (order.flavour, order.old_flavour or order.flavour):
        if vdu := flavour.vdus.get(vnfc.vdu_id):
            yield from (str(Name(node, index_of(vnfc))) for node in (vdu.id, *vdu.cp_ids, *vdu.storage_ids))


def _mixed(old: Json, new: Json, names: Container[str]) -> Json:
    """``old`` with these members as in ``new``."""
    kept = {name: value for name, value in old.items() if name not in names}
    return kept | {name: value for name, value in new.items() if name in names}


async def _of_member(cloud: Cloud, job: Job, vnfc: VnfcResourceInfo) -> Change:
    blueprint = await reckoned(stack_after, job)
    member = _member_definition(blueprint, vnfc)
    given: Json = member.get("properties") or {}
    asked = {name: nfv_path(value) for name, value in given.items()}
    parameters = {
        name: value_at(blueprint.parameters, ("nfv", *path)) for name, path in asked.items() if path is not None
    }
    parameters |= await _shared(cloud, job, given)
    template = blueprint.files[member["type"]]
    known = {name: value for name, value in parameters.items() if value not in (None, ...)}
    return Change(fields={"template": template, "parameters": known, "files": blueprint.files}, existing=True)


async def _shared(cloud: Cloud, job: Job, given: Json) -> Json:
    """The parameters that are resources of the VNF's stack: a new port may be on a link that is there."""
    wanted = {name: value["get_resource"] for name, value in given.items() if _is_reference(value)}
    if not wanted:
        return {}
    top = await vnf_stack(cloud, job)
    there = {
        item.name: item.physical_id for item in await cloud.heat.resources(top.name, top.id) if item.stack == top.path
    }
    return {name: there[resource] for name, resource in wanted.items() if resource in there}


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and list(cast("Json", value)) == ["get_resource"]


def _member_definition(blueprint: Blueprint, vnfc: VnfcResourceInfo) -> Json:
    """The resource that is the VNFC, or the ``resource`` of the group whose nested template has its VDU.

    :raises Permanent: 422, there is neither.
    """
    resources, files = blueprint.template["resources"], blueprint.files
    own: Json = resources.get((vnfc.metadata or {}).get("parent_resource_name"), {})
    groups = ((resource.get("properties") or {}).get("resource") for resource in resources.values())
    for member in (own, *(cast("Json", group) for group in groups if isinstance(group, dict))):
        name = str(member.get("type"))
        if name in files and vnfc.vdu_id in parsed_text(files[name])["resources"]:
            return member
    raise Permanent(f"Nothing in the template holds {vnfc.vdu_id}.", status=422, title="Template cannot be used")
