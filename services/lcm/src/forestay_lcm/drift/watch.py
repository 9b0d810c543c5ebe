"""The periodic comparison of VIMs with the log. It records what differs; of what it finds it removes only orphans.

Rules of this module:

* One process at a time compares. A VNF instance with an open operation is in motion, as is one whose stack Heat is busy with:
  nothing is said of it.
* The VIM is looked at first, the log behind it, and again before anything is said or done: what an operation does meanwhile
  is no drift.
* A stack or an image is an orphan when it carries our tag and no VNF instance has it (:mod:`orphans`). It is removed only if
  the operation that its tag names stands in this log (of an image: one of the VNF instance), the VNF instance has no operation
  under way, the finding is old enough, and the intent to remove it stands in the log and in the copy. One of which this log
  knows nothing may be another VNF manager's: it is left alone.
* A VIM that does not answer is passed over: nothing begins and nothing ends there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from types import TracebackType
from typing import NamedTuple, Self
from uuid import uuid4

import structlog
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.archive import LEAD
from forestay_events.database import Connection, answering, own_connection
from forestay_events.errors import ForestayError, Permanent, Rejected, Retryable, Unavailable
from forestay_events.platform import Platform
from forestay_sol.streams.drift import DriftEvent, Finding
from forestay_sol.vnflcm import VimConnectionInfo

from forestay_lcm.adapters.openstack.cloud import Cloud, Clouds
from forestay_lcm.adapters.openstack.connections import living_in
from forestay_lcm.adapters.openstack.inventory import differences
from forestay_lcm.adapters.openstack.keystone import Credential
from forestay_lcm.adapters.openstack.looking import look
from forestay_lcm.catalogue import SCHEMA, Catalogue
from forestay_lcm.domain.plan import DRIVERS
from forestay_lcm.domain.state import Vnf
from forestay_lcm.drift.finding import DRIFT, Command, Compared, Drift, Remove
from forestay_lcm.drift.orphans import Ours, ours
from forestay_lcm.drift.settings import DriftSettings
from forestay_lcm.projections.catalogue import decode_vim
from forestay_lcm.projections.instances import decode_state
from forestay_lcm.reads import STREAM, Vnfs

log = structlog.get_logger(__name__)

_STAND_BY = 5.0
_AT_ONCE = 8
"""VNF instances of a VIM that are looked at at the same time."""

_BATCH = 500
_OPENSTACK = next(kind for kind, driver in DRIVERS.items() if driver == "openstack")


class _Place(NamedTuple):
    """A cloud; ``name`` is how findings call it, ``project`` whose it is, ``vnfs`` the instances that live in it."""

    name: str
    project: str
    cloud: Cloud
    vnfs: list[str]


class DriftWatch:
    """Compares, as one of several processes that could. An async context manager: it has connections to the VIMs."""

    def __init__(self, platform: Platform, catalogue: Catalogue, vnfs: Vnfs, settings: DriftSettings) -> None:
        self._platform = platform
        self._catalogue = catalogue
        self._vnfs = vnfs
        self._settings = settings
        self._clouds = Clouds()
        self._drifts: Aggregates[Drift, Command, DriftEvent] = Aggregates(platform.store, DRIFT, platform.clock)

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
            await self.compare()

    async def compare(self) -> None:
        """Compare all VIMs once. :raises Unavailable: the log or the copy does not answer."""
        for place in await self._places():
            try:
                await self._compare(place)
            except Unavailable:
                raise
            except ForestayError as error:
                log.warning("drift.passed_over", vim=place.name, reason=str(error))
            except Exception as error:
                # What a VIM answers must not end the worker: others of its jobs are worth more than this one.
                log.error("drift.failed", vim=place.name, reason=str(error), exc_info=True)

    async def _places(self) -> list[_Place]:
        """The clouds of registered VIMs, and of VNF instances; one for each credential."""
        found: dict[Credential, _Place] = {}
        with answering():
            vims = await self._platform.pool.fetch("SELECT model FROM lcm.vim")
        registered: dict[tuple[str, str | None], _Place | None] = {}
        for known in (decode_vim(row["model"]) for row in vims):
            if known.vim_type == "openstack":
                info = VimConnectionInfo(vim_id=known.id, vim_type=_OPENSTACK)
                registered[known.project, known.id] = await self._place(found, known.project, "", known.name, info)
        async for vnf in self._instantiated():
            key = living_in(vnf)
            info = vnf.vim_connections.get(key)
            if info is None or info.vim_type != _OPENSTACK:
                continue
            whose = (vnf.project, None if info.access_info else info.vim_id)
            place = (
                registered[whose] if whose in registered else await self._place(found, vnf.project, vnf.id, key, info)
            )
            if place is not None:
                place.vnfs.append(vnf.id)
        return list(found.values())

    async def _instantiated(self) -> AsyncIterator[Vnf]:
        after = ""
        while True:
            with answering():
                rows = await self._platform.pool.fetch(
                    "SELECT id, state FROM lcm.vnf WHERE NOT deleted AND instantiation_state = 'INSTANTIATED' AND id > $1"
                    " ORDER BY id LIMIT $2",
                    after, _BATCH,
                )  # fmt: skip
            for row in rows:
                yield decode_state(row["state"])
            if len(rows) < _BATCH:
                return
            after = rows[-1]["id"]

    async def _place(
        self, found: dict[Credential, _Place], project: str, vnf_id: str, key: str, info: VimConnectionInfo
    ) -> _Place | None:
        try:
            cloud = self._clouds.cloud(await self._catalogue.open_connection(project, vnf_id, key, info))
            if cloud.credential not in found:
                region = f" {cloud.credential.region}" if cloud.credential.region else ""
                name = f"{cloud.credential.auth_url} {await cloud.project()}{region}"
                found[cloud.credential] = _Place(name, project, cloud, [])
            return found[cloud.credential]
        except (Permanent, Retryable) as error:
            log.warning("drift.passed_over", vnf=vnf_id, vim=key, reason=str(error))
            return None

    async def _compare(self, place: _Place) -> None:
        orphans = [it for it in await ours(place.cloud, place.name) if await self._is_orphan(it)]
        findings: dict[str, list[Finding]] = {}
        for orphan in orphans:
            findings.setdefault(orphan.vnf_id, []).append(orphan.finding)
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(vnf_id: str) -> tuple[str, tuple[Finding, ...] | None]:
            async with turns:
                return vnf_id, await self._look(place, vnf_id)

        for vnf_id, seen in await asyncio.gather(*map(one, place.vnfs)):
            if seen is None:
                findings.pop(vnf_id, None)
            else:
                findings.setdefault(vnf_id, []).extend(seen)
        in_motion = {*place.vnfs} - findings.keys()
        with answering():
            rows = await self._platform.pool.fetch(
                "SELECT DISTINCT vnf_id FROM lcm.drift WHERE vim = $1 AND NOT ended", place.name
            )
        known = {row["vnf_id"] for row in rows}
        for vnf_id in (known | {vnf for vnf, found in findings.items() if found}) - in_motion:
            command = Compared(vim=place.name, findings=tuple(findings.get(vnf_id, ())))
            await self._record(vnf_id, place.project, command)
        await self._remove(place, orphans)

    async def _look(self, place: _Place, vnf_id: str) -> tuple[Finding, ...] | None:
        """The findings about a VNF instance; ``None``: nothing can be said."""
        before = await self._vnfs.load(vnf_id)
        state = before.state
        if state is None or state.open_operation:
            return None
        info = state.instantiated_vnf_info
        if info is None or state.instantiation_state != "INSTANTIATED":
            return ()
        try:
            vnfd = await self._catalogue.vnfd(state.project, state.vnfd_id)
            seen = await look(place.cloud, info, vnfd.flavour(info.flavour_id), living_in(state))
        except (Permanent, Rejected, Retryable) as error:
            log.warning("drift.passed_over", vnf=vnf_id, vim=place.name, reason=str(error))
            return None
        if seen.in_motion or (await self._vnfs.load(vnf_id)).seq != before.seq:
            return None
        return differences(place.name, info, seen, after=state.operation.id if state.operation else None)

    async def _is_orphan(self, it: Ours) -> bool:
        """Whether no VNF instance has it, nor is about to have or to delete it."""
        vnf = (await self._vnfs.load(it.vnf_id)).state
        return vnf is None or vnf.deleted or not it.has(vnf)

    async def _remove(self, place: _Place, orphans: Iterable[Ours]) -> None:
        for orphan in orphans:
            known = (await self._drifts.load(orphan.vnf_id)).state
            finding = next((item for item in known.findings if item.finding == orphan.finding), None) if known else None
            if finding is None or not self._settings.drift_remove_orphans or not await self._is_over(orphan):
                continue
            if self._platform.clock() - finding.found_at < timedelta(seconds=self._settings.drift_orphan_age):
                continue
            await self._record(orphan.vnf_id, place.project, Remove(finding_id=finding.id))
            if await self._is_orphan(orphan):
                log.warning("drift.orphan_removed", vim=place.name, what=orphan.finding.detail)
                await orphan.remove()

    async def _is_over(self, orphan: Ours) -> bool:
        """Whether the operation that made it stands in this log: that none is under way was seen before."""
        with answering():
            known = await self._platform.pool.fetchval(
                "SELECT count(*) FROM lcm.op_occ WHERE vnf_id = $2 AND ($1::text[] IS NULL OR id = ANY($1))",
                orphan.operations, orphan.vnf_id,
            )  # fmt: skip
        return known > 0

    async def _record(self, vnf_id: str, project: str, command: Command) -> None:
        """Have the log and the copy know it."""
        vnf = (await self._vnfs.load(vnf_id)).state
        origin = Origin(command_id=str(uuid4()), project=vnf.project if vnf else project, actor="forestay:drift")
        recorded = await self._drifts.execute(vnf_id, command, origin)
        await self._platform.positions.wait(SCHEMA, STREAM, recorded.seq)
