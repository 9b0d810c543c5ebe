"""Puts the service together: which parts there are and who knows whom. Nothing else is decided here."""

from __future__ import annotations

from forestay_events.aggregate import Aggregates
from forestay_events.archive import Projector
from forestay_events.config import load
from forestay_events.outbox import Outbox
from forestay_events.platform import Platform
from forestay_events.worker import Worker
from forestay_notify.notifier import Notifier, projection
from forestay_notify.settings import NotifySettings
from forestay_sol.api import Route
from forestay_sol.egress import networks
from forestay_sol.service import Service

from forestay_package_mgmt.api.commands import Commands
from forestay_package_mgmt.api.content import ContentApi
from forestay_package_mgmt.api.edition import edition_v1, edition_v2
from forestay_package_mgmt.api.packages import PackageApi
from forestay_package_mgmt.api.uploads import UploadApi
from forestay_package_mgmt.domain.decide import PACKAGE
from forestay_package_mgmt.fetching.egress import FetchEgress
from forestay_package_mgmt.fetching.external import ExternalArtifacts
from forestay_package_mgmt.fetching.worker import Fetching
from forestay_package_mgmt.onboarding.contents import Contents
from forestay_package_mgmt.onboarding.reading import policy_of
from forestay_package_mgmt.onboarding.receiver import Receiver
from forestay_package_mgmt.onboarding.reports import Reports
from forestay_package_mgmt.onboarding.upkeep import Upkeep
from forestay_package_mgmt.onboarding.worker import Onboarding
from forestay_package_mgmt.projections import SCHEMA
from forestay_package_mgmt.projections.packages import EXECUTOR, FETCHER, PackageProjection
from forestay_package_mgmt.projections.reads import PackageAggregates, PackageReads
from forestay_package_mgmt.projections.usage import UsageProjection
from forestay_package_mgmt.settings import Settings
from forestay_package_mgmt.subscriptions.filters import wanted
from forestay_package_mgmt.subscriptions.notifications import Telling
from forestay_package_mgmt.subscriptions.resource import PKGM_SUBSCRIPTIONS


def projectors(platform: Platform, *, dispatch: bool = True) -> tuple[Projector, Projector]:
    """The read models: of stream PKG with its verified copy, and of who uses what in stream LCM.

    :param dispatch: put the work that follows from commits on the queue; off to rebuild from old commits.
    """
    subscriptions = projection(PKGM_SUBSCRIPTIONS, platform.config.endpoint, wanted, dispatch=dispatch)
    packages = PackageProjection(dispatch=dispatch, watch=Telling(subscriptions, platform.config.endpoint).watch)
    return (
        platform.projector(SCHEMA, PACKAGE.stream, [subscriptions, packages]),
        platform.projector(SCHEMA, "LCM", [UsageProjection()], archive=False),
    )


async def build(platform: Platform, settings: Settings | None = None, notify: NotifySettings | None = None) -> Service:
    """The service on an opened platform. Prepares the read models.

    :param settings: from the environment when not given; ``notify`` likewise.
    """
    settings = settings or load(Settings)
    packages, usage = projectors(platform)
    await packages.prepare()
    await usage.prepare()

    aggregates: PackageAggregates = Aggregates(platform.store, PACKAGE, platform.clock, broken=packages.read_only)
    reads = PackageReads(platform, aggregates)
    contents = Contents(platform, reads)
    notifier = Notifier(platform, PKGM_SUBSCRIPTIONS, notify or load(NotifySettings), broken=packages.read_only)
    upkeep = Upkeep(
        Reports(aggregates, "forestay:upkeep"), reads, contents, platform.queue, orphan_age=settings.package_orphan_age
    )
    onboarding, fetching = _workers(platform, aggregates, reads, contents, settings)
    return Service(
        name="package-mgmt",
        routes=[*_routes(platform, aggregates, reads, contents, settings), *notifier.routes()],
        background={
            "projector": packages.run,
            "usage": usage.run,
            "outbox": Outbox(packages, platform.queue).run,
            "onboarding": onboarding.run,
            "fetching": fetching.run,
            "sweep": upkeep.sweep,
            "resume": upkeep.resume,
            "watch": upkeep.watch,
            "release": upkeep.release,
            **notifier.background(),
        },
        checks={
            "package-mgmt.projector": packages.check,
            "package-mgmt.usage": usage.check,
            "package-mgmt.onboarding": onboarding.check,
            "package-mgmt.fetching": fetching.check,
        },
    )


def _routes(
    platform: Platform, aggregates: PackageAggregates, reads: PackageReads, contents: Contents, settings: Settings
) -> list[Route]:
    commands, egress, page = Commands(aggregates), _egress(settings), settings.package_page_size
    receiver = Receiver(
        aggregates, reads, contents, limit=settings.package_size_limit, patience=settings.package_upload_patience
    )
    routes: list[Route] = []
    for edition in (edition_v1(page), edition_v2(page, platform.config.endpoint)):
        routes += PackageApi(edition, commands, reads, contents).routes()
        routes += UploadApi(edition, commands, reads, receiver, platform.vault, egress).routes()
        routes += ContentApi(edition, reads, platform.blobs, platform.blobs.directory).routes()
    return routes


def _workers(
    platform: Platform, aggregates: PackageAggregates, reads: PackageReads, contents: Contents, settings: Settings
) -> tuple[Worker, Worker]:
    """Who onboards, and who fetches."""
    reports, egress = Reports(aggregates, "forestay:onboarding"), _egress(settings)
    external = ExternalArtifacts(reports, contents, platform.vault, egress, settings)
    onboarding = Onboarding(
        reports, reads, contents, external, platform.blobs, platform.vault,
        reading_time=settings.package_reading_time, policy=policy_of(settings),
    )  # fmt: skip
    fetching = Fetching(Reports(aggregates, "forestay:fetching"), reads, contents, platform.vault, egress, settings)

    def worker(executor: str, work: Onboarding | Fetching, at_once: int) -> Worker:
        return Worker(
            platform.nats, platform.queue, executor, work.handle,
            given_up=work.given_up, concurrency=at_once, deliveries=4,
        )  # fmt: skip

    return (
        worker(EXECUTOR, onboarding, settings.package_readers),
        worker(FETCHER, fetching, settings.package_fetchers),
    )


def _egress(settings: Settings) -> FetchEgress:
    return FetchEgress(allowed=networks(settings.package_fetch_allow), denied=networks(settings.package_fetch_deny))
