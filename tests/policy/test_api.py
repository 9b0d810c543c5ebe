"""``/policy/v1/policies``: create, read, delete; other projects; bad bodies."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from aiohttp.test_utils import TestClient, TestServer
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.platform import Platform
from forestay_policy.api.policies import PolicyApi
from forestay_policy.domain.events import Rule
from forestay_policy.domain.policy import POLICY, CreatePolicy
from forestay_sol.caller import NoAuthentication
from forestay_sol.web import application

from tests.policy.conftest import POLICIES, Serve


async def test_a_policy_is_created_shown_listed_and_deleted(serve: Serve) -> None:
    async with serve() as server:
        when = {"eventTypes": ["QOS_ALARM"], "managedObjectIds": ["v"]}
        async with server.http.post(POLICIES, json={"name": "again", "do": "retry", "when": when}) as response:
            assert response.status == 201
            policy = await response.json()
            assert response.headers["Location"] == policy["_links"]["self"]["href"]
        assert policy["when"] == {"probableCauses": []} | when
        assert (policy["enabled"], policy["maxAttempts"], policy["delay"]) == (True, 3, 0)
        uri = f"{POLICIES}/{policy['id']}"
        assert await server.ask("GET", uri) == (200, policy)
        other = await server.create(name="other", do="notify", enabled=False)
        _, listed = await server.ask("GET", POLICIES)
        assert {each["id"] for each in listed} == {policy["id"], other}
        assert await server.ask("GET", POLICIES, params={"filter": "(eq,name,again)"}) == (200, [policy])
        assert (await server.ask("DELETE", uri))[0] == 204
        for method in ("GET", "DELETE"):
            assert (await server.ask(method, uri))[0] == 404
        assert [each["id"] for each in (await server.ask("GET", POLICIES))[1]] == [other]


async def test_policies_are_there_after_a_restart(serve: Serve) -> None:
    async with serve() as server:
        policy_id = await server.create(name="kept")
    async with serve() as server:
        assert (await server.show(policy_id))["name"] == "kept"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"do": "retry"}, "/name"),
        ({"name": "", "do": "retry"}, "/name"),
        ({"name": "p"}, "/do"),
        ({"name": "p", "do": "reboot"}, "/do"),
        ({"name": "p", "do": "retry", "maxAttempts": 0}, "/maxAttempts"),
        ({"name": "p", "do": "retry", "delay": -1}, "/delay"),
        ({"name": "p", "do": "retry", "delay": "soon"}, "/delay"),
        ({"name": "p", "do": "retry", "when": {"eventTypes": ["FIRE"]}}, "/when/eventTypes/0"),
        ({"name": "p", "do": "retry", "when": {"managedObjectIds": ["v", 1]}}, "/when/managedObjectIds/1"),
        ({"name": "p", "do": "retry", "when": {"probableCause": ["x"]}}, "/when"),
        ({"name": "p", "do": "retry", "delays": 3}, ""),
        ([], ""),
    ],
)
async def test_a_bad_body_is_refused_with_the_place(serve: Serve, body: Any, pointer: str) -> None:
    async with serve() as server:
        status, problem = await server.ask("POST", POLICIES, json=body)
        assert (status, problem["invalidParams"][0]["pointer"]) == (400, pointer)
        assert await server.events() == []


async def test_the_policies_of_another_project_are_not_there(serve: Serve, platform: Platform) -> None:
    policies = Aggregates(platform.store, POLICY, platform.clock)
    foreign = str(uuid4())
    await policies.execute(foreign, CreatePolicy(Rule(name="f", do="notify")), Origin(str(uuid4()), "other", "eve"))
    async with serve() as server:
        for method in ("GET", "DELETE"):
            for absent in (foreign, str(uuid4())):
                status, problem = await server.ask(method, f"{POLICIES}/{absent}")
                assert (status, problem["detail"]) == (404, f"Policy {absent} not found.")
        assert await server.ask("GET", POLICIES) == (200, [])
        routes = PolicyApi(server.platform, policies).routes()
        others = application(routes, service="test", authenticator=NoAuthentication("other"))
        async with TestClient(TestServer(others)) as http, http.get(f"{POLICIES}/{foreign}") as response:
            assert response.status == 200, "its own project sees it"
