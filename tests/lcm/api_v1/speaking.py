"""A client of API version 1, which sends no ``Version``, beside one of version 2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from forestay_events.config import BaseConfig

from tests.lcm.api.client import Answer, Client, client
from tests.lcm.engine.running import Lcm, running
from tests.lcm.engine.scripted_vim import ScriptedVim

ENDPOINT = "http://forestay.example:9890"
INSTANCES = "/vnflcm/v1/vnf_instances"
OP_OCCS = "/vnflcm/v1/vnf_lcm_op_occs"
SUBSCRIPTIONS = "/vnflcm/v1/subscriptions"


class ClientV1(Client):
    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        answer = await super().send(method, path, body, **({"Version": ""} | headers))
        assert "Version" not in answer.headers
        return answer

    async def done(self, accepted: Answer, state: str = "COMPLETED") -> dict[str, Any]:
        """The occurrence of an accepted operation, once it is in a state."""
        assert accepted.status == 202, accepted.body
        assert accepted.headers["Location"].startswith(f"{ENDPOINT}{OP_OCCS}/")
        async with asyncio.timeout(60):
            while (shown := (await self.get(f"{OP_OCCS}/{accepted.op_id}")).body)["operationState"] != state:
                await asyncio.sleep(0.02)
        return shown


@asynccontextmanager
async def speaking(config: BaseConfig, vim: ScriptedVim | None = None) -> AsyncGenerator[tuple[ClientV1, Client, Lcm]]:
    """Clients of version 1 and of version 2, and the LCM that they talk to."""
    async with running(config, vim) as lcm, client(lcm.url) as v2:
        yield ClientV1(v2.session), v2, lcm
