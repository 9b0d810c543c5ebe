"""A script that tells a test what it got, and does what the test tells it to: by HTTP, since nothing else of it is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]

HOOKS = tuple(
    f"{name}_{end}"
    for name in (
        "instantiate", "scale", "scale_to_level", "heal", "change_external_connectivity", "operate", "modify_information",
        "change_current_package", "terminate", "instantiate_rollback", "scale_rollback", "change_current_package_rollback",
        "modify_information_rollback",
    )
    for end in ("start", "end")
)  # fmt: skip

_SCRIPT = """\
import json, pickle, sys, urllib.request
given = pickle.load(sys.stdin.buffer)
seen = {{key: value for key, value in given.items() if key != "tmp_csar_dir"}}
body = json.dumps(seen, default=str).encode()
told = json.load(urllib.request.urlopen(urllib.request.Request({url!r}, body, {{"Content-Type": "application/json"}})))
inst = given.get("vnf_instance") or {{}}
if "write" in told:
    inst["instantiatedVnfInfo"].setdefault("metadata", {{}}).update(told["write"])
if "write_vnfc" in told:
    for vnfc in inst["instantiatedVnfInfo"]["vnfcResourceInfo"]:
        vnfc.setdefault("metadata", {{}}).update(told["write_vnfc"])
print("this is no result")
pickle.dump({{"vnf_instance": inst, "user_script_err_handling_data": told.get("keep", {{}})}}, sys.stdout.buffer)
sys.stdout.flush()
sys.exit(told.get("error"))
"""


@dataclass
class Gate:
    """Keeps a script waiting: ``reached`` when it has come, until ``open``; ``left`` when it did not wait for that."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Listener:
    """What scripts have told, and what they shall do, by operation."""

    url: str = ""
    seen: list[Json] = field(default_factory=list[Json])
    orders: dict[str, Json] = field(default_factory=dict[str, Json])
    gates: dict[str, Gate] = field(default_factory=dict[str, Gate])

    @property
    def script(self) -> str:
        return _SCRIPT.format(url=self.url)

    @property
    def hooks(self) -> list[str]:
        return [call["operation"] for call in self.seen]

    def hooked(self, *names: str) -> dict[str, str]:
        """All hooks, or those named, with the script."""
        return dict.fromkeys(names or HOOKS, self.script)

    async def hear(self, request: web.Request) -> web.Response:
        call = await request.json()
        self.seen.append(call)
        if gate := self.gates.get(call.get("operation", "")):
            gate.reached.set()
            try:
                await gate.open.wait()
            except asyncio.CancelledError:
                gate.left.set()
                raise
        return web.json_response(self.orders.get(call.get("operation", ""), {}))


@asynccontextmanager
async def listening() -> AsyncGenerator[Listener]:
    listener = Listener()
    app = web.Application()
    app.router.add_post("/", listener.hear)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        listener.url = f"http://{host}:{port}/"
        yield listener
    finally:
        await runner.cleanup()
