"""Waiting for Heat, which may have forgotten what it is waited for.

A heat-engine that is killed leaves what it worked on IN_PROGRESS, and locked, for ever; nobody can tell that from slow work.
But the next update of the stack (which need not change anything) or its deletion takes the locks of an engine that does not
answer, and waits for one that does: it may be sent at any time, and is when nothing has happened in the stack for long. What
such an engine has left is the subject of :mod:`mending`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.heat import Stack
from forestay_lcm.adapters.openstack.job import Job
from forestay_lcm.executor import Again

#: Tag of a stack that was IN_PROGRESS when it was sent to Heat again.
RESUMED = "resumed"

#: Actions that can be sent again.
RESUMABLE = frozenset({"CREATE", "UPDATE"})


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


def delay(job: Job) -> float:
    """A quarter of the time that was waited already, within 0.3 s and 1 s; more while many wait (:mod:`pace`)."""
    return min(1.0, max(0.3, _waited(job) / 4))


def _waited(job: Job) -> float:
    """Seconds since this try of the step began."""
    return (datetime.now(UTC) - job.started_at).total_seconds()
