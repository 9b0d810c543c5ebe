"""Marks of unhealthy resources: Heat replaces what is marked at the next update, or removes it when a group shrinks.

A mark carries in its reason the operation that made it, so that a compensation takes away just those.
"""

from __future__ import annotations

from collections.abc import Iterable

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.heat import StackResource
from forestay_lcm.adapters.openstack.job import Job

_MARK = "Marked by Forestay for operation"


async def mark(cloud: Cloud, job: Job, resources: Iterable[StackResource], *, why: str = "") -> None:
    """Mark what is not marked yet, nor on its way out. ``why`` is added to the reason."""
    reason = f"{_MARK} {job.op_id}{why}"
    for resource in resources:
        if not resource.is_marked and not resource.status.startswith("DELETE_"):
            await job.fence()
            await cloud.heat.mark(resource, unhealthy=True, reason=reason)


async def unmark(cloud: Cloud, job: Job, resources: Iterable[StackResource]) -> None:
    """Take the operation's marks away that led to nothing."""
    for resource in resources:
        if resource.is_marked and job.op_id in resource.reason:
            await job.fence()
            await cloud.heat.mark(resource, unhealthy=False, reason=f"Operation {job.op_id} is rolled back")


async def unmark_others(cloud: Cloud, job: Job, resources: Iterable[StackResource]) -> None:
    """Take away the marks that other operations, which are over, have left: they are none of this one's business."""
    for resource in resources:
        if resource.is_marked and resource.reason.startswith(_MARK) and job.op_id not in resource.reason:
            await job.fence()
            await cloud.heat.mark(resource, unhealthy=False, reason=f"Operation {job.op_id} knows nothing of it")
