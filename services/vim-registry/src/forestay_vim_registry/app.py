"""Composition of the VIM registry."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from forestay_events.aggregate import Aggregates
from forestay_events.archive import Projector
from forestay_events.config import load
from forestay_events.platform import Platform
from forestay_sol.service import Service
from forestay_sol.vim_egress import vim_egress

from forestay_vim_registry.api.vims import VimApi
from forestay_vim_registry.domain.decide import VIM
from forestay_vim_registry.drivers import Drivers, make_drivers
from forestay_vim_registry.projections import SCHEMA
from forestay_vim_registry.projections.usage import UsageProjection
from forestay_vim_registry.projections.vims import VimProjection
from forestay_vim_registry.reads import Reads
from forestay_vim_registry.registry import Registry
from forestay_vim_registry.settings import VimSettings
from forestay_vim_registry.shredder import Shredder
from forestay_vim_registry.watch import Watch


def projectors(platform: Platform) -> list[Projector]:
    """The read models of the registry; the first one keeps the verified copy of stream VIM."""
    return [
        platform.projector(SCHEMA, VIM.stream, [VimProjection()]),
        platform.projector(SCHEMA, "LCM", [UsageProjection()], archive=False),
    ]


async def build(platform: Platform, settings: VimSettings | None = None) -> Service:
    """The API, the read models and the watch.

    :param settings: from the environment if they are not given.
    """
    settings = settings or load(VimSettings)
    own, usage = projectors(platform)
    for projector in (own, usage):
        await projector.prepare()
    vims = Aggregates(platform.store, VIM, platform.clock, broken=own.read_only)
    reads = Reads(platform, vims)
    drivers, watching = (
        make_drivers(threads, settings.vim_login_patience, vim_egress(platform.config))
        for threads in (settings.vim_login_threads, settings.vim_check_concurrency)
    )
    registry = Registry(platform, vims, reads, drivers)
    return Service(
        name="vim-registry",
        routes=VimApi(registry, reads, platform.config.endpoint).routes(),
        background={
            **{f"projector-{projector.stream}": projector.run for projector in (own, usage)},
            "shredder": Shredder(platform, own).run,
            "watch": Watch(platform, vims, reads, watching, settings).run,
            "drivers": _holding(drivers, watching),
        },
        checks={f"vim-registry.projector-{projector.stream}": projector.check for projector in (own, usage)},
    )


def _holding(*held: Drivers) -> Callable[[], Awaitable[None]]:
    """A job that closes the drivers when the process stops."""

    async def hold() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for drivers in held:
                for driver in drivers.values():
                    driver.close()

    return hold
