"""Bringing the VNF's stack back to what it was before the operation: the compensation of each change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from forestay_events.errors import Permanent
from msgspec.structs import replace

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.heat import StackResource
from forestay_lcm.adapters.openstack.groups import group_stacks, surplus
from forestay_lcm.adapters.openstack.job import Job, existing, ordered
from forestay_lcm.adapters.openstack.steps.marks import unmark
from forestay_lcm.adapters.openstack.steps.mending import cleared
from forestay_lcm.adapters.openstack.steps.reckoning import reckoned
from forestay_lcm.adapters.openstack.steps.stack import (
    changed,
    is_of_operation,
    is_sent,
    is_started,
    send,
    sent,
    tags,
    vnf_stack,
)
from forestay_lcm.adapters.openstack.steps.waiting import awaited, delay
from forestay_lcm.adapters.openstack.template.wanted import change_of, stack_after, stack_restored
from forestay_lcm.executor import Again, Confirmed, Outcome, Superseded, unfenced


async def restore_stack(cloud: Cloud, job: Job, *, at_once: bool = False) -> Outcome:
    """Start to bring the stack back. Marks that led to nothing are taken away; a stack that was not touched stays as it is.

    Of a group that has grown, those members go first that are too many.

    :param at_once: not to wait until they are gone.
    """
    order, before = ordered(job), existing(job)
    stack = await vnf_stack(cloud, job)
    if is_started(stack, job):
        return sent(stack)
    resources = await cloud.heat.resources(stack.name, stack.id)
    await unmark(cloud, job, resources)
    if stack.status == "FAILED" and (waits := await cleared(cloud, job, stack)) and not at_once:
        return waits
    if not is_of_operation(stack, job) and order.operation not in _INSIDE:
        return Confirmed({})
    if order.operation in _GROWING:
        known = {vnfc.compute_resource.resource_id: vnfc.vdu_id for vnfc in before.vnfc_resource_info}
        if (waits := await take_out(cloud, job, resources, surplus(resources, known))) and not at_once:
            return waits
    try:
        after = await reckoned(stack_after, job)
    except Permanent:
        return Confirmed({})  # what cannot be said was never sent
    change = change_of(job, await reckoned(stack_restored, job), after)
    return await send(cloud, job, stack, change) or sent(stack)


async def take_out(
    cloud: Cloud, job: Job, resources: Sequence[StackResource], leaving: Iterable[StackResource]
) -> Again | None:
    """Have Heat remove members of groups, in whatever state they are; ``None`` when that is done.

    A group learns of it when it shrinks. Not before: Heat cancels what is under way in a group that it is to change, and may take
    that for a failure of the change.
    """
    waits, out = None, list(leaving)
    for path in group_stacks(resources):
        name, _, stack_id = path.partition("/")
        group = await cloud.heat.show(name, stack_id)
        if group is None:
            continue
        template = await cloud.heat.template(group)
        gone = {member.name for member in out if member.stack == path}
        left = {name: resource for name, resource in template["resources"].items() if name not in gone}
        if len(left) < len(template["resources"]):
            # Its outputs may refer to those that go; the group writes both anew.
            kept = {key: value for key, value in template.items() if key != "outputs"}
            await job.fence()
            await cloud.heat.update(group, {"template": kept | {"resources": left}, "tags": tags(job)})
            waits = Again(delay=delay(job), note=f"{', '.join(sorted(gone))} leave {group.name}")
        elif is_of_operation(group, job) and group.status == "IN_PROGRESS":
            waits = await awaited(cloud, job, group)
    return waits


async def take_back_if_late(cloud: Cloud, job: Job) -> None:
    """What was sent to Heat after the stack was restored is taken back here: nobody else will look at it."""
    try:
        await job.fence()
    except Superseded as late:
        now = late.operation
        if now is not None and now.id == job.op_id and (now.state == "ROLLED_BACK" or now.has_undone("await-restored")):
            # Under a name of its own: a nested stack has changed, and the VNF's stack looks restored.
            await restore_stack(cloud, replace(job, step=f"restore-{job.step}", fence=unfenced), at_once=True)
        raise


_GROWING = frozenset({"SCALE", "SCALE_TO_LEVEL"})

#: Operations that change nested stacks by themselves: the VNF's own stack does not show whether they have.
_INSIDE = frozenset({"CHANGE_VNFPKG"})


async def await_restored(cloud: Cloud, job: Job) -> Outcome:
    """Look whether the stack is as it was. A late update of the operation that came after the restoration is undone too."""
    if "stack_id" not in job.results["restore-stack"]:
        return Confirmed({})
    stack = await vnf_stack(cloud, job)
    if is_of_operation(stack, job) and not is_sent(stack, job, "restore-stack"):
        await restore_stack(cloud, replace(job, step="restore-stack"))
        return Again(delay=delay(job), note=f"stack {stack.id} was updated once more and is restored again")
    return await changed(cloud, job, stack, "restore-stack")
