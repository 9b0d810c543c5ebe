"""Health and metrics of a process: ``/health/live``, ``/health/ready``, ``/metrics``.

Live says that the event loop runs. Ready says whether each registered component can do its work now; a check that takes
longer than ``DEADLINE`` counts as failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from forestay_sol.api import OPERATIONS, Route
from forestay_sol.web import answer

Check = Callable[[], Awaitable[None]]
DEADLINE = 2.0


class Health:
    """The components of a process and how each is asked whether it works."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def register(self, component: str, check: Check) -> None:
        """Add a component.

        :param check: returns when the component works; raises an error whose text says why it does not.
        :raises ValueError: the component is there already.
        """
        if component in self._checks:
            raise ValueError(f"{component} has a health check already")
        self._checks[component] = check

    async def ask(self) -> dict[str, str]:
        """Give ``ok`` or the reason, for each component; all are asked at the same time."""
        reasons = await asyncio.gather(*(_ask(check) for check in self._checks.values()))
        return dict(zip(self._checks, reasons, strict=True))

    def routes(self) -> list[Route]:
        """Give the routes ``/health/live``, ``/health/ready`` (503 unless all are ``ok``) and ``/metrics``."""
        return [
            Route("GET", "/health/live", _live, OPERATIONS),
            Route("GET", "/health/ready", self._ready, OPERATIONS),
            Route("GET", "/metrics", _metrics, OPERATIONS),
        ]

    async def _ready(self, request: web.Request) -> web.Response:
        components = await self.ask()
        ready = all(reason == "ok" for reason in components.values())
        return answer({"ready": ready, "components": components}, status=200 if ready else 503)


async def _ask(check: Check) -> str:
    try:
        async with asyncio.timeout(DEADLINE):
            await check()
    except TimeoutError:
        return f"no answer within {DEADLINE:g} s"
    except Exception as error:  # noqa: BLE001  a check may fail in any way; all of them mean "not ready"
        return str(error) or type(error).__name__
    return "ok"


async def _live(request: web.Request) -> web.Response:
    return answer({"live": True})


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
