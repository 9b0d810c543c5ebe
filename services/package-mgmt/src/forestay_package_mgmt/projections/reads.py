"""Reads of the read model, none of them behind what the reader can know of.

Rules: a read by id waits for the package's newest commit; a list waits for what this process wrote itself; the usage of a
VNFD waits for all of stream LCM. If the log does not answer, a read is answered from the rows that are there; a decision
about deletion is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
from aiohttp import web
from forestay_events.aggregate import Aggregates
from forestay_events.database import answering
from forestay_events.errors import Rejected, Unavailable
from forestay_events.freshness import caught_up, caught_up_with_all, version_of
from forestay_events.platform import Platform
from forestay_sol.caller import caller
from forestay_sol.listing import Listed, Listing
from forestay_sol.streams.package import PackageEvent

from forestay_package_mgmt.domain.commands import PackageCommand
from forestay_package_mgmt.domain.decide import PACKAGE, owned
from forestay_package_mgmt.domain.state import Package
from forestay_package_mgmt.projections import SCHEMA
from forestay_package_mgmt.projections.packages import decode_state
from forestay_package_mgmt.projections.representation import Json

PackageAggregates = Aggregates[Package, PackageCommand, PackageEvent]
_USAGE_PATIENCE = 1.0


class PackageReads:
    """Reads tables ``package`` and ``vnf``."""

    def __init__(self, platform: Platform, aggregates: PackageAggregates) -> None:
        self._platform = platform
        self._aggregates = aggregates
        self._pool = platform.pool

    async def package(self, project: str, package_id: str) -> Package:
        """The state of a package. :raises Rejected: 404."""
        await caught_up(self._platform, SCHEMA, PACKAGE, package_id)
        state = await self._value(f"SELECT state FROM {SCHEMA}.package WHERE id = $1", package_id)
        return owned(None if state is None else decode_state(state), project)

    async def named(self, request: web.Request) -> str:
        """The id of the package that a request's path names, by its id or by its VNFD id. :raises Rejected: 404."""
        if "vnfdId" in request.match_info:
            return await self.onboarded_id(caller(request).project, request.match_info["vnfdId"])
        return request.match_info["vnfPkgId"]

    async def onboarded_id(self, project: str, vnfd_id: str) -> str:
        """The package with this VNFD id, once it is ONBOARDED. :raises Rejected: 404."""
        with suppress(Unavailable):
            await caught_up_with_all(self._platform, SCHEMA, PACKAGE.stream)
        found = await self._value(
            f"SELECT id FROM {SCHEMA}.package WHERE project = $1 AND vnfd_id = $2 AND NOT deleted"
            " AND doc ->> 'onboardingState' = 'ONBOARDED'", project, vnfd_id,
        )  # fmt: skip
        if found is None:
            raise Rejected(404, f"There is no on-boarded VNF package with VNFD id {vnfd_id}.")
        return found

    async def info(self, project: str, package_id: str, *, view: str) -> tuple[Json, int | None]:
        """VnfPkgInfo of a package as ``view`` has it, and its version if the log tells. :raises Rejected: 404."""
        newest = await caught_up(self._platform, SCHEMA, PACKAGE, package_id)
        with suppress(Unavailable):
            await self._all_usage(_USAGE_PATIENCE)
        doc = await self._value(f"SELECT doc FROM {view} WHERE id = $1 AND project = $2", package_id, project)
        if doc is None:
            raise Rejected(404, "VnfPackage not found.")
        return msgspec.json.decode(doc), version_of(newest)

    async def in_use(self, package_id: str) -> bool:
        """Whether VNF instances of the package exist. :raises Unavailable: that cannot be known now."""
        await caught_up(self._platform, SCHEMA, PACKAGE, package_id)
        await self._all_usage(5.0)
        return bool(await self._value(f"SELECT in_use FROM {SCHEMA}.vnf_package WHERE id = $1", package_id))

    async def listed(self, listing: Listing, project: str, request: web.Request) -> Listed:
        """A page of the project's VnfPkgInfo. :raises Rejected: 400, as the listing does."""
        await self.up_to(self._aggregates.written)
        with answering():
            return await listing.read(self._pool, project, request)

    async def holder(self, package: Package) -> str | None:
        """The package of the same project that claimed the same VNFD id first: itself, or another."""
        return await self._value(
            f"SELECT id FROM {SCHEMA}.package WHERE project = $1 AND vnfd_id = $2 ORDER BY claim LIMIT 1",
            package.project, package.vnfd_id,
        )  # fmt: skip

    async def up_to(self, seq: int) -> None:
        """Wait for sequence ``seq`` of stream PKG. :raises Unavailable: the read model does not get there."""
        await self._platform.positions.wait(SCHEMA, PACKAGE.stream, seq)

    async def used(self, digests: Sequence[str]) -> set[str]:
        """Which of these blobs have to stay, as of all commits that the log has now.

        All of them while the log is empty (these may be the wrong servers) or commits of it were refused as broken.
        """
        head = await self._platform.store.head(PACKAGE.stream)
        await self.up_to(head)
        await self._all_usage(5.0)
        if head == 0 or await self._value(f"SELECT EXISTS (SELECT FROM {SCHEMA}.refused)"):
            return set(digests)
        query = " UNION ".join(
            f"SELECT digest FROM {SCHEMA}.{table} WHERE digest = ANY($1)"
            for table in ("package", "external", "fetched")
        )
        rows = await self._rows(query, list(digests))
        return {row["digest"] for row in rows}

    async def overdue(self, older_than: timedelta) -> list[Package]:
        """The packages whose upload or onboarding is awaited for longer than ``older_than``."""
        rows = await self._rows(
            f"SELECT state FROM {SCHEMA}.package WHERE awaits AND touched < $1", self._platform.clock() - older_than
        )
        return [decode_state(row["state"]) for row in rows]

    async def progress(self, package_id: str, received: int, total: int | None) -> bool:
        """Note how far an upload has come, in bytes; ``False``: the read model knows of none."""
        return bool(
            await self._value(
                f"UPDATE {SCHEMA}.upload SET received = $2, total = $3, beat = beat + 1 WHERE package_id = $1"
                " RETURNING true", package_id, received, total,
            )
        )  # fmt: skip

    async def receiving(self) -> list[tuple[Package, int]]:
        """The packages whose content a client sends, and the beat of whoever receives it."""
        rows = await self._rows(
            f"SELECT state, beat FROM {SCHEMA}.upload JOIN {SCHEMA}.package ON id = package_id WHERE NOT awaits"
        )
        return [(decode_state(row["state"]), row["beat"]) for row in rows]

    async def _rows(self, query: str, *parameters: object) -> list[Any]:
        with answering():
            return await self._pool.fetch(query, *parameters)

    async def _value(self, query: str, *parameters: object) -> Any:
        with answering():
            return await self._pool.fetchval(query, *parameters)

    async def _all_usage(self, patience: float) -> None:
        head = await self._platform.store.head("LCM")
        await self._platform.positions.wait(SCHEMA, "LCM", head, timeout=patience)
