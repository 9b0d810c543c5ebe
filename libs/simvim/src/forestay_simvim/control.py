"""The control endpoint ``/_sim``: faults, settings, journal, counts, reset. It needs no token and is not journaled."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from forestay_simvim.cloud import Cloud
from forestay_simvim.config import Settings
from forestay_simvim.faults import Fault


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")


class Control:
    """The handlers; every answer is JSON."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def mount(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_routes([
            web.get("/_sim", self.state),
            web.get("/_sim/journal", self.journal),
            web.delete("/_sim/journal", self.clear_journal),
            web.get("/_sim/faults", self.faults),
            web.post("/_sim/faults", self.add_fault),
            web.delete("/_sim/faults", self.clear_faults),
            web.delete("/_sim/faults/{id}", self.remove_fault),
            web.get("/_sim/settings", self.settings),
            web.patch("/_sim/settings", self.change_settings),
            web.post("/_sim/reset", self.reset),
        ])  # fmt: skip

    async def state(self, request: web.Request) -> web.Response:
        return _json(self.cloud.counts())

    async def journal(self, request: web.Request) -> web.Response:
        query = request.query
        acted = {"true": True, "false": False}.get(query.get("acted", "").lower())
        names = ("service", "method", "path", "project")
        filters = {name: query[name] for name in names if name in query}
        found = self.cloud.journal.entries(**filters, acted=acted, after=int(query.get("after", 0)))
        return _json({"entries": found[: int(query.get("limit") or len(found))]})

    async def clear_journal(self, request: web.Request) -> web.Response:
        self.cloud.journal.clear()
        return web.Response(status=204)

    async def faults(self, request: web.Request) -> web.Response:
        return _json({"faults": self.cloud.faults.all()})

    async def add_fault(self, request: web.Request) -> web.Response:
        try:
            fault: Fault = msgspec.json.decode(await request.read(), type=Fault)
        except msgspec.DecodeError as error:
            return _json({"error": str(error)}, 400)
        return _json(self.cloud.faults.add(fault), 201)

    async def remove_fault(self, request: web.Request) -> web.Response:
        return web.Response(status=204 if self.cloud.faults.remove(request.match_info["id"]) else 404)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self.cloud.faults.clear()
        return web.Response(status=204)

    async def settings(self, request: web.Request) -> web.Response:
        return _json(self.cloud.settings)

    async def change_settings(self, request: web.Request) -> web.Response:
        """Merge a partial :class:`Settings` into the present one."""
        settings = self.cloud.settings
        try:
            given = msgspec.json.decode(await request.read(), type=dict[str, dict[str, float]])
            merged = {name: {**values, **given.get(name, {})} for name, values in msgspec.to_builtins(settings).items()}
            changed = msgspec.convert(merged, Settings, strict=False)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            return _json({"error": str(error)}, 400)
        unknown = given.keys() - merged.keys()
        if unknown:
            return _json({"error": f"unknown settings: {', '.join(sorted(unknown))}"}, 400)
        for name in merged:
            setattr(settings, name, getattr(changed, name))
        return _json(settings)

    async def reset(self, request: web.Request) -> web.Response:
        self.cloud.reset()
        return web.Response(status=204)
