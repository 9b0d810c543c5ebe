"""What carries our tag in a VIM and may belong to no VNF instance: stacks, and images that were uploaded for one.

Rules of this module: it only looks, and removes when it is told to. A stack is of the VNF instance that it is named for, and none
in the project that this is instantiated in is an orphan, whichever the log knows: it may be the one that the VNF lives in. An
image may be used by several: each use is an orphan of its own, and with the last one the image goes (:mod:`images`). A VNF
instance has the images of its package, and those that servers boot from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from forestay_sol.resource_types import IMAGE, STACK
from forestay_sol.streams.drift import Finding

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.glance import Glance, Image
from forestay_lcm.adapters.openstack.clients.heat import Stack
from forestay_lcm.adapters.openstack.images import let_go, users_of
from forestay_lcm.adapters.openstack.looking import projects
from forestay_lcm.adapters.openstack.steps.mending import clear
from forestay_lcm.adapters.openstack.steps.stack import OURS
from forestay_lcm.adapters.openstack.template.blueprint import stack_name
from forestay_lcm.domain.state import Vnf
from forestay_lcm.executor import Fence

_STACK_OF = stack_name("")


@dataclass(frozen=True)
class Tagged:
    """Something with our tag.

    :ivar vnf_id: the VNF instance that it is for; its own id, if it does not say.
    :ivar finding: what is to be told if it is an orphan.
    :ivar operations: those that have made it, according to its tags; ``None``: that is not known.
    :ivar has: whether a VNF instance that exists has it, or is about to have or to delete it.
    :ivar remove: begin to remove it; the fence is called before each call that acts.
    """

    vnf_id: str
    finding: Finding
    operations: tuple[str, ...] | None
    has: Callable[[Vnf], Awaitable[bool]]
    remove: Callable[[Fence], Awaitable[object]]

    async def is_orphan(self, vnf: Vnf | None) -> bool:
        """Whether the VNF instance that it is for does not exist, or does not have it; raises as a call does."""
        return vnf is None or vnf.deleted or not await self.has(vnf)


async def tagged(cloud: Cloud, place: str) -> list[Tagged]:
    """What there is in a cloud, which findings call ``place``; raises as :meth:`Transport.request` does."""
    stacks, images = await cloud.heat.tagged(OURS), await Glance(cloud).tagged(OURS)
    uses = (use for image in images for use in _uses(cloud, place, image))
    return [*(_stack(cloud, place, stack) for stack in stacks), *uses]


def _stack(cloud: Cloud, place: str, stack: Stack) -> Tagged:
    operations = tuple(tag.removeprefix("op-") for tag in stack.tags if tag.startswith("op-"))
    made_by = next(iter(operations), "unknown")
    detail = f"No VNF instance has the stack {stack.path}, which operation {made_by} has made."

    async def has(vnf: Vnf) -> bool:
        info = vnf.instantiated_vnf_info
        recorded = (info.metadata if info else None) or {}
        in_motion = vnf.open_operation is not None or (stack.action, stack.status) == ("DELETE", "IN_PROGRESS")
        # An operation that made the VNF anew, and was given up, leaves the log with the stack before this one.
        lives = vnf.instantiation_state == "INSTANTIATED" and stack.name == stack_name(vnf.id)
        if in_motion or recorded.get("stack_id") in (stack.id, stack.path):
            return True
        here, home = await projects(cloud, recorded)
        return lives and here == home

    async def remove(fence: Fence) -> None:
        if stack.status == "FAILED":
            await clear(cloud, stack, fence, leaving=True)
        await fence()
        await cloud.heat.delete(stack)

    return Tagged(
        vnf_id=stack.name.removeprefix(_STACK_OF) if stack.name.startswith(_STACK_OF) else stack.id,
        finding=Finding(kind="ORPHANED", vim=place, resource_type=STACK, resource_id=stack.id, detail=detail),
        operations=operations,
        has=has,
        remove=remove,
    )


def _uses(cloud: Cloud, place: str, image: Image) -> Iterator[Tagged]:
    async def has(vnf: Vnf) -> bool:
        if vnf.open_operation is not None:
            return True
        return vnf.has_images and (image.id in vnf.images.values() or await cloud.nova.boots(image.id))

    for vnf_id in users_of(image):
        detail = f"Image {image.name} was uploaded for VNF instance {vnf_id}, which does not use it."
        yield Tagged(
            vnf_id=vnf_id,
            finding=Finding(kind="ORPHANED", vim=place, resource_type=IMAGE, resource_id=image.id, detail=detail),
            operations=None,
            has=has,
            remove=lambda fence, vnf_id=vnf_id: let_go(Glance(cloud), image.id, vnf_id, fence),
        )
