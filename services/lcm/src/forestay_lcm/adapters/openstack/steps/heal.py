"""Healing (HEAL): the servers of the chosen VNFCs are marked unhealthy, so that the update that follows replaces them.

Heat makes a replacement before it removes what is replaced. A server that has a volume of the template in its block device
mapping could not get that volume while the old server holds it: such a volume is always replaced with its server. Other
volumes are replaced only with ``additionalParams.all`` (wire contract section 3.8), else the new server gets them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from forestay_events.errors import Permanent
from forestay_sol.resource_types import SERVER, VOLUME
from forestay_sol.vnflcm import HealVnfRequest, VnfcResourceInfo

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.heat import Stack, StackResource
from forestay_lcm.adapters.openstack.job import Job, existing, ordered
from forestay_lcm.adapters.openstack.steps.marks import mark, unmark
from forestay_lcm.adapters.openstack.steps.stack import is_left, is_of_operation, others, vnf_stack
from forestay_lcm.adapters.openstack.template.vnfcs import by_node, index_of, is_home, servers
from forestay_lcm.domain.grants import vnfcs_of
from forestay_lcm.executor import Confirmed, Outcome


async def mark_unhealthy(cloud: Cloud, job: Job) -> Outcome:
    """Mark what is to be replaced. A server that is not there any more was replaced by an earlier try; or by another operation,
    which was given up: then what serves now is marked, and what does not serve at all comes with the update.

    :raises Permanent: 409, a VNFC has no server.
    """
    stack = await vnf_stack(cloud, job)
    if waits := await others(cloud, job, stack):
        return waits
    resources = await cloud.heat.resources(stack.name, stack.id)
    doomed = list(_doomed(job, stack, resources))
    await mark(cloud, job, doomed)
    return Confirmed({"marked": [{"stack": item.stack, "resource": item.name} for item in doomed]})


async def unmark_unhealthy(cloud: Cloud, job: Job) -> Outcome:
    """Take the marks away that led to nothing: the compensation of :func:`mark_unhealthy`."""
    stack = await vnf_stack(cloud, job)
    await unmark(cloud, job, await cloud.heat.resources(stack.name, stack.id))
    return Confirmed({})


def _doomed(job: Job, stack: Stack, resources: Sequence[StackResource]) -> Iterator[StackResource]:
    order = ordered(job)
    request = order.request
    ids = request.vnfc_instance_id if isinstance(request, HealVnfRequest) else ()
    with_volumes = isinstance(request, HealVnfRequest) and request.all
    flavour = order.old_flavour or order.flavour
    chosen = vnfcs_of(existing(job), ids)
    doomed = _serving(job, stack, servers(resources, flavour), chosen)
    by_id = {item.physical_id: item for item in resources}
    nodes = by_node(resources, flavour)
    for server in (item for item in nodes if item.type == SERVER and item.physical_id in doomed):
        given = by_id[server.physical_id]
        yield given
        own = flavour.vdus[doomed[server.physical_id]].storage_ids if with_volumes else ()
        for volume in (item for item in nodes if (item.type, item.stack) == (VOLUME, server.stack)):
            if given.name in volume.required_by or (volume.name in own and is_home(volume, server)):
                yield by_id[volume.physical_id]


def _serving(
    job: Job, stack: Stack, there: Sequence[StackResource], chosen: Iterable[VnfcResourceInfo]
) -> dict[str, str]:
    """The servers of VNFCs, each with its VDU.

    :param there: the servers that are VNFCs, by node.
    :raises Permanent: 409, one has none, though nobody has sent to Heat that it shall have none.
    """
    serving = {server.physical_id: server.physical_id for server in there}
    if not is_of_operation(stack, job):
        serving |= _successors(existing(job).vnfc_resource_info, there)
    found = [(vnfc, serving.get(vnfc.compute_resource.resource_id)) for vnfc in chosen]
    lost = [vnfc.id for vnfc, server in found if server is None]
    if lost and not (is_of_operation(stack, job) or is_left(stack, job)):
        detail = f"Stack {stack.path} has no server for VNFC {', '.join(lost)}."
        raise Permanent(detail, status=409, title="VNFC not found")
    return {server: vnfc.vdu_id for vnfc, server in found if server is not None}


def _successors(vnfcs: Sequence[VnfcResourceInfo], there: Sequence[StackResource]) -> dict[str, str]:
    """The servers that have taken the place of those that are gone: in the same stack, else of the same VDU and number."""
    known, left = {vnfc.compute_resource.resource_id for vnfc in vnfcs}, {server.physical_id for server in there}
    strange = [server for server in there if server.physical_id not in known]
    gone = [vnfc for vnfc in vnfcs if vnfc.compute_resource.resource_id not in left]
    found: dict[str, str] = {}
    for same_stack in (True, False):
        for vnfc in (each for each in gone if each.compute_resource.resource_id not in found):
            home, node = (vnfc.metadata or {}).get("stack_id"), (vnfc.vdu_id, index_of(vnfc))
            heirs = (s for s in strange if (s.name, s.index) == node and (s.stack == home or not same_stack))
            if (heir := next(heirs, None)) is not None:
                found[vnfc.compute_resource.resource_id] = heir.physical_id
                strange.remove(heir)
    return found
