"""A client that does not give up: asks again while a server is away, and finds out what became of a lost answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from forestay_standalone.rest import Refused, RestApi

from tests.flow.scenario import ENDED

Json = dict[str, Any]
_AWAY = (aiohttp.ClientError, TimeoutError, OSError)
_OP_OCCS = "/vnflcm/v2/vnf_lcm_op_occs"


@dataclass
class Client:
    """Client of the LCM service.

    :ivar promised: operations that were accepted with 202: none of them may ever be lost.
    """

    api: RestApi
    promised: set[str] = field(default_factory=set[str])

    async def send(self, method: str, path: str, body: Json | None = None, *, patience: float = 60.0) -> Json:
        """Send until the service answers. :raises Refused: it answered 4xx."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return await self.api.send(method, path, body)
            except Refused as error:
                if error.status < 500 or time.monotonic() > deadline:
                    raise
            except _AWAY:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.05)

    async def create(self, vnfd_id: str) -> str:
        """Id of a new VNF instance."""
        vnf = await self.send("POST", "/vnflcm/v2/vnf_instances", {"vnfdId": vnfd_id, "vnfInstanceName": "crash"})
        return vnf["id"]

    async def show(self, vnf_id: str) -> Json:
        return await self.send("GET", f"/vnflcm/v2/vnf_instances/{vnf_id}")

    async def show_op_occ(self, op_id: str) -> Json:
        return await self.send("GET", f"{_OP_OCCS}/{op_id}")

    async def op_occs(self, vnf_id: str) -> list[Json]:
        """Operation occurrences of a VNF instance, oldest first."""
        found = await self.api.list(f"{_OP_OCCS}?filter=(eq,vnfInstanceId,{vnf_id})")
        return sorted(found, key=lambda op_occ: op_occ["startTime"])

    async def start(self, vnf_id: str, task: str, body: Json) -> str:
        """Id of the operation occurrence. A request whose answer was lost is sent again; the 409 then says that it was heard."""
        known = {op_occ["id"] for op_occ in await self.op_occs(vnf_id)}
        deadline = time.monotonic() + 60
        while True:
            try:
                accepted = await self.send("POST", f"/vnflcm/v2/vnf_instances/{vnf_id}/{task}", body)
            except Refused as error:
                if error.status != 409 or time.monotonic() > deadline:
                    raise
                new = [op["id"] for op in await self.op_occs(vnf_id) if op["id"] not in known]
                if new:
                    return new[-1]
                await asyncio.sleep(0.05)
                continue
            op_id = accepted["location"].rpartition("/")[2]
            self.promised.add(op_id)
            return op_id

    async def handle(self, op_id: str, how: str) -> None:
        """``retry``, ``rollback`` or ``fail``."""
        await self.send("POST", f"{_OP_OCCS}/{op_id}/{how}")

    async def ended(self, op_id: str, patience: float = 60.0) -> Json:
        """The operation occurrence once it has ended, in whatever state."""
        deadline = time.monotonic() + patience
        while True:
            op_occ = await self.show_op_occ(op_id)
            if op_occ["operationState"] in ENDED:
                return op_occ
            assert time.monotonic() < deadline, f"not ended after {patience:.0f} s: {op_occ}"
            await asyncio.sleep(0.05)

    async def operate(self, vnf_id: str, task: str, body: Json) -> Json:
        """Start an operation and see it COMPLETED."""
        op_occ = await self.ended(await self.start(vnf_id, task, body))
        assert op_occ["operationState"] == "COMPLETED", op_occ
        return op_occ
