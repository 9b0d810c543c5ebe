"""What other services ask of LCM over the work queue: that a failed operation be retried, or that drift be healed.

A request that the state does not allow any more (somebody was faster) is dropped: whoever asked sees the state in the log. So is
one that comes twice, as the first has changed the state.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog
from forestay_events.aggregate import Aggregates, Loaded, Origin
from forestay_events.errors import Rejected
from forestay_events.platform import Platform
from forestay_events.work import Work
from forestay_events.worker import Worker
from forestay_sol.streams.drift import DriftEvent, Finding
from forestay_sol.streams.requests import EXECUTOR, HealRequest, LcmRequest, RetryRequest
from forestay_sol.vnflcm import HealVnfRequest

from forestay_lcm.catalogue import Catalogue
from forestay_lcm.domain.commands import Handle, Heal
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.decisions.operations import ALL
from forestay_lcm.domain.state import Vnf
from forestay_lcm.drift.finding import DRIFT, Command, Drift
from forestay_lcm.reads import Vnfs

log = structlog.get_logger(__name__)


class Requests:
    """Executes requests of other services."""

    def __init__(self, platform: Platform, vnfs: Vnfs, catalogue: Catalogue) -> None:
        self._vnfs = vnfs
        self._catalogue = catalogue
        self._drifts: Aggregates[Drift, Command, DriftEvent] = Aggregates(platform.store, DRIFT, platform.clock)
        self._worker = Worker(platform.nats, platform.queue, EXECUTOR, self.handle, given_up=self.given_up)
        self._commands: Mapping[type[LcmRequest], Callable[[Any, Loaded[Vnf]], Awaitable[Handle | Heal]]] = {
            RetryRequest: self._retry,
            HealRequest: self._heal,
        }

    async def run(self) -> None:
        """Work until cancelled."""
        await self._worker.run()

    async def check(self) -> None:
        """Health. :raises Unavailable: the work queue is silent."""
        await self._worker.check()

    async def handle(self, work: Work) -> None:
        request: LcmRequest = msgspec.json.decode(work.body, type=LcmRequest)
        seen = await self._vnfs.load(request.vnf_id)
        origin = Origin(
            command_id=f"{request.policy_id}/{request.alarm_id}",
            project=request.project,
            actor=request.actor,
            correlation_id=request.op_id if isinstance(request, RetryRequest) else None,
            causation_id=request.alarm_id,
            expected=frozenset({seen.version}),
        )
        try:
            command = await self._commands[type(request)](request, seen)
            await self._vnfs.execute(request.vnf_id, command, origin)
        except Rejected as error:
            log.info("request.dropped", vnf=request.vnf_id, policy=request.policy_id, reason=error.detail)

    async def _retry(self, request: RetryRequest, seen: Loaded[Vnf]) -> Handle:
        """:raises Rejected: 409, the instance has moved on, and a newer failure is not what the request is about."""
        if request.cause != f"{VNF.subject(request.vnf_id)}@{seen.version}":
            raise Rejected(409, f"The instance has moved on from {request.cause}.")
        return Handle(request.op_id, "retry")

    async def _heal(self, request: HealRequest, seen: Loaded[Vnf]) -> Heal:
        """:raises Rejected: 409, nothing of it is known to be lost any more."""
        vnf, drift = seen.state, (await self._drifts.load(request.vnf_id)).state
        if vnf is None or vnf.operation is None or drift is None:
            raise Rejected(409, "Nothing of the VNF instance is known to be lost.")
        # An operation since then may have mended it; if it has not, the next comparison finds it anew.
        lost = [item.finding for item in drift.findings if item.finding.after == vnf.operation.id]
        vnfd = await self._catalogue.vnfd(vnf.project, vnf.vnfd_id)
        return Heal(_healing(request, lost), vnfd, automatic=True)

    async def given_up(self, work: Work, reason: str) -> None:
        log.error("request.given_up", request=bytes(work.body).decode(errors="replace"), reason=reason)


def _healing(request: HealRequest, lost: list[Finding]) -> HealVnfRequest:
    """The HEAL of what was asked for and is lost. :raises Rejected: 409, there is nothing of that."""
    if request.all and any(finding.healing == "ALL" for finding in lost):
        return HealVnfRequest(cause="VNF lost", additional_params={ALL: True})
    vnfcs = dict.fromkeys(
        finding.vnfc_instance_id
        for finding in lost
        if finding.healing == "VNFC" and finding.vnfc_instance_id in request.vnfc_instance_ids
    )
    if not vnfcs:
        raise Rejected(409, "What was lost is there, or an operation has begun since.")
    return HealVnfRequest(vnfc_instance_id=tuple(filter(None, vnfcs)), cause="VNFC lost")
