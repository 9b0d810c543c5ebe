"""Deletes what a VIM keeps of VNF snapshots: a worker beside that of the steps, by the same rules.

Work names a snapshot, never what to do: that is read in the log each time. Nothing is deleted before the intent lies in the log
and in the copy. Who comes next looks what is left; the log takes one report of each attempt. A VIM that refuses ends the
attempt, visibly; one that is away is waited for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog
from forestay_events.aggregate import Origin
from forestay_events.database import answering
from forestay_events.errors import Permanent, Rejected, Retryable, Unavailable, UnknownOutcome
from forestay_events.failpoints import failpoint
from forestay_events.platform import Platform
from forestay_events.work import Work
from forestay_events.worker import Later, Worker

from forestay_lcm.catalogue import SCHEMA
from forestay_lcm.domain.events import ProblemDict
from forestay_lcm.domain.vnf_snapshot import Deletion, Place, ReportDeletion, VnfSnapshot
from forestay_lcm.executor import Fence, Superseded
from forestay_lcm.projections.vnf_snapshots import deletion_executor
from forestay_lcm.reads import STREAM
from forestay_lcm.vnf_snapshots.reads import VnfSnapshots

log = structlog.get_logger(__name__)

_PAUSE = 2.0
"""Seconds until what is left is looked at again."""

_LIMIT = timedelta(hours=1)
"""How long an attempt may take."""


class Remover(Protocol):
    """Deletes the parts of snapshots on one kind of VIM."""

    async def remove(self, project: str, snapshot_id: str, place: Place, fence: Fence) -> str:
        """Delete what is there, or look how it goes on; gives what is still to be waited for, ``""`` when nothing is left.

        :raises Retryable, UnknownOutcome: look again.
        :raises Permanent: the VIM refuses.
        """
        ...


@dataclass(frozen=True)
class _Due:
    """A deletion as of sequence ``seq`` of the log."""

    snapshot: VnfSnapshot
    place: Place
    deletion: Deletion
    seq: int


class DeletionWorker:
    """Deletes snapshots on the VIMs of one driver."""

    def __init__(self, platform: Platform, snapshots: VnfSnapshots, driver: str, remover: Remover) -> None:
        self._platform = platform
        self._snapshots = snapshots
        self._remover = remover
        self._executor = deletion_executor(driver)
        self._worker = Worker(platform.nats, platform.queue, self._executor, self.handle, given_up=self.given_up)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._worker.run()

    async def check(self) -> None:
        """Health. :raises Unavailable: the work queue is silent."""
        await self._worker.check()

    async def handle(self, work: Work) -> Later | None:
        due = await self._due(work.key)
        if due is None or not await self._copied(due):
            return None
        failpoint("delete-vnf-snapshot.before")
        try:
            left = await self._remover.remove(due.snapshot.project, due.snapshot.id, due.place, self._fence(due))
        except Superseded:
            return None
        except Unavailable:
            raise
        except (Retryable, UnknownOutcome) as error:
            left = str(error) or type(error).__name__
        except (Permanent, Rejected) as error:
            await self._report(due, _problem(error.title or "VIM refused the request", error.status, str(error)))
            return None
        failpoint("delete-vnf-snapshot.done")
        if not left:
            await self._report(due, None)
            return None
        if self._platform.clock() - due.deletion.since > _LIMIT:
            await self._report(due, _problem("Time-out", 504, f"The VIM does not come to an end: {left}"))
            return None
        log.info("vnf_snapshot.being_deleted", snapshot=due.snapshot.id, left=left)
        return Later(_PAUSE)

    async def given_up(self, work: Work, reason: str) -> None:
        """The queue gave the work up: the attempt has failed, so that somebody sees it."""
        due = await self._due(work.key)
        if due is not None:
            await self._report(due, _problem("Deletion given up", 500, f"It was tried several times: {reason}"))

    async def _due(self, snapshot_id: str) -> _Due | None:
        loaded = await self._snapshots.load(snapshot_id)
        snapshot = loaded.state
        if snapshot is None or snapshot.status != "DELETING" or snapshot.place is None or snapshot.deletion is None:
            return None
        return _Due(snapshot, snapshot.place, snapshot.deletion, loaded.seq)

    async def _copied(self, due: _Due) -> bool:
        """Wait until the intent is in the copy too; ``False`` if it was refused there."""
        await self._platform.positions.wait(SCHEMA, STREAM, due.seq)
        with answering():
            seq = await self._platform.pool.fetchval("SELECT seq FROM lcm.vnf_snapshot WHERE id = $1", due.snapshot.id)
        return seq is not None and seq >= due.seq

    def _fence(self, due: _Due) -> Fence:
        async def fence() -> None:
            now = await self._due(due.snapshot.id)
            if now is None or now.deletion.attempt != due.deletion.attempt:
                raise Superseded(None)

        return fence

    async def _report(self, due: _Due, error: ProblemDict | None) -> None:
        snapshot, attempt = due.snapshot, due.deletion.attempt
        origin = Origin(
            command_id=f"{snapshot.id}/delete/{attempt}", project=snapshot.project, actor=f"forestay:{self._executor}"
        )
        await self._snapshots.execute(snapshot.id, ReportDeletion(attempt, error), origin)
        log.info("vnf_snapshot.deletion", snapshot=snapshot.id, attempt=attempt, error=error)


def _problem(title: str, status: int, detail: str) -> ProblemDict:
    return {"title": title, "status": status, "detail": detail}
