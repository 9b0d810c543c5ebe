"""Waiting for Heat, which may have forgotten what it is waited for.

A heat-engine that is killed leaves what it worked on IN_PROGRESS, and locked, for ever; nobody can tell that from slow work.
But the next update of the stack (which need not change anything) or its deletion takes the locks of an engine that does not
answer, and waits for one that does: it may be sent at any time, and is when nothing has happened in the stack for long.

A server that was being made then counts as made, though Heat has not noted which ports it was given: it would never let go of
them, so the server could not be replaced when it is to be healed. It is made anew at once. One that Nova has begun to make
and Heat has not noted is found by the name that Heat has given it, and deleted.
"""

from __future__ import annotations

from datetime import UTC, datetime

from forestay_lcm.adapters.openstack.cloud import Cloud
from forestay_lcm.adapters.openstack.groups import SERVER
from forestay_lcm.adapters.openstack.heat import Stack
from forestay_lcm.adapters.openstack.job import Job
from forestay_lcm.adapters.openstack.steps.marks import mark
from forestay_lcm.executor import Again

#: Tag of a stack that was IN_PROGRESS when it was sent to Heat again.
RESUMED = "resumed"

#: Actions that can be sent again.
RESUMABLE = frozenset({"CREATE", "UPDATE"})

_HALF_MADE = ("CREATE_COMPLETE", "Update status to COMPLETE for FAILED resource neither update nor replace.")
"""Heat's status and reason of a resource that it has found half made, and takes for made."""

_WHY = ": half made"


async def awaited(cloud: Cloud, job: Job, stack: Stack) -> Again:
    """Look again later. Heat is sent its work once more when nothing has happened in the stack for long."""
    note = f"stack {stack.id} is {stack.action}_{stack.status}"
    resumable = stack.status == "IN_PROGRESS" and stack.action in RESUMABLE | {"DELETE"}
    if not resumable or not await _is_quiet(cloud, job, stack):
        return Again(delay=delay(job), note=note)
    await job.fence()
    if stack.action == "DELETE":
        await cloud.heat.delete(stack)
    else:
        left = job.settings.openstack_timeout_mins - int(_waited(job) // 60)
        kept = dict.fromkeys((*stack.tags, RESUMED))
        await cloud.heat.update(stack, {"tags": ",".join(kept), "timeout_mins": max(1, left)})
    return Again(delay=delay(job), note=f"{note} and nothing happens: Heat is sent it again")


async def _is_quiet(cloud: Cloud, job: Job, stack: Stack) -> bool:
    """Whether nothing has happened in the stack for long: the longer it takes, the more patience, for a Heat with much to do."""
    patience = max(job.settings.openstack_quiet_secs, _waited(job) / 2)
    return _waited(job) >= patience and await cloud.heat.quiet(stack) >= patience


async def mended(cloud: Cloud, job: Job, stack: Stack) -> Again | None:
    """Make anew what a killed engine had half made, once all else is done; ``None`` when there is nothing of it.

    If the stack has failed, it may be for want of what a server holds that nobody knows: it is tried once more.
    """
    if RESUMED not in stack.tags or stack.status == "IN_PROGRESS":
        return None
    resources = await cloud.heat.resources(stack.name, stack.id)
    servers = [item for item in resources if item.type == SERVER]
    # Heat says the same of a server whose update has failed once: one that the log has is made.
    ours = {vnfc.compute_resource.resource_id for vnfc in job.before.vnfc_resource_info} if job.before else set[str]()
    half = [item for item in servers if (item.status, item.reason) == _HALF_MADE and item.physical_id not in ours]
    known = ours | {item.physical_id for item in resources}
    lost = set(await cloud.nova.named(await cloud.heat.lost(stack))) - known
    if doomed := sorted(lost | (await cloud.nova.servers(item.physical_id for item in half)).keys()):
        for server in doomed:
            await job.fence()
            await cloud.nova.delete(server)
        return Again(delay=delay(job), note=f"half made servers are deleted: {', '.join(doomed)}")
    await mark(cloud, job, half, why=_WHY)
    marked = half or any(item.is_marked and item.reason.endswith(_WHY) for item in servers)
    # Heat may list what has failed in the place of what was made instead of it, until the next update clears it away.
    if stack.status == "COMPLETE" and not marked and all(item.physical_id for item in servers):
        return None
    await job.fence()
    await cloud.heat.update(stack, {"tags": ",".join(tag for tag in stack.tags if tag != RESUMED)})
    return Again(delay=delay(job), note="what was half made is made anew")


def delay(job: Job) -> float:
    """A quarter of the time that was waited already, within 0.3 s and 1 s; more while many wait (:mod:`pace`)."""
    return min(1.0, max(0.3, _waited(job) / 4))


def _waited(job: Job) -> float:
    """Seconds since this try of the step began."""
    return (datetime.now(UTC) - job.started_at).total_seconds()
