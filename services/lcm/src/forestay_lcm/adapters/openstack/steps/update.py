"""Changing the VNF's stack: SCALE, SCALE_TO_LEVEL, HEAL, CHANGE_EXT_CONN, CHANGE_FLAVOUR, CHANGE_VNFPKG."""

from __future__ import annotations

from collections.abc import Sequence

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.heat import Stack, StackResource
from forestay_lcm.adapters.openstack.clients.telling import told
from forestay_lcm.adapters.openstack.groups import last_members, members_with, surplus
from forestay_lcm.adapters.openstack.job import Job, existing, ordered
from forestay_lcm.adapters.openstack.steps.marks import mark, unmark_others
from forestay_lcm.adapters.openstack.steps.placing import placed_anew
from forestay_lcm.adapters.openstack.steps.reckoning import reckoned
from forestay_lcm.adapters.openstack.steps.restore import take_back_if_late, take_out
from forestay_lcm.adapters.openstack.steps.stack import (
    changed,
    is_left,
    is_of_operation,
    is_started,
    others,
    reason_of,
    send,
    vnf_stack,
)
from forestay_lcm.adapters.openstack.template.blueprint import counts_after, nfv_of
from forestay_lcm.adapters.openstack.template.wanted import change_of, stack_after, stack_before
from forestay_lcm.executor import Again, Confirmed, Failed, Outcome

_SHRINKING = frozenset({"SCALE", "SCALE_TO_LEVEL"})


async def update_stack(cloud: Cloud, job: Job) -> Outcome:
    """Start to bring the VNF's stack to what it shall be after the operation.

    The result says what there was ``before``: the ``nfv`` parameter, and the flavour whose template it belongs to.
    """
    before = existing(job)
    stack = await vnf_stack(cloud, job)
    after, present = [await reckoned(made_of, job) for made_of in (stack_after, stack_before)]
    change = change_of(job, after, present, whole=is_left(stack, job))
    if not is_started(stack, job):
        if waits := await others(cloud, job, stack):
            return waits
        await _mark_leaving(cloud, job, stack)
    if waits := await send(cloud, job, stack, change):
        return waits
    await take_back_if_late(cloud, job)
    was = {"nfv": nfv_of(before), "flavour_id": before.flavour_id}
    return Confirmed({"stack_id": stack.id, "stack_name": stack.name, "before": was})


async def _mark_leaving(cloud: Cloud, job: Job, stack: Stack) -> None:
    """Make Heat remove those members of groups that the grant removes, and what operations that were given up have left."""
    order = ordered(job)
    removed = order.grant_request.remove_resources if order.operation in _SHRINKING else ()
    servers = {item.resource.resource_id for item in removed if item.type == "COMPUTE" and item.resource}
    resources = await cloud.heat.resources(stack.name, stack.id)
    await unmark_others(cloud, job, resources)
    leaving = members_with(resources, servers)
    if not is_of_operation(stack, job):  # else it may be what an earlier try has made
        leaving += surplus(resources, _servers(job))
    # Of a group that Heat lets as large as it is, it would replace what is marked.
    last = _last_members(job, resources)
    await mark(cloud, job, [member for member in leaving if member not in last])


def _servers(job: Job) -> dict[str, str]:
    """The VDU of each server that the log has."""
    return {vnfc.compute_resource.resource_id: vnfc.vdu_id for vnfc in existing(job).vnfc_resource_info}


def _last_members(job: Job, resources: Sequence[StackResource]) -> list[StackResource]:
    if ordered(job).operation not in _SHRINKING:
        return []
    return last_members(resources, _servers(job), counts_after(ordered(job), job.before))


async def _emptied(cloud: Cloud, job: Job, stack: Stack) -> Again | Failed | None:
    """Remove the last members of groups, which Heat has let as they are; ``None`` when there are none."""
    if ordered(job).operation not in _SHRINKING:
        return None
    resources = await cloud.heat.resources(stack.name, stack.id)
    if not (last := _last_members(job, resources)):
        return None
    if waits := await take_out(cloud, job, resources, last):
        return waits
    return Failed(title="Stack update failed", status=422, detail=told([reason_of(member) for member in last]))


async def await_update(cloud: Cloud, job: Job) -> Outcome:
    """Look whether the stack is changed; a failure says Heat's reason and that of each resource that failed."""
    stack = await vnf_stack(cloud, job)
    outcome = await changed(cloud, job, stack, "update-stack")
    if isinstance(outcome, Confirmed):
        return await _emptied(cloud, job, stack) or outcome
    if not isinstance(outcome, Failed) or (again := await placed_anew(cloud, job, stack)) is None:
        return outcome
    await take_back_if_late(cloud, job)
    return again
