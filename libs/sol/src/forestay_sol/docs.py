"""``/openapi.json``: what this process serves; ``/docs``: the same to browse, with Swagger UI, which needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from aiohttp import web

from forestay_sol.api import OPERATIONS, Route
from forestay_sol.openapi import Json, document
from forestay_sol.web import answer

_ASSETS = {
    "swagger-ui-bundle.js": ("javascripts", "text/javascript"),
    "swagger-ui.css": ("stylesheets", "text/css"),
}
_START = "SwaggerUIBundle({url: 'openapi.json', dom_id: '#docs', deepLinking: true, validatorUrl: null});"
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Forestay API</title><link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><div id="docs"></div><script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body>
</html>
"""
#: The page loads its own files only, and asks this server only.
_POLICY = {"Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"}


def docs(routes: Sequence[Route]) -> list[Route]:
    """Give the routes that describe ``routes``."""

    @cache  # made when it is first asked for: a process need not wait for it to start
    def described() -> Json:
        return document(routes)

    async def openapi(request: web.Request) -> web.Response:
        return answer(described())

    return [
        Route("GET", "/openapi.json", openapi, OPERATIONS),
        Route("GET", "/docs", _page, OPERATIONS),
        Route("GET", "/docs/{file}", _file, OPERATIONS),
    ]


async def _page(request: web.Request) -> web.Response:
    return web.Response(text=_PAGE, content_type="text/html", headers=_POLICY)


async def _file(request: web.Request) -> web.Response:
    name = request.match_info["file"]
    if name == "start.js":
        return web.Response(text=_START, content_type="text/javascript")
    if name not in _ASSETS:
        raise web.HTTPNotFound
    folder, kind = _ASSETS[name]
    content = (files("mkdocs_swagger_ui_tag") / "swagger-ui" / folder / name).read_bytes()
    return web.Response(body=content, content_type=kind, charset="utf-8", headers={"Cache-Control": "max-age=86400"})
