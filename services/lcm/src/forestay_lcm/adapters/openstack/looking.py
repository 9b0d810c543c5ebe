"""Looking at a VNF in its VIM, for the comparison with the log. Nothing is changed."""

from __future__ import annotations

import asyncio

from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo

from forestay_lcm.adapters.openstack.cloud import Cloud
from forestay_lcm.adapters.openstack.connectivity import ext_links_of, managed_of
from forestay_lcm.adapters.openstack.groups import SERVER
from forestay_lcm.adapters.openstack.inventory import Seen, resources_of
from forestay_lcm.adapters.openstack.read_back import instantiated_vnf_info
from forestay_lcm.adapters.openstack.steps.read import observe
from forestay_lcm.adapters.openstack.view import NET, PORT, VOLUME, Known


async def look(cloud: Cloud, info: InstantiatedVnfInfo, flavour: Flavour, connection_id: str) -> Seen:
    """What the VIM shows of a VNF; raises as :meth:`Transport.request` does."""
    name, _, stack_id = str((info.metadata or {}).get("stack_id", "")).rpartition("/")
    stack = await cloud.heat.show(name, stack_id) if stack_id else None
    if stack is None:
        return Seen(info=None)
    known = Known(
        flavour=flavour,
        links=ext_links_of(info),
        managed=managed_of(info),
        scale_status=info.scale_status,
        connection_id=connection_id,
        tenant=await cloud.project(),
        localization_language=info.localization_language,
        before=info,
    )
    observed = await observe(cloud, stack, known)
    now = instantiated_vnf_info(observed, known)
    resources = resources_of(info) | resources_of(now)
    servers, volumes, networks, ports = await asyncio.gather(
        cloud.nova.servers(_of(resources, SERVER)),
        cloud.cinder.volumes(_of(resources, VOLUME)),
        cloud.neutron.networks(_of(resources, NET)),
        cloud.neutron.ports(_of(resources, PORT)),
    )
    then = await cloud.heat.show(name, stack_id)
    if then is None:
        return Seen(info=None)
    there = {*servers, *volumes, *networks, *(port.id for port in ports)}
    return Seen(
        info=now,
        stack_state=f"{then.action}_{then.status}",
        in_motion="IN_PROGRESS" in (stack.status, then.status),
        gone=frozenset(resources.keys() - there),
        broken={server.id: server.fault or "ERROR" for server in servers.values() if server.status == "ERROR"},
    )


def _of(resources: dict[str, str], kind: str) -> list[str]:
    return [resource for resource, of in resources.items() if of == kind]
