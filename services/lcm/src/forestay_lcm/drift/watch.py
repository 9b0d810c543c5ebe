"""The periodic comparison of VIMs with the log: one process at a time compares, all VIMs at the same time.

Rules of this module:

* A VIM that does not answer is passed over: nothing begins and nothing ends there, and no other VIM waits for it.
* What was said of a place that is no place any more ends with the VNF instance, or when it is compared elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

import structlog
from forestay_events.archive import LEAD
from forestay_events.database import Connection, answering, own_connection
from forestay_events.errors import Unavailable
from forestay_events.platform import Platform

from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_lcm.adapters.openstack.clients.oauth_heat import HeatClient
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.drift.breaker import CircuitBreaker, at_once, passing_over
from forestay_lcm.drift.comparison import Comparison
from forestay_lcm.drift.finding import Compared
from forestay_lcm.drift.places import Directory, Locations
from forestay_lcm.drift.records import Records, Reported
from forestay_lcm.drift.settings import DriftSettings
from forestay_lcm.reads import Vnfs

log = structlog.get_logger(__name__)

_STAND_BY = 5.0


class DriftWatch:
    """Compares, as one of several processes that could. An async context manager: it has connections to the VIMs."""

    def __init__(
        self,
        platform: Platform,
        catalogue: Catalogue,
        vnfs: Vnfs,
        settings: DriftSettings,
        *,
        heat_client: HeatClient | None = None,
    ) -> None:
        self._platform = platform
        self._vnfs = vnfs
        self._settings = settings
        self._clouds = Clouds(egress=catalogue.egress, heat_client=heat_client)
        self._directory = Directory(platform, catalogue, self._clouds)
        self._records = Records(platform)
        self._comparison = Comparison(platform, catalogue, vnfs, self._records, settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._clouds.close()

    async def run(self) -> None:
        """Compare until cancelled."""
        if not self._settings.drift_interval:
            await asyncio.Event().wait()
        while True:
            try:
                with answering():
                    async with own_connection(self._platform.positions.dsn) as guard:
                        await self._compare_as_leader(guard)
            except Unavailable as error:
                log.warning("drift.waiting", reason=str(error))
            await asyncio.sleep(_STAND_BY)

    async def _compare_as_leader(self, guard: Connection) -> None:
        while not await guard.fetchval(LEAD, "lcm drift"):
            await asyncio.sleep(_STAND_BY)
        while await guard.fetchval("SELECT true"):
            await asyncio.sleep(self._settings.drift_interval)
            await passing_over(self.compare)

    async def compare(self) -> None:
        """Compare all VIMs once. :raises Unavailable: the log or the copy does not answer."""
        began, locations = time.monotonic(), await self._directory.locations()
        places: set[str] = set()
        compared = set(locations.elsewhere)

        async def one(vim: str) -> None:
            breaker = CircuitBreaker(vim)
            there = await locations.places(vim, breaker)
            places.update(place.name for place in there)
            await at_once(self._comparison.compare(place, locations, breaker, compared) for place in there)

        await at_once(passing_over(lambda vim=vim: one(vim), vim=vim) for vim in locations.vims)
        for each in await self._records.reported_outside(places):
            await passing_over(lambda it=each: self._end(it, locations, compared), vim=each.vim, vnf=each.vnf_id)
        await self._records.copied()
        took = round(time.monotonic() - began, 1)
        log.info("drift.compared", vims=len(locations.vims), places=len(places), vnfs=len(compared), seconds=took)

    async def _end(self, reported: Reported, locations: Locations, compared: set[str]) -> None:
        """End what was said of a place that is none any more, if that is known."""
        if reported.vnf_id in locations.unknown or any(reported.vim.startswith(url) for url in locations.silent):
            return
        vnf = (await self._vnfs.load(reported.vnf_id)).state
        lives = vnf is not None and not vnf.deleted and vnf.instantiation_state == "INSTANTIATED"
        if reported.vnf_id in compared or not (lives or (vnf and vnf.open_operation)):
            await self._records.record(reported.vnf_id, reported.project, Compared(vim=reported.vim, findings=()))
