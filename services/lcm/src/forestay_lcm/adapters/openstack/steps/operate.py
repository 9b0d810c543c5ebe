"""Starting and stopping servers (OPERATE). Who lets a VNF end its service first waits before, in the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from forestay_events.errors import Permanent
from forestay_sol.vnflcm import OperateVnfRequest

from forestay_lcm.adapters.openstack.cloud import Cloud
from forestay_lcm.adapters.openstack.job import Job, existing, ordered
from forestay_lcm.adapters.openstack.nova import Server
from forestay_lcm.adapters.openstack.steps.stack import delay
from forestay_lcm.adapters.openstack.transport import AlreadyExists
from forestay_lcm.domain.grants import vnfcs_of
from forestay_lcm.executor import Again, Confirmed, Failed, Outcome


class _State(NamedTuple):
    """A state to bring a server to: Nova's status, the action that leads there, and the task that shows it under way."""

    status: str
    action: str
    task: str


_STATES: Mapping[str, _State] = {
    "STARTED": _State("ACTIVE", "os-start", "powering-on"),
    "STOPPED": _State("SHUTOFF", "os-stop", "powering-off"),
}


async def operate_servers(cloud: Cloud, job: Job) -> Outcome:
    """Start to bring the servers of the chosen VNFCs to the state that was ordered; those that are there stay."""
    wanted = _wanted(job)
    for server in (await _servers(cloud, job)).values():
        if server.status == wanted.status or server.task == wanted.task:
            continue
        await job.fence()
        try:
            await cloud.nova.act(server.id, wanted.action)
        except AlreadyExists as error:
            # Another task keeps the server busy, or a rival was faster; one that is idle cannot go where it shall.
            now = (await cloud.nova.servers([server.id])).get(server.id, server)
            if now.task is None and now.status == server.status:
                raise
            return Again(delay=delay(job), note=str(error))
    return Confirmed({})


async def await_servers(cloud: Cloud, job: Job) -> Outcome:
    """Look whether the servers are in the state that was ordered."""
    wanted, servers = _wanted(job), (await _servers(cloud, job)).values()
    broken = [f"{server.id}: {server.fault or 'no reason given'}" for server in servers if server.status == "ERROR"]
    if broken:
        return Failed(title="Server operation failed", status=422, detail=f"Went to ERROR: {'; '.join(broken)}")
    waiting = [f"{server.id} is {server.status}" for server in servers if server.status != wanted.status]
    return Again(delay=delay(job), note="; ".join(waiting)) if waiting else Confirmed({})


def _wanted(job: Job) -> _State:
    return _STATES[_request(job).change_state_to]


async def _servers(cloud: Cloud, job: Job) -> dict[str, Server]:
    ids = [item.compute_resource.resource_id for item in vnfcs_of(existing(job), _request(job).vnfc_instance_id)]
    found = await cloud.nova.servers(ids)
    if missing := [server for server in ids if server not in found]:
        raise Permanent(f"The servers {', '.join(missing)} have vanished.", status=404, title="Server not found")
    return found


def _request(job: Job) -> OperateVnfRequest:
    request = ordered(job).request
    if not isinstance(request, OperateVnfRequest):
        raise Permanent(f"Step {job.step} does not belong to {ordered(job).operation}.")
    return request
