"""One scenario: hold a process at an instant of an operation, kill whom it is about, bring all back, and look."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.crash.checker import check
from tests.crash.processes import Process, Victim, until
from tests.crash.stage import Stage

Json = dict[str, Any]

#: Seconds that an operation may take to be COMPLETED once everything runs again.
LIMIT = 20.0

#: Seconds for which a killed server is away.
AWAY = 0.4


async def kill_at(stage: Stage, vnf_id: str, task: str, instant: str, victims: tuple[Victim, ...]) -> float:
    """Kill ``victims`` while ``task`` of a VNF instance is held at ``instant`` (``<process>:<failpoint>``).

    :returns: seconds from when the victims were started again until the operation was COMPLETED.
    """
    site, client = stage.site, stage.client
    owner, _, failpoint = instant.partition(":")
    held: Process = getattr(site, owner)
    held.arm(failpoint)
    started = asyncio.create_task(client.start(vnf_id, task, getattr(stage, task)))
    try:
        await until(lambda: held.held, f"{instant} is reached")
        await site.kill(*victims)
        if held.alive:
            held.resume()
        await asyncio.sleep(AWAY)
        await site.restart(*victims)
        back = time.monotonic()
        op_occ = await client.ended(await started)
    finally:
        started.cancel()
    recovery = time.monotonic() - back
    assert op_occ["operationState"] == "COMPLETED", op_occ
    await site.healthy()
    await check(site, client, vnf_id)
    assert recovery < LIMIT
    return recovery
