"""How a content is reached, with the secrets that this takes: sealed in events, opened by whoever fetches.

A query may be a signature that gives access, so all of it is a secret (``queryToken``).
"""

from __future__ import annotations

from typing import Any

import msgspec
from forestay_events.sealing import Vault
from forestay_notify.authentication import SubscriptionAuthentication
from forestay_sol.streams.package import UPLOAD
from forestay_sol.types import Sol
from yarl import URL

from forestay_package_mgmt.domain.state import Source


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


def shown(url: URL | str) -> str:
    """A URL for messages: without its query."""
    return str(URL(url).with_query(None))
