"""Reading back what there is after an operation, or after its compensation."""

from __future__ import annotations

import asyncio

import msgspec
from forestay_sol.vnflcm import ChangeVnfFlavourRequest, InstantiateVnfRequest, ScaleInfo

from forestay_lcm.adapters.openstack.cloud import Cloud
from forestay_lcm.adapters.openstack.connectivity import ext_links, ext_links_of, managed_by_others, managed_of
from forestay_lcm.adapters.openstack.heat import Stack
from forestay_lcm.adapters.openstack.hidden import HIDDEN, KEPT, hidden_values
from forestay_lcm.adapters.openstack.hot import Json
from forestay_lcm.adapters.openstack.job import Job, Order, ordered
from forestay_lcm.adapters.openstack.keystone import Token
from forestay_lcm.adapters.openstack.read_back import instantiated_vnf_info
from forestay_lcm.adapters.openstack.steps.stack import vnf_stack
from forestay_lcm.adapters.openstack.view import PORT, Known, Observed
from forestay_lcm.adapters.openstack.vnfcs import servers
from forestay_lcm.adapters.openstack.wanted import stack_after, stack_restored
from forestay_lcm.adapters.openstack.zones import not_kept
from forestay_lcm.domain.decisions.requested import USER_DATA
from forestay_lcm.executor import Confirmed, Outcome


async def read_back(cloud: Cloud, job: Job) -> Outcome:
    """Read what the stack holds: the ``instantiatedVnfInfo``; and ``zones_not_kept``, if the grant names such, by VDU."""
    known = _known(job, await cloud.token())
    stack = await vnf_stack(cloud, job)
    hidden = hidden_values(stack.parameters, job.before, _given(job)) if HIDDEN in stack.parameters.values() else {}
    stack = msgspec.structs.replace(stack, parameters=stack.parameters | hidden)
    info = instantiated_vnf_info(await observe(cloud, stack, known), known)
    metadata = {key: value for key, value in (info.metadata or {}).items() if key != KEPT}
    own = {name: value for name, value in hidden.items() if name != "nfv"}  # which is there already
    info = msgspec.structs.replace(info, metadata=metadata | ({KEPT: own} if own else {}))
    params = ordered(job).request.additional_params or {}
    if "restore-stack" not in job.results and USER_DATA[0] in params:
        info = msgspec.structs.replace(info, metadata=(info.metadata or {}) | {key: params[key] for key in USER_DATA})
    lost = {} if "restore-stack" in job.results else not_kept(ordered(job), job.before, info)
    told = {"zones_not_kept": lost} if lost else {}
    return Confirmed({"instantiated_vnf_info": msgspec.to_builtins(info)} | told)


def _given(job: Job) -> Json:
    """The parameters that the operation has given to the stack, or given back."""
    if "restore-stack" in job.results:
        return stack_restored(job).parameters
    made = any(step.partition(":")[0] in _GIVING for step in job.results)
    return stack_after(job).parameters if made else {}


_GIVING = frozenset({"create-stack", "update-stack", "update-vnfc"})


async def observe(cloud: Cloud, stack: Stack, known: Known) -> Observed:
    """What a VNF's stack holds, and the ports that were given to it. Not each port has a server: VIPs and parts of trunks."""
    resources = await cloud.heat.resources(stack.name, stack.id)
    made = [item.physical_id for item in resources if item.type == PORT and item.physical_id]
    outside = [port.resource_handle.resource_id for link in known.links for port in link.ext_link_ports]
    inside = [port.resource_handle.resource_id for link in known.managed.values() for port in link.vnf_link_port]
    ports, seen = await asyncio.gather(
        cloud.neutron.ports([*made, *outside, *inside]),
        cloud.nova.servers(server.physical_id for server in servers(resources, known.flavour)),
    )
    hidden = hidden_values(stack.parameters, known.before, {})
    return Observed(
        stack=msgspec.structs.replace(stack, parameters=stack.parameters | hidden),
        resources=resources,
        ports={port.id: port for port in ports},
        servers=seen,
    )


def _known(job: Job, token: Token) -> Known:
    order, before = ordered(job), job.before
    restored = before is not None and "restore-stack" in job.results
    language = order.request.localization_language if isinstance(order.request, InstantiateVnfRequest) else None
    return Known(
        flavour=(order.old_flavour or order.flavour) if restored else order.flavour,
        links=ext_links_of(before) if restored else ext_links(order, before),
        managed=managed_of(before) if restored else managed_by_others(order, before),
        scale_status=before.scale_status if before and restored else _scale_status(job, order),
        connection_id=job.connection_id,
        tenant=token.project,
        tenant_id=token.project_id,
        localization_language=before.localization_language if before else language,
        before=before,
        vnfc_ids=job.vnfc_ids,
    )


def _scale_status(job: Job, order: Order) -> tuple[ScaleInfo, ...]:
    """The scale levels after the operation: told with the order, else those of the level, else as before."""
    if order.scale_status:
        return order.scale_status
    if isinstance(order.request, InstantiateVnfRequest | ChangeVnfFlavourRequest):
        level = order.flavour.level(order.request.instantiation_level_id)
        return tuple(ScaleInfo(aspect_id=aspect, scale_level=at) for aspect, at in level.scale_info.items())
    return job.before.scale_status if job.before else ()
