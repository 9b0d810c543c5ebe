"""Keystone v3: authentication by password or application credential, one token for all calls with the same credential.

Rules of this module: a token is renewed before it ends, and once when a service no longer accepts it; calls that need a
token at the same time wait for one authentication, and fail with it. Secrets stay in memory and out of every message.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from forestay_events.errors import ForestayError, Permanent, Rejected
from forestay_sol.vnflcm import VimConnectionInfo

from forestay_lcm.adapters.openstack.oauth_heat import OAuthHeat
from forestay_lcm.adapters.openstack.sharing import Shared
from forestay_lcm.adapters.openstack.transport import Forbidden, Reply, Transport, Unauthorized
from forestay_lcm.domain.vim_login import Access, Interface, login_of

Json = dict[str, Any]

_EARLY = 60.0
"""Seconds before its end at which a token is renewed, at most a tenth of its life."""


class Password(msgspec.Struct, frozen=True, kw_only=True):
    """A user with a password, and the project to work in, by its id if that is given."""

    username: str
    password: str
    project: str
    project_id: str | None = None
    user_domain: str = "Default"
    project_domain: str = "Default"

    def __repr__(self) -> str:
        return f"user {self.username!r} of domain {self.user_domain!r} in project {self.project_id or self.project!r}"

    def auth(self) -> Json:
        """The member ``auth`` of a request for a token."""
        user = {"name": self.username, "domain": {"name": self.user_domain}, "password": self.password}
        named = {"name": self.project, "domain": {"name": self.project_domain}}
        return {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"id": self.project_id} if self.project_id else named},
        }


class ApplicationCredential(msgspec.Struct, frozen=True, kw_only=True):
    """An application credential, by its id: it belongs to a user and a project, and can be revoked by itself."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"application credential {self.id!r}"

    def auth(self) -> Json:
        """The member ``auth`` of a request for a token."""
        given = {"id": self.id, "secret": self.secret}
        return {"identity": {"methods": ["application_credential"], "application_credential": given}}


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """How to log in to an OpenStack: interfaceInfo and accessInfo of a VimConnectionInfo (wire contract §3.5)."""

    auth_url: str
    login: Password | ApplicationCredential
    region: str | None = None
    interface: str = "public"
    verify: bool = True
    verify_hostname: bool = True
    ca: str | None = None
    heat: OAuthHeat | None = None

    def __repr__(self) -> str:
        return f"Credential({self.login}, {self.auth_url})"

    @property
    def tls(self) -> ssl.SSLContext | bool:
        """What aiohttp takes as ``ssl``: verification with the system's CAs unless told otherwise."""
        return tls(self.verify, self.verify_hostname, self.ca)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token with its end (:func:`time.monotonic`), its user's id, its project's name and id, and the endpoints of its catalog
    by service type; ``region`` is where its stacks are."""

    id: str
    user_id: str
    project: str
    project_id: str
    region: str
    renew_at: float
    endpoints: dict[str, str]


_NEEDED: Mapping[str, tuple[str, ...]] = {
    "applicationCredentialId": ("applicationCredentialId", "applicationCredentialSecret"),
    "projectId": ("username", "password", "projectId"),
    "project": ("username", "password", "project"),
}
"""The members of accessInfo that each way to log in needs, by that which tells the way; the last is Tacker's."""


def credential(connection: VimConnectionInfo) -> Credential:
    """The credential in a VIM connection: that of an application if there is one, else a password.

    :raises Permanent: 422, a member is missing or is not what it has to be; the message names it.
    """
    given, access = connection.interface_info or {}, connection.access_info or {}
    way = next((member for member in _NEEDED if member in access), "project")
    needed = {"interfaceInfo": (given, ("endpoint",)), "accessInfo": (access, _NEEDED[way])}
    if missing := [f"{part}.{key}" for part, (info, keys) in needed.items() for key in keys if not info.get(key)]:
        raise _incomplete(f"The VIM connection lacks {', '.join(missing)}.")
    try:
        login = login_of(given, access)
    except Rejected as error:
        raise _incomplete(f"The VIM connection cannot be used: {error}") from None
    interface, members = login.interface_info or Interface(), login.access_info or Access()
    url = (interface.endpoint or "").rstrip("/")
    return Credential(
        auth_url=url if url.endswith("/v3") else f"{url}/v3",
        login=_application(members) if way == "applicationCredentialId" else _password(members),
        region=members.region,
        interface=interface.interface or "public",
        verify=not _flag(interface.skip_verification),
        verify_hostname=not _flag(interface.skip_hostname_check),
        ca=interface.ssl_ca_cert,
        heat=_oauth_heat(interface, members),
    )


def _oauth_heat(interface: Interface, access: Access) -> OAuthHeat | None:
    if not interface.token_endpoint or not interface.heat_endpoint:
        return None
    endpoint = interface.heat_endpoint.rstrip("/")
    return OAuthHeat(endpoint=endpoint, token_endpoint=interface.token_endpoint, client_id=access.username or "")


def _incomplete(detail: str) -> Permanent:
    return Permanent(detail, status=422, title="VIM connection is incomplete")


def _application(access: Access) -> ApplicationCredential:
    return ApplicationCredential(
        id=access.application_credential_id or "", secret=access.application_credential_secret or ""
    )


def _password(access: Access) -> Password:
    domain = access.domain or "Default"
    return Password(
        username=access.username or "",
        password=access.password or "",
        project=access.project or "",
        project_id=access.project_id,
        user_domain=access.user_domain or domain,
        project_domain=access.project_domain or domain,
    )


def _flag(value: Any) -> bool:
    return str(value).lower() == "true"


@lru_cache(maxsize=256)
def tls(verify: bool, verify_hostname: bool, ca: str | None) -> ssl.SSLContext | bool:
    """A TLS context, or ``True`` for the default.

    :param ca: certificates in PEM to trust instead of the system's.
    :raises Permanent: 422, ``ca`` holds no certificate.
    """
    if not verify:
        return False
    if verify_hostname and not ca:
        return True
    try:
        context = ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError) as error:
        raise Permanent(f"ssl_ca_cert holds no certificate: {error}", status=422) from error
    context.check_hostname = verify_hostname
    return context


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
        self._tokens: dict[Credential, Token] = {}
        self._asking: Shared[Credential, Token] = Shared()

    async def token(self, credential: Credential, *, refused: Token | None = None) -> Token:
        """A token that is good for a while.

        :param refused: a token that a service has just refused with 401: it is not given again.
        :raises Permanent: 401, Keystone does not accept the credential; 502, what answers is no Keystone.
        :raises Retryable: Keystone cannot be reached.
        """
        token = self._tokens.get(credential)
        if token is not None and token != refused and token.renew_at > time.monotonic():
            return token
        token = await self._asking.result(credential, lambda: self._authenticate(credential))
        self._tokens[credential] = token
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
