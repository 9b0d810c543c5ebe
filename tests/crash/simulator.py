"""The simulated OpenStack in a process of its own, with its control endpoint and its journal."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
from forestay_standalone.embedded.privileges import ends_with_us

from tests.flow.cloud import TestCloud

Json = dict[str, Any]


@dataclass(frozen=True)
class StackCreation:
    """A stack that Heat really made, and for whom, as its journal has it."""

    stack_id: str
    stack_name: str
    operation: str


class Simulator:
    """A running simulator."""

    def __init__(self, session: aiohttp.ClientSession, auth_url: str) -> None:
        self._session = session
        self.cloud = TestCloud(auth_url, "demo", "demo-secret", "demo")

    @classmethod
    @asynccontextmanager
    async def started(cls, directory: Path) -> AsyncGenerator[Self]:
        with (directory / "simulator.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *ends_with_us(signal.SIGKILL), sys.executable, "-m", "forestay_simvim",
                stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        try:
            assert process.stdout is not None
            ready = json.loads(await process.stdout.readline())
            async with aiohttp.ClientSession(ready["url"]) as session:
                yield cls(session, ready["auth_url"])
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def control(self, method: str, path: str, body: Json | None = None) -> Json:
        async with self._session.request(method, f"/_sim{path}", json=body) as response:
            response.raise_for_status()
            return await response.json() if response.status == 200 else {}

    async def set(self, **settings: Any) -> None:
        await self.control("PATCH", "/settings", settings)

    async def fault(self, **fault: Any) -> None:
        """A fault of calls to Heat, once unless ``times`` says otherwise."""
        await self.control("POST", "/faults", {"on": "call", "service": "heat"} | fault)

    async def calm(self) -> None:
        """No faults, no latency; a server takes a moment to boot, so that a stack is waited for."""
        await self.control("DELETE", "/faults")
        await self.set(latency={"*": 0.0, "heat": 0.0}, build={"server": 0.4})

    async def journal(self, **filters: str) -> list[Json]:
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        return (await self.control("GET", f"/journal?{query}"))["entries"]

    async def stacks_created(self) -> list[StackCreation]:
        """The effective creations of stacks so far."""
        made: list[StackCreation] = []
        for entry in await self.journal(service="heat", method="POST", acted="true"):
            for effect in entry["effects"]:
                if effect.startswith("stack created "):
                    operation = next(tag[3:] for tag in entry["body"]["tags"].split(",") if tag.startswith("op-"))
                    made.append(StackCreation(effect.split()[-1], entry["body"]["stack_name"], operation))
        return made

    async def stacks_deleted(self) -> list[str]:
        """The ids of stacks whose deletion was begun so far."""
        entries = await self.journal(service="heat", method="DELETE", acted="true")
        return [effect.split()[-1] for entry in entries for effect in entry["effects"]]
