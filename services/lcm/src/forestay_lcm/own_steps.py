"""Steps that need no VIM: the grant, waiting, and what VNF snapshots are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from forestay_lcm.domain.state import Operation, StepRun, Vnf
from forestay_lcm.executor import Again, Confirmed, Outcome, Turn
from forestay_lcm.grant_step import GrantStep
from forestay_lcm.vnf_snapshots.steps import SnapshotSteps

DEFAULT_GRACE = 10
"""Seconds that a graceful termination waits when the request names none, as in Tacker."""

_GRACE = ("gracefulTerminationTimeout", "gracefulStopTimeout")
"""Members of a request that say how many seconds that is."""

_LONGEST_TIMER = 3600.0
"""Seconds after which a wait is looked at anyway."""


class OwnSteps:
    """:class:`~forestay_lcm.executor.Executor` of the engine itself."""

    def __init__(self, grant: GrantStep, snapshots: SnapshotSteps, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._steps: Mapping[str, Callable[[Vnf, Operation, StepRun, Turn], Awaitable[Outcome]]] = {
            "grant": grant.run,
            "graceful-wait": self.graceful_wait,
            "claim-snapshot": snapshots.claim,
            "fill-snapshot": snapshots.fill,
            "release-snapshot": snapshots.release,
        }

    async def run(self, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> Outcome:
        return await self._steps[run.step.kind](vnf, operation, run, turn)

    async def graceful_wait(self, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> Outcome:
        """Let the VNF end its service. The wait is a timer of the queue; what has passed of it stands in the log."""
        assert run.since is not None, "an intended step has a time"  # noqa: S101
        grace = next((operation.params[name] for name in _GRACE if name in operation.params), DEFAULT_GRACE)
        left = grace - (self._clock() - run.since).total_seconds()
        if left <= 0:
            return Confirmed({"waited": grace})
        return Again(min(left, _LONGEST_TIMER), f"{grace} s for the VNF to end its service")
