"""The engine's worker: takes "look at this VNF instance", does the step that the log says is next, reports how it came out.

Work names an instance, never a step: what to do is read in the log each time, so it does not matter how often, how late or
by whom work is delivered. Before a handler may touch anything, the step's intent lies in the log and in the copy. A handler
looks before it acts; two workers at the same step end with one result, because the VIM refuses the second of two equal names
and the log takes one report.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog
from forestay_events.aggregate import Origin
from forestay_events.errors import Permanent, Retryable, Unavailable, UnknownOutcome
from forestay_events.platform import Platform
from forestay_events.work import Later, Work, Worker

from forestay_lcm.catalogue import SCHEMA
from forestay_lcm.domain.commands import ReportStep
from forestay_lcm.domain.state import Operation, StepRun, Vnf
from forestay_lcm.executor import Again, Confirmed, Executor, Failed, Outcome, Superseded
from forestay_lcm.reads import STREAM, Vnfs

log = structlog.get_logger(__name__)

_BACK_OFF = (0.3, 0.6, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class _Due:
    """A step whose time has come."""

    vnf: Vnf
    operation: Operation
    run: StepRun

    @property
    def since(self) -> datetime:
        assert self.run.since is not None, "an intended step has a time"  # noqa: S101
        return self.run.since

    @property
    def key(self) -> tuple[str, str, int]:
        return self.operation.id, self.run.step.name, self.run.attempt


class StepWorker:
    """Does the steps of one executor.

    :param executor: name of the executor, as in the plans.
    :param handlers: what each step does.
    """

    def __init__(self, platform: Platform, vnfs: Vnfs, executor: str, handlers: Executor) -> None:
        self._platform = platform
        self._vnfs = vnfs
        self._executor = executor
        self._handlers = handlers
        self._queue_worker = Worker(platform.nats, platform.queue, executor, self.handle, given_up=self.given_up)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue_worker.run()

    async def handle(self, work: Work) -> Later | None:
        loaded = await self._vnfs.load(work.key)
        due = self._due(loaded.state)
        if due is None:
            return None
        await self._platform.positions.wait(SCHEMA, STREAM, loaded.seq)
        with structlog.contextvars.bound_contextvars(vnf=due.vnf.id, op=due.operation.id, step=due.run.step.name):
            try:
                outcome = await self._try(due)
            except Superseded:
                log.warning("step.superseded")
                return None
            if isinstance(outcome, Again):
                return Later(outcome.delay)
            await self._report(due, outcome)
            return Later(_BACK_OFF[0]) if isinstance(outcome, UnknownOutcome) else None

    async def given_up(self, work: Work, reason: str) -> None:
        """The queue gave the work up: the step has failed, so that somebody is told."""
        due = self._due((await self._vnfs.load(work.key)).state)
        if due is not None:
            await self._report(due, Failed("Step given up", 500, f"The step was tried several times: {reason}"))

    def _due(self, vnf: Vnf | None) -> _Due | None:
        operation = vnf.operation if vnf else None
        run = operation.current if operation else None
        if vnf is None or operation is None or run is None or run.step.executor != self._executor:
            return None
        return _Due(vnf, operation, run)

    async def _fence(self, due: _Due) -> None:
        now = self._due((await self._vnfs.load(due.vnf.id)).state)
        if now is None or now.key != due.key:
            raise Superseded

    async def _try(self, due: _Due) -> Outcome | UnknownOutcome:
        """Run the handler and make of its errors what the engine knows."""
        waited = (self._platform.clock() - due.since).total_seconds()
        overdue = waited > due.run.step.timeout
        try:
            outcome = await self._handlers.run(due.vnf, due.operation, due.run, lambda: self._fence(due))
        except UnknownOutcome as error:
            return error
        except Unavailable:
            raise
        except Retryable as error:
            if overdue:
                return Failed("VIM unavailable", 503, f"Given up after {waited:.0f} s: {error}")
            delay = error.delay or _BACK_OFF[min(int(waited), len(_BACK_OFF) - 1)]
            log.info("step.retry", delay=delay, reason=str(error))
            return Again(delay)
        except Permanent as error:
            return Failed(error.title or "Step failed", error.status, str(error))
        if isinstance(outcome, Again) and overdue:
            return Failed("Time-out", 504, f"Not done within {due.run.step.timeout:.0f} s: {outcome.note}")
        return outcome

    async def _report(self, due: _Due, outcome: Confirmed | Failed | UnknownOutcome) -> None:
        operation, run = due.operation, due.run
        report = _report_of(operation.id, run, outcome)
        await self._vnfs.execute(
            due.vnf.id,
            report,
            Origin(
                command_id=f"{operation.id}/{run.step.name}/{run.attempt}/{report.outcome}",
                project=due.vnf.project,
                actor=f"forestay:{self._executor}",
                correlation_id=operation.id,
            ),
        )
        log.info("step.reported", outcome=report.outcome, **report.error)


def _report_of(op_id: str, run: StepRun, outcome: Confirmed | Failed | UnknownOutcome) -> ReportStep:
    step, attempt = run.step.name, run.attempt
    match outcome:
        case Confirmed():
            return ReportStep(op_id, step, attempt, "CONFIRMED", result=outcome.result)
        case Failed():
            return ReportStep(op_id, step, attempt, "FAILED", error=outcome.problem())
        case UnknownOutcome():
            return ReportStep(op_id, step, attempt, "UNKNOWN", error={"detail": str(outcome)})
