"""What an operation survives: restarts, pauses, lost queues, lost read models. Nothing is done twice, nothing stands still."""

from __future__ import annotations

import asyncio
import hashlib
import time

import pytest
from forestay_events.config import BaseConfig
from forestay_events.platform import Platform, ensure_streams, open_platform
from forestay_events.sealing import Shredded
from forestay_events.work import Work
from forestay_lcm.app import projectors
from forestay_lcm.domain.commands import DeleteVnf
from forestay_lcm.executor import Again
from forestay_lcm.projections.instances import step_work
from forestay_standalone.embedded import EmbeddedNats

from tests.lcm.engine.running import Lcm, running
from tests.lcm.engine.scripted_vim import Hitch, Pause, ScriptedVim
from tests.lcm.samples import CONNECTIONS, confirmed, instantiate


def work_of(vnf_id: str) -> Work:
    return step_work("openstack", str(CONNECTIONS["vim1"].vim_id), vnf_id)


async def granted(lcm: Lcm) -> str:
    """An instance whose grant was confirmed by hand: ``create-stack`` is intended."""
    vnf_id = await lcm.instantiate()
    await lcm.ask(vnf_id, confirmed((await lcm.vnfs.load(vnf_id)).state))
    await lcm.at(vnf_id, "create-stack")
    return vnf_id


async def idle(platform: Platform) -> bool:
    """Wait until no work is left."""
    for _ in range(6000):
        if (await platform.nats.js.stream_info("WORK")).state.messages == 0:
            return True
        await asyncio.sleep(0.01)
    return False


async def fingerprint(platform: Platform) -> str:
    """A digest of all states and documents of the read model."""
    rows = await platform.pool.fetch("SELECT id, version, seq, deleted, state, doc FROM lcm.vnf ORDER BY id")
    rows += await platform.pool.fetch("SELECT id, doc, work_executor, touched FROM lcm.op_occ ORDER BY id")
    return hashlib.sha256(repr([tuple(row) for row in rows]).encode()).hexdigest()


class TestEffectRule:
    async def test_no_handler_runs_before_the_intent_is_in_the_copy(self, config: BaseConfig) -> None:
        vim = ScriptedVim()
        async with running(config, vim, without=("projector-LCM", "engine", "sweeper")) as lcm:
            vnf_id = await granted(lcm)
            await lcm.platform.queue.put(work_of(vnf_id))
            await asyncio.sleep(1.0)
            assert vim.calls == [], "the intent is in the log only"
            projector = asyncio.create_task(projectors(lcm.platform)[0].run())
            await lcm.until(vnf_id, "COMPLETED")
            projector.cancel()
        assert vim.journal == [f"create vnf-{vnf_id}"]

    async def test_no_handler_runs_for_an_intent_that_the_copy_refused(self, config: BaseConfig) -> None:
        vim = ScriptedVim()
        async with running(config, vim, without=("engine", "sweeper")) as lcm:
            vnf_id = await lcm.create()
            await lcm.platform.positions.wait("lcm", "LCM", lcm.vnfs.written, timeout=60)
            await lcm.platform.pool.execute("UPDATE lcm.head SET hash = 'of another history'")
            await lcm.ask(vnf_id, instantiate())
            await lcm.ask(vnf_id, confirmed((await lcm.vnfs.load(vnf_id)).state))
            await lcm.platform.queue.put(work_of(vnf_id))
            assert await idle(lcm.platform)
        assert vim.calls == []


class TestTwoWorkers:
    async def test_one_that_slept_is_stopped_by_the_fence(self, config: BaseConfig) -> None:
        vim, asleep = ScriptedVim(), Pause()
        vim.next("create-stack", Hitch(before=asleep))
        async with running(config, vim, workers=2) as lcm:
            vnf_id = await lcm.instantiate()
            await asyncio.wait_for(asleep.reached.wait(), 60)
            await lcm.platform.queue.put(work_of(vnf_id))
            await lcm.until(vnf_id, "COMPLETED")
            await lcm.terminate(vnf_id)
            await lcm.until(vnf_id, "COMPLETED")
            version = (await lcm.vnfs.load(vnf_id)).version
            asleep.go_on.set()
            assert await idle(lcm.platform)
            assert (await lcm.vnfs.load(vnf_id)).version == version
        assert vim.journal == [f"create vnf-{vnf_id}", f"delete vnf-{vnf_id}"], "its stack would be nobody's"
        assert vim.stacks == {}

    async def test_a_late_report_changes_nothing(self, config: BaseConfig) -> None:
        vim, asleep = ScriptedVim(), Pause()
        vim.next("create-stack", Hitch(after=asleep))
        async with running(config, vim, workers=2) as lcm:
            vnf_id = await lcm.instantiate()
            await asyncio.wait_for(asleep.reached.wait(), 60)
            await lcm.platform.queue.put(work_of(vnf_id))
            await lcm.until(vnf_id, "COMPLETED")
            version = (await lcm.vnfs.load(vnf_id)).version
            asleep.go_on.set()
            assert await idle(lcm.platform)
            assert (await lcm.vnfs.load(vnf_id)).version == version
        assert vim.journal == [f"create vnf-{vnf_id}"]

    async def test_work_that_is_delivered_many_times_is_done_once(self, config: BaseConfig) -> None:
        vim = ScriptedVim(latency=0.05)
        async with running(config, vim, workers=2) as lcm:
            vnf_id = await lcm.instantiate()
            while (await lcm.operation(vnf_id)).state != "COMPLETED":
                await lcm.platform.queue.put(work_of(vnf_id))
                await asyncio.sleep(0.01)
            assert await idle(lcm.platform)
        assert vim.journal == [f"create vnf-{vnf_id}"]


class TestRestart:
    async def test_a_graceful_wait_is_a_durable_timer(self, config: BaseConfig, nats_server: EmbeddedNats) -> None:
        vim = ScriptedVim()
        async with running(config, vim) as lcm:
            vnf_id = await lcm.instantiated()
            await lcm.terminate(vnf_id, "GRACEFUL", gracefulTerminationTimeout=3)
            await lcm.at(vnf_id, "graceful-wait")
            began = time.monotonic()
            await asyncio.sleep(0.5)
        await nats_server.restart()
        async with running(config, vim, without=("sweeper",)) as lcm:  # nobody else looks whether its time has come
            await lcm.until(vnf_id, "COMPLETED")
        assert time.monotonic() - began > 2.8

    async def test_a_worker_that_was_down_finds_its_work(self, config: BaseConfig) -> None:
        vim = ScriptedVim()
        async with running(config) as lcm:
            vnf_id = await lcm.instantiate()
            await lcm.at(vnf_id, "create-stack")
            await lcm.platform.positions.wait("lcm", "LCM", await lcm.platform.store.head("LCM"), timeout=60)
        async with running(config, vim) as lcm:
            await lcm.until(vnf_id, "COMPLETED")
        assert vim.journal == [f"create vnf-{vnf_id}"]

    async def test_a_process_that_ends_within_a_step_leaves_it_to_the_next(self, config: BaseConfig) -> None:
        vim = ScriptedVim()
        vim.next("create-stack", Hitch(after=Pause()))
        async with running(config, vim) as lcm:
            vnf_id = await lcm.instantiate()
            while not vim.journal:
                await asyncio.sleep(0.01)
        async with running(config, vim) as lcm:
            await lcm.until(vnf_id, "COMPLETED")
        assert vim.journal == [f"create vnf-{vnf_id}"]


class TestLoss:
    async def test_a_lost_queue_only_costs_seconds(self, config: BaseConfig) -> None:
        vim = ScriptedVim()
        vim.next("await-stack", Hitch(instead=Again(600, "stack is CREATE_IN_PROGRESS")))
        async with running(config, vim) as lcm:
            vnf_id = await lcm.instantiate()
            while "await-stack/1" not in vim.calls:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            await lcm.platform.nats.js.delete_stream("WORK")
            await ensure_streams(lcm.platform.nats)
            await lcm.until(vnf_id, "COMPLETED")
        assert vim.journal == [f"create vnf-{vnf_id}"]

    async def test_a_rebuilt_read_model_is_the_same_and_moves_nothing(self, config: BaseConfig) -> None:
        vim = ScriptedVim()
        vim.next("await-stack", Hitch(), Hitch(instead=Again(600)))
        async with running(config, vim) as lcm:
            await lcm.instantiated()
            vnf_id = await lcm.instantiate()
            while vim.calls.count("await-stack/1") < 2:
                await asyncio.sleep(0.01)
            gone = await lcm.create()
            await lcm.ask(gone, DeleteVnf())
            await lcm.platform.positions.wait("lcm", "LCM", await lcm.platform.store.head("LCM"), timeout=60)
        async with open_platform(config, "rebuild") as platform:
            before = await fingerprint(platform)
            waiting = (await platform.nats.js.stream_info("WORK")).state.messages
            await platform.pool.execute("DROP SCHEMA lcm CASCADE")
            projector = projectors(platform, dispatch=False)[0]
            await projector.create_tables()
            rebuild = asyncio.create_task(projector.run())
            await platform.positions.wait("lcm", "LCM", await platform.store.head("LCM"), timeout=60)
            rebuild.cancel()
            assert await fingerprint(platform) == before
            assert await platform.pool.fetchval("SELECT count(*) FROM lcm.outbox") == 0
            assert await platform.pool.fetchval("SELECT count(*) FROM lcm.shredding") == 0
            assert (await platform.nats.js.stream_info("WORK")).state.messages == waiting
        assert vnf_id in {name.removeprefix("vnf-") for name in vim.stacks}

    async def test_the_data_key_of_a_deleted_instance_is_destroyed(self, config: BaseConfig) -> None:
        async with running(config) as lcm:
            vnf_id = await lcm.create()
            token = await lcm.platform.vault.seal(vnf_id, "/x", "devstack")
            assert await lcm.platform.vault.open(vnf_id, "/x", token) == "devstack"
            await lcm.ask(vnf_id, DeleteVnf())
            await lcm.platform.positions.wait("lcm", "LCM", lcm.vnfs.written, timeout=60)
            while await lcm.platform.pool.fetchval("SELECT count(*) FROM lcm.shredding"):
                await asyncio.sleep(0.1)
            with pytest.raises(Shredded):
                await lcm.platform.vault.open(vnf_id, "/x", token)


async def test_two_hundred_at_once(config: BaseConfig) -> None:
    """Each takes 3 calls of half a second; done one after the other that would be 300 s of waiting alone."""
    vim = ScriptedVim(latency=0.5)
    async with running(config, vim) as lcm:
        began = time.monotonic()
        vnf_ids = await asyncio.gather(*(lcm.instantiate() for _ in range(200)))
        await asyncio.gather(*(lcm.until(vnf_id, "COMPLETED", within=100) for vnf_id in vnf_ids))
        took = time.monotonic() - began
    assert len(vim.journal) == len(vim.stacks) == 200
    assert took < 100, f"{took:.1f} s"
