"""Subscriptions through version 1: one outbox with version 2, each told in its own words."""

from __future__ import annotations

import json
from typing import Any

from forestay_events.config import BaseConfig
from forestay_lcm.executor import Failed

from tests.lcm.api_v1.speaking import ENDPOINT, SUBSCRIPTIONS, speaking
from tests.lcm.engine.scripted_vim import Hitch, ScriptedVim
from tests.notify.receiver import receiver

OF_V2 = "/vnflcm/v2/subscriptions"


async def test_life_of_a_subscription(config: BaseConfig) -> None:
    async with speaking(config) as (v1, v2, _), receiver() as subscriber:
        filter_ = {"vnfInstanceSubscriptionFilter": {"vnfdIds": ["vnfd-1"]}}
        body = {"callbackUri": subscriber.uri(), "filter": filter_}
        made = await v1.post(SUBSCRIPTIONS, body)
        assert made.status == 201
        uri = f"{ENDPOINT}{SUBSCRIPTIONS}/{made.body['id']}"
        assert made.headers["Location"] == uri
        assert "Version" not in subscriber.headers[0]
        assert made.body == {"id": made.body["id"], "_links": {"self": {"href": uri}}} | body
        path = f"{SUBSCRIPTIONS}/{made.body['id']}"
        assert (await v1.get(path)).body == made.body
        assert (await v1.get(SUBSCRIPTIONS)).body == [made.body]
        assert (await v2.get(f"{OF_V2}/{made.body['id']}")).body["filter"] == filter_
        assert (await v1.delete(path)).status == 204
        (await v1.get(path)).problem(404)
        assert (await v2.get(OF_V2)).body == []


async def test_the_same_once_more(config: BaseConfig) -> None:
    async with speaking(config) as (v1, v2, _), receiver() as subscriber:
        body: dict[str, Any] = {"callbackUri": subscriber.uri()}
        assert (await v2.post(OF_V2, body)).status == 201
        made = await v1.post(SUBSCRIPTIONS, body)
        assert made.status == 201
        again = await v1.post(SUBSCRIPTIONS, body)
        assert (again.status, again.body) == (303, None)
        assert again.headers["Location"] == made.headers["Location"]
        other = body | {"filter": {"operationTypes": ["SCALE"]}}
        filtered = await v1.post(SUBSCRIPTIONS, other)
        assert filtered.status == 201
        assert (await v1.post(SUBSCRIPTIONS, other)).headers["Location"] == filtered.headers["Location"]
        assert len((await v2.get(OF_V2)).body) == 3


async def test_callback_that_is_none(config: BaseConfig) -> None:
    async with speaking(config) as (v1, _, _lcm), receiver() as subscriber:

        async def refuse(*_: Any) -> int:
            return 404

        subscriber.answer = refuse
        refused = await v1.post(SUBSCRIPTIONS, {"callbackUri": subscriber.uri()})
        assert refused.problem(400)["title"] == "Failed to Test Notification"


async def test_notifications(config: BaseConfig) -> None:
    vim = ScriptedVim()
    async with speaking(config, vim) as (v1, v2, lcm), receiver() as subscriber:
        old = (await v1.post(SUBSCRIPTIONS, {"callbackUri": subscriber.uri("/v1")})).body
        new = (await v2.post(OF_V2, {"callbackUri": subscriber.uri("/v2")})).body
        vim.next("create-stack", Hitch(instead=Failed("no", 500, "no room")))
        vnf_id = await lcm.instantiate()
        await lcm.until(vnf_id, "FAILED_TEMP")
        taken = await subscriber.until(8)
        told = [each for each in taken if each.path == "/v1"]
        bodies = [each.body for each in told]
        assert not any("Version" in each.headers for each in told)
        assert [body["id"] for body in bodies] == [each.body["id"] for each in taken if each.path == "/v2"]
        assert {body["subscriptionId"] for body in bodies} == {old["id"]} != {new["id"]}
        created, starting, _, failed = bodies
        instance = {"href": f"{ENDPOINT}/vnflcm/v1/vnf_instances/{vnf_id}"}
        links = {"vnfInstance": instance, "subscription": old["_links"]["self"]}
        assert created["links"] == created["_links"] == links
        assert starting["_links"].keys() == {"vnfInstance", "vnfLcmOpOcc", "subscription"}
        assert starting["_links"]["vnfLcmOpOcc"]["href"].startswith(f"{ENDPOINT}/vnflcm/v1/vnf_lcm_op_occs/")
        assert not {"verbosity", "links"} & starting.keys()
        assert json.loads(failed["error"])["status"] == 500
