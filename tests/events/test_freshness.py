"""Reads by id: not behind the log, and not stopped by its absence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from forestay_events.config import BaseConfig
from forestay_events.errors import Rejected, Unavailable
from forestay_events.freshness import caught_up, version_of
from forestay_events.platform import open_platform
from forestay_events.tasks import stop
from forestay_standalone.embedded import EmbeddedNats

from .samples import TALLY, Counting, fill, until


async def test_a_read_waits_for_the_newest_commit_while_the_log_answers(
    nats_server: EmbeddedNats, database: str, tmp_path: Path
) -> None:
    config = BaseConfig(nats_url=nats_server.url, database_url=database, data_dir=tmp_path / "data")
    async with open_platform(config, "test") as platform:
        projector = platform.projector("lcm", "LCM", [Counting()])
        await projector.create_tables()
        last = await fill(platform.store, "a", 3)
        waiting = asyncio.create_task(caught_up(platform, "lcm", TALLY, "a"))
        assert await caught_up(platform, "lcm", TALLY, "b") is None  # nothing to wait for
        assert not waiting.done()
        projecting = asyncio.create_task(projector.run())
        assert version_of(await waiting) == 3
        assert platform.positions.reached("lcm", "LCM") == last.seq
        await stop([projecting])
        with pytest.raises(Rejected, match="no identifier"):
            await caught_up(platform, "lcm", TALLY, "a.>")

        await fill(platform.store, "a", 1, last)
        await nats_server.kill()
        await until(lambda: not platform.nats.connected)
        behind = await caught_up(platform, "lcm", TALLY, "a")
        assert isinstance(behind, Unavailable)
        assert version_of(behind) is None
        assert platform.positions.reached("lcm", "LCM") == last.seq
