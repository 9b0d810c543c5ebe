"""``kill -9`` while a request with an ``Idempotency-Key`` is handled: sent again, it is done once."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.crash.checker import check
from tests.crash.processes import until
from tests.crash.stage import Stage

pytestmark = [pytest.mark.crash, pytest.mark.asyncio(loop_scope="session")]

INSTANCES = "/vnflcm/v2/vnf_instances"


async def killed(stage: Stage, instant: str, path: str, body: dict[str, Any]) -> str:
    """Kill the API when it comes to ``instant`` with a request, send that again; returns its ``Location``."""
    api, headers = stage.site.api, {"Version": "2.0.0", "Idempotency-Key": str(uuid4())}
    async with aiohttp.ClientSession(api.url, headers=headers) as session:
        api.arm(instant)
        lost = asyncio.create_task(session.post(path, json=body))
        await until(lambda: api.held, f"the API is at {instant}")
        api.kill()
        with pytest.raises(aiohttp.ClientError):
            await lost
        api.start()
        await api.ready()
        locations: list[str] = []
        for _ in range(2):
            async with session.post(path, json=body) as answered:
                assert answered.status in (201, 202), await answered.text()
                locations.append(answered.headers["Location"])
    assert locations[0] == locations[1]
    return locations[0]


@pytest.mark.parametrize("instant", ["commit.before", "commit.after"])
async def test_what_was_asked_for_is_done_once(stage: Stage, instant: str) -> None:
    body = {"vnfdId": stage.vnfd_id, "vnfInstanceName": f"once {instant}"}
    vnf_id = (await killed(stage, instant, INSTANCES, body)).rpartition("/")[2]
    named = await stage.client.api.list(f"{INSTANCES}?filter=(eq,vnfInstanceName,once {instant})")
    assert [vnf["id"] for vnf in named] == [vnf_id]
    op_id = (await killed(stage, instant, f"{INSTANCES}/{vnf_id}/instantiate", stage.instantiate)).rpartition("/")[2]
    await stage.client.ended(op_id)
    assert [op_occ["id"] for op_occ in await stage.client.op_occs(vnf_id)] == [op_id]
    await check(stage.site, stage.client, vnf_id)
