"""The VNF's stack: which one it is, what has been sent to it, why it failed, and when to look at it again."""

from __future__ import annotations

from datetime import UTC, datetime
from zlib import crc32

from forestay_events.errors import Permanent

from forestay_lcm.adapters.openstack.blueprint import Change, stack_name
from forestay_lcm.adapters.openstack.cloud import Cloud
from forestay_lcm.adapters.openstack.heat import Stack
from forestay_lcm.adapters.openstack.job import Job
from forestay_lcm.executor import Again, Confirmed, Failed, Outcome

OURS = "forestay"


async def vnf_stack(cloud: Cloud, job: Job) -> Stack:
    """The stack that the VNF is known to live in.

    :raises Permanent: 404, it has vanished.
    """
    name, stack_id = await _known(cloud, job)
    stack = await cloud.heat.show(name, stack_id) if stack_id else None
    if stack is None and (made := await cloud.heat.find(stack_name(job.vnf_id))) is not None and OURS in made.tags:
        # The VNF was made anew by an operation that was given up before that was read back.
        stack = await cloud.heat.show(made.name, made.id)
    if stack is None:
        raise Permanent(f"The stack {name}/{stack_id} has vanished.", status=404, title="Stack not found")
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


def tags(job: Job) -> str:
    """The tags of a stack that the job's step touches."""
    return ",".join((OURS, f"op-{job.op_id}", f"step-{job.step}", f"attempt-{job.attempt}"))


def is_of_operation(stack: Stack, job: Job) -> bool:
    """Whether the operation has touched the stack."""
    return f"op-{job.op_id}" in stack.tags


def is_sent(stack: Stack, job: Job, step: str) -> bool:
    """Whether a step of the operation was the last to touch the stack."""
    return is_of_operation(stack, job) and f"step-{step}" in stack.tags


def sent(stack: Stack) -> Confirmed:
    """The outcome of a step that has touched the stack."""
    return Confirmed({"stack_id": stack.id, "stack_name": stack.name})


async def send(cloud: Cloud, job: Job, stack: Stack, change: Change) -> Again | None:
    """Start to change a stack, unless the step has started it; ``None`` when it is started.

    :raises Permanent: 409, the stack is being deleted, or Heat refuses the change.
    """
    if is_started(stack, job):
        return None
    if stack.action == "DELETE":
        raise Permanent(f"Stack {stack.path} is being deleted.", status=409, title="Stack is being deleted")
    if stack.status == "IN_PROGRESS" and not is_of_operation(stack, job) and not await _is_quiet(cloud, job, stack):
        return Again(delay=delay(job), note=f"stack {stack.id} is {stack.action}_{stack.status} by somebody else")
    await job.fence()
    limits = {"tags": tags(job), "timeout_mins": job.settings.openstack_timeout_mins}
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
    if stack.status == "FAILED" or stack.action == "ROLLBACK":
        return Failed(title="Stack update failed", status=422, detail=await reasons(cloud, stack))
    return Confirmed({})


async def awaited(cloud: Cloud, job: Job, stack: Stack) -> Again:
    """Look again later. Heat is sent its work once more when nothing has happened in the stack for long.

    A heat-engine that is killed leaves what it worked on IN_PROGRESS, and locked, for ever; nobody can tell that from slow
    work. But the stack's next update (which need not change anything) or deletion takes the locks of an engine that does
    not answer, and waits for one that does.
    """
    note = f"stack {stack.id} is {stack.action}_{stack.status}"
    if stack.status != "IN_PROGRESS" or stack.action not in _RESUMABLE or not await _is_quiet(cloud, job, stack):
        return Again(delay=delay(job), note=note)
    await job.fence()
    if stack.action == "DELETE":
        await cloud.heat.delete(stack)
    else:
        left = job.settings.openstack_timeout_mins - int(_waited(job) // 60)
        await cloud.heat.update(stack, {"timeout_mins": max(1, left)})
    return Again(delay=delay(job), note=f"{note} and nothing happens: Heat is sent it again")


_RESUMABLE = frozenset({"CREATE", "UPDATE", "DELETE"})


async def _is_quiet(cloud: Cloud, job: Job, stack: Stack) -> bool:
    """Whether nothing has happened in the stack for long: the longer it takes, the more patience, for a Heat with much to do."""
    patience = max(job.settings.openstack_quiet_secs, _waited(job) / 2)
    return _waited(job) >= patience and await cloud.heat.quiet(stack) >= patience


async def reasons(cloud: Cloud, stack: Stack) -> str:
    """Why a stack failed: Heat's reason, and that of each resource that failed."""
    resources = await cloud.heat.resources(stack.name, stack.id)
    failed = sorted((item.name, item.type, item.reason) for item in resources if item.status.endswith("_FAILED"))
    return "; ".join([stack.reason, *(f"{name} ({kind}): {reason}" for name, kind, reason in failed)])


def delay(job: Job) -> float:
    """A quarter of the time that was waited already, within 0.3 s and 5 s; VNFs are spread by up to a quarter of it."""
    spread = crc32(job.vnf_id.encode()) % 100 / 400
    return min(5.0, max(0.3, _waited(job) / 4)) * (1 - spread)


def _waited(job: Job) -> float:
    """Seconds since this try of the step began."""
    return (datetime.now(UTC) - job.started_at).total_seconds()
