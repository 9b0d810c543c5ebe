"""Looking at a VNF in its VIM, for the comparison with the log. Nothing is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from forestay_events.errors import Permanent
from forestay_sol.resource_types import NET, PORT, SERVER, VOLUME
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.heat import Stack
from forestay_lcm.adapters.openstack.inventory import Seen, resources_of
from forestay_lcm.adapters.openstack.read_back import instantiated_vnf_info
from forestay_lcm.adapters.openstack.steps.read import observe, recorded
from forestay_lcm.adapters.openstack.steps.stack import present


async def look(cloud: Cloud, info: InstantiatedVnfInfo, flavour: Flavour, connection_id: str) -> Seen:
    """What the VIM shows of a VNF.

    :raises Permanent: 409, there is no stack, but the project is not that in which the VNF was read back; else as
        :meth:`Transport.request` does.
    """
    stack = await _stack(cloud, info)
    if stack is None:
        return Seen(info=None)
    known = recorded(info, flavour, connection_id, await cloud.token())
    observed = await observe(cloud, stack, known)
    now = instantiated_vnf_info(observed, known)
    resources = resources_of(info) | resources_of(now)
    unseen = {key: kind for key, kind in resources.items() if key not in observed.servers and key not in observed.ports}
    servers, volumes, networks, ports = await asyncio.gather(
        cloud.nova.servers(_of(unseen, SERVER)),
        cloud.cinder.volumes(_of(unseen, VOLUME)),
        cloud.neutron.networks(_of(unseen, NET)),
        cloud.neutron.ports(_of(unseen, PORT)),
    )
    then = await cloud.heat.show(stack.name, stack.id)
    if then is None:
        return Seen(info=None)
    servers |= observed.servers
    there = {*servers, *volumes, *networks, *observed.ports, *(port.id for port in ports)}
    return Seen(
        info=now,
        stack_state=f"{then.action}_{then.status}",
        in_motion="IN_PROGRESS" in (stack.status, then.status),
        gone=frozenset(resources.keys() - there),
        broken={server.id: server.fault or "ERROR" for server in servers.values() if server.status == "ERROR"},
    )


async def projects(cloud: Cloud, recorded: Mapping[str, Any]) -> tuple[str, str]:
    """The project that a cloud shows, and the one that a VNF was made in, which is the same if that is not known.

    :param recorded: the ``metadata`` that was read back.
    """
    token = await cloud.token()
    # Projects of two clouds, or of two domains, may have one name. What was read back long ago has no id of it.
    here, key = (token.project_id, "tenant_id") if "tenant_id" in recorded else (token.project, "tenant")
    return here, str(recorded.get(key, here))


async def _stack(cloud: Cloud, info: InstantiatedVnfInfo) -> Stack | None:
    """The stack that the VNF lives in, ``None`` if it is gone."""
    recorded = info.metadata or {}
    name, _, stack_id = str(recorded.get("stack_id", "")).rpartition("/")
    stack = await present(cloud, name, stack_id)
    if stack is None:
        here, home = await projects(cloud, recorded)
        if here != home:
            raise Permanent(f"Project {here} has no stack {name}: the VNF was made in project {home}.", status=409)
    return stack


def _of(resources: dict[str, str], kind: str) -> list[str]:
    return [resource for resource, of in resources.items() if of == kind]
