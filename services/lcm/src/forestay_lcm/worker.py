"""The engine's worker: takes "look at this VNF instance", does the step that the log says is next, reports how it came out.

Work names an instance, never a step: what to do is read in the log each time, so it does not matter how often, how late or
by whom work is delivered. Before a handler may touch anything, the step's intent lies in the log and in the copy. A handler
looks before it acts; two workers at the same step end with one result, because the VIM refuses the second of two equal names
and the log takes one report.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import structlog
from forestay_events.aggregate import Loaded, Origin
from forestay_events.database import answering
from forestay_events.errors import Permanent, Rejected, Retryable, Unavailable, UnknownOutcome
from forestay_events.failpoints import failpoint
from forestay_events.platform import Platform
from forestay_events.work import Work
from forestay_events.worker import Later, Worker

from forestay_lcm.catalogue import SCHEMA
from forestay_lcm.domain.commands import ReportStep
from forestay_lcm.domain.state import Operation, StepRun, Vnf
from forestay_lcm.executor import Again, Confirmed, Executor, Failed, Outcome, Superseded, pause
from forestay_lcm.reads import STREAM, Vnfs

log = structlog.get_logger(__name__)

#: Seconds that one call of a handler gets in any case, and at most.
_PATIENCE = (30.0, 3600.0)


@dataclass(frozen=True)
class _Due:
    """A step whose time has come, as of sequence ``seq`` of the log."""

    vnf: Vnf
    operation: Operation
    run: StepRun
    seq: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.operation.id, self.run.step.name, self.run.attempt


class _Turn:
    """:class:`~forestay_lcm.executor.Turn` at a step that is due."""

    def __init__(self, worker: StepWorker, due: _Due) -> None:
        self._worker = worker
        self._due = due
        self._known = due.run.result

    async def __call__(self) -> None:
        await self._worker.fence(self._due)

    async def note(self, result: dict[str, Any]) -> None:
        self._known = await self._worker.note(self._due, self._known, result)


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

    async def check(self) -> None:
        """Health. :raises Unavailable: the work queue is silent."""
        await self._queue_worker.check()

    async def handle(self, work: Work) -> Later | None:
        due = await self._due(work.key)
        if due is None or not await self._copied(due):
            return None
        with structlog.contextvars.bound_contextvars(vnf=due.vnf.id, op=due.operation.id, step=due.run.step.name):
            failpoint(f"{due.run.step.kind}.before")
            try:
                outcome = await self._try(due)
            except Superseded:
                log.warning("step.superseded")
                return None
            failpoint(f"{due.run.step.kind}.done")
            if isinstance(outcome, Again):
                log.info("step.again", delay=outcome.delay, note=outcome.note)
                return Later(outcome.delay)
            await self._report(due, outcome)
            failpoint(f"{due.run.step.kind}.reported")
            # The look that a recorded outcome calls for is put by the projection; a repeated "unknown" is not recorded.
            repeated = isinstance(outcome, UnknownOutcome) and due.run.status == "UNKNOWN"
            return Later(pause(self._waited(due))) if repeated else None

    async def given_up(self, work: Work, reason: str) -> None:
        """The queue gave the work up: the step has failed, so that somebody is told."""
        due = await self._due(work.key)
        if due is not None and await self._copied(due):
            await self._report(due, Failed("Step given up", 500, f"No worker could bring it to an end: {reason}"))

    async def _due(self, vnf_id: str) -> _Due | None:
        """The step that is next according to the log, if it is one of this executor."""
        loaded = await self._vnfs.load(vnf_id)
        vnf = loaded.state
        due = vnf.due(self._executor) if vnf else None
        return _Due(vnf, *due, loaded.seq) if vnf and due else None

    async def _copied(self, due: _Due) -> bool:
        """Wait until the intent is in the copy too; ``False`` if it was refused there.

        :raises Unavailable: the copy does not come up with the log.
        """
        await self._platform.positions.wait(SCHEMA, STREAM, due.seq)
        with answering():
            seq = await self._platform.pool.fetchval("SELECT seq FROM lcm.vnf WHERE id = $1", due.vnf.id)
        if seq is not None and seq >= due.seq:
            return True
        log.error("step.not_in_the_copy", vnf=due.vnf.id, op=due.operation.id, seq=due.seq, copied=seq)
        return False

    async def fence(self, due: _Due) -> None:
        """:raises Superseded: the step is not the present one any more."""
        vnf = (await self._vnfs.load(due.vnf.id)).state
        operation = vnf.operation if vnf and not vnf.deleted else None
        run = operation.current if operation else None
        if operation is None or run is None or (operation.id, run.step.name, run.attempt) != due.key:
            raise Superseded(operation)
        failpoint(f"{due.run.step.kind}.fenced")

    async def note(self, due: _Due, seen: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        """What is noted now. :raises Superseded: the step is not the present one any more, or somebody else has noted."""
        run = due.run
        report = ReportStep(due.operation.id, run.step.name, run.attempt, "NOTED", result=result, seen=seen)
        noted = await self._execute(due, report, str(uuid4()))
        now = noted.state.operation if noted.state else None
        if now is None or now.current is None or now.current.result != result:
            raise Superseded(now)
        failpoint(f"{run.step.kind}.noted")
        return now.current.result

    async def _try(self, due: _Due) -> Outcome | UnknownOutcome:
        """Run the handler and make of its errors what the engine knows. A call that may have acted is never just repeated."""
        step = due.run.step
        shortest, longest = _PATIENCE
        try:
            async with asyncio.timeout(min(max(step.timeout - self._waited(due), shortest), longest)):
                outcome = await self._handlers.run(due.vnf, due.operation, due.run, _Turn(self, due))
        except Unavailable:
            raise
        except Retryable as error:
            outcome = Again(error.delay or pause(self._waited(due)), str(error))
        except UnknownOutcome as error:
            outcome = error
        except TimeoutError:
            outcome = UnknownOutcome(f"{step.name} did not come back")
        except (Permanent, Rejected) as error:
            outcome = Failed(error.title or "Step failed", error.status, str(error))
        if isinstance(outcome, Again | UnknownOutcome) and self._waited(due) > step.timeout:
            reason = outcome.note if isinstance(outcome, Again) else str(outcome)
            return Failed("Time-out", 504, f"{step.name} is not done within {step.timeout:.0f} s: {reason}")
        return outcome

    def _waited(self, due: _Due) -> float:
        """Seconds since the step was intended."""
        assert due.run.since is not None, "an intended step has a time"  # noqa: S101
        return (self._platform.clock() - due.run.since).total_seconds()

    async def _report(self, due: _Due, outcome: Confirmed | Failed | UnknownOutcome) -> None:
        """Tell the log."""
        operation, run = due.operation, due.run
        report = _report_of(operation.id, run, outcome)
        await self._execute(due, report, report.command_id)
        log.info("step.reported", outcome=report.outcome, **report.error)

    async def _execute(self, due: _Due, report: ReportStep, command_id: str) -> Loaded[Vnf]:
        origin = Origin(
            command_id=command_id,
            project=due.vnf.project,
            actor=f"forestay:{self._executor}",
            correlation_id=due.operation.id,
        )
        return await self._vnfs.execute(due.vnf.id, report, origin)


def _report_of(op_id: str, run: StepRun, outcome: Confirmed | Failed | UnknownOutcome) -> ReportStep:
    step, attempt = run.step.name, run.attempt
    match outcome:
        case Confirmed():
            return ReportStep(op_id, step, attempt, "CONFIRMED", result=outcome.result)
        case Failed():
            return ReportStep(op_id, step, attempt, "FAILED", error=outcome.problem())
        case UnknownOutcome():
            return ReportStep(op_id, step, attempt, "UNKNOWN", error={"detail": str(outcome)})
