"""A service: routes, background work and health checks. One process runs one of them or several.

Where authentication is off, whoever can connect is the administrator. So a process listens on the loopback interface only,
unless its configuration says in so many words that others may come.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

import structlog
from aiohttp import web
from forestay_events.config import BaseConfig, load
from forestay_events.errors import Permanent
from forestay_events.platform import Platform, open_platform
from forestay_events.telemetry import configure_logging, configure_tracing

from forestay_sol.api import Route
from forestay_sol.background import Background, background
from forestay_sol.caller import NoAuthentication
from forestay_sol.docs import docs
from forestay_sol.health import Check, Health
from forestay_sol.idempotency import kept_answers
from forestay_sol.process import run_process, until_stopped
from forestay_sol.web import application

log = structlog.get_logger(__name__)

#: Seconds that requests in progress get to end when the process stops, and as many again to end once they are cancelled.
GRACE = 2.0


@dataclass(frozen=True)
class Service:
    """What a service adds to a process.

    :ivar background: coroutines that run for as long as the process, by name.
    :ivar checks: health checks, by component.
    :ivar stopping: called when the process stops, before it waits for its requests: answers that never end by themselves end.
    """

    name: str
    routes: Sequence[Route] = ()
    background: Mapping[str, Background] = field(default_factory=dict[str, Background])
    checks: Mapping[str, Check] = field(default_factory=dict[str, Check])
    stopping: Sequence[Background] = ()


Build = Callable[[Platform], Awaitable[Service]]


@asynccontextmanager
async def serving(platform: Platform, services: Sequence[Service], name: str) -> AsyncGenerator[str]:
    """Run services while the block runs; yields the URL on which they answer.

    At the end requests come first: what they wait for is done by the background work, which therefore goes on meanwhile.

    :raises Permanent: the address is taken or not ours, or open to others while authentication is off.
    :raises ForestayError: background work ended by it; the block was cancelled.
    """
    config = platform.config
    health = Health()
    health.register("nats", platform.nats.check)
    health.register("postgresql", platform.check_database)
    work: dict[str, Background] = {"positions": platform.positions.run}
    for service in services:
        work |= {f"{service.name}.{job}": run for job, run in service.background.items()}
        for component, check in service.checks.items():
            health.register(component, check)
    served = [route for service in services for route in service.routes]
    routes = [*served, *health.routes(), *docs(served)]
    async with kept_answers(platform) as kept:
        app = application(
            routes,
            service=name,
            authenticator=NoAuthentication(config.default_project),
            page_size=config.page_size,
            kept=kept,
        )
        app.on_shutdown.append(_stopping(services))
        async with background(work | {"kept-answers": kept.run}), _listening(app, config) as url:
            yield url


def _stopping(services: Sequence[Service]) -> Callable[[web.Application], Awaitable[None]]:
    async def stopping(_: web.Application) -> None:
        for service in services:
            for stop in service.stopping:
                await stop()

    return stopping


@asynccontextmanager
async def _listening(app: web.Application, config: BaseConfig) -> AsyncGenerator[str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE)
    await runner.setup()
    try:
        try:
            if not config.allow_unauthenticated:
                await _refuse_strangers(config)
            await web.TCPSite(runner, config.listen_host, config.listen_port, reuse_address=True).start()
        except OSError as error:
            raise Permanent(
                f"Cannot listen on {config.listen_host} port {config.listen_port}: {error.strerror or error}. "
                "Stop what uses it, or choose another address or port."
            ) from error
        host, port = runner.addresses[0][:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        await runner.cleanup()


async def _refuse_strangers(config: BaseConfig) -> None:
    """:raises Permanent: others than this machine's users could connect, and nobody is asked who they are."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        config.listen_host or None, config.listen_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    if not all(ip_address(str(address[0])).is_loopback for *_, address in found):
        raise Permanent(
            f"Authentication is off, so Forestay does not listen on {config.listen_host or 'all addresses'}, where everybody"
            " who can connect would be its administrator: listen on 127.0.0.1, or allow it (--allow-unauthenticated,"
            " FORESTAY_ALLOW_UNAUTHENTICATED=true)."
        )


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
        finally:
            flush()

    run_process(f"forestay-{name}", main, endless=True)
