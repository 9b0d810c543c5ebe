"""The resources ``vnf_packages`` and ``vnf_packages/{vnfPkgId}`` (SOL005 clauses 9.4.2 and 9.4.3), in the form of an edition,
and for v2 ``onboarded_vnf_packages`` with the individual package by its VNFD id (SOL003 clauses 10.4.2 and 10.4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web
from forestay_events.errors import Rejected
from forestay_sol import filters
from forestay_sol.api import MERGE_PATCH, VNFPKGM_V2, VNFPKGM_VERSIONS, Route
from forestay_sol.body import decode
from forestay_sol.caller import caller
from forestay_sol.listing import Listing
from forestay_sol.parameters import LIST
from forestay_sol.streams.package import OperationalState
from forestay_sol.types import KeyValuePairs
from forestay_sol.versions import versions
from forestay_sol.web import answer
from msgspec import UNSET, UnsetType

from forestay_package_mgmt.api.commands import Commands
from forestay_package_mgmt.api.edition import ONBOARDED_PACKAGE, ONBOARDED_PACKAGES, Edition
from forestay_package_mgmt.api.shapes import VnfPkgInfo
from forestay_package_mgmt.domain.commands import CreatePackage, DeletePackage, ModifyPackage
from forestay_package_mgmt.onboarding.contents import Contents
from forestay_package_mgmt.projections.reads import PackageReads


class CreateVnfPkgInfoRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """SOL005 9.5.2.2."""

    user_defined_data: KeyValuePairs | None = None


class VnfPkgInfoModifications(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """SOL005 9.5.2.3."""

    operational_state: OperationalState | UnsetType = UNSET
    user_defined_data: KeyValuePairs | UnsetType = UNSET


class PackageApi:
    """Handlers of the package resources of one edition."""

    def __init__(self, edition: Edition, commands: Commands, reads: PackageReads, contents: Contents) -> None:
        self._edition = edition
        self._commands = commands
        self._reads = reads
        self._contents = contents
        self._onboarded = msgspec.structs.replace(edition.listing, alive="doc ->> 'onboardingState' = 'ONBOARDED'")

    def routes(self) -> Sequence[Route]:
        """The routes of these resources."""
        api, packages, package = self._edition.api, self._edition.packages, self._edition.package
        patch = MERGE_PATCH if api is VNFPKGM_V2 else None
        both = [
            Route(
                "POST", packages, self.create, api, summary="Create a VNF package", takes=CreateVnfPkgInfoRequest,
                gives=VnfPkgInfo, status=201,
            ),
            Route(
                "GET", packages, self.list, api, summary="List VNF packages", gives=tuple[VnfPkgInfo, ...], query=LIST
            ),
            Route("GET", package, self.show, api, summary="Show a VNF package", gives=VnfPkgInfo, versioned=True),
            Route(
                "PATCH", package, self.modify, api, consumes=patch, summary="Modify a VNF package",
                takes=VnfPkgInfoModifications, gives=VnfPkgInfoModifications, versioned=True,
            ),
            Route("DELETE", package, self.delete, api, summary="Delete a VNF package", status=204, versioned=True),
        ]  # fmt: skip
        return [*both, *self._onboarded_routes()] if api is VNFPKGM_V2 else both

    def _onboarded_routes(self) -> Sequence[Route]:
        return [
            Route(
                "GET", ONBOARDED_PACKAGES, self.list_onboarded, VNFPKGM_V2, summary="List on-boarded VNF packages",
                gives=tuple[VnfPkgInfo, ...], query=LIST,
            ),
            Route(
                "GET", ONBOARDED_PACKAGE, self.show, VNFPKGM_V2, summary="Show an on-boarded VNF package",
                gives=VnfPkgInfo, versioned=True,
            ),
            versions(VNFPKGM_VERSIONS, "/vnfpkgm", ["1.0.0", *sorted(VNFPKGM_V2.accepted)]),
            versions(VNFPKGM_VERSIONS, "/vnfpkgm/v2", sorted(VNFPKGM_V2.accepted)),
        ]  # fmt: skip

    async def create(self, request: web.Request) -> web.Response:
        """Create a package without content (SOL005 9.4.2.3.1)."""
        wanted, sender = await decode(request, CreateVnfPkgInfoRequest), caller(request)
        command = CreatePackage(wanted.user_defined_data or {})
        package = await self._commands.send(sender, sender.new_id("package"), command)
        document = self._edition.linked(self._edition.info(package) | {"usageState": "NOT_IN_USE"})
        return answer(document, status=201, location=self._edition.location(package.id))

    async def list(self, request: web.Request) -> web.Response:
        """List the project's packages: filtered, selected, paged (SOL005 9.4.2.3.2)."""
        return await self._listed(request, self._edition.listing)

    async def list_onboarded(self, request: web.Request) -> web.Response:
        """The same of those that are ONBOARDED (SOL003 10.4.2.3.2)."""
        return await self._listed(request, self._onboarded)

    async def show(self, request: web.Request) -> web.Response:
        """Show a package (SOL005 9.4.3.3.2, SOL003 10.4.3.3.2)."""
        package_id = await self._reads.named(request)
        document, version = await self._reads.info(caller(request).project, package_id, view=self._edition.view)
        return answer(self._edition.linked(document), version=version)

    async def modify(self, request: web.Request) -> web.Response:
        """Change operational state and user-defined data; the answer has what changed (SOL005 9.4.3.3.4)."""
        wanted = await decode(request, VnfPkgInfoModifications)
        changes: dict[str, Any] = {
            name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not UNSET
        }
        if not changes:
            raise Rejected(400, "Give operationalState, userDefinedData or both.", pointer="")
        sender, package_id = caller(request), request.match_info["vnfPkgId"]
        before = (await self._commands.current(sender, package_id)).user_defined_data
        try:
            await self._commands.send(sender, package_id, ModifyPackage(**changes))
        except Rejected as error:
            if error.status == 400:
                error.status = self._edition.not_onboarded
            raise
        if wanted.user_defined_data is UNSET:
            return answer(wanted)
        changed = {name: value for name, value in wanted.user_defined_data.items() if before.get(name) != value}
        return answer(msgspec.structs.replace(wanted, user_defined_data=changed))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a package and, unless another one shares it, its content (SOL005 9.4.3.3.5)."""
        sender, package_id = caller(request), request.match_info["vnfPkgId"]
        before = await self._commands.current(sender, package_id)
        in_use = await self._reads.in_use(package_id)
        await self._commands.send(sender, package_id, DeletePackage(in_use))
        for digest in before.digests:
            await self._contents.release(digest)
        return answer(status=204)

    async def _listed(self, request: web.Request, listing: Listing) -> web.Response:
        self._refuse_unknown_attributes(request)
        page = await self._reads.listed(listing, caller(request).project, request)
        return answer([page.selector.apply(self._edition.linked(each)) for each in page.documents], link=page.link)

    def _refuse_unknown_attributes(self, request: web.Request) -> None:
        names = self._edition.attributes.names
        for comparison in filters.parse(request.query["filter"]) if "filter" in request.query else ():
            if comparison.path and comparison.path[0] not in names:
                known = ", ".join(sorted(names))
                raise Rejected(400, f"Attribute filter names {comparison.path[0]!r}, which is none of {known}.")
