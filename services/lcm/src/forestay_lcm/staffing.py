"""Executors that no process serves: an operator is told, and nobody waits for ever.

A step is judged by the worker that takes it. Where there has been none for a while, its operation fails here when its time is
over, so that it can be retried or rolled back. Without a word from the queue nothing is concluded.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import structlog
from forestay_events.aggregate import Origin
from forestay_events.database import answering
from forestay_events.errors import Unavailable
from forestay_events.metrics import METRICS
from forestay_events.platform import Platform

from forestay_lcm.domain.commands import ReportStep
from forestay_lcm.executor import Failed
from forestay_lcm.projections.instances import OPEN_WORK
from forestay_lcm.reads import Vnfs

log = structlog.get_logger(__name__)

_PERIOD = 5.0
_BATCH = 1000

_WAITING = " UNION ALL ".join(
    f"SELECT work_executor FROM lcm.{table} WHERE work_executor IS NOT NULL"  # noqa: S608
    for table in OPEN_WORK
)


class Staffing:
    """Runs in every replica of the API.

    :param patience: seconds without a process after which steps are judged; one may be about to start.
    """

    def __init__(self, platform: Platform, vnfs: Vnfs, patience: float = 60.0) -> None:
        self._platform = platform
        self._vnfs = vnfs
        self._patience = patience
        self._since: dict[str, float] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("staffing.waiting", reason=str(error))
            await asyncio.sleep(_PERIOD)

    async def look(self) -> None:
        """Look once. :raises Unavailable: the log, the copy or the queue does not answer."""
        with answering():
            rows = await self._platform.pool.fetch(_WAITING)
        waiting: Counter[str] = Counter(row["work_executor"] for row in rows)
        alone = {name: n for name, n in waiting.items() if not await self._is_staffed(name)}
        for executor in self._since.keys() - alone.keys():
            log.info("staffing.staffed", executor=executor)
            METRICS.work_unstaffed.labels(executor).set(0)
            del self._since[executor]
        for executor, operations in alone.items():
            METRICS.work_unstaffed.labels(executor).set(operations)
            if executor not in self._since:
                log.error("staffing.no_process", executor=executor, waiting=operations, start=f"{executor}-worker")
                self._since[executor] = time.monotonic()
            if time.monotonic() - self._since[executor] >= self._patience:
                await self._judge(executor)

    async def _is_staffed(self, executor: str) -> bool:
        """Who is too busy to answer is there."""
        try:
            return await self._platform.queue.is_staffed(executor)
        except Unavailable as error:
            log.debug("staffing.no_answer", executor=executor, reason=str(error))
            return True

    async def _judge(self, executor: str) -> None:
        with answering():
            rows = await self._platform.pool.fetch(
                "SELECT vnf_id FROM lcm.op_occ WHERE work_executor = $1 ORDER BY touched LIMIT $2", executor, _BATCH
            )
        for row in rows:
            await self._judge_step(executor, row["vnf_id"])

    async def _judge_step(self, executor: str, vnf_id: str) -> None:
        vnf = (await self._vnfs.load(vnf_id)).state
        due = vnf.due(executor) if vnf else None
        if vnf is None or due is None:
            return
        operation, run = due
        step, timeout = run.step.name, run.step.timeout
        if run.since is None or (self._platform.clock() - run.since).total_seconds() <= timeout:
            return
        detail = (
            f"{step} is not done within {timeout:.0f} s: no process takes the work of executor {executor}. "
            f"Start one (`python -m forestay_lcm {executor}-worker`), then retry."
        )
        failed = ReportStep(operation.id, step, run.attempt, "FAILED", error=Failed("No worker", 504, detail).problem())
        origin = Origin(failed.command_id, vnf.project, "forestay:engine", correlation_id=operation.id)
        await self._vnfs.execute(vnf_id, failed, origin)
        log.error("staffing.step_failed", vnf=vnf_id, op=operation.id, step=step, executor=executor)
