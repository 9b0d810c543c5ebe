"""The root of the API: which versions of the legacy API there are (wire section 2)."""

from __future__ import annotations

from aiohttp import web
from forestay_events.platform import Platform
from forestay_sol.api import ROOT, Route
from forestay_sol.service import Service
from forestay_sol.web import answer


async def build(platform: Platform) -> Service:
    """``GET /``."""
    links = [{"rel": "self", "href": f"{platform.config.endpoint}/v1.0"}]

    async def versions(request: web.Request) -> web.Response:
        return answer({"versions": [{"id": "v1.0", "status": "CURRENT", "links": links}]})

    return Service(name="versions", routes=[Route("GET", "/", versions, ROOT)])
