"""What differs between a VIM and the log becomes alarms: one for each probable cause, until the last of it has ended."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from forestay_events.commit import Commit
from forestay_events.platform import Platform
from forestay_monitor.domain.drift import DELETED, ENDED, FOUND_ANEW, TERMINATED, drifted
from forestay_sol.streams.alarm import AlarmRaised
from forestay_sol.streams.drift import DriftFound, Finding

from tests.monitor.conftest import Serve, Server
from tests.monitor.facts import Comparisons, Vnfs, difference, lost

CLEARED = "(gt,alarmClearedTime,2000-01-01T00:00:00Z)"
COMMIT = Commit(
    id="c", stream="LCM", kind="drift", aggregate_id="vnf", version=3, at=datetime.now(UTC), project="p", actor="a",
    reason="", events=(),
)  # fmt: skip


def alarms(*findings: Finding) -> dict[str, AlarmRaised]:
    """By probable cause."""
    found = [DriftFound(finding_id=str(at), finding=finding) for at, finding in enumerate(findings)]
    return {alarm.probable_cause: alarm for alarm, _ in drifted(found, COMMIT)}


def test_five_hundred_servers_are_one_alarm() -> None:
    [(alarm, findings)] = drifted(
        [DriftFound(finding_id=f"f{at}", finding=lost(f"s{at}", f"c{at}")) for at in range(500)], COMMIT
    )
    assert (len(alarm.vnfc_instance_ids), len(findings)) == (500, 500)
    assert (len(alarm.fault_details), alarm.fault_details[-1]) == (51, "and 450 more")
    assert (alarm.cause, alarm.healing, alarm.perceived_severity) == ("lcm.drift.vnf@3", "VNFC", "CRITICAL")


def test_what_a_heal_mends_is_told_apart_from_what_it_does_not() -> None:
    found = alarms(
        lost("s", "c"),
        difference("CHANGED", "OS::Nova::Server", "stopped", vnfc="d"),
        difference("CHANGED", "OS::Neutron::Port", "p"),
        difference("MISSING", "OS::Neutron::Port", "q"),
        difference("MISSING", "OS::Cinder::Volume", "v"),
        difference("ORPHANED", "OS::Nova::Server", "o"),
        difference("CHANGED", "OS::Heat::Stack", "stack", healing="ALL"),
    )
    assert {cause: (alarm.healing, alarm.perceived_severity) for cause, alarm in found.items()} == {
        "VNFC lost": ("VNFC", "CRITICAL"),
        "VNF lost": ("ALL", "MAJOR"),
        "Resource changed": (None, "MAJOR"),
        "Resource missing": (None, "CRITICAL"),
        "Resource orphaned": (None, "WARNING"),
    }
    volume = found["Resource missing"].faulty_resource
    assert volume is not None, "the gravest of them"
    assert (volume.faulty_resource_type, volume.resource_id) == ("STORAGE", "v")


async def reasons(server: Server) -> list[str]:
    rows = await server.platform.pool.fetch("SELECT clearing FROM mon.fault WHERE cleared_at IS NOT NULL")
    return [row["clearing"] for row in rows]


async def test_a_lost_server_is_an_alarm_until_a_comparison_finds_it(serve: Serve, platform: Platform) -> None:
    vnfs, comparisons = Vnfs(platform), Comparisons(platform)
    async with serve() as server:
        vnf_id = await vnfs.instantiated()
        version = await comparisons.find(vnf_id, lost("s1", "VDU1-s1"), lost("s2", "VDU1-s2"))
        [alarm] = await server.until(1)
        assert {name: alarm[name] for name in alarm.keys() - {"id", "_links", "alarmRaisedTime", "eventTime"}} == {
            "managedObjectId": vnf_id,
            "vnfcInstanceIds": ["VDU1-s1", "VDU1-s2"],
            "rootCauseFaultyResource": {
                "faultyResource": {"resourceId": "s1", "vimLevelResourceType": "OS::Nova::Server"},
                "faultyResourceType": "COMPUTE",
            },
            "ackState": "UNACKNOWLEDGED",
            "perceivedSeverity": "CRITICAL",
            "eventType": "EQUIPMENT_ALARM",
            "faultType": "VNF_DRIFT",
            "probableCause": "VNFC lost",
            "isRootCause": False,
            "faultDetails": [
                "MISSING OS::Nova::Server s1: OS::Nova::Server s1 is missing.",
                "MISSING OS::Nova::Server s2: OS::Nova::Server s2 is missing.",
            ],
        }
        raised = (await platform.store.last(f"mon.alarm.{alarm['id']}")) or pytest.fail("no commit")
        assert f"lcm.drift.{vnf_id}@{version}".encode() in raised.body
        await comparisons.find(vnf_id, lost("s2", "VDU1-s2"))
        await server.platform.positions.wait("mon", "LCM", await platform.store.head("LCM"), timeout=60)
        assert await server.alarms(CLEARED) == [], "one of the two is still gone"
        await comparisons.find(vnf_id)
        await server.until(1, CLEARED)
        assert await reasons(server) == [ENDED]
        assert await server.tags() == ["AlarmRaised", "AlarmCleared"]


async def test_what_outlives_an_operation_is_an_alarm_anew(serve: Serve, platform: Platform) -> None:
    vnfs, comparisons = Vnfs(platform), Comparisons(platform)
    async with serve() as server:
        vnf_id = await vnfs.instantiated()
        await comparisons.find(vnf_id, lost("s", "c", after="op-1"))
        await server.until(1)
        await comparisons.find(vnf_id, lost("s", "c", after="op-2"))
        await server.until(2)
        await server.until(1, CLEARED)
        assert await reasons(server) == [FOUND_ANEW]


async def test_nothing_of_a_terminated_vnf_is_missing_but_what_it_left_is_there(
    serve: Serve, platform: Platform
) -> None:
    vnfs, comparisons = Vnfs(platform), Comparisons(platform)
    left = difference("ORPHANED", "OS::Heat::Stack", "stack", after=None)
    async with serve() as server:
        vnf_id = await vnfs.instantiated()
        await comparisons.find(vnf_id, lost("s", "c"), left)
        await server.until(2)
        await vnfs.terminated(vnf_id)
        [cleared] = await server.until(1, CLEARED)
        assert cleared["probableCause"] == "VNFC lost"
        await vnfs.deleted(vnf_id)
        await server.until(2, CLEARED)
        assert sorted(await reasons(server)) == [DELETED, TERMINATED]


async def test_of_what_is_no_instance_of_this_log_no_alarm_is_raised(serve: Serve, platform: Platform) -> None:
    vnfs, comparisons = Vnfs(platform), Comparisons(platform)
    async with serve() as server:
        await comparisons.find(str(uuid4()), difference("ORPHANED", "OS::Heat::Stack", "theirs", after=None))
        vnf_id = await vnfs.instantiated()
        await comparisons.find(vnf_id, difference("ORPHANED", "OS::Neutron::Port", "ours"))
        [alarm] = await server.until(1)
        assert (alarm["managedObjectId"], alarm["perceivedSeverity"]) == (vnf_id, "WARNING")


async def test_what_was_found_while_the_monitor_was_away_is_told_once(serve: Serve, platform: Platform) -> None:
    vnfs, comparisons = Vnfs(platform), Comparisons(platform)
    vnf_id, other = await vnfs.instantiated(), await vnfs.instantiated()
    await comparisons.find(vnf_id, lost("s", "c"))
    await comparisons.find(vnf_id)
    await comparisons.find(other, lost("t", "d"), difference("MISSING", "OS::Neutron::Port", "p"))
    for _ in range(2):
        async with serve() as server:
            await server.until(3)
            await server.until(1, CLEARED)
            assert sorted(await server.tags()) == ["AlarmCleared", *["AlarmRaised"] * 3]
