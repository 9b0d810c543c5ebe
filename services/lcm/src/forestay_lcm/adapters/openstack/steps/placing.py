"""Placing anew what found no room: a stack that failed because a zone lacks resources is changed to use another zone.

The zones that were tried stand in the stack's tags (``tried-<zone>``), so whoever comes next goes on with those that are left.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

import msgspec
from forestay_sol.resource_types import SERVER, VOLUME

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.heat import Stack, StackResource
from forestay_lcm.adapters.openstack.hidden import HIDDEN
from forestay_lcm.adapters.openstack.job import Job, Order
from forestay_lcm.adapters.openstack.steps.marks import mark
from forestay_lcm.adapters.openstack.steps.waiting import delay
from forestay_lcm.adapters.openstack.template.hot import Json
from forestay_lcm.adapters.openstack.template.vnfcs import Name, by_node, vnfcs_after
from forestay_lcm.adapters.openstack.template.wanted import stack_after
from forestay_lcm.adapters.openstack.template.zones import Shortage, moved
from forestay_lcm.executor import Again

_TRIED = "tried-"
_CREATES = frozenset({"INSTANTIATE"})


async def placed_anew(cloud: Cloud, job: Job, stack: Stack) -> Again | None:
    """Start to move what found no room to another zone; ``None`` when that is not it, or nowhere is left to go."""
    order, settings = job.order, job.settings
    if order is None or not settings.openstack_reselect_zones:
        return None
    tried = frozenset(tag.removeprefix(_TRIED) for tag in stack.tags if tag.startswith(_TRIED))
    if settings.openstack_zone_tries and len(tried) >= settings.openstack_zone_tries:
        return None
    found = await cloud.heat.resources(stack.name, stack.id)
    resources = by_node(found, order.flavour)
    lacking = [
        node
        for item, node in zip(found, resources, strict=True)
        if await _found_no_room(cloud, stack, item, settings.openstack_zone_error)
    ]
    movable = _movable(job, order)
    if not lacking:
        return None
    shortage = Shortage(
        nfv=_nfv(job, stack),
        failed=frozenset(str(Name(item.name, item.index)) for item in lacking),
        movable=movable,
        zones=await cloud.nova.zones(),
        tried=tried,
    )
    move = moved(shortage, order.flavour)
    if move is None:
        return None
    kept = [tag for tag in stack.tags if not tag.startswith(_TRIED)]
    tags = ",".join([*kept, *(f"{_TRIED}{zone}" for zone in sorted(move.tried))])
    await mark(cloud, job, _held(found, resources, move.moving))
    await job.fence()
    await cloud.heat.update(stack, {"parameters": {"nfv": move.nfv}, "tags": tags})
    return Again(
        delay=delay(job), note=f"no room in {', '.join(sorted(move.tried))}: stack {stack.id} takes another zone"
    )


async def _found_no_room(cloud: Cloud, stack: Stack, resource: StackResource, error: str) -> bool:
    """Whether any of Heat's tries to make a server did: a later one may fail because of what that left, such as a volume."""
    if resource.type != SERVER or not resource.status.endswith("_FAILED"):
        return False
    reasons = [resource.reason, *await cloud.heat.failures(resource, stack.since)]
    return any(re.search(error, reason) for reason in reasons)


def _held(
    found: Sequence[StackResource], resources: Sequence[StackResource], moving: Container[str]
) -> list[StackResource]:
    """The volumes of servers that move: Heat makes the new server before it removes the old one, which holds them."""
    leaving = {
        (item.stack, item.name)
        for item, node in zip(found, resources, strict=True)
        if item.type == SERVER and str(Name(node.name, node.index)) in moving
    }
    return [
        volume
        for volume in found
        if volume.type == VOLUME
        and volume.status.endswith("_COMPLETE")
        and any((volume.stack, server) in leaving for server in volume.required_by)
    ]


def _movable(job: Job, order: Order) -> frozenset[str]:
    """The names of the VNFCs that the operation makes. Of a group none, unless all of the VNF is made."""
    granted = vnfcs_after(order, job.before).granted
    return frozenset({*granted, *(order.flavour.vdus if order.operation in _CREATES else ())})


def _nfv(job: Job, stack: Stack) -> Json:
    value = stack.parameters.get("nfv") or {}
    if value == HIDDEN:
        return stack_after(job).parameters["nfv"]
    return msgspec.json.decode(value) if isinstance(value, str) else value
