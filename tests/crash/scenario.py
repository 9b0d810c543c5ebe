"""Scenarios: hold a process at an instant of an operation, kill whom it is about, bring all back, and look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

from tests.crash.checker import check
from tests.crash.processes import Process, Site, Victim, until
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


async def walk(stage: Stage, vnf_id: str, task: str, body: Json, *instants: str) -> Json:
    """Kill whoever comes to these instants of an operation, one after the other; see :func:`killing`.

    :returns: the operation occurrence when it has ended.
    """
    async with killing(stage.site, *instants):
        op_id = await stage.client.start(vnf_id, task, body)
    return await stage.client.ended(op_id)


@asynccontextmanager
async def killing(site: Site, *instants: str) -> AsyncGenerator[None]:
    """Kill and start again whoever comes to these instants, in this order; the block begins what leads to them.

    :param instants: ``<process>:<failpoint>``; one that begins with ``~`` is let pass.
    """
    _arm(site, instants[0])
    walking = asyncio.create_task(_kill_at_each(site, *instants))
    try:
        yield
        await walking
    finally:
        walking.cancel()


async def _kill_at_each(site: Site, *instants: str) -> None:
    for instant, after in pairwise([*instants, ""]):
        process, _ = _place(site, instant)
        await until(lambda: process.held, f"{instant} is reached")  # noqa: B023 - called before it changes
        if after:
            _arm(site, after)
        if instant.startswith("~"):
            process.resume()
        else:
            process.kill()
            process.start()


def _arm(site: Site, instant: str) -> None:
    process, failpoint = _place(site, instant)
    process.arm(failpoint)


def _place(site: Site, instant: str) -> tuple[Process, str]:
    owner, _, failpoint = instant.removeprefix("~").partition(":")
    return getattr(site, owner), failpoint
