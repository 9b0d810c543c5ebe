"""Steps that need no VIM: the grant of the embedded NFVO, and waiting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from itertools import count
from uuid import UUID, uuid5

import msgspec
from forestay_sol.vnflcm import Grant, GrantRequest

from forestay_lcm.catalogue import Catalogue
from forestay_lcm.domain import local_nfvo
from forestay_lcm.domain.grants import Asking
from forestay_lcm.domain.grants.operations import asked_for
from forestay_lcm.domain.state import Operation, StepRun, Vnf
from forestay_lcm.executor import Again, Confirmed, Fence, Outcome

DEFAULT_GRACE = 10
"""Seconds that a graceful termination waits when the request names none, as in Tacker."""

_GRACE = ("gracefulTerminationTimeout", "gracefulStopTimeout")
"""Members of a request that say how many seconds that is."""

_LONGEST_TIMER = 3600.0
"""Seconds after which a wait is looked at anyway."""


class OwnSteps:
    """:class:`~forestay_lcm.executor.Executor` of the engine itself.

    :param zones: availability zones that the embedded NFVO places into.
    """

    def __init__(self, catalogue: Catalogue, clock: Callable[[], datetime], zones: Sequence[str]) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._zones = zones

    async def run(self, vnf: Vnf, operation: Operation, run: StepRun, fence: Fence) -> Outcome:
        return await _STEPS[run.step.name](self, vnf, operation, run)

    async def grant(self, vnf: Vnf, operation: Operation, run: StepRun) -> Outcome:
        """Ask the embedded NFVO; the same operation always gets the same grant."""
        new_id = _ids(operation.id)
        asking = Asking(
            vnf_id=vnf.id,
            op_id=operation.id,
            vnfd_id=vnf.vnfd_id,
            new_id=new_id,
            automatic=operation.automatic,
        )
        ending = operation.operation == "TERMINATE"
        vnfd = None if ending else await self._catalogue.vnfd(vnf.project, vnf.vnfd_id)
        asked, flavour = asked_for(vnf, operation, vnfd, asking)
        return _granted(asked, local_nfvo.answer(asked, new_id=new_id, flavour=flavour, zones=self._zones))

    async def graceful_wait(self, vnf: Vnf, operation: Operation, run: StepRun) -> Outcome:
        """Let the VNF end its service. The wait is a timer of the queue; what has passed of it stands in the log."""
        assert run.since is not None, "an intended step has a time"  # noqa: S101
        grace = next((operation.params[name] for name in _GRACE if name in operation.params), DEFAULT_GRACE)
        left = grace - (self._clock() - run.since).total_seconds()
        if left <= 0:
            return Confirmed({"waited": grace})
        return Again(min(left, _LONGEST_TIMER), f"{grace} s for the VNF to end its service")


def _granted(request: GrantRequest, grant: Grant) -> Confirmed:
    return Confirmed({"grant_request": msgspec.to_builtins(request), "grant": msgspec.to_builtins(grant)})


def _ids(op_id: str) -> Callable[[], str]:
    """Ids that are the same each time the operation's grant is made."""
    numbers = count()
    return lambda: str(uuid5(UUID(op_id), f"grant/{next(numbers)}"))


_STEPS: Mapping[str, Callable[[OwnSteps, Vnf, Operation, StepRun], Awaitable[Outcome]]] = {
    "grant": OwnSteps.grant,
    "graceful-wait": OwnSteps.graceful_wait,
}
