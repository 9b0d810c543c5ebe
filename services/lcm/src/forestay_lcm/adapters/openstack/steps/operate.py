"""Starting and stopping servers (OPERATE), and taking that back. Who lets a VNF end its service first waits before, in
the engine.

What is asked for is a state per VNFC, which comes from the request, or for the compensation from the VNF before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from forestay_events.errors import Permanent
from forestay_sol.vnflcm import OperateVnfRequest

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.nova import STOPPED, Server
from forestay_lcm.adapters.openstack.clients.telling import told
from forestay_lcm.adapters.openstack.clients.transport import AlreadyExists
from forestay_lcm.adapters.openstack.job import Job, existing, ordered
from forestay_lcm.adapters.openstack.steps.waiting import delay
from forestay_lcm.domain.grants import vnfcs_of
from forestay_lcm.executor import Again, Confirmed, Failed, Outcome


class _State(NamedTuple):
    """A state to bring a server to: Nova's statuses that are it, the action that leads there, the task that shows it."""

    statuses: frozenset[str]
    action: str
    task: str


_STARTED = _State(frozenset({"ACTIVE"}), "os-start", "powering-on")
_STOPPED = _State(frozenset({"SHUTOFF"}), "os-stop", "powering-off")
_STATES: Mapping[str, _State] = {"STARTED": _STARTED, "STOPPED": _STOPPED}

#: Before the operation a stopped server may have been stopped in another way than by us: as good for the compensation.
_FORMER: Mapping[str, _State] = {"STARTED": _STARTED, "STOPPED": _STOPPED._replace(statuses=STOPPED)}


async def operate_servers(cloud: Cloud, job: Job) -> Outcome:
    """Start to bring the servers of the chosen VNFCs to the state that was ordered; those that are there stay."""
    return await _bring(cloud, job, _ordered(job))


async def await_servers(cloud: Cloud, job: Job) -> Outcome:
    """Look whether the servers are in the state that was ordered."""
    return await _look(cloud, job, _ordered(job))


async def restore_servers(cloud: Cloud, job: Job) -> Outcome:
    """Start to bring them back to the state that each had before the operation: the compensation of it."""
    return await _bring(cloud, job, _former(job))


async def await_restored_servers(cloud: Cloud, job: Job) -> Outcome:
    """Look whether the servers are in the state that they had before the operation."""
    return await _look(cloud, job, _former(job))


async def _bring(cloud: Cloud, job: Job, wanted: Mapping[str, _State]) -> Outcome:
    for server in (await _servers(cloud, wanted)).values():
        state = wanted[server.id]
        if (server.task is None and server.status in state.statuses) or server.task == state.task:
            continue
        await job.fence()
        try:
            await cloud.nova.act(server.id, state.action)
        except AlreadyExists as error:
            # Another task keeps the server busy, or a rival was faster; one that is idle cannot go where it shall.
            now = (await cloud.nova.servers([server.id])).get(server.id, server)
            if server.task is None and now.task is None and now.status == server.status:
                raise
            return Again(delay=delay(job), note=str(error))
    return Confirmed({})


async def _look(cloud: Cloud, job: Job, wanted: Mapping[str, _State]) -> Outcome:
    servers = (await _servers(cloud, wanted)).values()
    broken = [f"{server.id}: {server.fault or 'no reason given'}" for server in servers if server.status == "ERROR"]
    if broken:
        return Failed(title="Server operation failed", status=422, detail=f"Went to ERROR: {told(broken)}")
    waiting = [f"{item.id} is {item.status}" for item in servers if item.status not in wanted[item.id].statuses]
    return Again(delay=delay(job), note="; ".join(waiting)) if waiting else Confirmed({})


def _ordered(job: Job) -> dict[str, _State]:
    """The state that is ordered, by server."""
    request = _request(job)
    chosen = vnfcs_of(existing(job), request.vnfc_instance_id)
    return {vnfc.compute_resource.resource_id: _STATES[request.change_state_to] for vnfc in chosen}


def _former(job: Job) -> dict[str, _State]:
    """The state of each of these servers before the operation."""
    info = existing(job)
    states = {vnfc.vnfc_resource_info_id: vnfc.vnfc_state for vnfc in info.vnfc_info}
    chosen = vnfcs_of(info, _request(job).vnfc_instance_id)
    return {item.compute_resource.resource_id: _FORMER[states.get(item.id, "STARTED")] for item in chosen}


async def _servers(cloud: Cloud, wanted: Mapping[str, _State]) -> dict[str, Server]:
    found = await cloud.nova.servers(wanted)
    if missing := [server for server in wanted if server not in found]:
        raise Permanent(f"The servers {', '.join(missing)} have vanished.", status=404, title="Server not found")
    return found


def _request(job: Job) -> OperateVnfRequest:
    request = ordered(job).request
    if not isinstance(request, OperateVnfRequest):
        raise Permanent(f"Step {job.step} does not belong to {ordered(job).operation}.")
    return request
