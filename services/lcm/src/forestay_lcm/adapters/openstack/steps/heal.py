"""Healing (HEAL): the servers of the chosen VNFCs are marked unhealthy, so that the update that follows replaces them.

Heat makes a replacement before it removes what is replaced. A server that has a volume of the template in its block device
mapping could not get that volume while the old server holds it: such a volume is always replaced with its server. Other
volumes are replaced only with ``additionalParams.all`` (wire contract section 3.8), else the new server gets them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from forestay_sol.resource_types import SERVER, VOLUME
from forestay_sol.vnflcm import HealVnfRequest

from forestay_lcm.adapters.openstack.cloud import Cloud
from forestay_lcm.adapters.openstack.heat import StackResource
from forestay_lcm.adapters.openstack.job import Job, existing, ordered
from forestay_lcm.adapters.openstack.steps.marks import mark, unmark
from forestay_lcm.adapters.openstack.steps.stack import others, vnf_stack
from forestay_lcm.adapters.openstack.vnfcs import by_node, is_home
from forestay_lcm.domain.grants import vnfcs_of
from forestay_lcm.executor import Confirmed, Outcome


async def mark_unhealthy(cloud: Cloud, job: Job) -> Outcome:
    """Mark what is to be replaced. A server that is not there any more was replaced by an earlier try."""
    stack = await vnf_stack(cloud, job)
    if waits := await others(cloud, job, stack):
        return waits
    resources = await cloud.heat.resources(stack.name, stack.id)
    doomed = list(_doomed(job, resources))
    await mark(cloud, job, doomed)
    return Confirmed({"marked": [{"stack": item.stack, "resource": item.name} for item in doomed]})


async def unmark_unhealthy(cloud: Cloud, job: Job) -> Outcome:
    """Take the marks away that led to nothing: the compensation of :func:`mark_unhealthy`."""
    stack = await vnf_stack(cloud, job)
    await unmark(cloud, job, await cloud.heat.resources(stack.name, stack.id))
    return Confirmed({})


def _doomed(job: Job, resources: Sequence[StackResource]) -> Iterator[StackResource]:
    order = ordered(job)
    request = order.request
    ids = request.vnfc_instance_id if isinstance(request, HealVnfRequest) else ()
    with_volumes = isinstance(request, HealVnfRequest) and request.all
    flavour = order.old_flavour or order.flavour
    chosen = {vnfc.compute_resource.resource_id: vnfc.vdu_id for vnfc in vnfcs_of(existing(job), ids)}
    by_id = {item.physical_id: item for item in resources}
    nodes = by_node(resources, flavour)
    for server in (item for item in nodes if item.type == SERVER and item.physical_id in chosen):
        given = by_id[server.physical_id]
        yield given
        own = flavour.vdus[chosen[server.physical_id]].storage_ids if with_volumes else ()
        for volume in (item for item in nodes if (item.type, item.stack) == (VOLUME, server.stack)):
            if given.name in volume.required_by or (volume.name in own and is_home(volume, server)):
                yield by_id[volume.physical_id]
