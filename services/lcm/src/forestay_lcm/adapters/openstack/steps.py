"""The steps of an operation on OpenStack: one handler each, which looks before it acts.

Rules of this module:

* A handler holds nothing and waits for nothing: what takes time is ``Again``, and whoever comes next looks anew.
* Two workers with the same job do no harm: the stack's name is the lock, Heat its keeper.
* Nothing is deleted before the fence was asked: a process that slept must not delete the work of a later operation. After
  a stack was made it is asked again: what a process that slept made for an operation that is over, it takes away itself.
* A stack is ours by its tags: ``forestay``, ``op-<operation>``, ``attempt-<n>`` of the step that made it. One without
  our tag is never deleted.
* ``Retryable`` and ``UnknownOutcome`` pass through: the step is not decided, come back. ``Permanent`` is its failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import msgspec
from forestay_events.errors import Permanent
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import Grant, GrantRequest, InstantiatedVnfInfo, InstantiateVnfRequest

from forestay_lcm.adapters.openstack.cloud import Cloud
from forestay_lcm.adapters.openstack.heat import Stack
from forestay_lcm.adapters.openstack.nfv import Sources, instantiate_request, stack_name
from forestay_lcm.adapters.openstack.read_back import Known, Observed, instantiated_vnf_info, servers
from forestay_lcm.adapters.openstack.transport import AlreadyExists
from forestay_lcm.domain.state import Operation
from forestay_lcm.executor import Again, Confirmed, Failed, Fence, Outcome, Superseded

_OURS = "forestay"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What was ordered: the request with what the VNFD and the grant say to it."""

    flavour: Flavour
    request: InstantiateVnfRequest
    grant_request: GrantRequest
    grant: Grant


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A step to take.

    :ivar attempt: which try of the step this is, from 1.
    :ivar started_at: when this attempt was intended.
    :ivar results: results of the operation's confirmed steps by step name.
    :ivar connection_id: key of the VIM in the instance's ``vimConnectionInfo``.
    :ivar order: ``None`` for an operation that makes nothing (TERMINATE).
    :ivar before: the VNF before the operation, ``None`` when it was not instantiated.
    :ivar fence: called right before each call that acts.
    """

    vnf_id: str
    op_id: str
    step: str
    attempt: int
    started_at: datetime
    deadline: datetime
    connection_id: str
    fence: Fence
    results: Mapping[str, Mapping[str, Any]] = {}
    order: Order | None = None
    before: InstantiatedVnfInfo | None = None


Handler = Callable[[Cloud, Job], Awaitable[Outcome]]


async def take(cloud: Cloud, job: Job) -> Outcome:
    """Take a step.

    :raises Retryable: undecided, nothing was done: take the same step again.
    :raises UnknownOutcome: the call may have acted: take the same step again, it looks first.
    :raises Superseded: from the fence; nothing was done, or it was undone.
    """
    try:
        return await HANDLERS[job.step](cloud, job)
    except Permanent as error:
        return Failed(title=error.title or "VIM refused the request", status=error.status, detail=str(error))


async def create_stack(cloud: Cloud, job: Job) -> Outcome:
    """Start to make the VNF's stack, or adopt the one that an earlier try has made."""
    name = stack_name(job.vnf_id)
    if (found := await cloud.heat.find(name)) is not None:
        return await _settle(cloud, job, found)
    order = _order(job)
    tags = (_OURS, f"op-{job.op_id}", f"attempt-{job.attempt}")
    sources = Sources(
        flavour=order.flavour, request=order.request, grant_request=order.grant_request, grant=order.grant
    )
    wanted = instantiate_request(job.vnf_id, sources, tags=tags)
    await job.fence()
    try:
        stack_id = await cloud.heat.create(wanted)
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
    return taken != stack_id if taken else now.state in ("FAILED", "ROLLED_BACK")


async def _settle(cloud: Cloud, job: Job, stack: Stack) -> Outcome:
    """What to do about a stack that has the VNF's name already."""
    if _OURS not in stack.tags:
        return Failed(
            title="Stack exists",
            status=409,
            detail=f"A stack {stack.name} ({stack.id}) exists that Forestay has not made; rename or delete it.",
        )
    if stack.action == "DELETE" and stack.status != "FAILED":
        return Again(delay=_delay(job), note=f"the former stack {stack.id} is being deleted")
    of_operation = f"op-{job.op_id}" in stack.tags
    of_attempt = of_operation and f"attempt-{job.attempt}" in stack.tags
    if of_attempt or (of_operation and stack.status != "FAILED"):
        return Confirmed({"stack_id": stack.id, "stack_name": stack.name})
    await job.fence()
    await cloud.heat.delete(stack)
    return Again(delay=_delay(job), note=f"the {stack.status.lower()} stack {stack.id} of an earlier try is deleted")


async def await_stack(cloud: Cloud, job: Job) -> Outcome:
    """Look whether the stack is made; a failure says Heat's reason and that of each resource that failed."""
    made = job.results["create-stack"]
    stack = await cloud.heat.show(made["stack_name"], made["stack_id"])
    if stack is None or stack.action == "DELETE":
        return _create_failed(f"The stack {made['stack_name']}/{made['stack_id']} has vanished.")
    if stack.status == "FAILED" or stack.action == "ROLLBACK":
        return _create_failed(await _reasons(cloud, stack))
    if stack.status == "COMPLETE":
        return Confirmed({})
    return Again(delay=_delay(job), note=f"stack {stack.id} is {stack.action}_{stack.status}")


def _create_failed(detail: str) -> Failed:
    return Failed(title="Stack create failed", status=422, detail=detail)


async def read_back(cloud: Cloud, job: Job) -> Outcome:
    """Read what the stack holds: the ``instantiatedVnfInfo``."""
    made, order = job.results["create-stack"], _order(job)
    stack = await cloud.heat.show(made["stack_name"], made["stack_id"])
    if stack is None:
        return _create_failed(f"The stack {made['stack_name']}/{made['stack_id']} has vanished.")
    resources = await cloud.heat.resources(stack.name, stack.id)
    ids = [server.physical_id for server in servers(resources, order.flavour)]
    ports, zones = await asyncio.gather(cloud.neutron.ports_of(ids), cloud.nova.zones(ids))
    info = instantiated_vnf_info(
        Observed(stack=stack, resources=resources, ports={port.id: port for port in ports}, zones=zones),
        Known(
            flavour=order.flavour,
            request=order.request,
            grant=order.grant,
            connection_id=job.connection_id,
            tenant=cloud.project,
            before=job.before,
        ),
    )
    return Confirmed({"instantiated_vnf_info": msgspec.to_builtins(info)})


async def delete_stack(cloud: Cloud, job: Job) -> Outcome:
    """Start to delete the VNF's stack, if there is one of ours."""
    stack = await cloud.heat.find(stack_name(job.vnf_id))
    if stack is None or not _is_ours(stack, job):
        return Confirmed({})
    if stack.action != "DELETE" or stack.status == "FAILED":
        await job.fence()
        await cloud.heat.delete(stack)
    return Confirmed({"stack_id": stack.id, "stack_name": stack.name})


async def await_deleted(cloud: Cloud, job: Job) -> Outcome:
    """Look whether the stack is gone."""
    deleted = job.results["delete-stack"]
    if "stack_id" not in deleted:
        return Confirmed({})
    stack = await cloud.heat.show(deleted["stack_name"], deleted["stack_id"])
    if stack is None:
        return Confirmed({})
    if (stack.action, stack.status) == ("DELETE", "FAILED"):
        return Failed(title="Stack delete failed", status=422, detail=await _reasons(cloud, stack))
    return Again(delay=_delay(job), note=f"stack {stack.id} is {stack.action}_{stack.status}")


HANDLERS: Mapping[str, Handler] = {
    "create-stack": create_stack,
    "await-stack": await_stack,
    "read-back": read_back,
    "delete-stack": delete_stack,
    "await-deleted": await_deleted,
}


def _order(job: Job) -> Order:
    if job.order is None:
        raise Permanent(f"Step {job.step} of operation {job.op_id} has no order to work from.")
    return job.order


def _is_ours(stack: Stack, job: Job) -> bool:
    """Ours by tag; or recorded as the VNF's, for one that came with it from Tacker."""
    recorded = (job.before.metadata or {}).get("stack_id") if job.before else None
    return _OURS in stack.tags or recorded in (stack.id, stack.path)


async def _reasons(cloud: Cloud, stack: Stack) -> str:
    resources = await cloud.heat.resources(stack.name, stack.id)
    failed = sorted((item.name, item.type, item.reason) for item in resources if item.status.endswith("_FAILED"))
    return "; ".join([stack.reason, *(f"{name} ({kind}): {reason}" for name, kind, reason in failed)])


def _delay(job: Job) -> float:
    """A quarter of the time that was waited already, within 0.3 s and 5 s; VNFs are spread by up to a quarter of it."""
    waited = (datetime.now(UTC) - job.started_at).total_seconds()
    spread = crc32(job.vnf_id.encode()) % 100 / 400
    return min(5.0, max(0.3, waited / 4)) * (1 - spread)
