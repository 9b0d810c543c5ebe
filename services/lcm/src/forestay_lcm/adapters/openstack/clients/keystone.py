"""Keystone v3: authentication, one token for all calls with the same credential.

Rules of this module: a token is renewed before it ends, and once when a service no longer accepts it; calls that need a
token at the same time wait for one authentication, and fail with it. Secrets stay in memory and out of every message.
"""

from __future__ import annotations

import time
from datetime import datetime

import msgspec
from forestay_events.errors import ForestayError, Permanent

from forestay_lcm.adapters.openstack.clients.credentials import Credential, Password
from forestay_lcm.adapters.openstack.clients.keeping import Kept
from forestay_lcm.adapters.openstack.clients.sharing import Shared
from forestay_lcm.adapters.openstack.clients.transport import Forbidden, Reply, Transport, Unauthorized

_EARLY = 60.0
"""Seconds before its end at which a token is renewed, at most a tenth of its life."""
_CALLED = frozenset({"orchestration", "compute", "network", "image", "block-storage", "volumev3", "identity"})
"""The service types that are kept of a catalog."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token with its end (:func:`time.monotonic`), its user's id, its project's name and id, and the endpoints of its catalog
    by service type, of those that are called; ``region`` is where its stacks are."""

    id: str
    user_id: str
    project: str
    project_id: str
    region: str
    renew_at: float
    endpoints: dict[str, str]


class _Endpoint(msgspec.Struct):
    url: str
    interface: str
    region: str | None = None
    region_id: str | None = None


class _Service(msgspec.Struct):
    type: str
    endpoints: tuple[_Endpoint, ...] = ()


class _Project(msgspec.Struct):
    id: str
    name: str


class _User(msgspec.Struct):
    id: str


class _Given(msgspec.Struct):
    """The member ``token`` of Keystone's answer."""

    issued_at: datetime
    expires_at: datetime
    user: _User
    project: _Project | None = None
    catalog: tuple[_Service, ...] = ()


class _Answer(msgspec.Struct):
    token: _Given


class Keystone:
    """Gives tokens. One for the process, shared by all clouds."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._tokens: Kept[Credential, Token] = Kept()
        self._asking: Shared[Credential, Token] = Shared()

    async def token(self, credential: Credential, *, refused: Token | None = None) -> Token:
        """A token that is good for a while.

        :param refused: a token that a service has just refused with 401: it is not given again.
        :raises Permanent: 401, Keystone does not accept the credential; 502, what answers is no Keystone.
        :raises Retryable: Keystone cannot be reached.
        """
        token = self._tokens.get(credential)
        if token is not None and token != refused:
            return token
        token = await self._asking.result(credential, lambda: self._authenticate(credential))
        self._tokens.put(credential, token, token.renew_at)
        return token

    async def forbids_trusts(self, credential: Credential, token: Token) -> bool:
        """Whether Keystone says that this login may have nothing to do with trusts, because it is not a user's own (an
        application credential). ``False`` if it says anything else, or nothing."""
        if isinstance(credential.login, Password):
            return False
        url = f"{credential.auth_url}/OS-TRUST/trusts?trustor_user_id={token.user_id}"
        try:
            await self._transport.request("GET", url, headers={"X-Auth-Token": token.id}, tls=credential.tls)
        except Forbidden:
            return True
        except ForestayError:
            return False
        return False

    async def _authenticate(self, credential: Credential) -> Token:
        url, body = f"{credential.auth_url}/auth/tokens", {"auth": credential.login.auth()}
        try:
            reply = await self._transport.request("POST", url, headers={}, body=body, tls=credential.tls)
        except Unauthorized as error:
            raise Permanent(
                f"Keystone does not accept {credential.login} ({error}).",
                status=401,
                title="VIM authentication failed",
            ) from error
        return _token(reply, credential)


def _token(reply: Reply, credential: Credential) -> Token:
    try:
        token_id, given = reply.headers["X-Subject-Token"], msgspec.convert(reply.body, _Answer).token
    except (KeyError, msgspec.ValidationError) as error:
        raise Permanent(
            f"What answers at {credential.auth_url} is no Keystone: it gives no token.",
            status=502,
            title="VIM is no OpenStack",
        ) from error
    # The life is the server's; when it ends is counted on our own clock, which may differ from the server's.
    life = (given.expires_at - given.issued_at).total_seconds()
    endpoints = {
        service.type: endpoint
        for service in given.catalog
        if service.type in _CALLED
        for endpoint in reversed(service.endpoints)
        if endpoint.interface == credential.interface
        and credential.region in (None, endpoint.region_id, endpoint.region)
        and not {"?", "#"}.intersection(endpoint.url)
    }
    home = endpoints.get("orchestration")
    return Token(
        id=token_id,
        user_id=given.user.id,
        project=given.project.name if given.project else "",
        project_id=given.project.id if given.project else "",
        region=(home.region_id or home.region or "") if home else "",
        renew_at=time.monotonic() + life - min(_EARLY, life / 10),
        endpoints={kind: endpoint.url.rstrip("/") for kind, endpoint in endpoints.items()},
    )
