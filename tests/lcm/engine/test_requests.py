"""A policy asks for a heal: LCM heals what is still lost, once, and nothing that an operation may have mended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec
import pytest_asyncio
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.config import BaseConfig
from forestay_events.work import Work
from forestay_lcm.drift.finding import DRIFT, Compared
from forestay_sol.streams.drift import Finding, Healing
from forestay_sol.streams.requests import EXECUTOR, HealRequest

from tests.lcm.engine.running import Lcm, running
from tests.lcm.engine.scripted_vim import ScriptedVim
from tests.lcm.samples import PROJECT, modify


@dataclass
class Site:
    """An LCM that nobody compares anything for but the test."""

    lcm: Lcm

    async def vnfc(self, vnf_id: str) -> str:
        state = (await self.lcm.vnfs.load(vnf_id)).state
        assert state is not None
        assert state.instantiated_vnf_info is not None
        return state.instantiated_vnf_info.vnfc_info[0].id

    async def found(self, vnf_id: str, *findings: tuple[str, Healing | None]) -> None:
        """A comparison that finds VNFCs lost, behind the latest operation."""
        after = (await self.lcm.operation(vnf_id)).id
        drifts = Aggregates(self.lcm.platform.store, DRIFT, self.lcm.platform.clock)
        lost = tuple(
            Finding(
                kind="MISSING", vim="east", resource_type="OS::Nova::Server", resource_id=vnfc, detail="It is gone.",
                vnfc_instance_id=vnfc, healing=healing, after=after,
            )
            for vnfc, healing in findings
        )  # fmt: skip
        origin = Origin(command_id=str(uuid4()), project=PROJECT, actor="forestay:drift")
        await drifts.execute(vnf_id, Compared(vim="east", findings=lost), origin)

    async def ask(self, vnf_id: str, *vnfcs: str, all_: bool = False, alarm: str = "alarm") -> None:
        """Put the request of a policy on the queue, and wait until it has been looked at."""
        request = HealRequest(
            vnf_id=vnf_id, project=PROJECT, actor="forestay:policy", policy_id="policy", alarm_id=alarm,
            vnfc_instance_ids=vnfcs, all=all_,
        )  # fmt: skip
        work = Work(executor=EXECUTOR, lane="policy", key=vnf_id, body=msgspec.Raw(msgspec.json.encode(request)))
        await self.lcm.platform.queue.put(work)
        async with asyncio.timeout(60):
            while await self.lcm.platform.queue.pending(work):
                await asyncio.sleep(0.01)

    async def told(self, vnf_id: str) -> list[Any]:
        """What the operations of a VNF instance were asked for."""
        stored = await self.lcm.platform.store.load(f"lcm.vnf.{vnf_id}")
        events = [msgspec.json.decode(raw) for each in stored for raw in each.commit.events]
        return [event["params"] for event in events if event.get("operation") == "HEAL"]


@pytest_asyncio.fixture
async def site(config: BaseConfig) -> AsyncIterator[Site]:
    async with running(config, ScriptedVim()) as lcm:
        yield Site(lcm)


async def test_what_is_still_lost_is_healed_once_however_often_it_is_asked_for(site: Site) -> None:
    vnf_id = await site.lcm.instantiated()
    vnfc = await site.vnfc(vnf_id)
    await site.found(vnf_id, (vnfc, "VNFC"))
    await site.ask(vnf_id, vnfc, "another that is there again")
    operation = await site.lcm.until(vnf_id, "COMPLETED")
    assert (operation.operation, operation.automatic) == ("HEAL", True)
    assert await site.told(vnf_id) == [{"vnfcInstanceId": [vnfc], "cause": "VNFC lost"}]
    for alarm in ("alarm", "another alarm"):
        await site.ask(vnf_id, vnfc, alarm=alarm)
    assert len(await site.told(vnf_id)) == 1


async def test_the_whole_vnf_is_made_anew_if_it_is_lost_as_a_whole(site: Site) -> None:
    vnf_id = await site.lcm.instantiated()
    await site.found(vnf_id, ("stack", "ALL"))
    await site.ask(vnf_id, all_=True)
    await site.lcm.until(vnf_id, "COMPLETED")
    assert await site.told(vnf_id) == [{"cause": "VNF lost", "additionalParams": {"all": True}}]


async def test_what_was_found_before_the_latest_operation_is_not_healed_until_it_is_found_anew(site: Site) -> None:
    vnf_id = await site.lcm.instantiated()
    vnfc = await site.vnfc(vnf_id)
    await site.found(vnf_id, (vnfc, "VNFC"))
    await site.lcm.ask(vnf_id, modify(vnfInstanceName="another"))
    await site.lcm.until(vnf_id, "COMPLETED")
    await site.ask(vnf_id, vnfc)
    assert await site.told(vnf_id) == []
    await site.found(vnf_id, (vnfc, "VNFC"))
    stored = await site.lcm.platform.store.load(DRIFT.subject(vnf_id))
    assert [type(event).__name__ for event in DRIFT.codec.decode(stored[-1].commit)] == ["DriftEnded", "DriftFound"]
    await site.ask(vnf_id, vnfc)
    await site.lcm.until(vnf_id, "COMPLETED")
    assert len(await site.told(vnf_id)) == 1


async def test_what_is_not_lost_is_not_healed(site: Site) -> None:
    vnf_id = await site.lcm.instantiated()
    vnfc = await site.vnfc(vnf_id)
    await site.ask(vnf_id, vnfc)
    await site.found(vnf_id, (vnfc, None))
    await site.ask(vnf_id, vnfc, all_=True, alarm="second")
    await site.ask(str(uuid4()), vnfc, alarm="third")
    assert await site.told(vnf_id) == []
