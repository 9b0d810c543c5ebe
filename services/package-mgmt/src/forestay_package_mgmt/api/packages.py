"""The resources ``vnf_packages`` and ``vnf_packages/{vnfPkgId}`` (SOL005 clauses 9.4.2 and 9.4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import msgspec
from aiohttp import web
from forestay_events.errors import Rejected
from forestay_sol import filters
from forestay_sol.api import VNFPKGM_V1, Route
from forestay_sol.body import decode
from forestay_sol.caller import caller
from forestay_sol.listing import Listing
from forestay_sol.paging import Paging, v1_link
from forestay_sol.streams.package import OperationalState
from forestay_sol.types import KeyValuePairs
from forestay_sol.web import answer
from msgspec import UNSET, UnsetType

from forestay_package_mgmt.api.commands import Commands
from forestay_package_mgmt.domain.commands import CreatePackage, DeletePackage, ModifyPackage
from forestay_package_mgmt.onboarding.contents import Contents
from forestay_package_mgmt.projections import SCHEMA
from forestay_package_mgmt.projections.reads import PackageReads
from forestay_package_mgmt.projections.representation import ATTRIBUTES, info, resource

VNF_PACKAGES = "/vnfpkgm/v1/vnf_packages"
VNF_PACKAGE = f"{VNF_PACKAGES}/{{vnfPkgId}}"


class CreateVnfPkgInfoRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """SOL005 9.5.2.2."""

    user_defined_data: KeyValuePairs | None = None


class VnfPkgInfoModifications(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """SOL005 9.5.2.3."""

    operational_state: OperationalState | UnsetType = UNSET
    user_defined_data: KeyValuePairs | UnsetType = UNSET


class PackageApi:
    """Handlers of the package resources.

    :param page_size: entries of a page of the list.
    """

    def __init__(self, commands: Commands, reads: PackageReads, contents: Contents, *, page_size: int) -> None:
        self._commands = commands
        self._reads = reads
        self._contents = contents
        self._listing = Listing(
            table=f"{SCHEMA}.vnf_package",
            attributes=ATTRIBUTES,
            paging=Paging(size=page_size, link=v1_link, all_records=True),
        )

    def routes(self) -> Sequence[Route]:
        """The routes of these resources."""
        return [
            Route("POST", VNF_PACKAGES, self.create, VNFPKGM_V1),
            Route("GET", VNF_PACKAGES, self.list, VNFPKGM_V1),
            Route("GET", VNF_PACKAGE, self.show, VNFPKGM_V1),
            Route("PATCH", VNF_PACKAGE, self.modify, VNFPKGM_V1),
            Route("DELETE", VNF_PACKAGE, self.delete, VNFPKGM_V1),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Create a package without content (SOL005 9.4.2.3.1)."""
        wanted = await decode(request, CreateVnfPkgInfoRequest)
        command = CreatePackage(wanted.user_defined_data or {})
        package = await self._commands.send(caller(request), str(uuid4()), command)
        return answer(info(package, in_use=False), status=201, location=resource(package.id))

    async def list(self, request: web.Request) -> web.Response:
        """List the project's packages: filtered, selected, paged (SOL005 9.4.2.3.2)."""
        _refuse_unknown_attributes(request)
        page = await self._reads.listed(self._listing, caller(request).project, request)
        return answer([page.selector.apply(each) for each in page.documents], link=page.link)

    async def show(self, request: web.Request) -> web.Response:
        """Show a package (SOL005 9.4.3.3.2)."""
        return answer(await self._reads.info(caller(request).project, request.match_info["vnfPkgId"]))

    async def modify(self, request: web.Request) -> web.Response:
        """Change operational state and user-defined data; the answer has what changed (SOL005 9.4.3.3.4)."""
        wanted = await decode(request, VnfPkgInfoModifications)
        changes: dict[str, Any] = {
            name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not UNSET
        }
        if not changes:
            raise Rejected(400, "Give operationalState, userDefinedData or both.", pointer="")
        await self._commands.send(caller(request), request.match_info["vnfPkgId"], ModifyPackage(**changes))
        return answer(wanted)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a package and, unless another one shares it, its content (SOL005 9.4.3.3.5)."""
        sender, package_id = caller(request), request.match_info["vnfPkgId"]
        before = await self._commands.current(sender, package_id)
        in_use = await self._reads.in_use(package_id)
        await self._commands.send(sender, package_id, DeletePackage(in_use))
        if before.content is not None:
            await self._contents.release(before.content.digest)
        return answer(status=204)


def _refuse_unknown_attributes(request: web.Request) -> None:
    for comparison in filters.parse(request.query["filter"]) if "filter" in request.query else ():
        if comparison.path and comparison.path[0] not in ATTRIBUTES.names:
            known = ", ".join(sorted(ATTRIBUTES.names))
            raise Rejected(400, f"Attribute filter names {comparison.path[0]!r}, which is none of {known}.")
