"""A lost acknowledgement is not a conflict, and what was given up is not written later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.connection import Nats, connect
from forestay_events.errors import Unavailable
from forestay_events.jetstream import JetStreamEventStore
from forestay_events.platform import ensure_streams
from forestay_standalone.embedded import EmbeddedNats

from .faults import Fault, Proxy, proxy
from .samples import NOON, TALLY, commit, fill, until


@pytest_asyncio.fixture
async def network(nats_server: EmbeddedNats) -> AsyncIterator[Proxy]:
    async with proxy(nats_server.url) as running:
        yield running


@pytest_asyncio.fixture
async def far(network: Proxy) -> AsyncIterator[Nats]:
    """A connection through the network that breaks."""
    async with connect(network.url, name="far") as connection:
        await ensure_streams(connection)
        yield connection


@pytest.mark.parametrize("fault", list(Fault))
async def test_one_commit_and_success_whatever_was_lost(network: Proxy, far: Nats, fault: Fault) -> None:
    store = JetStreamEventStore(far, reply_timeout=0.3)
    first = await fill(store, "a", 1)
    network.fault = fault
    second = await store.append(commit("a", 2, first), after=first.seq)
    assert network.struck == 1
    assert second.seq == 2
    assert [stored.commit.version for stored in await store.load("lcm.vnf.a")] == [1, 2]
    assert await store.head("LCM") == 2


async def test_success_although_others_went_on_before_we_could_look(
    network: Proxy, far: Nats, log: JetStreamEventStore
) -> None:
    """The acknowledgement is lost, and until we can ask, another has appended behind our commit."""
    store = JetStreamEventStore(far, reply_timeout=0.5)
    network.fault = Fault.SWALLOW
    appending = asyncio.create_task(store.append(commit("a"), after=0))
    await until(lambda: network.struck)
    mine = await log.last("lcm.vnf.a")
    assert mine is not None
    await fill(log, "a", 1, mine)
    assert (await appending).seq == mine.seq
    assert await log.head("LCM") == 2


async def test_a_command_counts_once_whatever_was_lost(network: Proxy, far: Nats) -> None:
    tallies = Aggregates(JetStreamEventStore(far, reply_timeout=0.3), TALLY, lambda: NOON)
    for number, fault in enumerate(list(Fault) * 2):
        network.fault = fault
        await tallies.execute("a", 1, Origin(f"command {number}", "project", "tester"))
    state = (await tallies.load("a")).state
    assert state is not None
    assert state.total == network.struck == 8


async def test_without_a_server_an_append_fails_and_leaves_no_ghost(nats_server: EmbeddedNats, nats: Nats) -> None:
    store = JetStreamEventStore(nats, patience=0.3)
    await nats_server.kill()
    appends = [store.append(commit(f"a{number}"), after=0) for number in range(50)]
    outcomes = await asyncio.gather(*appends, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    await nats_server.restart()
    await until(lambda: nats.connected)
    stored = await store.append(commit("b"), after=0)
    assert stored.seq == 1
    assert await store.head("LCM") == 1


async def test_appends_go_on_over_restarts_of_the_server(nats_server: EmbeddedNats, nats: Nats) -> None:
    store = JetStreamEventStore(nats)
    writers = [asyncio.create_task(fill(store, f"a{number}", 120)) for number in range(8)]
    for _ in range(3):
        await asyncio.sleep(0.08)
        await nats_server.kill()
        await nats_server.restart()
        await until(lambda: nats.connected)
    for writer in writers:
        assert (await writer).commit.version == 120
    assert await store.head("LCM") == 8 * 120
