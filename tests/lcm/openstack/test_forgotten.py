"""Heat's engine is killed: what it worked on stays IN_PROGRESS for ever. Who retries when Heat's time is over begins anew."""

from __future__ import annotations

import pytest
from forestay_lcm.adapters.openstack.cloud import Cloud
from forestay_simvim import OpenStackSimulator
from forestay_sol.vnfd import Flavour

from .stepping import asg_order, carry_out, confirmed, finish, instantiate, job, order_for, read, terminate

HOUR = 3600.0


@pytest.fixture
def slow(sim: OpenStackSimulator) -> OpenStackSimulator:
    sim.settings.build["server"] = 0.3
    return sim


def forget(sim: OpenStackSimulator) -> None:
    """Kill the engine, and let an hour pass."""
    sim.cloud.heat.die()
    for stack in sim.cloud.heat.store.by_id.values():
        stack.created -= HOUR
        stack.updated = stack.updated and stack.updated - HOUR


async def test_a_creation(slow: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    order = await asg_order(cloud, asg)
    left = await confirmed(cloud, job("create-stack", order))
    forget(slow)
    made = await confirmed(cloud, job("create-stack", order, attempt=2))
    assert made["stack_id"] != left["stack_id"]
    await confirmed(cloud, job("await-stack", order, attempt=2, results={"create-stack": made}))
    await terminate(cloud)
    assert (slow.cloud.counts()["stacks"], slow.cloud.counts()["servers"]) == (0, 0)


async def test_an_update(slow: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    info, _ = await instantiate(cloud, await asg_order(cloud, asg))
    order = order_for("SCALE", info, asg, type="SCALE_OUT", aspectId="VDU1_scale", level=1)
    await confirmed(cloud, job("update-stack", order, before=info))
    forget(slow)
    again = await carry_out(cloud, order, info, "update-stack", "await-update", "read-back", attempt=2)
    assert len(read(again).vnfc_resource_info) == 2


async def test_a_deletion(slow: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    await instantiate(cloud, await asg_order(cloud, asg))
    slow.settings.build["stack"] = 0.3
    deleted = await confirmed(cloud, job("delete-stack"))
    forget(slow)
    assert await confirmed(cloud, job("delete-stack", attempt=2)) == deleted
    await finish(cloud, job("await-deleted", results={"delete-stack": deleted}))
    assert slow.cloud.counts()["stacks"] == 0
