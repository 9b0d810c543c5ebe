"""Making the VNF's stack: INSTANTIATE, and HEAL with ``additionalParams.all`` of a whole VNF (wire contract section 3.8)."""

from __future__ import annotations

import msgspec

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.heat import Stack
from forestay_lcm.adapters.openstack.clients.transport import AlreadyExists
from forestay_lcm.adapters.openstack.job import Job
from forestay_lcm.adapters.openstack.steps.mending import cleared, mended
from forestay_lcm.adapters.openstack.steps.placing import placed_anew
from forestay_lcm.adapters.openstack.steps.reckoning import reckoned
from forestay_lcm.adapters.openstack.steps.stack import OURS, is_of_operation, reasons, sent, tags
from forestay_lcm.adapters.openstack.steps.waiting import RESUMABLE, awaited, delay
from forestay_lcm.adapters.openstack.template.blueprint import stack_name
from forestay_lcm.adapters.openstack.template.wanted import stack_after
from forestay_lcm.domain.state import Operation
from forestay_lcm.executor import Again, Confirmed, Failed, Outcome, Superseded


async def create_stack(cloud: Cloud, job: Job) -> Outcome:
    """Start to make the VNF's stack, or adopt the one that an earlier try has made."""
    name = stack_name(job.vnf_id)
    if (found := await cloud.heat.find(name)) is not None:
        return await _settle(cloud, job, found)
    wanted = msgspec.to_builtins(await reckoned(stack_after, job))
    await job.fence()
    try:
        limits = {"tags": tags(job), "timeout_mins": job.settings.openstack_timeout_mins}
        stack_id = await cloud.heat.create(name, wanted | limits)
    except AlreadyExists:
        if (found := await cloud.heat.find(name)) is None:
            raise
        return await _settle(cloud, job, found)
    try:
        await job.fence()
    except Superseded as late:
        if _is_orphan(stack_id, job, late.operation) and (orphan := await cloud.heat.show(name, stack_id)) is not None:
            await cloud.heat.delete(orphan)
        raise
    return Confirmed({"stack_id": stack_id, "stack_name": name})


def _is_orphan(stack_id: str, job: Job, now: Operation | None) -> bool:
    """Whether a stack was made too late: nobody who works on the VNF instance has taken it or will still find it."""
    if now is None or now.id != job.op_id:
        return True
    taken = now.results.get("create-stack", {}).get("stack_id")
    return taken != stack_id if taken else now.state in ("FAILED", "ROLLED_BACK") or now.has_undone("delete-stack")


async def _settle(cloud: Cloud, job: Job, stack: Stack) -> Outcome:
    """What to do about a stack that has the VNF's name already."""
    if OURS not in stack.tags:
        return Failed(
            title="Stack exists",
            status=409,
            detail=f"A stack {stack.name} ({stack.id}) exists that Forestay has not made; rename or delete it.",
        )
    if stack.action == "DELETE" and stack.status != "FAILED":
        return await awaited(cloud, job, stack)
    if is_of_operation(stack, job):
        if f"attempt-{job.attempt}" in stack.tags or stack.status == "COMPLETE":
            return sent(stack)
        if stack.status == "IN_PROGRESS" and stack.action in RESUMABLE:
            await job.fence()
            await cloud.heat.update(stack, {"tags": tags(job, stack)})
            return sent(stack)
    if waits := await cleared(cloud, job, stack, leaving=True):
        return waits
    await job.fence()
    await cloud.heat.delete(stack)
    return Again(delay=delay(job), note=f"the {stack.status.lower()} stack {stack.id} of an earlier try is deleted")


async def await_stack(cloud: Cloud, job: Job) -> Outcome:
    """Look whether the stack is made; a failure says Heat's reason and that of each resource that failed."""
    made = job.results["create-stack"]
    stack = await cloud.heat.show(made["stack_name"], made["stack_id"])
    if stack is None or stack.action == "DELETE":
        return _failed(f"The stack {made['stack_name']}/{made['stack_id']} has vanished.")
    if stack.status == "IN_PROGRESS":
        return await awaited(cloud, job, stack)
    if waits := await mended(cloud, job, stack):
        return waits
    if stack.status == "FAILED" or stack.action == "ROLLBACK":
        if again := await placed_anew(cloud, job, stack):
            return again
        return _failed(await reasons(cloud, stack))
    return Confirmed({})


def _failed(detail: str) -> Failed:
    return Failed(title="Stack create failed", status=422, detail=detail)
