"""Live events: nothing is missed, nothing told twice, and nobody pays for who is slow."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import AsyncExitStack, suppress
from typing import Any

import aiohttp
import pytest
from forestay_events.config import BaseConfig

from tests.lcm.history.site import Ear, Json, Site, site


async def entries(here: Site, vnf_id: str) -> list[Json]:
    return await here.get(f"/vnf_instances/{vnf_id}/timeline", order="oldest")


async def test_what_happens_is_told_at_once_and_as_the_timeline_has_it(bare: BaseConfig) -> None:
    async with site(bare) as here:
        await entries(here, await here.created())
        async with here.listening() as ear:
            vnf_id = await here.instantiated()
            expected = await entries(here, vnf_id)
            assert await ear.next(len(expected)) == expected
            assert ear.ids == [entry["sequence"] for entry in expected]


async def test_one_instance_or_all_of_the_project_and_no_other(bare: BaseConfig) -> None:
    async with site(bare) as here:
        ours = await here.created()
        await entries(here, ours)
        async with here.listening() as everything, here.listening(f"/vnf_instances/{ours}/events") as one:
            await here.created("other")
            other = await here.created()
            await here.modified(ours, {"vnfInstanceName": "edge"})
            expected = (await entries(here, other)) + (await entries(here, ours))[1:]
            assert await everything.next(len(expected)) == expected
            assert await one.next(len(expected) - 1) == expected[1:]


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_listener_goes_on_where_it_was(bare: BaseConfig, by: str) -> None:
    async with site(bare) as here:
        vnf_id = await here.instantiated()
        expected = await entries(here, vnf_id)
        last = expected[2]["sequence"]
        resumed: dict[str, Any] = {"last": last, "after": "0"} if by == "header" else {"after": str(last)}
        for path in ("/events", f"/vnf_instances/{vnf_id}/events"):
            async with here.listening(path, **resumed) as ear:
                assert await ear.next(len(expected) - 3) == expected[3:]


async def test_no_gap_and_no_repeat_while_others_write(bare: BaseConfig) -> None:
    """Listeners join in the middle of a stream of commits, from the beginning on."""
    async with site(bare) as here:
        vnf_id = await here.created()

        async def listen(delay: float) -> list[int]:
            await asyncio.sleep(delay)
            async with here.listening(after="0") as ear:
                await ear.next(61)
                return ear.ids

        writing = here.modified(vnf_id, *({"vnfInstanceName": str(number)} for number in range(60)))
        *heard, _ = await asyncio.gather(*(listen(n * 0.03) for n in range(10)), writing)
        assert all(ids == list(range(1, 62)) for ids in heard)


async def test_a_long_past_is_told_in_pages(bare: BaseConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forestay_lcm.history.live._PAGE", 3)
    async with site(bare) as here:
        vnf_id = await here.instantiated()
        expected = await entries(here, vnf_id)
        async with here.listening(after="0") as ear:
            assert await ear.next(len(expected)) == expected
            await here.modified(vnf_id, {"vnfInstanceName": "a"}, {"vnfInstanceName": "b"})
            assert [entry["version"] for entry in await ear.next(2)] == [len(expected) + 1, len(expected) + 2]


async def test_signs_of_life(bare: BaseConfig) -> None:
    async with site(bare, events_heartbeat=0.05) as here, here.listening() as ear:
        began, listening = time.monotonic(), asyncio.create_task(ear.next())
        async with asyncio.timeout(60):
            while ear.comments < 5:
                await asyncio.sleep(0.01)
        assert ear.comments <= (time.monotonic() - began) / 0.05 + 2
        assert not listening.done()
        listening.cancel()


async def test_who_is_too_slow_is_cut_and_the_others_are_told(bare: BaseConfig) -> None:
    """The slow one's buffers take less than what happens; nothing waits for it but ``events_backlog`` events."""
    async with site(bare, events_backlog=20) as here:
        vnf_id = await here.created()
        host, port = here.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"GET /history/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            async with here.listening() as ear:
                for number in range(60):
                    await here.modified(vnf_id, {"metadata": {str(n): f"{number:x>1000}" for n in range(100)}})
                    assert len(await ear.next()) == 1
                taken = await asyncio.to_thread(until_cut, slow)
                assert 0 < taken < 60 * 100_000
                await here.modified(vnf_id, {"vnfInstanceName": "on"})
                assert len(await ear.next()) == 1


def until_cut(connection: socket.socket) -> int:
    """How many bytes still come."""
    taken = 0
    with suppress(ConnectionResetError):
        while received := connection.recv(1 << 16):
            taken += len(received)
    return taken


async def test_more_listeners_than_the_process_takes(bare: BaseConfig) -> None:
    async with site(bare, events_listeners=1) as here, here.listening() as ear:
        vnf_id = await here.created()
        await ear.next()
        async with here.session.get("/history/v1/events") as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "10"
        await here.get(f"/vnf_instances/{vnf_id}")


async def test_streams_end_when_the_process_stops(bare: BaseConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forestay_sol.service.GRACE", 600.0)
    async with AsyncExitStack() as behind, asyncio.timeout(60):
        async with site(bare) as here:
            session = await behind.enter_async_context(aiohttp.ClientSession(here.url))
            ear = Ear(await session.get("/history/v1/events"))
            await here.created()
            await ear.next()
        assert await ear.next() == []


async def test_what_is_no_id_is_refused(bare: BaseConfig) -> None:
    async with site(bare) as here:
        for given in ("-1", "x", "1" * 30):
            await here.get("/events", 400, after=given)
            async with here.session.get("/history/v1/events", headers={"Last-Event-ID": given}) as response:
                assert response.status == 400
