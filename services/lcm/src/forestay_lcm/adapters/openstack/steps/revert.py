"""Bringing a VNF back to a snapshot (REVERT_TO_SNAPSHOT): servers are rebuilt from their images, volumes reverted.

Rules of this module:

* All or nothing is checked first: each VNFC must be in the snapshot, and Cinder reverts a volume only while no server has
  it, so a server that boots from a volume cannot be reverted.
* The server that is rebuilt is the one that the VNFC has now: a heal may have replaced that of which the image is.
* A data volume is taken from its server, reverted to its latest snapshot, and given back. How far that is, is seen in the
  volume; that it was reverted is noted in its metadata, since nothing else shows it.
* A rebuild is noted in the server's metadata for the same reason.
"""

from __future__ import annotations

from collections.abc import Awaitable

from forestay_events.errors import Permanent
from forestay_sol.vnflcm import VnfcResourceInfo

from forestay_lcm.adapters.openstack.clients.cinder import Volume, VolumeSnapshot
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.nova import Server
from forestay_lcm.adapters.openstack.clients.transport import AlreadyExists
from forestay_lcm.adapters.openstack.job import Job, existing, ordered
from forestay_lcm.adapters.openstack.snapshots import Found, Image, find, image_name, volume_name
from forestay_lcm.adapters.openstack.steps.snapshot import snapshot_of, vnf_servers, volumes_of
from forestay_lcm.adapters.openstack.steps.waiting import delay
from forestay_lcm.executor import Again, Confirmed, Failed, Outcome

_NOTE = "forestay_reverted"


async def revert_snapshot(cloud: Cloud, job: Job) -> Outcome:
    """Revert all servers and volumes; done when all are as they shall be."""
    info, snapshot_id = existing(job), snapshot_of(job)
    found, servers = await find(cloud, job.vnf_id, snapshot_id), await vnf_servers(cloud, info)
    _check(job, found, servers)
    waiting: list[str] = []
    for vnfc in info.vnfc_resource_info:
        ids = [volume.resource_id for volume in volumes_of(info, vnfc)]
        volumes = await cloud.cinder.volumes(ids)
        if missing := [volume for volume in ids if volume not in volumes]:
            return Failed(title="Volume not found", status=404, detail=f"Vanished: {', '.join(missing)}.")
        waiting += [await _revert_volume(cloud, job, found, vnfc, volumes[volume]) for volume in ids]
        waiting.append(await _rebuild(cloud, job, found, vnfc, servers[vnfc.id]))
    if open_ := [note for note in waiting if note]:
        return Again(delay=delay(job), note="; ".join(open_))
    return Confirmed({})


def _check(job: Job, found: Found, servers: dict[str, Server]) -> None:
    """:raises Permanent: 409, the VNF cannot be reverted; nothing was touched."""
    info, faults = existing(job), list[str]()
    for vnfc in info.vnfc_resource_info:
        image = _image(job, found, vnfc)
        parts = [_volume(job, found, vnfc, volume.resource_id) for volume in volumes_of(info, vnfc)]
        if not servers[vnfc.id].image:
            faults.append(f"{vnfc.id} boots from a volume, which Cinder cannot revert while the server has it")
        elif image is None or None in parts:
            faults.append(f"{vnfc.id} is not in the snapshot")
    if faults:
        raise Permanent("; ".join(faults), status=409, title="VNF cannot be reverted")


def _image(job: Job, found: Found, vnfc: VnfcResourceInfo) -> Image | None:
    return found.image(image_name(job.vnf_id, snapshot_of(job), _vnfc_snapshot(job, vnfc)))


def _volume(job: Job, found: Found, vnfc: VnfcResourceInfo, volume: str) -> VolumeSnapshot | None:
    return found.volume(volume_name(job.vnf_id, snapshot_of(job), _vnfc_snapshot(job, vnfc), volume))


def _vnfc_snapshot(job: Job, vnfc: VnfcResourceInfo) -> str:
    return ordered(job).vnfc_snapshots.get(vnfc.id, vnfc.id)


async def _rebuild(cloud: Cloud, job: Job, found: Found, vnfc: VnfcResourceInfo, server: Server) -> str:
    """Rebuild a server, unless it is; gives what is still to be waited for."""
    image = _image(job, found, vnfc)
    if image is not None and server.metadata.get(_NOTE) != job.op_id:
        await job.fence()
        arguments = {"imageRef": image.id, "metadata": server.metadata | {_NOTE: job.op_id}}
        rebuilding = cloud.nova.act(server.id, "rebuild", arguments)
        return await _unless_busy(rebuilding) or f"server {server.id} is being rebuilt"
    if server.status == "ERROR":
        raise Permanent(f"Server {server.id} went to ERROR: {server.fault}", status=422, title="Rebuild failed")
    return f"server {server.id} is {server.status}" if server.task or server.status == "REBUILD" else ""


async def _unless_busy(call: Awaitable[None]) -> str:
    """Why Nova refuses a call as yet, ``""`` when it does not: to a server with a task it does nothing else."""
    try:
        await call
    except AlreadyExists as error:
        return str(error)
    return ""


async def _revert_volume(cloud: Cloud, job: Job, found: Found, vnfc: VnfcResourceInfo, volume: Volume) -> str:
    """The next thing to do with a volume; gives what is still to be waited for."""
    part = _volume(job, found, vnfc, volume.id)
    reverted = volume.metadata.get(_NOTE) == job.op_id
    match volume.status, reverted:
        case "in-use", True:
            return ""
        case "in-use", False:
            await job.fence()
            return await _unless_busy(cloud.nova.detach(vnfc.id, volume.id)) or f"volume {volume.id} leaves {vnfc.id}"
        case "available", False if part is not None:
            await job.fence()
            await cloud.cinder.revert(volume.id, part.id)
            await cloud.cinder.note(volume.id, _NOTE, job.op_id)
        case "available", True:
            await job.fence()
            return await _unless_busy(cloud.nova.attach(vnfc.id, volume.id)) or f"volume {volume.id} joins {vnfc.id}"
        case _ if volume.status.startswith("error"):
            raise Permanent(f"Volume {volume.id} is in {volume.status}.", status=422, title="Revert failed")
        case _:
            pass
    return f"volume {volume.id} is {volume.status}"
