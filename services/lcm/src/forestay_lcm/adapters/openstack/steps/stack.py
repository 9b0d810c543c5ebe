"""The VNF's stack: which one it is, what has been sent to it, and why it failed."""

from __future__ import annotations

from forestay_events.errors import Permanent
from forestay_sol.resource_types import VOLUME

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.heat import Stack, StackResource
from forestay_lcm.adapters.openstack.clients.telling import MOST, cut, told
from forestay_lcm.adapters.openstack.job import Job, existing
from forestay_lcm.adapters.openstack.snapshots import PROPERTY
from forestay_lcm.adapters.openstack.steps.mending import cleared, mended
from forestay_lcm.adapters.openstack.steps.waiting import RESUMED, awaited
from forestay_lcm.adapters.openstack.template.blueprint import Change, stack_name
from forestay_lcm.executor import Again, Confirmed, Failed, Outcome

OURS = "forestay"

TOUCHED_BY = "stack_operation"
"""Member of ``instantiatedVnfInfo.metadata``: the operation that was the last to touch the stack when it was read back."""


async def vnf_stack(cloud: Cloud, job: Job) -> Stack:
    """The stack that the VNF is known to live in.

    :raises Permanent: 404, it has vanished.
    """
    name, stack_id = await _known(cloud, job)
    if (stack := await present(cloud, name, stack_id)) is None:
        raise Permanent(f"The stack {name}/{stack_id} has vanished.", status=404, title="Stack not found")
    return stack


async def present(cloud: Cloud, name: str, stack_id: str) -> Stack | None:
    """The stack that is recorded under a name and an id, or the one of ours that has taken its place; ``None`` if it is gone."""
    stack = await cloud.heat.show(name, stack_id) if stack_id else None
    if stack is None and name and (made := await cloud.heat.find(name)) is not None and OURS in made.tags:
        # The VNF was made anew by an operation that was given up before that was read back.
        stack = await cloud.heat.show(made.name, made.id)
    return stack


async def _known(cloud: Cloud, job: Job) -> tuple[str, str]:
    """Name and id of the stack: the one that the operation has made, else the one that was read back last."""
    if made := job.results.get("create-stack"):
        return made["stack_name"], made["stack_id"]
    recorded = str((job.before.metadata or {}).get("stack_id", "")) if job.before else ""
    if recorded:
        name, _, stack_id = recorded.rpartition("/")
        return name or stack_name(job.vnf_id), stack_id
    found = await cloud.heat.find(stack_name(job.vnf_id))
    return stack_name(job.vnf_id), found.id if found else ""


def tags(job: Job, stack: Stack | None = None) -> str:
    """The tags of a stack that the job's step touches; ``stack`` as it is, unless it is made. One that is COMPLETE has been
    looked through for what was half made."""
    unfinished = stack if stack and stack.status != "COMPLETE" else None
    resumed = (RESUMED,) if unfinished and (unfinished.status == "IN_PROGRESS" or RESUMED in unfinished.tags) else ()
    return ",".join((OURS, f"op-{job.op_id}", f"step-{job.step}", f"attempt-{job.attempt}", *resumed))


def is_of_operation(stack: Stack, job: Job) -> bool:
    """Whether the operation has touched the stack."""
    return f"op-{job.op_id}" in stack.tags


def is_left(stack: Stack, job: Job) -> bool:
    """Whether an operation that was given up was the last to touch the stack: what that is made of is not what the log says.

    Of a VNF that was read back before this was noted, it is not known.
    """
    noted = (existing(job).metadata or {}).get(TOUCHED_BY)
    return noted is not None and not {f"op-{noted}", f"op-{job.op_id}"} & set(stack.tags)


def is_sent(stack: Stack, job: Job, step: str) -> bool:
    """Whether a step of the operation was the last to touch the stack."""
    return is_of_operation(stack, job) and f"step-{step}" in stack.tags


def sent(stack: Stack) -> Confirmed:
    """The outcome of a step that has touched the stack."""
    return Confirmed({"stack_id": stack.id, "stack_name": stack.name})


async def others(cloud: Cloud, job: Job, stack: Stack) -> Again | None:
    """Wait for what somebody else has begun, such as an operation that was given up, and for what Heat has half made or does not
    know; ``None`` when there is nothing of it."""
    if stack.status == "IN_PROGRESS" and stack.action != "DELETE" and not is_of_operation(stack, job):
        waits = await awaited(cloud, job, stack)
        return Again(delay=waits.delay, note=f"{waits.note} (by somebody else)")
    if stack.status == "FAILED":
        return await cleared(cloud, job, stack)
    return await mended(cloud, job, stack)


async def send(cloud: Cloud, job: Job, stack: Stack, change: Change) -> Again | None:
    """Start to change a stack, unless the step has started it; ``None`` when it is started.

    :raises Permanent: 409, the stack is being deleted, or Heat refuses the change.
    """
    if is_started(stack, job):
        return None
    if stack.action == "DELETE":
        raise Permanent(f"Stack {stack.path} is being deleted.", status=409, title="Stack is being deleted")
    if waits := await others(cloud, job, stack):
        return waits
    await job.fence()
    limits = {"tags": tags(job, stack), "timeout_mins": job.settings.openstack_timeout_mins}
    await cloud.heat.update(stack, change.fields | limits, existing=change.existing)
    return None


def is_started(stack: Stack, job: Job) -> bool:
    """Whether the step's change of the stack is under way by this try, or done by any. What an earlier try has left undone is
    sent again: Heat goes on with what it works on, and takes up what it has forgotten."""
    return is_sent(stack, job, job.step) and (f"attempt-{job.attempt}" in stack.tags or stack.status == "COMPLETE")


async def changed(cloud: Cloud, job: Job, stack: Stack, step: str) -> Outcome:
    """Look whether the change that ``step`` has sent is done; a failure says Heat's reason and those of the resources."""
    if not is_sent(stack, job, step) or stack.action == "CREATE" or stack.status == "IN_PROGRESS":
        return await awaited(cloud, job, stack)
    if waits := await mended(cloud, job, stack):
        return waits
    if stack.status == "FAILED" or stack.action == "ROLLBACK":
        return Failed(title="Stack update failed", status=422, detail=await reasons(cloud, stack))
    return Confirmed({})


async def reasons(cloud: Cloud, stack: Stack) -> str:
    """Why a stack failed: Heat's reason, those of resources that failed; and of which snapshots volumes are kept. No more of
    them than can be read."""
    resources = await cloud.heat.resources(stack.name, stack.id)
    failed = sorted((item for item in resources if item.status.endswith("_FAILED")), key=lambda item: item.name)
    volumes = [item.physical_id for item in failed if item.type == VOLUME and item.physical_id]
    kept = [await _keeping(cloud, volume) for volume in volumes[:MOST]]
    parts = told([*filter(None, dict.fromkeys(kept))]), cut(stack.reason), told([reason_of(item) for item in failed])
    return "; ".join(filter(None, parts))


def reason_of(item: StackResource) -> str:
    """What Heat says of a resource."""
    return f"{item.name} ({item.type}): {item.reason}"


async def _keeping(cloud: Cloud, volume: str) -> str:
    """What to delete before Cinder deletes a volume, ``""`` when there is nothing."""
    snapshots = await cloud.cinder.snapshots_of(volume)
    ours = sorted({item.metadata[PROPERTY] for item in snapshots if PROPERTY in item.metadata})
    others = [item.id for item in snapshots if PROPERTY not in item.metadata]
    named = [*(f"VNF snapshot {each}" for each in ours), *(f"Cinder snapshot {each}" for each in others)]
    return f"Volume {volume} has snapshots, delete {', '.join(named)} and retry" if named else ""
