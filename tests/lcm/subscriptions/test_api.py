"""Subscriptions over HTTP: what is accepted, refused and shown, and who is told what about instances that are operated on."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.config import BaseConfig
from forestay_events.maintenance import rebuild
from forestay_events.platform import open_platform
from forestay_events.sealing import Shredded
from forestay_lcm import app
from forestay_lcm.executor import Failed
from forestay_lcm.subscriptions.resource import LCCN_SUBSCRIPTIONS
from forestay_notify.housekeeping import Housekeeping, recording, shredding
from forestay_notify.outgoing import Outgoing
from forestay_notify.settings import NotifySettings
from forestay_notify.subscription import CODEC, NotificationsExpired, Subscribe

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


BASIC = {"authType": ["BASIC"], "paramsBasic": {"userName": "nfvo", "password": "hush-hush"}}


@pytest.mark.parametrize(
    ("members", "status", "pointer"),
    [
        ({"callbackUri": None}, 400, "/callbackUri"),
        ({"callbackUri": "ftp://example.org/"}, 400, "/callbackUri"),
        ({"callbackUri": "http://example.org/" + "x" * 255}, 400, "/callbackUri"),
        ({"callbackUri": "http://169.254.169.254/latest"}, 422, "/callbackUri"),
        ({"verbosity": "LOUD"}, 400, "/verbosity"),
        ({"filter": {"operationTypes": ["DANCE"]}}, 400, "/filter/operationTypes/0"),
        ({"filter": {"vnfInstanceSubscriptionFilter": {"vnfdIds": 1}}}, 400, "/filter/vnfInstanceSubscriptionFilter/vnfdIds"),
        ({"authentication": {"authType": ["BASIC"]}}, 400, "/authentication/paramsBasic"),
        ({"authentication": {"authType": []}}, 400, "/authentication/authType"),
        ({"authentication": {"authType": ["TLS_CERT"]}}, 400, "/authentication/authType"),
    ],
)  # fmt: skip
async def test_refusals(config: BaseConfig, members: dict[str, Any], status: int, pointer: str) -> None:
    async with talking(config) as (api, subscriber, _):
        body = {"callbackUri": subscriber.uri()} | members
        refused = await api.post(PATH, {name: value for name, value in body.items() if value is not None})
        assert [param["pointer"] for param in refused.problem(status)["invalidParams"]] == [pointer]
        assert (await api.get(PATH)).body == []
        assert subscriber.asked == []


async def test_secrets_are_used_and_never_shown(config: BaseConfig) -> None:
    """Also by a process that has just started: they come out of the vault."""
    async with receiver() as subscriber:
        async with running(config) as lcm, client(lcm.url) as api:
            id_ = await subscribe(api, subscriber, authentication=BASIC)
            shown = await api.get(f"{PATH}/{id_}")
            assert "authentication" not in shown.body
            stored = await lcm.platform.store.load(f"lcm.subscription.{id_}")
            assert b"hush-hush" not in stored[0].body
            assert b"sealed:" in stored[0].body
        async with running(config) as lcm:
            await lcm.create()
            (taken,) = await subscriber.until(1)
            await lcm.create()
            await subscriber.until(2)
    assert taken.headers["Authorization"] == f"Basic {b64encode(b'nfvo:hush-hush').decode()}"


async def test_deleted_one_is_told_nothing_and_its_key_is_destroyed(config: BaseConfig) -> None:
    async with talking(config) as (api, subscriber, lcm):
        id_ = await subscribe(api, subscriber, authentication=BASIC)
        other = await subscribe(api, subscriber, "/other")
        assert (await api.delete(f"{PATH}/{id_}")).status == 204
        await lcm.create()
        (taken,) = await subscriber.until(1)
        assert taken.body["subscriptionId"] == other
        platform = lcm.platform
        await platform.positions.wait("lcm", "LCM", await platform.store.head("LCM"), timeout=60)
        await shredding(platform.pool, platform.vault, "lcm")()
        with pytest.raises(Shredded):
            await platform.vault.seal(id_, "/x", "y")


async def test_other_projects(config: BaseConfig) -> None:
    async with talking(config) as (api, subscriber, lcm):
        foreign = Aggregates(lcm.platform.store, LCCN_SUBSCRIPTIONS.definition, lcm.platform.clock)
        command = Subscribe(subscriber.uri("/foreign"), None, None, "FULL")
        id_ = str(uuid4())
        await foreign.execute(id_, command, Origin(str(uuid4()), "other", "somebody"))
        await subscribe(api, subscriber)
        assert len((await api.get(PATH)).body) == 1
        for answer in (
            await api.get(f"{PATH}/{id_}"),
            await api.get(f"{PATH}/{id_}/deliveries"),
            await api.post(f"{PATH}/{id_}/redeliver"),
            await api.delete(f"{PATH}/{id_}"),
        ):
            answer.problem(404)
        await lcm.create()
        await subscriber.until(1)
        await asyncio.sleep(0.2)
        assert [taken.path for taken in subscriber.accepted] == ["/callback"]


async def test_nobody_is_told_what_was_before(config: BaseConfig) -> None:
    async with talking(config) as (api, subscriber, lcm):
        before = await lcm.create()
        await subscribe(api, subscriber)
        after = await lcm.create()
        await api.delete(f"/vnflcm/v2/vnf_instances/{before}")
        await subscriber.until(2)
        kinds = [(taken.body["notificationType"], taken.body["vnfInstanceId"]) for taken in subscriber.accepted]
        assert sorted(kinds) == [
            ("VnfIdentifierCreationNotification", after),
            ("VnfIdentifierDeletionNotification", before),
        ]


async def test_log_and_redelivery(config: BaseConfig) -> None:
    async with talking(config) as (api, subscriber, lcm):
        id_ = await subscribe(api, subscriber)
        path = f"{PATH}/{id_}/deliveries"
        for _ in range(3):
            await lcm.create()
        await subscriber.until(3)
        await eventually(api, path, lambda body: [each["state"] for each in body] == ["DELIVERED"] * 3)
        await subscriber.stop()
        vnf_id = await lcm.create()
        entries = await eventually(api, path, lambda body: len(body) == 4 and "lastError" in body[-1])
        assert [entry["state"] for entry in entries] == ["DELIVERED"] * 3 + ["PENDING"]
        last = entries[-1]
        assert last["objectInstanceId"] == vnf_id
        assert last["lastError"].startswith("cannot connect")
        assert last["attempts"] >= 1
        assert (await api.get(f"{path}?filter=(eq,state,PENDING)")).body[0]["notificationId"] == last["notificationId"]
        assert (await api.get(f"{path}?filter=(gt,attempts,100)")).body == []
        (await api.get(f"{path}?filter=(eq)")).problem(400)
        await subscriber.start()
        first = entries[0]["notificationId"]
        assert (await api.post(f"{PATH}/{id_}/redeliver", {"notificationIds": [first]})).status == 202
        assert (await api.post(f"{PATH}/{id_}/redeliver")).status == 202
        taken = await subscriber.until(5)
        assert {each.body["id"] for each in taken[3:]} == {first, last["notificationId"]}
        (await api.post(f"{PATH}/{id_}/redeliver", {"since": "2026-01-01T00:00:00"})).problem(400)
        history = await lcm.platform.store.load(f"lcm.subscription.{id_}")
        assert [stored.commit.actor for stored in history] == ["admin"] * 3


async def test_given_up_with_a_record(config: BaseConfig) -> None:
    async with talking(config) as (api, subscriber, lcm):
        id_ = await subscribe(api, subscriber)
        await subscriber.stop()
        await lcm.create()
        await eventually(api, f"{PATH}/{id_}/deliveries", lambda body: len(body) == 1 and "lastError" in body[0])
        subscriptions = Aggregates(lcm.platform.store, LCCN_SUBSCRIPTIONS.definition, lcm.platform.clock)

        async def keep(**settings: float) -> None:
            given = msgspec.convert(settings, NotifySettings)
            await Housekeeping(lcm.platform.pool, Outgoing("lcm"), given, recording(subscriptions)).round()

        await keep(notify_keep_trying=1e-9)
        (entry,) = await eventually(api, f"{PATH}/{id_}/deliveries", lambda body: body[0]["state"] == "EXPIRED")
        assert "endTime" in entry
        (expired,) = CODEC.decode((await lcm.platform.store.load(f"lcm.subscription.{id_}"))[-1].commit)
        assert expired == NotificationsExpired(notification_ids=(entry["notificationId"],))
        await keep(notify_log_days=0)
        assert (await api.get(f"{PATH}/{id_}/deliveries")).body == []


async def test_rebuilding_the_read_models_neither_loses_nor_repeats(config: BaseConfig) -> None:
    async with receiver() as subscriber:
        async with running(config) as lcm, client(lcm.url) as api:
            id_ = await subscribe(api, subscriber)
            await lcm.create()
            await subscriber.until(1)
            await eventually(api, f"{PATH}/{id_}/deliveries", lambda body: body[0]["state"] == "DELIVERED")
            await subscriber.stop()
            await lcm.create()
            await eventually(api, f"{PATH}/{id_}/deliveries", lambda body: len(body) == 2)
        async with open_platform(config, "rebuild") as platform:
            await rebuild(*app.projectors(platform, dispatch=False))
        await subscriber.start()
        async with running(config) as lcm:
            await lcm.create()
            await subscriber.until(3)
            await asyncio.sleep(0.2)
    assert len({taken.body["id"] for taken in subscriber.accepted}) == len(subscriber.accepted) == 3


async def eventually(api: Client, path: str, holds: Callable[[Any], bool], *, within: float = 60.0) -> Any:
    """The body of a GET once it is as expected."""
    async with asyncio.timeout(within):
        while not holds(body := (await api.get(path)).body):
            await asyncio.sleep(0.02)
    return body
