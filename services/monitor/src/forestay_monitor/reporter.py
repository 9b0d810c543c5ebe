"""From faults to alarms: a worker that reports how a fault stands, and a sweep that finds what was never reported.

What is wanted (table ``fault``) and what is there (the alarm in the log) are compared, never counted: a report that was not
needed leads to nothing.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.database import answering
from forestay_events.errors import Unavailable
from forestay_events.platform import Platform
from forestay_events.work import Work
from forestay_events.worker import Worker
from forestay_sol.streams.alarm import AlarmEvent

from forestay_monitor.domain.alarm import Alarm, AlarmCommand
from forestay_monitor.projections import SCHEMA
from forestay_monitor.projections.faults import EXECUTOR, find_fault, report_of

log = structlog.get_logger(__name__)

Alarms = Aggregates[Alarm, AlarmCommand, AlarmEvent]
ACTOR = "forestay:monitor"
_QUIET = timedelta(seconds=8)
_PERIOD = 15.0

#: Faults that stand otherwise than their alarm, if there is one.
_UNREPORTED = """
SELECT alarm_id FROM mon.fault LEFT JOIN mon.alarm ON alarm.id = fault.alarm_id
WHERE (alarm.id IS NULL OR (fault.cleared_at IS NOT NULL AND NOT alarm.cleared)) AND fault.touched < $1
ORDER BY fault.touched LIMIT 1000
"""


class Reporter:
    """Runs in every replica; they may do the same twice."""

    def __init__(self, platform: Platform, alarms: Alarms) -> None:
        self._platform = platform
        self._alarms = alarms
        self._worker = Worker(platform.nats, platform.queue, EXECUTOR, self.handle, given_up=self.given_up)

    async def run(self) -> None:
        """Report until cancelled."""
        await self._worker.run()

    async def check(self) -> None:
        """Health. :raises Unavailable: the work queue is silent."""
        await self._worker.check()

    async def handle(self, work: Work) -> None:
        """Make the alarm stand as its fault does."""
        with answering():
            async with self._platform.pool.acquire() as connection:
                fault = await find_fault(connection, SCHEMA, work.key)
        if fault is None:
            return
        report = fault.report
        origin = Origin(
            command_id=f"{fault.alarm_id}/{'cleared' if report.cleared else 'raised'}",
            project=fault.project,
            actor=ACTOR,
            correlation_id=report.raised.op_id,
            causation_id=fault.commit_id,
        )
        await self._alarms.execute(fault.alarm_id, report, origin)

    async def given_up(self, work: Work, reason: str) -> None:
        log.error("alarm.not_reported", alarm=work.key, reason=reason)

    async def sweep(self) -> None:
        """Put reports back that got lost with the queue, until cancelled."""
        while True:
            try:
                await self._sweep()
            except Unavailable as error:
                log.warning("sweep.waiting", reason=str(error))
            await asyncio.sleep(_PERIOD)

    async def _sweep(self) -> None:
        with answering():
            rows = await self._platform.pool.fetch(_UNREPORTED, self._platform.clock() - _QUIET)
        for row in rows:
            work = report_of(row["alarm_id"])
            if not await self._platform.queue.pending(work):
                log.warning("sweep.report_was_lost", alarm=work.key)
                await self._platform.queue.put(work)
