"""Puts the service together: which parts there are and who knows whom. Nothing else is decided here."""

from __future__ import annotations

from forestay_events.aggregate import Aggregates
from forestay_events.archive import Projector
from forestay_events.config import load
from forestay_events.outbox import Outbox
from forestay_events.platform import Platform
from forestay_events.work import Worker
from forestay_sol.service import Service

from forestay_package_mgmt.api.commands import Commands
from forestay_package_mgmt.api.content import ContentApi
from forestay_package_mgmt.api.packages import PackageApi
from forestay_package_mgmt.domain.decide import PACKAGE
from forestay_package_mgmt.onboarding.contents import Contents
from forestay_package_mgmt.onboarding.upkeep import Upkeep
from forestay_package_mgmt.onboarding.worker import Onboarding
from forestay_package_mgmt.projections import SCHEMA
from forestay_package_mgmt.projections.packages import EXECUTOR, PackageProjection
from forestay_package_mgmt.projections.reads import PackageAggregates, PackageReads
from forestay_package_mgmt.projections.usage import UsageProjection
from forestay_package_mgmt.settings import Settings


def projectors(platform: Platform, *, dispatch: bool = True) -> tuple[Projector, Projector]:
    """The read models: of stream PKG with its verified copy, and of who uses what in stream LCM.

    :param dispatch: put the work that follows from commits on the queue; off to rebuild from old commits.
    """
    return (
        platform.projector(SCHEMA, PACKAGE.stream, [PackageProjection(dispatch=dispatch)]),
        platform.projector(SCHEMA, "LCM", [UsageProjection()], archive=False),
    )


async def build(platform: Platform, settings: Settings | None = None) -> Service:
    """Make the service.

    :param settings: from the environment when not given.
    """
    settings = settings or load(Settings)
    packages, usage = projectors(platform)
    await packages.prepare()
    await usage.prepare()

    aggregates: PackageAggregates = Aggregates(platform.store, PACKAGE, platform.clock, broken=packages.read_only)
    reads = PackageReads(platform, aggregates)
    contents = Contents(platform, reads)
    commands = Commands(aggregates)
    onboarding = Onboarding(aggregates, reads, contents, platform.blobs, reading_time=settings.package_reading_time)
    worker = Worker(
        platform.nats,
        platform.queue,
        EXECUTOR,
        onboarding.handle,
        given_up=onboarding.given_up,
        concurrency=settings.package_readers,
        deliveries=4,
    )
    upkeep = Upkeep(reads, contents, platform.queue, orphan_age=settings.package_orphan_age)
    package_api = PackageApi(commands, reads, contents, page_size=settings.package_page_size)
    content_api = ContentApi(commands, reads, contents, platform.blobs, settings)
    return Service(
        name="package-mgmt",
        routes=[*package_api.routes(), *content_api.routes()],
        background={
            "projector": packages.run,
            "usage": usage.run,
            "outbox": Outbox(packages, platform.queue).run,
            "onboarding": worker.run,
            "sweep": upkeep.sweep,
            "resume": upkeep.resume,
        },
        checks={
            "package-mgmt.projector": packages.check,
            "package-mgmt.usage": usage.check,
            "package-mgmt.onboarding": worker.check,
        },
    )
