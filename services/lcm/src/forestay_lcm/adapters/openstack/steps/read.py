"""Reading back what there is after an operation, or after its compensation."""

from __future__ import annotations

import asyncio

import msgspec
from forestay_sol.resource_types import PORT
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import ChangeVnfFlavourRequest, InstantiatedVnfInfo, InstantiateVnfRequest, ScaleInfo
from msgspec.structs import replace

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.heat import Stack
from forestay_lcm.adapters.openstack.clients.keystone import Token
from forestay_lcm.adapters.openstack.hidden import HIDDEN, KEPT, hidden_values
from forestay_lcm.adapters.openstack.job import Job, Order, ordered
from forestay_lcm.adapters.openstack.read_back import instantiated_vnf_info
from forestay_lcm.adapters.openstack.steps.reckoning import reckoned
from forestay_lcm.adapters.openstack.steps.stack import TOUCHED_BY, is_left, is_of_operation, vnf_stack
from forestay_lcm.adapters.openstack.template.connectivity import ext_links, ext_links_of, managed_by_others, managed_of
from forestay_lcm.adapters.openstack.template.hot import Json
from forestay_lcm.adapters.openstack.template.vnfcs import servers
from forestay_lcm.adapters.openstack.template.wanted import stack_after, stack_restored
from forestay_lcm.adapters.openstack.template.zones import not_kept
from forestay_lcm.adapters.openstack.view import Known, Observed
from forestay_lcm.domain.decisions.requested import USER_DATA
from forestay_lcm.executor import Confirmed, Outcome


async def read_back(cloud: Cloud, job: Job) -> Outcome:
    """Read what the stack holds: the ``instantiatedVnfInfo``; and ``zones_not_kept``, if the grant names such, by VDU."""
    known = _known(job, await cloud.token())
    stack = await vnf_stack(cloud, job)
    hides = HIDDEN in stack.parameters.values()
    hidden = hidden_values(stack.parameters, job.before, await reckoned(_given, job)) if hides else {}
    stack = replace(stack, parameters=stack.parameters | hidden)
    info = await reckoned(instantiated_vnf_info, await observe(cloud, stack, known), known)
    touched = {TOUCHED_BY: job.op_id} if is_of_operation(stack, job) else {}
    info = replace(info, metadata=_metadata(job, info, hidden) | touched)
    if job.before and is_left(stack, job):
        info = _as_logged(job.before, info)
    lost = {} if _is_restored(job) else not_kept(ordered(job), job.before, info)
    return Confirmed({"instantiated_vnf_info": msgspec.to_builtins(info)} | ({"zones_not_kept": lost} if lost else {}))


def _as_logged(before: InstantiatedVnfInfo, seen: InstantiatedVnfInfo) -> InstantiatedVnfInfo:
    """A VNF whose stack an operation has left that was given up, and that this one has not changed: it is as it was, but for what
    runs."""
    states = {vnfc.vnfc_resource_info_id: vnfc.vnfc_state for vnfc in seen.vnfc_info}
    vnfcs = (
        replace(vnfc, vnfc_state=states.get(vnfc.vnfc_resource_info_id, vnfc.vnfc_state)) for vnfc in before.vnfc_info
    )
    return replace(before, vnf_state=seen.vnf_state, vnfc_info=tuple(vnfcs))


def _is_restored(job: Job) -> bool:
    """Whether the stack was brought back to what it was before the operation."""
    return "restore-stack" in job.results


def _metadata(job: Job, info: InstantiatedVnfInfo, hidden: Json) -> Json:
    """What was read back, with the hidden parameters apart, and the user data class that the operation has named."""
    shown = {name: value for name, value in (info.metadata or {}).items() if name != KEPT}
    kept = {name: value for name, value in hidden.items() if name != "nfv"}  # which is shown already
    params = ordered(job).request.additional_params or {}
    names_class = USER_DATA[0] in params and not _is_restored(job)
    return shown | ({KEPT: kept} if kept else {}) | ({name: params[name] for name in USER_DATA} if names_class else {})


def _given(job: Job) -> Json:
    """The parameters that the operation has given to the stack, or given back."""
    if _is_restored(job):
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
        stack=replace(stack, parameters=stack.parameters | hidden),
        resources=resources,
        ports={port.id: port for port in ports},
        servers=seen,
    )


def recorded(info: InstantiatedVnfInfo, flavour: Flavour, connection_id: str, token: Token) -> Known:
    """What is known of a VNF that is as it was read back last."""
    return Known(
        flavour=flavour,
        links=ext_links_of(info),
        managed=managed_of(info),
        scale_status=info.scale_status,
        connection_id=connection_id,
        tenant=token.project,
        tenant_id=token.project_id,
        localization_language=info.localization_language,
        before=info,
    )


def _known(job: Job, token: Token) -> Known:
    """What is known of the VNF after the operation, or as it was before."""
    order, before = ordered(job), job.before
    if before is not None and _is_restored(job):
        was = recorded(before, order.old_flavour or order.flavour, job.connection_id, token)
        return replace(was, vnfc_ids=job.vnfc_ids)
    language = order.request.localization_language if isinstance(order.request, InstantiateVnfRequest) else None
    return Known(
        flavour=order.flavour,
        links=ext_links(order, before),
        managed=managed_by_others(order, before),
        scale_status=_scale_status(job, order),
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
