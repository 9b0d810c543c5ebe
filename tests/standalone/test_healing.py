"""Drift, an alarm, a policy that heals: what somebody has taken away in the cloud is there again, and nobody was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds

from tests.flow.scenario import GROUP, create, instantiate_body, onboard, operate
from tests.notify.receiver import Receiver, receiver
from tests.standalone.site import TestSite, site

Json = dict[str, Any]


@dataclass(frozen=True)
class Healing:
    """A VNF, and the cloud that it lives in behind Forestay's back."""

    here: TestSite
    cloud: Cloud
    subscriber: Receiver
    package: Json

    async def instantiated(self) -> str:
        """URI of a VNF that runs."""
        vnf = await create(self.here.api, self.package["vnfdId"])
        operation = await operate(self.here.api, vnf, "instantiate", await instantiate_body(self.here.cloud, GROUP))
        assert operation["operationState"] == "COMPLETED", operation
        return vnf

    async def server(self, vnf: str) -> str:
        [vnfc] = (await self.here.api.send("GET", vnf))["instantiatedVnfInfo"]["vnfcResourceInfo"]
        return vnfc["computeResource"]["resourceId"]

    async def lose(self, vnf: str) -> str:
        """Take the VNF's server away; returns its id."""
        server = await self.server(vnf)
        await self.cloud.request("compute", "DELETE", f"/servers/{server}")
        return server

    async def alarms(self, vnf: str, probable_cause: str) -> list[Json]:
        """The alarms of a VNF about drift."""
        found = await self.here.ask("GET", "/vnffm/v1/alarms", Version="1.3.0")
        return [
            alarm
            for alarm in found.body
            if (alarm["managedObjectId"], alarm["probableCause"]) == (vnf.rpartition("/")[2], probable_cause)
        ]

    async def heals(self, vnf: str) -> list[Json]:
        """The HEAL operations of a VNF, oldest first."""
        listed = await self.here.api.list("/vnflcm/v2/vnf_lcm_op_occs")
        ours = [await self.here.api.send("GET", f"/vnflcm/v2/vnf_lcm_op_occs/{each['id']}") for each in listed]
        mine = [each for each in ours if (each["vnfInstanceId"], each["operation"]) == (vnf.rpartition("/")[2], "HEAL")]
        return sorted(mine, key=lambda each: each["startTime"])

    async def healed(self, vnf: str, times: int) -> Json:
        """The latest HEAL, once so many have been completed."""

        async def enough() -> bool:
            heals = await self.heals(vnf)
            assert not {each["operationState"] for each in heals} & {"FAILED_TEMP", "ROLLED_BACK"}, heals
            return [each["operationState"] for each in heals] == ["COMPLETED"] * times

        await until(enough)
        return (await self.heals(vnf))[-1]

    async def cleared(self, vnf: str, probable_cause: str, count: int) -> None:
        """Wait until there are so many alarms, and none of them stands."""

        async def over() -> bool:
            alarms = await self.alarms(vnf, probable_cause)
            return len(alarms) == count and all("alarmClearedTime" in alarm for alarm in alarms)

        await until(over)

    async def policy(self, **members: Any) -> str:
        made = await self.here.api.send("POST", "/policy/v1/policies", {"name": "mend", "do": "heal"} | members)
        return f"/policy/v1/policies/{made['id']}"


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await true():
            await asyncio.sleep(0.05)


@pytest.fixture
async def healing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Healing]:
    monkeypatch.setenv("FORESTAY_DRIFT_INTERVAL", "0.3")
    async with site() as here, Clouds() as clouds, receiver() as subscriber:
        await here.api.send("POST", "/v1.0/vims", here.cloud.vim())
        package = await onboard(here.api, GROUP, tmp_path)
        await here.api.send("POST", "/vnflcm/v2/subscriptions", {"callbackUri": subscriber.uri()})
        yield Healing(here, clouds.cloud(here.cloud.connection), subscriber, package)


async def test_a_server_that_is_lost_is_healed_if_a_policy_says_so_and_no_more_often_than_it_says(
    healing: Healing,
) -> None:
    left = await healing.instantiated()
    await healing.lose(left)
    await until(lambda: _stands(healing, left))

    policy = await healing.policy(maxAttempts=2, when={"probableCauses": ["VNFC lost"]}, delay=0.3)
    vnf = await healing.instantiated()
    lost = await healing.lose(vnf)
    heal = await healing.healed(vnf, 1)
    assert heal["isAutomaticInvocation"] is True
    [vnfc] = heal["operationParams"]["vnfcInstanceId"]
    [alarm] = await healing.alarms(vnf, "VNFC lost")
    assert (alarm["vnfcInstanceIds"], alarm["rootCauseFaultyResource"]["faultyResource"]["resourceId"]) == (
        [vnfc],
        lost,
    )
    made = await healing.server(vnf)
    assert made != lost
    assert (await healing.cloud.nova.servers([made]))[made].status == "ACTIVE"
    await healing.cleared(vnf, "VNFC lost", 1)

    await until(lambda: _told(healing, heal["id"]))
    told = [each.body for each in healing.subscriber.accepted if each.body.get("vnfLcmOpOccId") == heal["id"]]
    assert {each["isAutomaticInvocation"] for each in told} == {True}
    [first] = [
        entry
        for entry in (await healing.here.ask("GET", f"/history/v1/vnf_lcm_op_occs/{heal['id']}/timeline")).body
        if entry["events"][0]["type"] == "OperationStarted"
    ]
    assert (first["actor"], first["causationId"]) == ("forestay:policy", alarm["id"])

    await healing.lose(vnf)
    await healing.healed(vnf, 2)
    await healing.cleared(vnf, "VNFC lost", 2)
    await healing.lose(vnf)
    await until(lambda: _skipped(healing, policy))
    reason = (await healing.here.api.send("GET", policy))["lastReaction"]["reason"]
    assert "all 2 attempts to heal it are used up" in reason
    assert len(await healing.heals(vnf)) == 2
    assert await healing.heals(left) == [], "nothing is repaired that no policy was there for"
    assert await healing.here.platform.queue.all_pending("lcm-requests") == set()


async def test_a_vnf_whose_stack_is_gone_is_made_anew(healing: Healing) -> None:
    await healing.policy()
    vnf = await healing.instantiated()
    name = f"vnf-{vnf.rpartition('/')[2]}"
    gone = await healing.cloud.heat.find(name)
    assert gone is not None
    lost = await healing.server(vnf)
    await healing.cloud.heat.delete(gone)
    heal = await healing.healed(vnf, 1)
    assert (heal["isAutomaticInvocation"], heal["operationParams"]["additionalParams"]) == (True, {"all": True})
    stack = await healing.cloud.heat.find(name)
    assert stack is not None
    assert (stack.id != gone.id, stack.action, stack.status) == (True, "CREATE", "COMPLETE")
    made = await healing.server(vnf)
    assert made != lost
    assert (await healing.cloud.nova.servers([made]))[made].status == "ACTIVE"
    await healing.cleared(vnf, "VNF lost", 1)
    assert len(await healing.heals(vnf)) == 1


async def _stands(healing: Healing, vnf: str) -> bool:
    return bool(await healing.alarms(vnf, "VNFC lost"))


async def _told(healing: Healing, op_id: str) -> bool:
    states = [
        each.body.get("operationState")
        for each in healing.subscriber.accepted
        if each.body.get("vnfLcmOpOccId") == op_id
    ]
    return "COMPLETED" in states


async def _skipped(healing: Healing, policy: str) -> bool:
    last = (await healing.here.api.send("GET", policy)).get("lastReaction", {})
    return last.get("outcome") == "SKIPPED"
