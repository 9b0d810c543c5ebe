"""What other services ask of LCM over the work queue: for now, that a policy wants a failed operation handled.

A request that the state does not allow any more (somebody was faster) is dropped: whoever asked sees the state in the log.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import structlog
from forestay_events.aggregate import Origin
from forestay_events.errors import Rejected
from forestay_events.platform import Platform
from forestay_events.work import Work
from forestay_events.worker import Later, Worker

from forestay_lcm.domain.commands import Handle
from forestay_lcm.domain.decide import VNF
from forestay_lcm.reads import Vnfs

log = structlog.get_logger(__name__)

EXECUTOR = "lcm-requests"


class HandlingRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request to retry, roll back or fail an operation in FAILED_TEMP.

    :ivar cause: the commit that made it fail, ``lcm.vnf.<id>@<version>``: a request delivered again, after the instance has
        moved on, must not handle a newer failure.
    """

    op_id: str
    vnf_id: str
    how: Literal["retry", "rollback", "fail"]
    project: str
    actor: str
    cause: str
    policy_id: str
    alarm_id: str


class Requests:
    """Executes requests of other services."""

    def __init__(self, platform: Platform, vnfs: Vnfs) -> None:
        self._vnfs = vnfs
        self._worker = Worker(platform.nats, platform.queue, EXECUTOR, self.handle, given_up=self.given_up)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._worker.run()

    async def check(self) -> None:
        """Health. :raises Unavailable: the work queue is silent."""
        await self._worker.check()

    async def handle(self, work: Work) -> Later | None:
        request = msgspec.json.decode(work.body, type=HandlingRequest)
        loaded = await self._vnfs.load(request.vnf_id)
        if request.cause != f"{VNF.subject(request.vnf_id)}@{loaded.version}":
            log.info("request.overtaken", op=request.op_id, how=request.how, cause=request.cause)
            return None
        origin = Origin(
            command_id=f"{request.policy_id}/{request.alarm_id}",
            project=request.project,
            actor=request.actor,
            correlation_id=request.op_id,
            causation_id=request.alarm_id,
        )
        try:
            await self._vnfs.execute(request.vnf_id, Handle(request.op_id, request.how), origin)
        except Rejected as error:
            log.info("request.dropped", op=request.op_id, how=request.how, reason=error.detail)
        return None

    async def given_up(self, work: Work, reason: str) -> None:
        log.error("request.given_up", request=bytes(work.body).decode(errors="replace"), reason=reason)
