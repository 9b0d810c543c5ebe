"""The connection to NATS: it says what is wrong without giving secrets away, and never waits for the dead."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from forestay_events.connection import SILENCE, Nats, connect
from forestay_events.errors import Unavailable
from forestay_standalone.embedded import EmbeddedNats
from nats.aio.msg import Msg

from .samples import until


async def test_no_server_is_an_error_soon_and_shows_no_password() -> None:
    with pytest.raises(Unavailable) as error:
        async with connect(
            "nats://user:hunter2@127.0.0.1:1,nats://user:hunter2@127.0.0.1:2", name="test", patience=0.3
        ):
            pass
    assert "nats://127.0.0.1:1,nats://127.0.0.1:2 does not answer" in str(error.value)
    assert "hunter2" not in str(error.value)


async def test_a_wrong_password_is_named_as_the_reason(nats_server: EmbeddedNats) -> None:
    wrong = nats_server.url.replace(nats_server.url.split(":")[2].split("@")[0], "wrong")
    with pytest.raises(Unavailable, match="Authorization Violation"):
        async with connect(wrong, name="test", patience=3):
            pass


async def test_whoever_waits_for_a_reply_is_told_when_the_server_dies(nats: Nats, nats_server: EmbeddedNats) -> None:
    await nats.client.subscribe("silent")
    asking = asyncio.create_task(nats.client.request("silent", b"anybody?", timeout=600))
    promise = nats.promise()
    await asyncio.sleep(0.05)
    await nats_server.kill()
    async with asyncio.timeout(60):
        for waiting in (asking, promise):
            with pytest.raises(SILENCE):
                await waiting
    with pytest.raises(Unavailable):
        await nats.check()


async def test_what_was_not_sent_before_the_server_died_is_not_sent_afterwards(
    nats: Nats, nats_server: EmbeddedNats
) -> None:
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)

    await nats.client.subscribe("news", cb=hear)
    await nats.client.flush()
    assert nats_server.pid is not None
    os.kill(nats_server.pid, signal.SIGSTOP)
    for _ in range(20):  # more than fits on the way to it
        await nats.client.publish("elsewhere", b"x" * 1_000_000)
        await asyncio.sleep(0)
    await nats.client.publish("news", b"ghost")
    await nats_server.kill()
    await until(lambda: not nats.connected)
    with pytest.raises(SILENCE):
        await nats.client.publish("news", b"ghost")
    await nats_server.restart()
    await until(lambda: nats.connected)
    await nats.client.publish("news", b"alive")
    await until(lambda: b"alive" in heard)
    assert heard == [b"alive"]
