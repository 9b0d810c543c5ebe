"""Heat's engine is killed: what it worked on stays IN_PROGRESS, and locked, for ever, unless Heat is asked for it again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.settings import OpenStackSettings
from forestay_lcm.adapters.openstack.steps import take
from forestay_lcm.adapters.openstack.steps.waiting import RESUMED
from forestay_lcm.executor import Again
from forestay_simvim import OpenStackSimulator
from forestay_sol.vnfd import Flavour

from .stepping import (
    asg_order,
    carry_out,
    confirmed,
    finish,
    instantiate,
    job,
    order_for,
    read,
    server_ids,
    terminate,
)

#: What patience there is in a test; Heat tells times in seconds.
IMPATIENT = OpenStackSettings(openstack_quiet_secs=0.01)
OUT: Any = {"type": "SCALE_OUT", "aspectId": "VDU1_scale", "level": 1}


@pytest.fixture
def slow(sim: OpenStackSimulator) -> OpenStackSimulator:
    sim.settings.build["server"] = 1.0
    return sim


async def until_built(cloud: Cloud, servers: int) -> None:
    """Nova makes that many servers."""
    reply: dict[str, Any] = {"servers": []}
    while len(reply["servers"]) < servers:
        await asyncio.sleep(0.01)
        reply = (await cloud.request("compute", "GET", "/servers")).body


async def test_a_creation_that_is_waited_for(slow: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    order = await asg_order(cloud, asg)
    made = await confirmed(cloud, job("create-stack", order))
    await until_built(cloud, 1)
    slow.cloud.heat.die()
    patient = job("await-stack", order, results={"create-stack": made})
    for _ in range(3):
        assert isinstance(await take(cloud, patient), Again)
    await confirmed(cloud, job("await-stack", order, results={"create-stack": made}, settings=IMPATIENT))
    assert len(slow.cloud.heat.store.by_id) == 3
    await terminate(cloud)
    assert (slow.cloud.counts()["stacks"], slow.cloud.counts()["servers"]) == (0, 0)


async def test_a_creation_that_is_tried_again(slow: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    order = await asg_order(cloud, asg)
    left = await confirmed(cloud, job("create-stack", order))
    await until_built(cloud, 1)
    slow.cloud.heat.die()
    made = await confirmed(cloud, job("create-stack", order, attempt=2))
    assert made == left
    await confirmed(cloud, job("await-stack", order, attempt=2, results={"create-stack": made}))
    await terminate(cloud)
    assert (slow.cloud.counts()["stacks"], slow.cloud.counts()["servers"]) == (0, 0)


@pytest.mark.parametrize("steps", [("create-stack", "await-stack", "read-back"), ("delete-stack", "await-deleted")])
async def test_a_server_that_the_engine_had_not_noted(
    slow: OpenStackSimulator, cloud: Cloud, asg: Flavour, steps: tuple[str, ...]
) -> None:
    """It has the port: none can be made in its place before it is gone."""
    order = await asg_order(cloud, asg)
    await confirmed(cloud, job("create-stack", order))
    await until_built(cloud, 1)
    slow.cloud.heat.die()
    for stack in slow.cloud.heat.store.by_id.values():
        for server in (each for each in stack.resources.values() if each.name == "VDU1"):
            server.physical_id = None
    results = await carry_out(cloud, order, None, *steps, attempt=2)
    made = [vnfc.id for vnfc in read(results).vnfc_resource_info] if "read-back" in results else []
    servers = (await cloud.request("compute", "GET", "/servers/detail")).body["servers"]
    assert [(server["id"], server["status"]) for server in servers] == [(vnfc, "ACTIVE") for vnfc in made]


async def test_who_is_impatient_with_an_engine_that_works_changes_nothing(
    slow: OpenStackSimulator, cloud: Cloud, asg: Flavour
) -> None:
    slow.settings.build["server"] = 2.5
    order = await asg_order(cloud, asg)
    made = await confirmed(cloud, job("create-stack", order))
    await until_built(cloud, 1)
    before = (await cloud.request("compute", "GET", "/servers")).body["servers"]
    await confirmed(cloud, job("await-stack", order, results={"create-stack": made}, settings=IMPATIENT))
    assert slow.journal.effects("stack updated")
    assert (await cloud.request("compute", "GET", "/servers")).body["servers"] == before


async def test_an_update(slow: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    info, _ = await instantiate(cloud, await asg_order(cloud, asg))
    order = order_for("SCALE", info, asg, **OUT)
    await confirmed(cloud, job("update-stack", order, before=info))
    await until_built(cloud, 2)
    slow.cloud.heat.die()
    again = read(await carry_out(cloud, order, info, "update-stack", "await-update", "read-back", attempt=2))
    assert server_ids(info) < server_ids(again)
    # Heat would let no other server have the ports of one that it has half made: it was made anew, and can be replaced.
    heal = ("mark-unhealthy", "update-stack", "await-update", "read-back")
    healed = read(await carry_out(cloud, order_for("HEAL", again, asg), again, *heal, op_id="op2"))
    assert not server_ids(healed) & server_ids(again)
    assert slow.cloud.counts()["servers"] == 2


async def test_the_rollback_of_an_update(slow: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    """The members that the engine was making are locked: they cannot be marked."""
    info, _ = await instantiate(cloud, await asg_order(cloud, asg))
    order = order_for("SCALE", info, asg, numberOfSteps=2, **OUT | {"level": 2})
    results = await carry_out(cloud, order, info, "update-stack")
    await until_built(cloud, 3)
    slow.cloud.heat.die()
    back = await carry_out(cloud, order, info, "restore-stack", "await-restored", "read-back", results=results)
    assert read(back) == info
    assert slow.cloud.counts()["servers"] == 1


async def test_an_update_of_an_operation_that_was_given_up(
    slow: OpenStackSimulator, cloud: Cloud, asg: Flavour
) -> None:
    info, _ = await instantiate(cloud, await asg_order(cloud, asg))
    await confirmed(cloud, job("update-stack", order_for("SCALE", info, asg, **OUT), before=info))
    await until_built(cloud, 2)
    slow.cloud.heat.die()
    order = order_for("HEAL", info, asg)
    assert isinstance(await take(cloud, job("update-stack", order, before=info, op_id="op2")), Again)
    steps = ("update-stack", "await-update", "read-back")
    await carry_out(cloud, order, info, *steps, op_id="op2", settings=IMPATIENT)


async def test_a_deletion(slow: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    await instantiate(cloud, await asg_order(cloud, asg))
    slow.settings.build["stack"] = 1.0
    deleted = await confirmed(cloud, job("delete-stack"))
    slow.cloud.heat.die()
    await finish(cloud, job("await-deleted", results={"delete-stack": deleted}, settings=IMPATIENT))
    assert slow.cloud.counts()["stacks"] == 0


async def test_a_deletion_that_is_tried_again(slow: OpenStackSimulator, cloud: Cloud, asg: Flavour) -> None:
    await instantiate(cloud, await asg_order(cloud, asg))
    slow.settings.build["stack"] = 1.0
    deleted = await confirmed(cloud, job("delete-stack"))
    slow.cloud.heat.die()
    assert await confirmed(cloud, job("delete-stack", attempt=2)) == deleted
    await finish(cloud, job("await-deleted", results={"delete-stack": deleted}))
    assert slow.cloud.counts()["stacks"] == 0


HALF_MADE = "Update status to COMPLETE for FAILED resource neither update nor replace."


async def test_a_server_that_the_log_has_is_never_half_made(
    slow: OpenStackSimulator, cloud: Cloud, asg: Flavour
) -> None:
    """Heat says the same of one whose update has failed once though it runs; later it is slow, and is sent its work again."""
    info, _ = await instantiate(cloud, await asg_order(cloud, asg))
    for stack in slow.cloud.heat.store.by_id.values():
        for resource in stack.resources.values():
            if resource.definition.type == "OS::Nova::Server":
                resource.set_state("CREATE", "COMPLETE", HALF_MADE)
    slow.settings.build["server"] = 2.5
    steps = ("update-stack", "await-update", "read-back")
    order = order_for("SCALE", info, asg, **OUT)
    after = read(await carry_out(cloud, order, info, *steps, op_id="op2", settings=IMPATIENT))
    assert slow.journal.effects("stack updated")
    assert server_ids(info) < server_ids(after)


async def test_that_work_was_sent_again_is_forgotten_when_it_is_done(
    slow: OpenStackSimulator, cloud: Cloud, asg: Flavour
) -> None:
    slow.settings.build["server"] = 2.5
    order = await asg_order(cloud, asg)
    made = await confirmed(cloud, job("create-stack", order))
    await confirmed(cloud, job("await-stack", order, results={"create-stack": made}, settings=IMPATIENT))
    stack = await cloud.heat.show(made["stack_name"], made["stack_id"])
    assert stack is not None
    assert RESUMED in stack.tags
    info = read(await carry_out(cloud, order, None, "read-back", results={"create-stack": made}))
    await carry_out(cloud, order_for("SCALE", info, asg, **OUT), info, "update-stack", "await-update", op_id="op2")
    stack = await cloud.heat.show(made["stack_name"], made["stack_id"])
    assert stack is not None
    assert RESUMED not in stack.tags
