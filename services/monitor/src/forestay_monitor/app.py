"""Composition of the monitor: what it follows, the alarms that it reports, and their API."""

from __future__ import annotations

from forestay_events.aggregate import Aggregates
from forestay_events.archive import Projector
from forestay_events.outbox import Outbox
from forestay_events.platform import Platform
from forestay_sol.service import Service

from forestay_monitor.api.alarms import AlarmApi
from forestay_monitor.domain.alarm import ALARM
from forestay_monitor.projections import SCHEMA
from forestay_monitor.projections.alarms import AlarmProjection
from forestay_monitor.projections.drift import DriftFaults
from forestay_monitor.projections.faults import OperationFaults, VimFaults
from forestay_monitor.reporter import Reporter


def projectors(platform: Platform, *, dispatch: bool = True) -> list[Projector]:
    """The read models of the monitor; the first one keeps the verified copy of stream MON.

    :param dispatch: put work that follows from commits on the queue; off to rebuild from old commits.
    """
    return [
        platform.projector(SCHEMA, ALARM.stream, [AlarmProjection()]),
        platform.projector(
            SCHEMA, "LCM", [OperationFaults(dispatch=dispatch), DriftFaults(dispatch=dispatch)], archive=False
        ),
        platform.projector(SCHEMA, "VIM", [VimFaults(dispatch=dispatch)], archive=False),
    ]


async def build(platform: Platform) -> Service:
    """Make the service."""
    own, *followed = projectors(platform)
    for projector in (own, *followed):
        await projector.prepare()
    alarms = Aggregates(platform.store, ALARM, platform.clock, broken=own.read_only)
    reporter = Reporter(platform, alarms)
    return Service(
        name="monitor",
        routes=AlarmApi(platform, alarms).routes(),
        background={
            **{f"projector-{projector.stream}": projector.run for projector in (own, *followed)},
            **{f"outbox-{projector.stream}": Outbox(projector, platform.queue).run for projector in followed},
            "reporter": reporter.run,
            "sweep": reporter.sweep,
        },
        checks={
            **{f"monitor.projector-{projector.stream}": projector.check for projector in (own, *followed)},
            "monitor.reporter": reporter.check,
        },
    )
