"""Faults of operations and VIMs become alarms: once each, cleared when they are over, over real streams and HTTP."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from forestay_events.platform import Platform
from forestay_events.tasks import stop
from forestay_events.work import Work
from forestay_monitor.app import projectors
from forestay_monitor.projections.faults import report_of
from forestay_sol.streams.vim import VimDeleted, VimStatusChanged

from tests.monitor.conftest import ALARMS, Serve
from tests.monitor.facts import ERROR, Vims, Vnfs

CLEARED = "(gt,alarmClearedTime,2000-01-01T00:00:00Z)"


async def test_an_operation_that_fails_raises_an_alarm_that_tells_what_failed(serve: Serve, platform: Platform) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        vnf_id, op_id = await vnfs.started()
        version = await vnfs.failed_temp(vnf_id, op_id)
        [alarm] = await server.until(1)
        assert alarm["managedObjectId"] == vnf_id
        assert alarm["eventType"] == "PROCESSING_ERROR_ALARM"
        assert alarm["perceivedSeverity"] == "CRITICAL"
        assert alarm["probableCause"] == ERROR["title"]
        assert {"operation: INSTANTIATE", f"lcmOpOccId: {op_id}", "step: create-stack",
                f"detail: {ERROR['detail']}"} <= set(alarm["faultDetails"])  # fmt: skip
        assert alarm["ackState"] == "UNACKNOWLEDGED"
        assert alarm["isRootCause"] is False
        assert "alarmClearedTime" not in alarm
        assert alarm["_links"]["self"]["href"].endswith(f"{ALARMS}/{alarm['id']}")
        assert alarm["_links"]["objectInstance"]["href"].endswith(f"/vnflcm/v2/vnf_instances/{vnf_id}")
        assert await server.ask("GET", f"{ALARMS}/{alarm['id']}") == (200, alarm)
        raised = (await platform.store.last(f"mon.alarm.{alarm['id']}")) or pytest.fail("no commit")
        assert f"lcm.vnf.{vnf_id}@{version}".encode() in raised.body
        assert raised.commit.correlation_id == op_id


async def test_a_modification_is_no_fault_and_holds_nothing_up(serve: Serve, platform: Platform) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        vnf_id, op_id = await vnfs.started()
        await vnfs.failed_temp(vnf_id, op_id)
        await vnfs.failed(vnf_id, op_id)
        await vnfs.modified(vnf_id)
        await vnfs.failed_temp(*await vnfs.started())
        await server.until(2)


@pytest.mark.parametrize("way_out", ["retried", "failed", "rolling_back", "rolled_back"])
async def test_an_alarm_is_cleared_when_its_operation_leaves_failed_temp(
    serve: Serve, platform: Platform, way_out: str
) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        vnf_id, op_id = await vnfs.started("SCALE")
        await vnfs.failed_temp(vnf_id, op_id)
        [raised] = await server.until(1)
        await getattr(vnfs, way_out)(vnf_id, op_id)
        [cleared] = await server.until(1, CLEARED)
        assert cleared.pop("alarmClearedTime") >= raised["alarmRaisedTime"]
        assert cleared == raised, "clearing does not change the severity or anything else"
        assert cleared["perceivedSeverity"] == "MAJOR"


async def test_each_failure_has_an_alarm_of_its_own_however_often_it_is_reported(
    serve: Serve, platform: Platform
) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        vnf_id, op_id = await vnfs.started()
        await vnfs.failed_temp(vnf_id, op_id)
        [first] = await server.until(1)
        await vnfs.retried(vnf_id, op_id)
        await vnfs.failed_temp(vnf_id, op_id, attempt=2)
        alarms = await server.until(2)
        await server.until(1, CLEARED)
        for _ in range(3):
            for alarm in alarms:
                await platform.queue.put(report_of(alarm["id"]))
        await _drained(platform, report_of(alarms[0]["id"]), report_of(alarms[1]["id"]))
        assert sorted(await server.tags()) == ["AlarmCleared", "AlarmRaised", "AlarmRaised"]
        assert {alarm["id"] for alarm in await server.alarms(f"(eq,id,{first['id']})")} == {first["id"]}


async def test_what_happened_while_the_monitor_was_away_is_reported_once(serve: Serve, platform: Platform) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        before = await vnfs.started()
        await vnfs.failed_temp(*before)
        await server.until(1)
    over, standing = await vnfs.started(), await vnfs.started()
    await vnfs.retried(*before)
    await vnfs.failed_temp(*over)
    await vnfs.rolled_back(*over)
    await vnfs.failed_temp(*standing)
    async with serve() as server:
        await server.until(3)
        cleared = await server.until(2, CLEARED)
        assert {alarm["managedObjectId"] for alarm in cleared} == {before[0], over[0]}
    async with serve() as server:
        assert len(await server.alarms()) == 3
        assert sorted(await server.tags()) == ["AlarmCleared"] * 2 + ["AlarmRaised"] * 3


async def test_a_rebuilt_read_model_is_the_same_and_reports_nothing_again(serve: Serve, platform: Platform) -> None:
    vnfs, vims = Vnfs(platform), Vims(platform)
    await vnfs.failed_temp(*await vnfs.started())
    await vims.happen(await vims.registered(), VimStatusChanged(status="UNREACHABLE", reason="refused"))
    async with serve() as server:
        before = await server.until(2)
    faults = await platform.pool.fetch("SELECT * FROM mon.fault ORDER BY alarm_id")
    await platform.pool.execute("DROP SCHEMA mon CASCADE")
    await _project_without_dispatch(platform)
    assert await platform.pool.fetch("SELECT * FROM mon.fault ORDER BY alarm_id") == faults
    assert await platform.pool.fetchval("SELECT count(*) FROM mon.outbox") == 0
    async with serve() as server:
        assert await server.alarms() == before
        assert await server.tags() == ["AlarmRaised", "AlarmRaised"]


async def test_a_lost_report_is_found_by_the_sweep(
    serve: Serve, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forestay_monitor.reporter._QUIET", timedelta(0))
    vnfs = Vnfs(platform)
    vnf_id, op_id = await vnfs.started()
    await vnfs.failed_temp(vnf_id, op_id)
    await _project_without_dispatch(platform)  # as if the queue had been lost
    async with serve() as server:
        [alarm] = await server.until(1)
        assert alarm["managedObjectId"] == vnf_id


async def test_a_vim_that_does_not_answer_raises_one_alarm_until_it_answers_or_is_deleted(
    serve: Serve, platform: Platform
) -> None:
    vims = Vims(platform)
    unreachable = VimStatusChanged(status="UNREACHABLE", reason="connection refused")
    async with serve() as server:
        east, west = await vims.registered(), await vims.registered()
        for vim_id in (east, west, east):
            await vims.happen(vim_id, unreachable)
        alarms = await server.until(2, "(eq,eventType,COMMUNICATIONS_ALARM)")
        alarm = next(alarm for alarm in alarms if alarm["managedObjectId"] == east)
        assert alarm["probableCause"] == "VIM unreachable"
        assert alarm["faultDetails"] == ["detail: connection refused"]
        assert alarm["_links"]["objectInstance"]["href"].endswith(f"/v1.0/vims/{east}")
        await vims.happen(east, VimStatusChanged(status="ACTIVE"))
        await vims.happen(west, VimDeleted())
        await server.until(2, CLEARED)
        await vims.happen(east, unreachable)
        await server.until(3)


async def _drained(platform: Platform, *works: Work) -> None:
    async with asyncio.timeout(60):
        for work in works:
            while await platform.queue.pending(work):
                await asyncio.sleep(0.02)


async def _project_without_dispatch(platform: Platform) -> None:
    for projector in projectors(platform, dispatch=False):
        await projector.create_tables()
        running = asyncio.create_task(projector.run())
        await platform.positions.wait("mon", projector.stream, await platform.store.head(projector.stream), timeout=60)
        await stop([running])
