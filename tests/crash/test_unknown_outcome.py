"""Heat acts, but its answer is lost: the log says that the outcome is unknown, and whoever looks finds the one stack."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from forestay_events.connection import connect
from forestay_events.jetstream import JetStreamEventStore

from tests.crash.checker import check
from tests.crash.stage import Stage

pytestmark = [pytest.mark.crash, pytest.mark.asyncio(loop_scope="session")]


async def _events(stage: Stage, vnf_id: str) -> list[dict[str, Any]]:
    async with connect(stage.site.nats.url, name="test") as nats:
        commits = await JetStreamEventStore(nats).load(f"lcm.vnf.{vnf_id}")
    return [msgspec.json.decode(raw) for stored in commits for raw in stored.commit.events]


async def _unknown(stage: Stage, vnf_id: str) -> list[str]:
    """The steps of which the log says that their outcome was unknown."""
    return [event["step"] for event in await _events(stage, vnf_id) if event["type"] == "StepUnknown"]


@pytest.mark.parametrize(
    "fault",
    [
        {"effect": "reset", "when": "after"},
        {"effect": "reset", "when": "before"},
        {"effect": "status", "status": 500, "when": "after"},
        {"effect": "status", "status": 504, "when": "before"},
    ],
    ids=lambda fault: f"{fault['effect']}-{fault['when']}",
)
async def test_the_answer_to_the_creation_is_lost(stage: Stage, fault: dict[str, Any]) -> None:
    await stage.site.simulator.fault(method="POST", path="/stacks$", **fault)
    vnf_id = await stage.instantiated()
    assert await _unknown(stage, vnf_id) == ["create-stack"]
    await check(stage.site, stage.client, vnf_id)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_answer_to_the_deletion_is_lost(stage: Stage, when: str) -> None:
    vnf_id = await stage.instantiated()
    # Twice, because the HTTP client repeats a DELETE once by itself.
    await stage.site.simulator.fault(method="DELETE", path="/stacks/", effect="reset", when=when, times=2)
    await stage.client.operate(vnf_id, "terminate", stage.terminate)
    assert await _unknown(stage, vnf_id) == ["delete-stack"]
    await check(stage.site, stage.client, vnf_id)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_worker_dies_while_heat_is_silent(stage: Stage, when: str) -> None:
    """The call hangs, so nobody even learns that its outcome is unknown: the next worker looks all the same."""
    await stage.site.simulator.fault(method="POST", path="/stacks$", effect="hang", when=when)
    vnf_id = await stage.client.create(stage.vnfd_id)
    simulator = stage.site.simulator
    before = len(await simulator.journal(service="heat", method="POST"))
    op_id = await stage.client.start(vnf_id, "instantiate", stage.instantiate)
    async with asyncio.timeout(60):
        while len(await simulator.journal(service="heat", method="POST")) == before:
            await asyncio.sleep(0.02)
    stage.site.worker.kill()
    stage.site.worker.start()
    assert (await stage.client.ended(op_id))["operationState"] == "COMPLETED"
    await check(stage.site, stage.client, vnf_id)
