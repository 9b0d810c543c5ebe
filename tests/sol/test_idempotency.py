"""``Idempotency-Key`` over real HTTP and a real PostgreSQL: one act, one answer, in one process and in two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from aiohttp import ClientResponse, web
from forestay_events.config import BaseConfig
from forestay_events.errors import Conflict, Rejected, Unavailable
from forestay_events.platform import open_platform
from forestay_events.tasks import stop
from forestay_sol import locks
from forestay_sol.api import VNFPKGM_V1, Route
from forestay_sol.body import decode
from forestay_sol.caller import Caller, caller
from forestay_sol.idempotency import kept_answers
from forestay_sol.web import answer
from forestay_standalone.embedded import EmbeddedNats

from .serving import Client, problem, serving

PATH = "/vnfpkgm/v1/things"
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
FAULTS = {"conflict": Conflict("Somebody was faster."), "away": Unavailable("The log is away.")}


class Thing(msgspec.Struct, frozen=True):
    name: str
    fault: str = ""


class Shop:
    """Makes things, and knows how often it was asked to and by which commands."""

    def __init__(self) -> None:
        self.made: list[Caller] = []
        self.open = asyncio.Event()
        self.open.set()
        self.entered = asyncio.Event()

    async def make(self, request: web.Request) -> web.Response:
        thing = await decode(request, Thing)
        self.made.append(caller(request))
        self.entered.set()
        await self.open.wait()
        if thing.fault in FAULTS:
            raise FAULTS[thing.fault]
        if thing.fault:
            raise Rejected(409, thing.fault, headers={"Retry-After": "3"})
        id_ = caller(request).new_id("thing")
        return answer({"id": id_, "number": len(self.made)}, status=201, location=f"{PATH}/{id_}")


class ByHeader:
    """The project is what the client says."""

    async def authenticate(self, request: web.Request) -> Caller:
        return Caller(project=request.headers.get("X-Project", "p"), actor="a")


@pytest_asyncio.fixture
async def config(nats_server: EmbeddedNats, database: str, tmp_path: Path) -> BaseConfig:
    return BaseConfig(nats_url=nats_server.url, database_url=database, data_dir=tmp_path / "data")


@asynccontextmanager
async def process(config: BaseConfig, shop: Shop) -> AsyncGenerator[Client]:
    """A process of its own, as far as PostgreSQL can see."""
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(open_platform(config, "test"))
        kept = await stack.enter_async_context(kept_answers(platform))
        routes = [Route("POST", PATH, shop.make, VNFPKGM_V1), Route("POST", PATH + "/{id}/x", shop.make, VNFPKGM_V1)]
        yield await stack.enter_async_context(serving(routes, authenticator=ByHeader(), kept=kept))


@pytest_asyncio.fixture
async def shop() -> Shop:
    return Shop()


@pytest_asyncio.fixture
async def client(config: BaseConfig, shop: Shop) -> AsyncGenerator[Client]:
    async with process(config, shop) as started:
        yield started


async def said(response: ClientResponse) -> tuple[int, str | None, str, bytes]:
    """What a repeated request has to be answered alike."""
    return response.status, response.headers.get("Location"), response.content_type, await response.read()


async def forget(config: BaseConfig) -> None:
    """What a process leaves that dies between its act and the kept answer."""
    connection = await asyncpg.connect(config.database_url)
    assert await connection.execute("UPDATE http.answer SET answer = NULL") == "UPDATE 1"
    await connection.close()


async def test_the_same_request_is_answered_alike_and_acts_once(client: Client, shop: Shop) -> None:
    first = await said(await client.post(PATH, data=b'{"name": "n", "fault": ""}', headers=KEY))
    again = await said(await client.post(PATH, data=b'{ "fault":"", "name":"n" }', headers=KEY))
    assert first == again
    assert first[0] == 201
    assert len(shop.made) == 1


async def test_another_key_project_or_path_and_no_key_at_all_are_other_requests(client: Client, shop: Shop) -> None:
    answers = [
        await said(await client.post(path, json={"name": "n"}, headers=headers))
        for path, headers in [
            (PATH, KEY), (PATH, KEY | {"X-Project": "q"}), (PATH + "/1/x", KEY), (PATH + "/2/x", KEY),
            (PATH, {"Idempotency-Key": "2"}), (PATH, {}), (PATH, {}),
        ]
    ]  # fmt: skip
    assert len(shop.made) == 7
    assert len({location for _, location, *_ in answers}) == 7


@pytest.mark.parametrize("other", [{"json": {"name": "m"}}, {"json": {"name": "n"}, "params": {"dry_run": "true"}}, {}])
async def test_another_request_under_the_key_is_refused(client: Client, shop: Shop, other: dict[str, Any]) -> None:
    await client.post(PATH, json={"name": "n"}, headers=KEY)
    refused = await problem(await client.post(PATH, **other, headers=KEY))
    assert (refused["status"], len(shop.made)) == (422, 1)
    assert "own key" in refused["detail"]


@pytest.mark.parametrize("key", ["", " ", "with space", "ä", "x" * 256])
async def test_a_key_is_short_and_plain(client: Client, shop: Shop, key: str) -> None:
    refused = await client.post(PATH, json={"name": "n"}, headers={"Idempotency-Key": key})
    assert (refused.status, shop.made) == (400, [])


async def test_a_refusal_is_repeated_and_a_passing_fault_is_not(client: Client, shop: Shop) -> None:
    first = await client.post(PATH, json={"name": "n", "fault": "no"}, headers=KEY)
    again = await client.post(PATH, json={"name": "n", "fault": "no"}, headers=KEY)
    assert (first.status, len(shop.made)) == (409, 1)
    assert await said(first) == await said(again)
    assert again.headers["Retry-After"] == "3"
    for fault, status in (("conflict", 409), ("away", 503)):
        for _ in range(2):
            response = await client.post(PATH, json={"name": "n", "fault": fault}, headers={"Idempotency-Key": fault})
            assert response.status == status
    assert [command.repeated for command in shop.made] == [False, False, True, False, True]


async def test_at_the_same_time_in_two_processes(config: BaseConfig, shop: Shop) -> None:
    async with process(config, shop) as one, process(config, shop) as other:
        answers = await asyncio.gather(*(post(each) for each in (one, one, other, other, one)))
        assert len(set(answers)) == 1
        assert len(shop.made) == 1


async def post(client: Client) -> tuple[int, str | None, str, bytes]:
    return await said(await client.post(PATH, json={"name": "n"}, headers=KEY))


async def test_who_waits_too_long_for_the_first_is_told(
    config: BaseConfig, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.2)
    async with process(config, shop) as one, process(config, shop) as other:
        shop.open.clear()
        first = asyncio.create_task(post(one))
        await shop.entered.wait()
        second = await other.post(PATH, json={"name": "n"}, headers=KEY)
        assert "still being handled" in (await problem(second))["detail"]
        assert (second.status, second.headers["Retry-After"]) == (409, "5")
        monkeypatch.setattr(locks, "PATIENCE", 60)
        shop.open.set()
        assert await post(other) == await first
    assert len(shop.made) == 1


async def test_after_a_crash_the_same_command_is_executed_again(config: BaseConfig, shop: Shop) -> None:
    async with process(config, shop) as client:
        first = await said(await client.post(PATH, json={"name": "n"}, headers=KEY))
        await forget(config)
    async with process(config, shop) as client:
        again = await said(await client.post(PATH, json={"name": "n"}, headers=KEY))
    assert first[1] == again[1]
    assert [command.repeated for command in shop.made] == [False, True]
    assert shop.made[0].command_id == shop.made[1].command_id


async def test_the_lock_of_a_dead_process_is_free(config: BaseConfig, shop: Shop) -> None:
    async with process(config, shop) as client:
        shop.open.clear()
        hanging = asyncio.create_task(post(client))
        await shop.entered.wait()
        connection = await asyncpg.connect(config.database_url)
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        await connection.close()
        shop.open.set()
        async with process(config, shop) as other:
            assert (await post(other))[0] == 201
        assert (await hanging)[0] == 201
    assert len({command.command_id for command in shop.made}) == 1


async def test_nothing_of_the_body_is_kept(config: BaseConfig, client: Client) -> None:
    await client.post(PATH, json={"name": "hunter2"}, headers=KEY)
    connection = await asyncpg.connect(config.database_url)
    row = await connection.fetchrow("SELECT * FROM http.answer")
    await connection.close()
    assert "hunter2" not in repr(row)
    assert KEY["Idempotency-Key"] not in repr(row)


async def test_an_answer_is_forgotten_after_its_time(config: BaseConfig, shop: Shop) -> None:
    async with (
        process(config, shop) as client,
        open_platform(config, "test") as platform,
        kept_answers(platform) as kept,
    ):
        for key in ("old", "new"):
            await client.post(PATH, json={"name": "n"}, headers={"Idempotency-Key": key})
        oldest = (
            "UPDATE http.answer SET at = now() - interval '25 hours' WHERE id IN (SELECT id FROM http.answer LIMIT 1)"
        )
        assert await platform.pool.execute(oldest) == "UPDATE 1"
        forgetting = asyncio.create_task(kept.run())
        async with asyncio.timeout(60):
            while await platform.pool.fetchval("SELECT count(*) FROM http.answer") != 1:
                await asyncio.sleep(0.01)
        await stop([forgetting])
