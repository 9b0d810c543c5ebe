"""What an engine of Heat has left that was killed, or was answered too late.

A server that was being made counts as made once Heat goes on, though it has not noted which ports that was given: it would never
let go of them, so the server could not be replaced when it is to be healed. It is made anew at once.

What a service has made and Heat has not noted the id of, it neither uses nor deletes. It is in the way of others: a server has
its port, a port its address and its subnet. It is deleted if it is provably Heat's for this stack: by a name that ends in the
twelve random characters that Heat's events have, or, of a port on a network of a stack that is to be deleted, by one that begins
with the stack's name and ends in such. It is nothing that the stack or the log lists, and no port that a device has.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Container, Mapping
from typing import Protocol

from forestay_sol.resource_types import NET, PORT, SECURITY_GROUP, SERVER, TRUNK, VOLUME

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.heat import Logical, Stack, is_named_by
from forestay_lcm.adapters.openstack.clients.transport import AlreadyExists
from forestay_lcm.adapters.openstack.inventory import resources_of
from forestay_lcm.adapters.openstack.job import Job
from forestay_lcm.adapters.openstack.steps.marks import mark
from forestay_lcm.adapters.openstack.steps.waiting import RESUMED, delay
from forestay_lcm.executor import Again, Fence

_HALF_MADE = ("CREATE_COMPLETE", "Update status to COMPLETE for FAILED resource neither update nor replace.")
"""Heat's status and reason of a resource that it has found half made, and takes for made."""

_WHY = ": half made"


class _Service(Protocol):
    """What finds resources of a type by name, and deletes them."""

    async def named(self, names: Collection[str]) -> list[str]: ...

    async def delete(self, resource: str, /) -> None: ...


_SERVICES: Mapping[str, Callable[[Cloud], _Service]] = {
    SERVER: lambda cloud: cloud.nova,
    TRUNK: lambda cloud: cloud.neutron.of("trunks"),
    PORT: lambda cloud: cloud.neutron.of("ports"),
    SECURITY_GROUP: lambda cloud: cloud.neutron.of("security_groups"),
    NET: lambda cloud: cloud.neutron.of("networks"),
    VOLUME: lambda cloud: cloud.cinder,
}


async def cleared(cloud: Cloud, job: Job, stack: Stack, *, leaving: bool = False) -> Again | None:
    """Delete what Heat has not noted; ``None`` when there is nothing of it (any more). As :func:`clear`."""
    known = resources_of(job.before).keys() if job.before else ()
    doomed = await clear(cloud, stack, job.fence, known=known, leaving=leaving)
    return Again(delay=delay(job), note=f"what Heat does not know is deleted: {', '.join(doomed)}") if doomed else None


async def clear(
    cloud: Cloud, stack: Stack, fence: Fence, *, known: Collection[str] = (), leaving: bool = False
) -> list[str]:
    """Start to delete what Heat has not noted of a stack and of those nested in it; gives the ids.

    :param known: ids of what stays.
    :param leaving: the stack is to be deleted, so it is about all that Heat has begun to make; else about what it has failed
        with, and the stack is not IN_PROGRESS.
    """
    status = "IN_PROGRESS" if leaving else "FAILED"
    resources = await cloud.heat.resources(stack.name, stack.id)
    noted = {Logical(item.stack, item.name) for item in resources if item.physical_id} if leaving else set[Logical]()
    found: dict[str, str] = {}
    for some in await asyncio.gather(*(_named(cloud, stack, type_, status, noted) for type_ in _SERVICES)):
        found |= some
    if leaving:
        own = [item.physical_id for item in resources if item.type == NET and item.physical_id]
        ports = await cloud.neutron.idle_ports(own)
        found |= {port: PORT for port, name in ports.items() if is_named_by(stack.name, name)}
    listed = {item.physical_id for item in resources}.union(known)
    return [
        resource
        for resource, type_ in found.items()
        if resource not in listed and await _is_deleted(cloud, fence, type_, resource)
    ]


async def _named(cloud: Cloud, stack: Stack, type_: str, status: str, noted: Container[Logical]) -> dict[str, str]:
    """What there is under the names of what Heat had no id of: the type by id.

    :param noted: what Heat has an id of by now: not looked for, unless it was made several times.
    """
    names = await cloud.heat.names(stack, type_, status)
    tries = Counter(names.values())
    lost = [name for name, of in names.items() if of not in noted or tries[of] > 1]
    return dict.fromkeys(await _SERVICES[type_](cloud).named(lost), type_)


async def _is_deleted(cloud: Cloud, fence: Fence, type_: str, resource: str) -> bool:
    """Start to delete it; ``False`` if it is in use: somebody else knows it."""
    await fence()
    try:
        await _SERVICES[type_](cloud).delete(resource)
    except AlreadyExists:
        return False
    return True


async def mended(cloud: Cloud, job: Job, stack: Stack) -> Again | None:
    """Make anew what a killed engine had half made, once all else is done; ``None`` when there is nothing of it.

    If the stack has failed, it may be for want of what Heat does not know: it is tried once more.
    """
    if RESUMED not in stack.tags or stack.status == "IN_PROGRESS":
        return None
    if waits := await cleared(cloud, job, stack):
        return waits
    resources = await cloud.heat.resources(stack.name, stack.id)
    servers = [item for item in resources if item.type == SERVER]
    # Heat says the same of a server whose update has failed once: one that the log has is made.
    ours = {vnfc.compute_resource.resource_id for vnfc in job.before.vnfc_resource_info} if job.before else set[str]()
    half = [item for item in servers if (item.status, item.reason) == _HALF_MADE and item.physical_id not in ours]
    if doomed := sorted((await cloud.nova.servers(item.physical_id for item in half)).keys()):
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
