"""Updating VNFC by VNFC (CHANGE_VNFPKG, wire contract section 8.5): before the whole stack is replaced, each VNFC is.

Rules of this module:

* ``n`` of ``update-vnfc:<n>`` counts the COMPUTEs of the grant request's ``removeResources``.
* A member of a group is a stack of its own: it gets the new nested template, and those of its parameters that the group
  takes from ``nfv``. The group itself is not touched, because Heat then brings all of its members back to what it knows.
* Any other VNFC is in the top stack: ``nfv`` changes for its VDU, and for those that were updated before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from forestay_events.errors import Permanent
from forestay_sol.vnfd import BaseHot, Flavour
from forestay_sol.vnflcm import VnfcResourceInfo

from forestay_lcm.adapters.openstack.blueprint import Change, blueprint_after, nfv_of, parsed
from forestay_lcm.adapters.openstack.cloud import Cloud
from forestay_lcm.adapters.openstack.heat import Stack
from forestay_lcm.adapters.openstack.hot import Json, nfv_path, value_at
from forestay_lcm.adapters.openstack.job import Job, existing, ordered
from forestay_lcm.adapters.openstack.steps.stack import changed, send, sent, vnf_stack
from forestay_lcm.executor import Outcome


async def update_vnfc(cloud: Cloud, job: Job) -> Outcome:
    """Start to update one VNFC."""
    turn = _turns(job)[_index(job)]
    stack = await _home(cloud, job, turn.vnfc)
    change = _of_member(job, turn.vnfc) if _is_member(turn.vnfc) else _of_vdus(job)
    return await send(cloud, job, stack, change) or sent(stack)


async def await_vnfc(cloud: Cloud, job: Job) -> Outcome:
    """Look whether the VNFC is updated; a failure says Heat's reason and that of each resource that failed."""
    turn = _turns(job)[_index(job)]
    return await changed(cloud, job, await _home(cloud, job, turn.vnfc), f"update-vnfc:{_index(job)}")


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


async def _home(cloud: Cloud, job: Job, vnfc: VnfcResourceInfo) -> Stack:
    if not _is_member(vnfc):
        return await vnf_stack(cloud, job)
    path: str = (vnfc.metadata or {})["stack_id"]
    name, _, stack_id = path.rpartition("/")
    stack = await cloud.heat.show(name, stack_id)
    if stack is None:
        raise Permanent(f"The stack {path} of VNFC {vnfc.id} has vanished.", status=404, title="Stack not found")
    return stack


def _of_vdus(job: Job) -> Change:
    """Only what belongs to the VDUs up to this one changes; the template stays until the whole stack is replaced."""
    order, before = ordered(job), existing(job)
    old, new = nfv_of(before), blueprint_after(order, before).parameters.get("nfv", {})
    nodes: set[str] = set()
    for vdu_id, _ in _turns(job)[: _index(job) + 1]:
        nodes |= {vdu_id, *order.flavour.vdus[vdu_id].storage_ids}
    vdus = old.get("VDU", {}) | {node: value for node, value in new.get("VDU", {}).items() if node in nodes}
    return Change(fields={"parameters": {"nfv": old | {"VDU": vdus}}}, existing=True)


def _of_member(job: Job, vnfc: VnfcResourceInfo) -> Change:
    order, before = ordered(job), existing(job)
    blueprint = blueprint_after(order, before)
    member = _member_definition(order.flavour, vnfc.vdu_id)
    asked = {name: nfv_path(value) for name, value in cast("Json", member.get("properties") or {}).items()}
    parameters = {
        name: value_at(blueprint.parameters, ("nfv", *path)) for name, path in asked.items() if path is not None
    }
    template = blueprint.files[member["type"]]
    known = {name: value for name, value in parameters.items() if value not in (None, ...)}
    return Change(fields={"template": template, "parameters": known, "files": blueprint.files}, existing=True)


def _member_definition(flavour: Flavour, vdu_id: str) -> Json:
    """The ``resource`` of the group whose nested template has this VDU.

    :raises Permanent: 422, there is no such group.
    """
    files = flavour.base_hot.files if flavour.base_hot else {}
    for member in _groups(flavour):
        name = str(member.get("type"))
        if name in files and vdu_id in parsed(BaseHot(path=name, template=files[name]))["resources"]:
            return member
    raise Permanent(f"No group of the template holds {vdu_id}.", status=422, title="Template cannot be used")


def _groups(flavour: Flavour) -> Iterator[Json]:
    template: Json = parsed(flavour.base_hot) if flavour.base_hot else {"resources": {}}
    for resource in template["resources"].values():
        member: Any = (resource.get("properties") or {}).get("resource")
        if isinstance(member, dict):
            yield cast("Json", member)
