"""Alarms of failed operations meet policies: what is asked of LCM, how often, when, and what the log says about it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from forestay_events.platform import Platform
from forestay_events.tasks import stop
from forestay_policy.app import projectors
from forestay_policy.domain.events import PolicyCreated, PolicySkipped, PolicyTriggered
from forestay_policy.work import due_action, look_at_alarm
from forestay_sol.streams.vim import VimStatusChanged

from tests.monitor.facts import ERROR, Vims, Vnfs
from tests.policy.conftest import POLICIES, Requests, Serve


async def test_a_matching_alarm_leads_to_one_retry_with_a_reason(
    serve: Serve, platform: Platform, requests: Requests
) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        when = {"eventTypes": ["PROCESSING_ERROR_ALARM"], "probableCauses": [ERROR["title"]]}
        policy_id = await server.create(when=when, maxAttempts=2)
        vnf_id, op_id = await vnfs.started()
        version = await vnfs.failed_temp(vnf_id, op_id)
        asked = await requests.next()
        [triggered] = await server.until(PolicyTriggered, 1)
        assert asked == {
            "opId": op_id,
            "vnfId": vnf_id,
            "how": "retry",
            "actor": "forestay:policy",
            "project": "default",
            "policyId": policy_id,
            "alarmId": triggered.alarm_id,
            "cause": f"lcm.vnf.{vnf_id}@{version}",
        }
        assert triggered.reason == (
            f"CRITICAL alarm 'Stack failed' of VNF {vnf_id}: retry operation {op_id} in 0 s, attempt 1 of 2."
        )
        last = (await server.show(policy_id))["lastReaction"]
        assert (last["outcome"], last["attempt"], last["reason"]) == ("TRIGGERED", 1, triggered.reason)
        for _ in range(3):
            await platform.queue.put(look_at_alarm(triggered.alarm_id))
            await server.settle()
        assert len(await server.events()) == 2
        assert requests.arrived.empty()


async def test_attempts_are_counted_per_operation_and_come_to_an_end(
    serve: Serve, platform: Platform, requests: Requests
) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        await server.create(maxAttempts=2)
        vnf_id, op_id = await vnfs.started()
        for attempt in (1, 2):
            await vnfs.failed_temp(vnf_id, op_id, attempt)
            assert (await requests.next())["opId"] == op_id
            await vnfs.retried(vnf_id, op_id, attempt + 1)
        await vnfs.failed_temp(vnf_id, op_id, 3)
        [skipped] = await server.until(PolicySkipped, 1)
        assert f"all 2 attempts for operation {op_id} are used up" in skipped.reason
        await vnfs.failed(vnf_id, op_id)
        _, again = await vnfs.started(vnf_id=vnf_id)
        await vnfs.failed_temp(vnf_id, again)
        assert (await requests.next())["opId"] == again
        triggered = await server.until(PolicyTriggered, 3)
        assert [event.attempt for event in triggered] == [1, 2, 1]
        await server.settle()
        assert requests.arrived.empty()


async def delayed(platform: Platform) -> None:
    """Wait until something is to be done later."""
    async with asyncio.timeout(60):
        while not (await platform.nats.js.stream_info("WORK", subjects_filter="later.>")).state.subjects:
            await asyncio.sleep(0.02)


async def test_a_delay_goes_on_while_the_service_is_away(serve: Serve, platform: Platform, requests: Requests) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        await server.create(delay=5)
        vnf_id, op_id = await vnfs.started()
        began = time.monotonic()
        await vnfs.failed_temp(vnf_id, op_id)
        await server.until(PolicyTriggered, 1)
        await delayed(platform)
    assert requests.arrived.empty()
    async with serve() as server:
        assert (await requests.next())["opId"] == op_id
        assert time.monotonic() - began >= 5
        await server.settle()
        assert requests.arrived.empty()
        assert len(await server.events()) == 2


@pytest.mark.parametrize("what", ["operation retried", "policy deleted"])
async def test_what_is_not_wanted_any_more_when_the_delay_is_over_is_not_done(
    serve: Serve, platform: Platform, requests: Requests, what: str
) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        policy_id = await server.create(delay=3600)
        vnf_id, op_id = await vnfs.started()
        await vnfs.failed_temp(vnf_id, op_id)
        [triggered] = await server.until(PolicyTriggered, 1)
        await delayed(platform)
        await platform.nats.js.purge_stream("WORK", subject="later.>")
        if what == "operation retried":
            await vnfs.retried(vnf_id, op_id)
        else:
            assert (await server.ask("DELETE", f"{POLICIES}/{policy_id}"))[0] == 204
        await server.settle()
        await platform.queue.put(due_action(policy_id, triggered.alarm_id))  # the delay is over
        await server.settle()
        assert requests.arrived.empty()


async def test_alarms_raised_while_the_service_was_away_are_decided_about_once(
    serve: Serve, platform: Platform, requests: Requests
) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        await server.create()
    failed = [await vnfs.started() for _ in range(5)]
    for vnf_id, op_id in failed:
        await vnfs.failed_temp(vnf_id, op_id)
    for _ in range(2):
        async with serve() as server:
            await server.until(PolicyTriggered, 5)
            await server.settle()
    asked = [await requests.next() for _ in failed]
    assert {(request["vnfId"], request["opId"]) for request in asked} == set(failed)
    assert requests.arrived.empty()


@pytest.mark.parametrize(
    "members",
    [
        {"enabled": False},
        {"when": {"eventTypes": ["COMMUNICATIONS_ALARM"]}},
        {"when": {"probableCauses": ["Time-out"]}},
        {"when": {"managedObjectIds": ["another"], "probableCauses": [ERROR["title"]]}},
    ],
)
async def test_a_policy_leaves_alarms_alone_that_it_is_not_about(
    serve: Serve, platform: Platform, requests: Requests, members: dict[str, Any]
) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        await server.create(**members)
        await server.create(do="notify")
        await vnfs.failed_temp(*await vnfs.started())
        [noted] = await server.until(PolicyTriggered, 1)
        assert noted.action == "notify"
        await server.settle()
        assert requests.arrived.empty()


async def test_a_policy_does_not_react_to_another_projects_alarm(
    serve: Serve, platform: Platform, requests: Requests
) -> None:
    own, others = Vnfs(platform), Vnfs(platform, project="other")
    async with serve() as server:
        await server.create()
        await others.failed_temp(*await others.started())
        vnf_id, op_id = await own.started()
        await own.failed_temp(vnf_id, op_id)
        assert (await requests.next())["opId"] == op_id
        await server.settle()
        assert [event.managed_object_id for event in await server.until(PolicyTriggered, 1)] == [vnf_id]


async def test_an_alarm_about_no_operation_cannot_be_retried(serve: Serve, platform: Platform) -> None:
    vims = Vims(platform)
    async with serve() as server:
        await server.create()
        vim_id = await vims.registered()
        await vims.happen(vim_id, VimStatusChanged(status="UNREACHABLE", reason="refused"))
        [skipped] = await server.until(PolicySkipped, 1)
        assert skipped.managed_object_id == vim_id
        assert "it is about no operation" in skipped.reason


async def test_a_rebuilt_read_model_is_the_same_and_does_nothing_again(
    serve: Serve, platform: Platform, requests: Requests
) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        policy_id = await server.create()
        await vnfs.failed_temp(*await vnfs.started())
        await requests.next()
        await server.settle()
        before = await server.show(policy_id)
    states = await platform.pool.fetch("SELECT * FROM pol.policy")
    await platform.pool.execute("DROP SCHEMA pol CASCADE")
    for projector in projectors(platform, dispatch=False):
        await projector.create_tables()
        running = asyncio.create_task(projector.run())
        await platform.positions.wait("pol", projector.stream, await platform.store.head(projector.stream), timeout=60)
        await stop([running])
    assert await platform.pool.fetch("SELECT * FROM pol.policy") == states
    async with serve() as server:
        assert await server.show(policy_id) == before
        await server.settle()
        assert [type(event) for event in await server.events()] == [PolicyCreated, PolicyTriggered]
    assert requests.arrived.empty()
