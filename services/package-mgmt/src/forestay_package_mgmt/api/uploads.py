"""How a content comes in: sent by the client, or fetched by Forestay (SOL005 clauses 9.4.5 and 9.4.6), and how external
artifacts are to be reached (clause 9.4.4a).

Rules: what is sent is answered 202 as soon as it is stored and recorded, and judged afterwards; what is to be fetched is
answered 202 as soon as the log knows, and an address that is refused already as it is written is told at once. Secrets are
sealed before they enter a command and are never answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web
from forestay_events.errors import Rejected
from forestay_events.sealing import Vault
from forestay_notify.authentication import ParamsBasic, SubscriptionAuthentication
from forestay_sol.api import VNFPKGM_V2, Route
from forestay_sol.body import decode
from forestay_sol.caller import caller
from forestay_sol.streams.package import EXTERNAL
from forestay_sol.types import Sol
from forestay_sol.web import answer

from forestay_package_mgmt.api.commands import Commands
from forestay_package_mgmt.api.content import ZIP
from forestay_package_mgmt.api.edition import Edition
from forestay_package_mgmt.domain.commands import ConfigureExternalAccess, RequestUpload
from forestay_package_mgmt.domain.decide import uploadable
from forestay_package_mgmt.fetching.access import Access, Authenticated, ExternalArtifactAccess, sealed
from forestay_package_mgmt.fetching.egress import FetchEgress
from forestay_package_mgmt.onboarding.receiver import Receiver
from forestay_package_mgmt.projections.reads import PackageReads

Json = dict[str, Any]

_CONTENTS = (ZIP, "application/binary", "application/octet-stream")
"""SOL005 says zip, its OpenAPI document says binary."""


class UploadVnfPackageFromUriRequest(Authenticated, frozen=True, kw_only=True):
    """SOL005 9.5.2.4; ``userName`` and ``password`` are those of its version 2, which Tacker speaks, BASIC is ours in v2."""

    address_information: str
    user_name: str | None = None
    password: str | None = None

    def authentication(self) -> SubscriptionAuthentication | None:
        if self.user_name is None or self.auth_type is not None:
            return super().authentication()
        basic = ParamsBasic(user_name=self.user_name, password=self.password or "")
        return SubscriptionAuthentication(auth_type=("BASIC",), params_basic=basic)


class ExternalArtifactsAccessConfig(Sol, frozen=True, kw_only=True):
    """SOL005 9.5.2.10; the table says several, ETSI's OpenAPI document says one."""

    artifact: ExternalArtifactAccess | tuple[ExternalArtifactAccess, ...] = ()

    def each(self) -> tuple[ExternalArtifactAccess, ...]:
        return self.artifact if isinstance(self.artifact, tuple) else (self.artifact,)


class UploadApi:
    """Handlers of uploads in one edition."""

    def __init__(
        self,
        edition: Edition,
        commands: Commands,
        reads: PackageReads,
        receiver: Receiver,
        vault: Vault,
        egress: FetchEgress,
    ) -> None:
        self._edition = edition
        self._commands = commands
        self._reads = reads
        self._receiver = receiver
        self._vault = vault
        self._egress = egress

    def routes(self) -> Sequence[Route]:
        """The routes of these resources."""
        api, package = self._edition.api, self._edition.package
        content, external = f"{package}/package_content", f"{package}/ext_artifacts_access"
        both = [
            Route(
                "PUT", content, self.upload, api, consumes=_CONTENTS, produces=(), streamed=True,
                summary="Upload the content", takes=bytes, status=202,
            ),
            Route(
                "POST", f"{content}/upload_from_uri", self.upload_from_uri, api, summary="Have the content fetched",
                takes=UploadVnfPackageFromUriRequest, status=202,
            ),
        ]  # fmt: skip
        more = [
            Route(
                "GET", external, self.external_access, api, summary="Show how external artifacts are reached",
                gives=ExternalArtifactsAccessConfig,
            ),
            Route(
                "PUT", external, self.configure_external_access, api, summary="Say how external artifacts are reached",
                takes=ExternalArtifactsAccessConfig, gives=ExternalArtifactsAccessConfig,
            ),
        ]  # fmt: skip
        return [*both, *more] if api is VNFPKGM_V2 else both

    async def upload(self, request: web.Request) -> web.Response:
        """Store the content and have it onboarded (SOL005 9.4.5.3.3)."""
        sender, package_id = caller(request), request.match_info["vnfPkgId"]
        uploadable(await self._commands.current(sender, package_id))
        if not request.body_exists:
            raise Rejected(400, "The request body is missing: it is the VNF package, a zip file.", pointer="")
        await self._receiver.receive(sender, package_id, request)
        return answer(status=202)

    async def upload_from_uri(self, request: web.Request) -> web.Response:
        """Have the content fetched and onboarded (SOL005 9.4.6.3.1)."""
        sender, package_id = caller(request), request.match_info["vnfPkgId"]
        body = await decode(request, UploadVnfPackageFromUriRequest)
        url = self._egress.check(body.address_information, "/addressInformation")
        access = Access(
            uri=str(url.with_query(None)), query_token=url.raw_query_string, authentication=body.authentication()
        )
        if not sender.repeated:
            uploadable(await self._commands.current(sender, package_id))
        command = RequestUpload(access.uri, await sealed(self._vault, package_id, access))
        await self._commands.send(sender, package_id, command)
        return answer(status=202)

    async def external_access(self, request: web.Request) -> web.Response:
        """How external artifacts are reached, without secrets (SOL005 9.4.4a.3.2)."""
        package = await self._reads.package(caller(request).project, request.match_info["vnfPkgId"])
        return answer(_shown(package.external_access))

    async def configure_external_access(self, request: web.Request) -> web.Response:
        """Say how external artifacts are to be reached, before the content comes (SOL005 9.4.4a.3.4)."""
        sender, package_id = caller(request), request.match_info["vnfPkgId"]
        artifacts: Json = {}
        for each in (await decode(request, ExternalArtifactsAccessConfig)).each():
            self._egress.check(each.override_uri or each.artifact_uri, "/artifact")
            each.authentication()
            artifacts[each.artifact_uri] = msgspec.to_builtins(each)
        uploadable(await self._commands.current(sender, package_id))
        sealed_access = await self._vault.seal_members(package_id, artifacts, path=EXTERNAL)
        package = await self._commands.send(sender, package_id, ConfigureExternalAccess(sealed_access))
        return answer(_shown(package.external_access))


def _shown(artifacts: Json) -> Json:
    """The configuration without ``paramsBasic`` and ``paramsOauth2ClientCredentials``: nothing in them is for others."""
    hidden = ("paramsBasic", "paramsOauth2ClientCredentials")
    return {
        "artifact": [{name: value for name, value in each.items() if name not in hidden} for each in artifacts.values()]
    }
