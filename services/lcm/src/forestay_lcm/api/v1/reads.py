"""Reads for version 1, which shows with an instance the id of the package that it is made from."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from forestay_events.platform import Platform
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.reads import Json, Reads, Vnfs
from forestay_sol.listing import Listed, Listing


class ReadsV1(Reads):
    """Adds ``vnfPkgId`` to VNF instances."""

    def __init__(self, platform: Platform, vnfs: Vnfs, catalogue: Catalogue) -> None:
        super().__init__(platform, vnfs)
        self._catalogue = catalogue

    async def versioned_vnf(self, project: str, vnf_id: str) -> tuple[Json, int | None]:
        document, version = await super().versioned_vnf(project, vnf_id)
        [packaged] = await self._packaged(project, [document])
        return packaged, version

    async def page(self, listing: Listing, project: str, request: web.Request) -> Listed:
        listed = await super().page(listing, project, request)
        return msgspec.structs.replace(listed, documents=await self._packaged(project, listed.documents))

    async def _packaged(self, project: str, documents: list[Json]) -> list[Json]:
        """The documents, those of VNF instances with their packages."""
        vnfds: set[Any] = {document["vnfdId"] for document in documents if "vnfdId" in document}
        packages = await self._catalogue.package_ids(project, vnfds) if vnfds else {}
        found = [packages.get(document.get("vnfdId", "")) for document in documents]
        return [
            document | ({"vnfPkgId": package} if package else {})
            for document, package in zip(documents, found, strict=True)
        ]
