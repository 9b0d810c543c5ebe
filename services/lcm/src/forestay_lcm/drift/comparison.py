"""The comparison of a place with the log, VNF instance by VNF instance. Of what is found, only orphans are removed.

Rules of this module:

* Nothing is said of the VNF instances of somebody who does not log in here: a cloud can show what it likes.
* A VNF instance with an open operation is in motion, as is one whose stack Heat is busy with: nothing is said of it.
* The VIM is looked at first, the log behind it, and again right before anything is said or done: what an operation does
  meanwhile is no drift.
* A stack or an image is an orphan when it carries our tag and no VNF instance has it (:mod:`orphans`). It is removed only if
  the operation that its tag names stands in this log (of an image: one of the VNF instance), the VNF instance has no operation
  under way, the finding is old enough, and the intent to remove it stands in the log and in the copy. One of which this log
  knows nothing may be another VNF manager's: it is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import structlog
from forestay_events.platform import Platform
from forestay_sol.streams.drift import Finding

from forestay_lcm.adapters.openstack.connections import living_in
from forestay_lcm.adapters.openstack.inventory import differences
from forestay_lcm.adapters.openstack.looking import look
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.domain.state import Vnf
from forestay_lcm.drift.breaker import CircuitBreaker, at_once
from forestay_lcm.drift.finding import Compared, Remove
from forestay_lcm.drift.orphans import Tagged, tagged
from forestay_lcm.drift.places import Locations, Place
from forestay_lcm.drift.records import Records
from forestay_lcm.drift.settings import DriftSettings
from forestay_lcm.executor import Superseded
from forestay_lcm.reads import Vnfs

log = structlog.get_logger(__name__)


class _Case(NamedTuple):
    """A VNF instance in a place.

    :ivar reported: it has findings there.
    :ivar left: what there is with our tag that is for it.
    """

    place: Place
    vnf_id: str
    reported: bool
    left: tuple[Tagged, ...]


@dataclass(frozen=True)
class Comparison:
    """Compares places with the log."""

    platform: Platform
    catalogue: Catalogue
    vnfs: Vnfs
    records: Records
    settings: DriftSettings

    async def compare(self, place: Place, locations: Locations, breaker: CircuitBreaker, compared: set[str]) -> None:
        """Compare a place.

        :param compared: the VNF instances of which something could be said are added.
        :raises Unavailable: the log or the copy does not answer.
        """
        found = await breaker.call(lambda: tagged(place.cloud, place.name), place=place.name)
        if found is None:
            return
        left: dict[str, tuple[Tagged, ...]] = {}
        for it in found:
            left[it.vnf_id] = (*left.get(it.vnf_id, ()), it)
        reported = await self.records.reported(place.name)

        async def one(vnf_id: str) -> None:
            case = _Case(place, vnf_id, vnf_id in reported, left.get(vnf_id, ()))
            if await breaker.call(lambda: self._decide(case), place=place.name, vnf=vnf_id):
                compared.add(vnf_id)

        await at_once(map(one, (place.vnfs.keys() | left.keys() | reported) - locations.unknown))

    async def _decide(self, case: _Case) -> bool:
        """Say what there is to be said of a VNF instance; ``False``: nothing can be said."""
        before = await self.vnfs.load(case.vnf_id)
        project = before.state.project if before.state else case.place.projects[0]
        vnf = before.state if before.state and not before.state.deleted else None
        if project not in case.place.projects or (vnf and vnf.open_operation):
            return False
        differ = await self._look(case, vnf) if vnf and case.vnf_id in case.place.vnfs else ()
        orphans = [it for it in case.left if await it.is_orphan(vnf)]
        if differ is None or (await self.vnfs.load(case.vnf_id)).seq != before.seq:
            return False
        findings = (*(it.finding for it in orphans), *differ)
        if findings or case.reported:
            await self.records.record(case.vnf_id, project, Compared(vim=case.place.name, findings=findings))
        for it in orphans if self.settings.drift_remove_orphans else ():
            await self._remove(case, project, it)
        return True

    async def _look(self, case: _Case, vnf: Vnf) -> tuple[Finding, ...] | None:
        """The findings about a VNF instance that lives here; ``None``: nothing can be said."""
        info = vnf.instantiated_vnf_info
        if info is None or vnf.instantiation_state != "INSTANTIATED":
            return ()
        vnfd = await self.catalogue.vnfd(vnf.project, vnf.vnfd_id)
        cloud = case.place.vnfs[vnf.id]
        seen = await look(cloud, info, vnfd.flavour(info.flavour_id), living_in(vnf))
        after = vnf.operation.id if vnf.operation else None
        return None if seen.in_motion else differences(case.place.name, info, seen, after=after)

    async def _remove(self, case: _Case, project: str, orphan: Tagged) -> None:
        known = await self.records.known(case.vnf_id, orphan.finding)
        age = timedelta(seconds=self.settings.drift_orphan_age)
        if known is None or self.platform.clock() - known.found_at < age:
            return
        if not await self.records.operations(case.vnf_id, orphan.operations):
            return

        async def fence() -> None:
            vnf = (await self.vnfs.load(case.vnf_id)).state
            if not await orphan.is_orphan(vnf):
                raise Superseded(vnf.operation if vnf else None)

        await self.records.record(case.vnf_id, project, Remove(finding_id=known.id))
        await self.records.copied()
        try:
            await orphan.remove(fence)
            log.warning("drift.orphan_removed", vim=case.place.name, what=orphan.finding.detail)
        except Superseded:
            log.info("drift.orphan_taken", vim=case.place.name, what=orphan.finding.detail)
