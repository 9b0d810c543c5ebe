"""Composition of the LCM service: the API with the engine, and the driver workers, which may run as processes of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace

from forestay_events.aggregate import Aggregates
from forestay_events.archive import Projector
from forestay_events.config import load
from forestay_events.outbox import Outbox
from forestay_events.platform import Platform
from forestay_notify.notifier import Notifier, projection
from forestay_notify.settings import NotifySettings
from forestay_sol.service import Service

from forestay_lcm.adapters.nfvo.client import Nfvo
from forestay_lcm.adapters.nfvo.packages import NfvoPackages
from forestay_lcm.adapters.nfvo.settings import NfvoSettings
from forestay_lcm.adapters.openstack.clients.oauth_heat import heat_client
from forestay_lcm.adapters.openstack.executor import OpenStackSteps
from forestay_lcm.adapters.openstack.settings import OpenStackSettings
from forestay_lcm.adapters.openstack.snapshots import SnapshotRemover
from forestay_lcm.api.v1.routes import LcmV1
from forestay_lcm.api.v1.subscriptions import SubscriptionsV1
from forestay_lcm.api.v2 import LcmV2
from forestay_lcm.catalogue import SCHEMA, Catalogue
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.fetched import FETCHED_VNFD
from forestay_lcm.domain.plan import ENGINE, SCRIPTS
from forestay_lcm.domain.vnf_snapshot import VNF_SNAPSHOT
from forestay_lcm.drift.api import DriftApi
from forestay_lcm.drift.projection import DriftProjection
from forestay_lcm.drift.settings import DriftSettings
from forestay_lcm.drift.watch import DriftWatch
from forestay_lcm.grant_step import GrantStep
from forestay_lcm.history.api import HistoryApi
from forestay_lcm.history.live import EventSettings, Live
from forestay_lcm.history.reads import History
from forestay_lcm.own_steps import OwnSteps
from forestay_lcm.projections.catalogue import FetchedVnfdProjection, VimProjection, VnfdProjection
from forestay_lcm.projections.history import HistoryProjection, RelatedProjection
from forestay_lcm.projections.instances import InstanceProjection
from forestay_lcm.projections.snapshots import InstanceSnapshots
from forestay_lcm.projections.vnf_snapshots import VnfSnapshotProjection
from forestay_lcm.reads import STREAM, Reads, Vnfs
from forestay_lcm.requests import Requests
from forestay_lcm.scripts.executor import ScriptSteps, runner_of
from forestay_lcm.scripts.settings import ScriptSettings
from forestay_lcm.staffing import Staffing
from forestay_lcm.subscriptions.filters import wanted
from forestay_lcm.subscriptions.notifications import Telling
from forestay_lcm.subscriptions.resource import LCCN_SUBSCRIPTIONS, LCCN_SUBSCRIPTIONS_V1
from forestay_lcm.sweeper import Sweeper
from forestay_lcm.vnf_snapshots.api import SnapshotsApi
from forestay_lcm.vnf_snapshots.deletion import DeletionWorker
from forestay_lcm.vnf_snapshots.reads import SnapshotReads
from forestay_lcm.vnf_snapshots.steps import SnapshotSteps
from forestay_lcm.worker import StepWorker


def projectors(platform: Platform, *, dispatch: bool = True) -> list[Projector]:
    """The read models of LCM; the first one keeps the verified copy of stream LCM.

    :param dispatch: put work that follows from commits on the queue; off to rebuild from old commits.
    """
    subscriptions = projection(LCCN_SUBSCRIPTIONS, platform.config.endpoint, wanted, dispatch=dispatch)
    telling = Telling(subscriptions, platform.config.endpoint)
    instances = InstanceProjection(dispatch=dispatch, watch=telling.watch)
    return [
        platform.projector(
            SCHEMA,
            STREAM,
            [
                subscriptions,
                instances,
                HistoryProjection(),
                VnfSnapshotProjection(dispatch=dispatch),
                DriftProjection(),
                FetchedVnfdProjection(),
            ],
        ),
        platform.projector(SCHEMA, "PKG", [VnfdProjection()], archive=False),
        platform.projector(SCHEMA, "VIM", [VimProjection()], archive=False),
        *(platform.projector(SCHEMA, stream, [RelatedProjection()], archive=False) for stream in ("MON", "POL")),
    ]


def vnfs_of(platform: Platform, *, broken: Callable[[str], str | None] = lambda _: None) -> Vnfs:
    """The VNF instances of the log; a long history is taken up where the read model has come to."""
    snapshots = InstanceSnapshots(platform.pool, SCHEMA)
    return Aggregates(platform.store, VNF, platform.clock, snapshots=snapshots, broken=broken)


async def build(platform: Platform, notify: NotifySettings | None = None) -> Service:
    """The API and the engine.

    :param notify: from the environment if they are not given.
    """
    instances, *others = projectors(platform)
    for projector in (instances, *others):
        await projector.prepare()
    vnfs = vnfs_of(platform, broken=instances.read_only)
    granting = load(NfvoSettings)
    nfvo = Nfvo(granting, platform.config.endpoint) if granting.is_external else None
    fetched = Aggregates(platform.store, FETCHED_VNFD, platform.clock, broken=instances.read_only)
    packages = NfvoPackages(platform, fetched, nfvo, granting, SCHEMA) if nfvo else None
    catalogue = Catalogue(platform, packages.fetch if packages else None)
    grant = GrantStep(catalogue, platform.clock, granting, nfvo)
    snapshots = Aggregates(platform.store, VNF_SNAPSHOT, platform.clock, broken=instances.read_only)
    snapshot_reads = SnapshotReads(platform, snapshots, vnfs)
    snapshot_steps = SnapshotSteps(snapshots, snapshot_reads, catalogue, platform.clock)
    own = StepWorker(platform, vnfs, ENGINE, OwnSteps(grant, snapshot_steps, platform.clock))
    requests = Requests(platform, vnfs, catalogue)
    reads = Reads(platform, vnfs)
    history = History(platform, reads)
    live = Live(platform, history, load(EventSettings))
    settings = notify or load(NotifySettings)
    notifier = Notifier(platform, LCCN_SUBSCRIPTIONS, settings, broken=instances.broken.get)
    return Service(
        name="lcm",
        routes=[
            *LcmV2(platform, vnfs, reads, catalogue, snapshot_reads).routes(),
            *SnapshotsApi(platform, snapshots, snapshot_reads).routes(),
            *HistoryApi(history, live).routes(),
            *DriftApi(platform).routes(),
            *LcmV1(platform, vnfs, catalogue, snapshot_reads).routes(),
            *notifier.routes(),
            *notifier.routes(LCCN_SUBSCRIPTIONS_V1, SubscriptionsV1),
        ],
        background={
            **{f"projector-{projector.stream}": projector.run for projector in (instances, *others)},
            "outbox": Outbox(instances, platform.queue).run,
            "engine": within(nfvo, own.run),
            "requests": requests.run,
            "sweeper": Sweeper(platform).run,
            "staffing": Staffing(platform, vnfs).run,
            "live-events": live.run,
            **({"nfvo-packages": packages.run} if packages else {}),
            **notifier.background(),
        },
        checks={
            **{f"lcm.projector-{projector.stream}": projector.check for projector in (instances, *others)},
            "lcm.engine": own.check,
            "lcm.requests": requests.check,
        },
        stopping=[live.end],
    )


async def build_openstack_worker(platform: Platform) -> Service:
    """The worker for OpenStack: needs the log, the copy and the queue, not the API."""
    for projector in projectors(platform):
        await projector.prepare()
    catalogue = Catalogue(platform)
    settings = load(OpenStackSettings)
    steps = OpenStackSteps(catalogue, platform.blobs, settings)
    remover = SnapshotRemover(catalogue)
    snapshots = Aggregates(platform.store, VNF_SNAPSHOT, platform.clock)
    deletion = DeletionWorker(platform, snapshots, "openstack", remover)
    drift = DriftWatch(platform, catalogue, vnfs_of(platform), load(DriftSettings), heat_client=heat_client(settings))
    service = _worker(platform, "openstack", steps)
    return replace(
        service,
        background={
            **service.background,
            "openstack-snapshots": within(remover, deletion.run),
            "openstack-drift": within(drift, drift.run),
        },
        checks={**service.checks, "openstack-snapshots": deletion.check},
    )


async def build_script_worker(platform: Platform) -> Service:
    """The worker that runs scripts of packages in sandboxes: needs what a driver worker needs."""
    for projector in projectors(platform):
        await projector.prepare()
    settings = load(ScriptSettings)
    return _worker(
        platform, SCRIPTS, ScriptSteps(platform, Catalogue(platform), settings, runner_of(platform, settings))
    )


def _worker(platform: Platform, executor: str, steps: OpenStackSteps | ScriptSteps) -> Service:
    worker = StepWorker(platform, vnfs_of(platform), executor, steps)
    name = f"{executor}-worker"
    return Service(name=name, background={executor: within(steps, worker.run)}, checks={name: worker.check})


def within(
    resource: AbstractAsyncContextManager[object] | None, run: Callable[[], Awaitable[None]]
) -> Callable[[], Awaitable[None]]:
    """The work, with what it needs opened before and closed after it."""

    async def opened() -> None:
        async with resource or nullcontext():
            await run()

    return opened


#: What ``python -m forestay_lcm [NAME]`` runs.
PROCESSES: Mapping[str, Callable[[Platform], Awaitable[Service]]] = {
    "lcm": build,
    "openstack-worker": build_openstack_worker,
    "scripts-worker": build_script_worker,
}
