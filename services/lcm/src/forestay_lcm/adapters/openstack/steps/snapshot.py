"""VNF snapshots (CREATE_SNAPSHOT, SOL003 clauses 5.4.21 to 5.4.23): an image of each server, a snapshot of each volume.

A server that boots from a volume has no disk of its own: its volumes are all that there is of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from forestay_events.errors import Permanent
from forestay_sol.resource_types import IMAGE, VOLUME_SNAPSHOT
from forestay_sol.vnflcm import (
    CreateVnfSnapshotRequest,
    InstantiatedVnfInfo,
    ResourceHandle,
    RevertToVnfSnapshotRequest,
    VnfcResourceInfo,
    VnfcSnapshotInfo,
)

from forestay_lcm.adapters.openstack.clients.cinder import VolumeSnapshot
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.nova import Server
from forestay_lcm.adapters.openstack.clients.transport import AlreadyExists
from forestay_lcm.adapters.openstack.job import Job, existing, ordered
from forestay_lcm.adapters.openstack.snapshots import (
    PROPERTY,
    Found,
    Image,
    find,
    image_name,
    remove,
    volume_name,
)
from forestay_lcm.adapters.openstack.steps.waiting import delay
from forestay_lcm.executor import Again, Confirmed, Failed, Outcome, Superseded, unfenced

Json = dict[str, Any]


async def create_snapshot(cloud: Cloud, job: Job) -> Outcome:
    """Start to make what is not there yet, VNFC by VNFC."""
    snapshot_id, info = snapshot_of(job), existing(job)
    found, servers = await find(cloud, job.vnf_id, snapshot_id), await vnf_servers(cloud, info)
    for vnfc in info.vnfc_resource_info:
        name = image_name(job.vnf_id, snapshot_id, vnfc.id)
        if servers[vnfc.id].image and not found.image(name):
            await job.fence()
            try:
                await cloud.nova.act(vnfc.id, "createImage", {"name": name, "metadata": {PROPERTY: snapshot_id}})
            except AlreadyExists as error:
                return Again(delay=delay(job), note=str(error))
        for volume in volumes_of(info, vnfc):
            name = volume_name(job.vnf_id, snapshot_id, vnfc.id, volume.resource_id)
            if not found.volume(name):
                await job.fence()
                await cloud.cinder.snapshot(volume.resource_id, name, {PROPERTY: snapshot_id})
    await _take_back_if_late(cloud, job)
    return Confirmed({})


async def _take_back_if_late(cloud: Cloud, job: Job) -> None:
    """What was made after the operation had its snapshots, or was rolled back, belongs to nobody."""
    try:
        await job.fence()
    except Superseded as late:
        now = late.operation
        if now is not None and now.id == job.op_id and (now.state == "ROLLED_BACK" or _MADE_BY in now.results):
            await remove(cloud, job.vnf_id, snapshot_of(job), unfenced, keep=_taken(now.results.get(_MADE_BY, {})))
        raise


_MADE_BY = "await-snapshot"
"""The step whose result has the ``vnfcSnapshots``."""


def _taken(result: Mapping[str, Any]) -> set[str]:
    """The ids of the images and volume snapshots that a VNF snapshot consists of."""
    vnfcs = msgspec.convert(result.get("vnfcSnapshots", ()), tuple[VnfcSnapshotInfo, ...])
    images = {vnfc.compute_snapshot_resource.resource_id for vnfc in vnfcs if vnfc.compute_snapshot_resource}
    volumes = (item.storage_snapshot_resource for vnfc in vnfcs for item in vnfc.storage_snapshot_resources)
    return images | {volume.resource_id for volume in volumes if volume}


async def await_snapshot(cloud: Cloud, job: Job) -> Outcome:
    """Look whether all is made; the result has ``vnfcSnapshots`` as in SOL003's VnfSnapshot."""
    snapshot_id, info = snapshot_of(job), existing(job)
    found, servers = await find(cloud, job.vnf_id, snapshot_id), await vnf_servers(cloud, info)
    parts = list(_expected(job, snapshot_id, info, servers))
    present = {name: found.image(name) or found.volume(name) for name in parts}
    states = {name: part.status if part else "missing" for name, part in present.items()}
    if failed := [f"{name} is {state}" for name, state in states.items() if state not in _GOOD | _MAKING]:
        return Failed(title="Snapshot failed", status=422, detail="; ".join(failed))
    if making := [f"{name} is {state}" for name, state in states.items() if state in _MAKING]:
        return Again(delay=delay(job), note="; ".join(making))
    return Confirmed(
        {"vnfcSnapshots": [_vnfc_snapshot(job, snapshot_id, vnfc, found) for vnfc in info.vnfc_resource_info]}
    )


async def delete_snapshot(cloud: Cloud, job: Job) -> Outcome:
    """Delete all that there is of the VNF snapshot; done when nothing is left."""
    left = await remove(cloud, job.vnf_id, snapshot_of(job), job.fence)
    return Again(delay=delay(job), note=left) if left else Confirmed({})


_GOOD = frozenset({"active", "available"})
_MAKING = frozenset({"queued", "saving", "importing", "creating"})


def snapshot_of(job: Job) -> str:
    """The id of the VNF snapshot that the operation is about."""
    request = ordered(job).request
    if not isinstance(request, CreateVnfSnapshotRequest | RevertToVnfSnapshotRequest):
        raise Permanent(f"Step {job.step} does not belong to {ordered(job).operation}.")
    return request.vnf_snapshot_info_id


async def vnf_servers(cloud: Cloud, info: InstantiatedVnfInfo) -> dict[str, Server]:
    """The servers of the VNF by id. :raises Permanent: 404, one has vanished."""
    ids = [vnfc.compute_resource.resource_id for vnfc in info.vnfc_resource_info]
    servers = await cloud.nova.servers(ids)
    if missing := [server for server in ids if server not in servers]:
        raise Permanent(f"The servers {', '.join(missing)} have vanished.", status=404, title="Server not found")
    return servers


def volumes_of(info: InstantiatedVnfInfo, vnfc: VnfcResourceInfo) -> list[ResourceHandle]:
    """The volumes of a VNFC."""
    storages = {item.id: item.storage_resource for item in info.virtual_storage_resource_info}
    return [storages[key] for key in vnfc.storage_resource_ids]


def _expected(job: Job, snapshot_id: str, info: InstantiatedVnfInfo, servers: dict[str, Server]) -> list[str]:
    names: list[str] = []
    for vnfc in info.vnfc_resource_info:
        names += [image_name(job.vnf_id, snapshot_id, vnfc.id)] if servers[vnfc.id].image else []
        names += [volume_name(job.vnf_id, snapshot_id, vnfc.id, item.resource_id) for item in volumes_of(info, vnfc)]
    return names


def _vnfc_snapshot(job: Job, snapshot_id: str, vnfc: VnfcResourceInfo, found: Found) -> Json:
    info, name = existing(job), image_name(job.vnf_id, snapshot_id, vnfc.id)
    image = found.image(name)
    named = next((item.id for item in info.vnfc_info if item.vnfc_resource_info_id == vnfc.id), vnfc.id)
    volumes: list[tuple[str, VolumeSnapshot]] = []
    for key, handle in zip(vnfc.storage_resource_ids, volumes_of(info, vnfc), strict=True):
        if part := found.volume(volume_name(job.vnf_id, snapshot_id, vnfc.id, handle.resource_id)):
            volumes.append((key, part))
    shown: Json = {"id": vnfc.id, "vnfcInstanceId": named, "vnfcResourceInfoId": vnfc.id}
    if image:
        shown |= {"creationStartedAt": image.created_at, "creationFinishedAt": image.updated_at}
        shown["computeSnapshotResource"] = _handle(job, image, IMAGE)
    shown["storageSnapshotResources"] = [
        {"storageResourceId": key, "storageSnapshotResource": _handle(job, part, VOLUME_SNAPSHOT)}
        for key, part in volumes
    ]
    return shown


def _handle(job: Job, part: Image | VolumeSnapshot, kind: str) -> Json:
    return msgspec.to_builtins(
        ResourceHandle(vim_connection_id=job.connection_id, resource_id=part.id, vim_level_resource_type=kind)
    )
