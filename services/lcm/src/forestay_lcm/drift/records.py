"""What the log and its copy know of drift, and how that becomes more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import uuid4

from forestay_events.aggregate import Aggregates, Origin
from forestay_events.database import answering
from forestay_events.platform import Platform
from forestay_sol.streams.drift import DriftEvent, Finding

from forestay_lcm.catalogue import SCHEMA
from forestay_lcm.drift.finding import DRIFT, Command, Drift, Open
from forestay_lcm.reads import STREAM


class Reported(NamedTuple):
    """A VNF instance about which there are findings that are named for the place ``vim``; ``project`` is whose they are."""

    vnf_id: str
    vim: str
    project: str


class Records:
    """The findings. All methods raise ``Unavailable`` when the log or the copy does not answer."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._drifts: Aggregates[Drift, Command, DriftEvent] = Aggregates(platform.store, DRIFT, platform.clock)

    async def reported(self, place: str) -> set[str]:
        """The VNF instances that have findings in a place."""
        query = "SELECT DISTINCT vnf_id FROM lcm.drift WHERE vim = $1 AND NOT ended"
        with answering():
            return {row["vnf_id"] for row in await self._platform.pool.fetch(query, place)}

    async def reported_outside(self, places: Iterable[str]) -> list[Reported]:
        """The VNF instances that have findings in other places than these."""
        query = "SELECT DISTINCT vnf_id, vim, project FROM lcm.drift WHERE NOT ended AND vim <> ALL($1)"
        with answering():
            return [Reported(*row) for row in await self._platform.pool.fetch(query, list(places))]

    async def known(self, vnf_id: str, finding: Finding) -> Open | None:
        """A finding as the log has it, ``None`` if it has not, or it has ended."""
        drift = (await self._drifts.load(vnf_id)).state
        return next((item for item in drift.findings if item.finding == finding), None) if drift else None

    async def record(self, vnf_id: str, project: str, command: Command) -> None:
        """Have the log know it."""
        origin = Origin(command_id=str(uuid4()), project=project, actor="forestay:drift")
        await self._drifts.execute(vnf_id, command, origin)

    async def copied(self) -> None:
        """Wait until the copy has what was recorded."""
        await self._platform.positions.wait(SCHEMA, STREAM, self._drifts.written)

    async def operations(self, vnf_id: str, among: Iterable[str] | None) -> int:
        """How many operations of a VNF instance this log knows, of all or of some."""
        query = "SELECT count(*) FROM lcm.op_occ WHERE vnf_id = $1 AND ($2::text[] IS NULL OR id = ANY($2))"
        with answering():
            return await self._platform.pool.fetchval(query, vnf_id, None if among is None else list(among))
