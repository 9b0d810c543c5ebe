"""Images of VNF packages in Glance: uploaded once, shared by the VNFs that use them, gone with the last one.

Rules of this module:

* An image is ours by its tags: ``forestay``, ``content-<digest>``, ``op-<operation>`` of who fills it, and ``vnf-<id>`` of
  each VNF that uses it. It is private and has the name that the VNFD gives it. One without our tags is never touched.
* An image has room for as many tags as Glance allows (128): who finds none uses the next image, and makes one if need be.
* Glance knows no lock. Of two images made at the same instant the older stays. An image is left alone by its last user in
  the order mark, untag, look, delete; a new user tags, then looks for a mark: one of the two sees the other.
* A worker may die at any point. An image without content is filled by whoever comes next; one that is half filled is
  replaced, at once if this operation has begun to fill it, else when nothing happens to it for an hour.
* A handler waits for nobody: what somebody else does is ``Again``. It is asked whether it is still its turn before it acts;
  and after an image was made or tagged: what a process that slept did too late, it takes back itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

from forestay_events.errors import Permanent, Retryable, UnknownOutcome

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.glance import Full, Glance, Image
from forestay_lcm.adapters.openstack.clients.transport import AlreadyExists, NotFound
from forestay_lcm.adapters.openstack.packaged import Package, PackagedImage
from forestay_lcm.domain.state import Operation
from forestay_lcm.executor import Again, Confirmed, Fence, Outcome, Superseded, unfenced

OURS = "forestay"

_USED_BY, _LET_GO_BY = "vnf-", "deleting-"

_STUCK = timedelta(hours=1)
_SOON = 0.5
_LATER = 3.0


@dataclass(frozen=True)
class ImageJob:
    """A step about images.

    :ivar images: to upload, from ``package``; neither is needed to delete.
    :ivar keep: ids of images that are not let go of, and of ``servers`` whose images are neither.
    :ivar fence: called right before each call that acts.
    """

    vnf_id: str
    op_id: str
    fence: Fence
    images: tuple[PackagedImage, ...] = ()
    package: Package | None = None
    keep: frozenset[str] = frozenset()
    servers: tuple[str, ...] = ()


async def upload_images(cloud: Cloud, job: ImageJob) -> Outcome:
    """Have every image in the VIM: ``Confirmed`` with the ``images``' ids by node (software image id).

    :raises Retryable: undecided, nothing was done; come back.
    :raises UnknownOutcome: the call may have acted; come back, it looks first.
    :raises Permanent: Glance refuses, or the package is damaged.
    """
    ids: dict[str, str] = {}
    for wanted in job.images:
        outcome = await _have(Glance(cloud), job, wanted)
        if isinstance(outcome, Again):
            return outcome
        ids |= dict.fromkeys(wanted.nodes, outcome)
    return Confirmed({"images": ids})


async def delete_images(cloud: Cloud, job: ImageJob) -> Outcome:
    """Let go of the VNF's images but those to keep: ``Confirmed`` with the ids of the ``kept``, and of the ``deleted`` ones that
    nobody else uses. Errors as of :func:`upload_images`."""
    glance, servers = Glance(cloud), await cloud.nova.servers(job.servers)
    kept = job.keep | {server.image for server in servers.values()}
    tags = (_USED_BY + job.vnf_id, _LET_GO_BY + job.vnf_id)
    ours = {image.id for tag in tags for image in await glance.tagged(OURS, tag)}
    deleted = [it for it in sorted(ours - kept) if await let_go(glance, it, job.vnf_id, job.fence)]
    return Confirmed({"deleted": deleted, "kept": sorted(ours & kept)})


IMAGE_HANDLERS: Mapping[str, Callable[[Cloud, ImageJob], Awaitable[Outcome]]] = {
    "upload-images": upload_images,
    "add-images": upload_images,
    "delete-images": delete_images,
    "drop-images": delete_images,
}


def users_of(image: Image) -> list[str]:
    """The VNF instances (ids) that use an image, or have begun to let go of it."""
    prefixes = (_USED_BY, _LET_GO_BY)
    return sorted({tag.removeprefix(prefix) for tag in image.tags for prefix in prefixes if tag.startswith(prefix)})


async def let_go(glance: Glance, image_id: str, vnf_id: str, fence: Fence = unfenced) -> bool:
    """Let go of an image; gives whether the VNF was the last to use it, so that it was deleted.

    :param fence: of two that are at it at the same time, who marks and then asks it, and who begins an operation and then looks
        for a mark, one sees the other. If it does not let through, the image is left as it was.
    """
    user, mark, used = _USED_BY + vnf_id, _LET_GO_BY + vnf_id, False
    await fence()
    try:
        await glance.tag(image_id, mark)
    except NotFound:
        return False
    except Full:  # many others use it; ours makes room for the mark
        used = await glance.untag(image_id, user)
        await glance.tag(image_id, mark)
    try:
        await fence()
        used = await glance.untag(image_id, user) or used
        await fence()
    except Superseded:
        if used:
            await glance.tag(image_id, user)
        await glance.untag(image_id, mark)
        raise
    image = await glance.show(image_id)
    if image is not None and any(tag.startswith(_USED_BY) for tag in image.tags):
        await glance.untag(image_id, mark)
        return False
    await glance.delete(image_id)
    return True


async def _have(glance: Glance, job: ImageJob, wanted: PackagedImage) -> str | Again:
    """The id of the image, once it is active and ours to use."""
    full: set[str] = set()
    for image in await _usable(glance, wanted):
        try:
            return await _BY_STATUS.get(image.status, _replace)(glance, job, wanted, image)
        except Full:
            full.add(image.id)
    await job.fence()
    made = await _create(glance, job, wanted)
    try:
        await job.fence()
    except Superseded:
        await glance.delete(made.id)  # it is empty; whoever has found it meanwhile makes another
        raise
    first = next((image for image in await _usable(glance, wanted) if image.id not in full), None)
    if first is None or first.id != made.id:
        await glance.delete(made.id)
        return Again(_SOON, f"image {wanted.image.name} was made by somebody else at the same time")
    return await _BY_STATUS.get(first.status, _replace)(glance, job, wanted, first)


async def _usable(glance: Glance, wanted: PackagedImage) -> list[Image]:
    """The images in the order in which they are to be used: the active ones, then the oldest."""
    found = [image for image in await glance.tagged(OURS, _content(wanted)) if image.name == wanted.image.name]
    found = [image for image in found if image.status not in ("deleted", "pending_delete", "deactivated")]
    return sorted(found, key=lambda image: (image.status != "active", image.created_at, image.id))


async def _create(glance: Glance, job: ImageJob, wanted: PackagedImage) -> Image:
    image = wanted.image
    return await glance.create(
        name=image.name,
        tags=(OURS, _content(wanted), f"op-{job.op_id}", _USED_BY + job.vnf_id),
        container_format=image.container_format,
        disk_format=image.disk_format,
        min_disk=ceil(image.min_disk / 2**30),
        min_ram=ceil(image.min_ram / 2**20),
    )


async def _use(glance: Glance, job: ImageJob, wanted: PackagedImage, image: Image) -> str | Again:
    await job.fence()
    try:
        await glance.tag(image.id, _USED_BY + job.vnf_id)
    except NotFound:
        return Again(_SOON, f"image {image.id} was deleted")
    try:
        await job.fence()
    except Superseded as late:
        if _has_ended(late.operation, job) and image.id not in job.keep:
            await let_go(glance, image.id, job.vnf_id)
        raise
    seen = await glance.show(image.id)
    if seen is not None and _LET_GO_BY + job.vnf_id in seen.tags:
        await let_go(glance, image.id, job.vnf_id)  # an earlier operation has not come to its end with that
        return Again(_SOON, f"image {image.id} was being let go of")
    if seen is None or any(tag.startswith(_LET_GO_BY) for tag in seen.tags):
        return Again(_SOON, f"image {image.id} is being deleted")
    return image.id


def _has_ended(now: Operation | None, job: ImageJob) -> bool:
    """Whether nobody will let go any more of what was tagged too late for the VNF."""
    if now is None or now.operation == "TERMINATE":
        return True
    undone = now.state == "ROLLED_BACK" or now.has_undone("delete-images") or now.has_undone("drop-images")
    return now.id == job.op_id and undone


async def _fill(glance: Glance, job: ImageJob, wanted: PackagedImage, image: Image) -> str | Again:
    if job.package is None:
        raise Permanent(f"There is no package to take image {wanted.image.name} from.")
    content = await job.package.content(wanted.path)
    filler = f"op-{job.op_id}"
    await job.fence()
    try:
        await glance.tag(image.id, filler)
        await glance.upload(image.id, content)
    except (AlreadyExists, Full) as error:
        if isinstance(error, AlreadyExists) and filler not in image.tags:
            await glance.untag(image.id, filler)
        return Again(_LATER, f"image {image.id} is filled by somebody else")
    except NotFound:
        return Again(_SOON, f"image {image.id} was deleted")
    except (Retryable, UnknownOutcome):
        if job.package.damage:
            raise job.package.damage from None
        raise
    filled = await glance.show(image.id)
    if filled is not None and filled.status == "active" and filled.size != content.size:
        await glance.delete(image.id)
        raise Permanent(
            f"Glance has {filled.size} bytes of image {wanted.image.name}, but {wanted.path} has {content.size}.",
            status=502,
            title="Image upload failed",
        )
    return await _use(glance, job, wanted, image) if filled and filled.status == "active" else Again(_SOON)


async def _await(glance: Glance, job: ImageJob, wanted: PackagedImage, image: Image) -> str | Again:
    if f"op-{job.op_id}" in image.tags or datetime.now(UTC) - image.updated_at > _STUCK:
        return await _replace(glance, job, wanted, image)
    return Again(_LATER, f"image {image.id} is filled by somebody else")


async def _replace(glance: Glance, job: ImageJob, wanted: PackagedImage, image: Image) -> Again:
    await job.fence()
    await glance.delete(image.id)
    return Again(_SOON, f"image {image.id} was {image.status} and is replaced")


_BY_STATUS: Mapping[str, Callable[[Glance, ImageJob, PackagedImage, Image], Awaitable[str | Again]]] = {
    "active": _use,
    "queued": _fill,
    "saving": _await,
    "uploading": _await,
    "importing": _await,
}
"""What to do about an image; one of any other status (``killed``) is of no use."""


def _content(wanted: PackagedImage) -> str:
    return f"content-{wanted.digest}"
