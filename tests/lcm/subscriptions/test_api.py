"""Subscriptions over HTTP: what is accepted, refused and shown, and who is told what about instances that are operated on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from forestay_events.config import BaseConfig
from forestay_lcm.executor import Failed

from tests.lcm.api.client import OP_OCCS, Client, client
from tests.lcm.engine.running import Lcm, running
from tests.lcm.engine.scripted_vim import Hitch, ScriptedVim
from tests.notify.receiver import Receiver, receiver

PATH = "/vnflcm/v2/subscriptions"


@asynccontextmanager
async def talking(config: BaseConfig, vim: ScriptedVim | None = None) -> AsyncGenerator[tuple[Client, Receiver, Lcm]]:
    async with running(config, vim) as lcm, client(lcm.url) as api, receiver() as subscriber:
        yield api, subscriber, lcm


async def subscribe(api: Client, subscriber: Receiver, path: str = "/callback", **members: Any) -> str:
    made = await api.post(PATH, {"callbackUri": subscriber.uri(path)} | members)
    assert made.status == 201, made.body
    return made.body["id"]


async def test_life_of_a_subscription(config: BaseConfig) -> None:
    async with talking(config) as (api, subscriber, _):
        filter_ = {"vnfInstanceSubscriptionFilter": {"vnfdIds": ["vnfd-1"]}, "operationStates": ["COMPLETED"]}
        made = await api.post(PATH, {"callbackUri": subscriber.uri(), "filter": filter_})
        assert made.status == 201
        assert subscriber.asked == [("GET", "/callback")]
        id_ = made.body["id"]
        uri = f"http://forestay.example:9890{PATH}/{id_}"
        assert made.headers["Location"] == uri
        shown = {
            "id": id_, "callbackUri": subscriber.uri(), "filter": filter_, "verbosity": "FULL", "_links": {"self": {"href": uri}},
        }  # fmt: skip
        assert made.body == shown
        assert (await api.get(f"{PATH}/{id_}")).body == shown
        assert (await api.get(PATH)).body == [shown]
        assert (await api.get(f"{PATH}?filter=(eq,verbosity,SHORT)")).body == []
        assert (await api.delete(f"{PATH}/{id_}")).status == 204
        for gone in (await api.get(f"{PATH}/{id_}"), await api.delete(f"{PATH}/{id_}")):
            assert gone.problem(404)["detail"] == f"LccnSubscription {id_} not found."
        assert (await api.get(PATH)).body == []


async def test_sequences(config: BaseConfig) -> None:
    vim = ScriptedVim()
    async with talking(config, vim) as (api, subscriber, lcm):
        id_ = await subscribe(api, subscriber)
        short = await subscribe(api, subscriber, "/short", verbosity="SHORT")
        vim.next("create-stack", Hitch(instead=Failed("no", 500, "no room")))
        vnf_id = await lcm.instantiate()
        await lcm.until(vnf_id, "FAILED_TEMP")
        await lcm.handle(vnf_id, "retry")
        await lcm.until(vnf_id, "COMPLETED")
        taken = await subscriber.until(12)
        full, brief = ([r.body for r in taken if r.path == path] for path in ("/callback", "/short"))
        states = [(b.get("operationState"), b.get("notificationStatus")) for b in full]
        assert states == [
            (None, None), ("STARTING", "START"), ("PROCESSING", "RESULT"), ("FAILED_TEMP", "RESULT"),
            ("PROCESSING", "RESULT"), ("COMPLETED", "RESULT"),
        ]  # fmt: skip
        assert full[-1]["affectedVnfcs"][0]["changeType"] == "ADDED"
        assert "affectedVnfcs" not in brief[-1]
        assert [b["id"] for b in full] == [b["id"] for b in brief]
        assert {b["subscriptionId"] for b in full} == {id_}
        assert {b["subscriptionId"] for b in brief} == {short}
        assert ["error" in b for b in full] == [False, False, False, True, False, False]
        op_occ = await api.get(f"{OP_OCCS}/{full[-1]['vnfLcmOpOccId']}")
        assert op_occ.body["operationState"] == "COMPLETED"
        assert all(r.headers["Version"] == "2.0.0" for r in taken)


@pytest.mark.parametrize("status", [200, 404])
async def test_callback_that_is_none(config: BaseConfig, status: int) -> None:
    async with talking(config) as (api, subscriber, _):

        async def answer(*_: Any) -> int:
            return status

        subscriber.answer = answer
        refused = await api.post(PATH, {"callbackUri": subscriber.uri()})
        assert refused.problem(422)["detail"].startswith("Can't get from notification callback Uri.")
