"""The steps of an operation on OpenStack: one handler each, which looks before it acts.

Rules of this package:

* A handler holds nothing and waits for nothing: what takes time is ``Again``, and whoever comes next looks anew.
* Two workers with the same job do no harm: the stack's name is the lock, Heat its keeper; and what is asked for is always
  a state ("three instances"), never a difference.
* Right before each call that acts the fence is asked. After a stack was made or changed it is asked again: what a process
  that slept did for an operation that is over, it takes back itself.
* A stack is ours by its tags: ``forestay``, ``op-<operation>``, ``step-<step>``, ``attempt-<n>`` of the step that touched
  it last. One without our tag is never deleted.
* What takes long to reckon for a large VNF is reckoned in a thread: other work goes on, and is told to be alive.
* ``Retryable`` and ``UnknownOutcome`` pass through: the step is not decided, come back. ``Permanent`` is its failure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from forestay_events.errors import Permanent, Rejected

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.job import Job
from forestay_lcm.adapters.openstack.steps.create import await_stack, create_stack
from forestay_lcm.adapters.openstack.steps.delete import await_deleted, delete_stack
from forestay_lcm.adapters.openstack.steps.heal import mark_unhealthy, unmark_unhealthy
from forestay_lcm.adapters.openstack.steps.keep import keep_stack
from forestay_lcm.adapters.openstack.steps.operate import (
    await_restored_servers,
    await_servers,
    operate_servers,
    restore_servers,
)
from forestay_lcm.adapters.openstack.steps.read import read_back
from forestay_lcm.adapters.openstack.steps.restore import await_restored, restore_stack
from forestay_lcm.adapters.openstack.steps.revert import revert_snapshot
from forestay_lcm.adapters.openstack.steps.rolling import await_vnfc, update_vnfc
from forestay_lcm.adapters.openstack.steps.snapshot import await_snapshot, create_snapshot, delete_snapshot
from forestay_lcm.adapters.openstack.steps.update import await_update, update_stack
from forestay_lcm.executor import Failed, Outcome

Handler = Callable[[Cloud, Job], Awaitable[Outcome]]

HANDLERS: Mapping[str, Handler] = {
    "create-stack": create_stack,
    "await-stack": await_stack,
    "read-back": read_back,
    "delete-stack": delete_stack,
    "await-deleted": await_deleted,
    "mark-unhealthy": mark_unhealthy,
    "unmark-unhealthy": unmark_unhealthy,
    "keep-stack": keep_stack,
    "update-stack": update_stack,
    "await-update": await_update,
    "restore-stack": restore_stack,
    "await-restored": await_restored,
    "update-vnfc": update_vnfc,
    "await-vnfc": await_vnfc,
    "operate-servers": operate_servers,
    "await-servers": await_servers,
    "restore-servers": restore_servers,
    "await-restored-servers": await_restored_servers,
    "create-snapshot": create_snapshot,
    "await-snapshot": await_snapshot,
    "revert-snapshot": revert_snapshot,
    "delete-snapshot": delete_snapshot,
}


async def take(cloud: Cloud, job: Job) -> Outcome:
    """Take a step; its name is that of a handler, with the handler's argument behind a colon.

    :raises Retryable: undecided, nothing was done: take the same step again.
    :raises UnknownOutcome: the call may have acted: take the same step again, it looks first.
    :raises Superseded: from the fence; nothing was done, or it was undone.
    """
    try:
        return await HANDLERS[job.step.partition(":")[0]](cloud, job)
    except (Permanent, Rejected) as error:
        return Failed(title=error.title or "VIM refused the request", status=error.status, detail=str(error))
