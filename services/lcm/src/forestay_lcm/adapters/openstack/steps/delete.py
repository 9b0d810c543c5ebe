"""Deleting the VNF's stack (TERMINATE, and the compensation of what made it)."""

from __future__ import annotations

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.heat import Stack
from forestay_lcm.adapters.openstack.job import Job
from forestay_lcm.adapters.openstack.steps.mending import cleared
from forestay_lcm.adapters.openstack.steps.stack import OURS, reasons, sent
from forestay_lcm.adapters.openstack.steps.waiting import awaited
from forestay_lcm.adapters.openstack.template.blueprint import stack_name
from forestay_lcm.executor import Confirmed, Failed, Outcome


async def delete_stack(cloud: Cloud, job: Job) -> Outcome:
    """Start to delete the VNF's stack, if there is one of ours."""
    stack = await cloud.heat.find(stack_name(job.vnf_id))
    if stack is None or not _is_ours(stack, job):
        return Confirmed({})
    # Whoever retries does not wait for an engine that was killed: Heat takes up a deletion that it has forgotten.
    if stack.action != "DELETE" or stack.status == "FAILED" or job.attempt > 1:
        if stack.status != "COMPLETE" and (waits := await cleared(cloud, job, stack, leaving=True)):
            return waits
        await job.fence()
        await cloud.heat.delete(stack)
    return sent(stack)


def _is_ours(stack: Stack, job: Job) -> bool:
    """Ours by tag; or recorded as the VNF's, for one that came with it from Tacker."""
    recorded = (job.before.metadata or {}).get("stack_id") if job.before else None
    return OURS in stack.tags or recorded in (stack.id, stack.path)


async def await_deleted(cloud: Cloud, job: Job) -> Outcome:
    """Look whether the stack is gone. What Heat does not know may have kept it from that: then it is sent the deletion again."""
    deleted = job.results["delete-stack"]
    if "stack_id" not in deleted:
        return Confirmed({})
    stack = await cloud.heat.show(deleted["stack_name"], deleted["stack_id"])
    if stack is None:
        return Confirmed({})
    if (stack.action, stack.status) == ("DELETE", "FAILED"):
        if waits := await cleared(cloud, job, stack, leaving=True):
            await job.fence()
            await cloud.heat.delete(stack)
            return waits
        return Failed(title="Stack delete failed", status=422, detail=await reasons(cloud, stack))
    return await awaited(cloud, job, stack)
