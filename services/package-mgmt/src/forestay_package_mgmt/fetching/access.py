"""How a content is reached, with the secrets that this takes: sealed in events, opened by whoever fetches.

A query may be a signature that gives access, so all of it is a secret (``queryToken``).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from forestay_events.sealing import Vault
from forestay_notify.authentication import (
    ParamsBasic,
    ParamsOauth2ClientCredentials,
    SubscriptionAuthentication,
    check,
)
from forestay_sol.streams.package import EXTERNAL, UPLOAD
from forestay_sol.types import Sol
from msgspec import field
from yarl import URL

from forestay_package_mgmt.domain.state import Package, Source


class Authenticated(Sol, frozen=True, kw_only=True):
    """The members of a request that say in whose name something is fetched (SOL005 9.5.2.4, 9.5.2.10)."""

    auth_type: Literal["BASIC", "OAUTH2_CLIENT_CREDENTIALS"] | None = None
    params_basic: ParamsBasic | None = None
    params_oauth2_client_credentials: ParamsOauth2ClientCredentials | None = field(
        default=None, name="paramsOauth2ClientCredentials"
    )

    def authentication(self) -> SubscriptionAuthentication | None:
        """:raises Rejected: 400, what the type needs is missing."""
        if self.auth_type is None:
            return None
        given = SubscriptionAuthentication(
            auth_type=(self.auth_type,),
            params_basic=self.params_basic,
            params_oauth2_client_credentials=self.params_oauth2_client_credentials,
        )
        check(given, None)
        return given


class ExternalArtifactAccess(Authenticated, frozen=True, kw_only=True):
    """How one external artifact is reached."""

    artifact_uri: str
    override_uri: str | None = None


class Access(Sol, frozen=True, kw_only=True):
    """Where and in whose name; ``uri`` has no query."""

    uri: str
    query_token: str = ""
    authentication: SubscriptionAuthentication | None = None

    @property
    def url(self) -> str:
        """The whole address."""
        return f"{self.uri}?{self.query_token}" if self.query_token else self.uri


async def sealed(vault: Vault, package_id: str, access: Access) -> dict[str, Any]:
    """The members of an access besides its URI, secrets sealed for the package."""
    members: dict[str, Any] = msgspec.to_builtins(access)
    del members["uri"]
    return await vault.seal_members(package_id, members, path=UPLOAD)


async def opened(vault: Vault, package_id: str, source: Source) -> Access:
    """:raises Shredded: the package is gone."""
    members = await vault.open_members(package_id, source.access, path=UPLOAD)
    return msgspec.convert({"uri": source.uri, **members}, Access)


async def of_external(vault: Vault, package: Package, uri: str) -> Access:
    """How the external artifact ``uri`` is reached: as was configured, else without credentials. :raises Shredded: see above."""
    configured = ExternalArtifactAccess(artifact_uri=uri)
    if uri in package.external_access:
        members = await vault.open_members(package.id, package.external_access, path=EXTERNAL)
        configured = msgspec.convert(members[uri], ExternalArtifactAccess)
    url = URL(configured.override_uri or uri)
    return Access(uri=shown(url), query_token=url.raw_query_string, authentication=configured.authentication())


def shown(url: URL | str) -> str:
    """A URL for messages: without its query."""
    return str(URL(url).with_query(None))
