"""A subscriber that sleeps through a hundred operations, and a notifier that is killed again and again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from forestay_events.config import BaseConfig
from forestay_events.platform import open_platform
from forestay_lcm.app import vnfs_of
from forestay_lcm.worker import StepWorker
from forestay_sol.background import background

from tests.crash.processes import Process, until
from tests.lcm.api.client import client
from tests.lcm.engine.running import Lcm
from tests.lcm.engine.scripted_vim import ScriptedVim
from tests.lcm.subscriptions.test_api import PATH, subscribe
from tests.notify.receiver import Receiver, receiver

INSTANCES = 50
PER_OPERATION = [("STARTING", "START"), ("PROCESSING", "RESULT"), ("COMPLETED", "RESULT")]
LIFE = [(None, None), *PER_OPERATION, *PER_OPERATION]

pytestmark = [pytest.mark.crash, pytest.mark.timeout(240)]


def lcm_process(config: BaseConfig, directory: Path) -> Process:
    environment = {
        "FORESTAY_NATS_URL": config.nats_url, "FORESTAY_DATABASE_URL": config.database_url,
        "FORESTAY_DATA_DIR": str(config.data_dir), "FORESTAY_DEFAULT_PROJECT": config.default_project,
        "FORESTAY_NOTIFY_RETRY_PAUSE": "1", "FORESTAY_LOG_FORMAT": "json",
    }  # fmt: skip
    return Process("lcm", ["forestay_lcm"], environment, directory)


async def live(lcm: Lcm, turns: asyncio.Semaphore) -> None:
    """Two operations: an instance comes and goes."""
    async with turns:
        vnf_id = await lcm.instantiate()
        await lcm.until(vnf_id, "COMPLETED", within=60)
        await lcm.terminate(vnf_id)
        await lcm.until(vnf_id, "COMPLETED", within=60)


def complete(subscriber: Receiver) -> bool:
    lanes = subscriber.by_lane()
    return len(lanes) == INSTANCES and all(len(bodies) >= len(LIFE) for bodies in lanes.values())


async def test_everything_is_told_in_the_end(config: BaseConfig, tmp_path: Path) -> None:
    notifier = lcm_process(config, tmp_path)
    notifier.start()
    try:
        await notifier.ready()
        async with receiver() as subscriber, open_platform(config, "test") as platform:
            async with client(notifier.url) as api:
                id_ = await subscribe(api, subscriber)
            await subscriber.stop()
            vim = StepWorker(platform, vnfs_of(platform), "openstack", ScriptedVim())
            lcm, turns = Lcm(platform, "", vnfs_of(platform)), asyncio.Semaphore(10)
            async with background({"positions": platform.positions.run, "openstack": vim.run}):
                lives = asyncio.gather(*(live(lcm, turns) for _ in range(INSTANCES)))
                for _ in range(2):
                    await asyncio.sleep(2)
                    notifier.kill()
                    notifier.start()
                    await notifier.ready()
                await lives
            assert subscriber.accepted == []

            await subscriber.start()
            for _ in range(3):  # at the worst moment: the notification has arrived, the account does not say so yet
                notifier.arm("notify.delivered")
                await until(lambda: notifier.held or complete(subscriber), "the notifier delivers")
                notifier.kill()
                notifier.disarm()
                notifier.start()
            await notifier.ready()
            await until(lambda: complete(subscriber), "everything has arrived")

            async with client(notifier.url) as api:
                assert (await api.get(f"{PATH}/{id_}/deliveries?filter=(neq,state,DELIVERED)")).body == []
        for bodies in subscriber.by_lane().values():
            assert [(b.get("operationState"), b.get("notificationStatus")) for b in bodies] == LIFE
        ids = {received.body["id"] for received in subscriber.accepted}
        assert len(ids) == INSTANCES * len(LIFE)
        assert len(subscriber.accepted) - len(ids) <= 3 * 4  # what was under way when it was killed
        assert len(subscriber.accepted) > len(ids)
    finally:
        notifier.kill()
