"""A service: routes, background work and health checks. One process runs one of them or several.

Background work runs until the process ends. If one ends by an error, the process stops with it: a service that silently
does half of its work is worse than one that is restarted.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from aiohttp import web
from forestay_events.config import BaseConfig, load
from forestay_events.errors import ForestayError
from forestay_events.platform import Platform, open_platform
from forestay_events.telemetry import configure_logging, configure_tracing

from forestay_sol.api import Route
from forestay_sol.caller import NoAuthentication
from forestay_sol.health import Check, Health
from forestay_sol.web import application

log = structlog.get_logger(__name__)

Background = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Service:
    """What a service adds to a process.

    :ivar background: coroutines that run for as long as the process, by name.
    :ivar checks: health checks, by component.
    """

    name: str
    routes: Sequence[Route] = ()
    background: Mapping[str, Background] = field(default_factory=dict[str, Background])
    checks: Mapping[str, Check] = field(default_factory=dict[str, Check])


Build = Callable[[Platform], Awaitable[Service]]


@asynccontextmanager
async def serving(platform: Platform, services: Sequence[Service], name: str) -> AsyncGenerator[str]:
    """Run services while the block runs; yields the URL on which they answer.

    :raises OSError: the address is taken or not ours.
    :raises ExceptionGroup: background work ended by an error; the block was cancelled.
    """
    config = platform.config
    health = Health()
    health.register("nats", platform.nats.check)
    health.register("postgresql", platform.check_database)
    for service in services:
        for component, check in service.checks.items():
            health.register(component, check)
    routes = [route for service in services for route in service.routes] + health.routes()
    app = application(routes, service=name, authenticator=NoAuthentication(config.default_project))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=3)
    await runner.setup()
    try:
        site = web.TCPSite(runner, config.listen_host, config.listen_port, reuse_address=True)
        await site.start()
        async with asyncio.TaskGroup() as group:
            work: dict[str, Background] = {"positions": platform.positions.run}
            for service in services:
                work |= {f"{service.name}.{job}": run for job, run in service.background.items()}
            tasks = [group.create_task(_loud(run), name=job) for job, run in work.items()]
            host, port = runner.addresses[0][:2]
            try:
                yield f"http://{host}:{port}"
            finally:
                await _stop(tasks)
    finally:
        await runner.cleanup()


async def _stop(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: ``asyncio.wait_for`` of Python 3.11 drops a cancellation that comes with its result."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1)


async def _loud(run: Background) -> None:
    await run()


async def until_stopped() -> None:
    """Wait for SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


def run_service(name: str, build: Build) -> None:
    """The ``main`` of a service that runs alone: configuration from the environment, until it is told to stop."""

    async def main() -> None:
        config = load(BaseConfig)
        configure_logging(name, config.log_level, config.log_format)
        flush = configure_tracing(name)
        try:
            async with open_platform(config, name) as platform:
                service = await build(platform)
                async with serving(platform, [service], name) as url:
                    log.info("service.started", url=url)
                    await until_stopped()
                    log.info("service.stopping")
        finally:
            flush()

    try:
        asyncio.run(main())
    except (ForestayError, OSError) as error:
        sys.exit(f"forestay-{name}: {error}")
