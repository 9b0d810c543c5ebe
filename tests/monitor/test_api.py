"""``/vnffm/v1/alarms``: acknowledgement, pages, filters, other projects, bad requests."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from aiohttp.test_utils import TestClient, TestServer
from forestay_events.aggregate import Aggregates
from forestay_events.platform import Platform
from forestay_monitor.api.alarms import AlarmApi
from forestay_monitor.domain.alarm import ALARM
from forestay_sol.caller import NoAuthentication
from forestay_sol.web import application
from yarl import URL

from tests.monitor.conftest import ALARMS, Serve
from tests.monitor.facts import Vnfs

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


async def test_an_alarm_is_acknowledged_and_unacknowledged_but_not_twice(serve: Serve, platform: Platform) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        await vnfs.failed_temp(*await vnfs.started())
        [alarm] = await server.until(1)
        uri = f"{ALARMS}/{alarm['id']}"
        for state in ("ACKNOWLEDGED", "UNACKNOWLEDGED"):
            body = {"ackState": state}
            assert await server.ask("PATCH", uri, json=body, headers=MERGE_PATCH) == (200, body)
            _, shown = await server.ask("GET", uri)
            assert shown["ackState"] == state
            assert ("alarmAcknowledgedTime" in shown) == (state == "ACKNOWLEDGED")
            status, problem = await server.ask("PATCH", uri, json=body, headers=MERGE_PATCH)
            assert (status, problem["detail"]) == (409, "The ackState of alarm cannot specify the same value.")
        assert await server.tags() == ["AlarmRaised", "AlarmAcknowledged", "AlarmUnacknowledged"]


async def test_the_alarms_of_another_project_are_not_there(serve: Serve, platform: Platform) -> None:
    others = Vnfs(platform, project="other")
    async with serve() as server:
        await others.failed_temp(*await others.started())
        own = Vnfs(platform)
        vnf_id, op_id = await own.started()
        await own.failed_temp(vnf_id, op_id)
        [alarm] = await server.until(1)
        assert alarm["managedObjectId"] == vnf_id
        foreign = await platform.pool.fetchval("SELECT id FROM mon.alarm WHERE project = 'other'")
        assert foreign is not None
        for method, options in (("GET", {}), ("PATCH", {"json": {"ackState": "ACKNOWLEDGED"}})):
            for absent in (foreign, str(uuid4())):
                status, problem = await server.ask(method, f"{ALARMS}/{absent}", **options)
                assert (status, problem["detail"]) == (404, f"Alarm {absent} not found.")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"ackState": "SEEN"}', "/ackState"),
        ('{"ackState": null}', "/ackState"),
        ("{}", "/ackState"),
        ("[]", ""),
        ("", ""),
        ('{"ackState": ', ""),
    ],
)
async def test_a_bad_body_is_refused_with_the_place(serve: Serve, platform: Platform, body: str, pointer: str) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        await vnfs.failed_temp(*await vnfs.started())
        [alarm] = await server.until(1)
        status, problem = await server.ask("PATCH", f"{ALARMS}/{alarm['id']}", data=body, headers=MERGE_PATCH)
        assert (status, problem["invalidParams"][0]["pointer"]) == (400, pointer)
        assert await server.tags() == ["AlarmRaised"]


@pytest.mark.parametrize(
    ("path", "options", "expected"),
    [
        ("", {"params": {"filter": "(eq,id"}}, 400),
        ("", {"params": {"nextpage_opaque_marker": "made-up"}}, 400),
        ("", {"headers": {"Version": "2.0.0"}}, 406),
        ("/00000000-0000-4000-8000-000000000000", {}, 404),
        ("/a.b", {}, 404),
    ],
)
async def test_a_bad_request_is_answered_with_what_is_wrong(
    serve: Serve, path: str, options: dict[str, Any], expected: int
) -> None:
    async with serve() as server:
        status, problem = await server.ask("GET", ALARMS + path, **options)
        assert (status, problem["status"]) == (expected, expected)
        assert problem["detail"]


async def test_a_list_comes_in_pages(serve: Serve, platform: Platform) -> None:
    vnfs = Vnfs(platform)
    async with serve() as server:
        for _ in range(3):
            await vnfs.failed_temp(*await vnfs.started())
        whole = await server.until(3)
        alarms = Aggregates(platform.store, ALARM, platform.clock)
        small = application(
            AlarmApi(server.platform, alarms).routes(),
            service="test",
            page_size=2,
            authenticator=NoAuthentication("default"),
        )
        async with TestClient(TestServer(small), headers={"Version": "1.3.0"}) as http:
            async with http.get(ALARMS) as response:
                first, link = await response.json(), URL(response.links["next"]["url"])
            async with http.get(link.relative()) as response:
                assert first + await response.json() == whole
                assert "Link" not in response.headers
