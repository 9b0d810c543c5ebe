"""Keystone v3: authentication by password or application credential, one token for all calls with the same credential.

Rules of this module: a token is renewed before it ends, and once when a service no longer accepts it; calls that need a
token at the same time wait for one authentication. Secrets stay in memory and out of every message.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from forestay_events.errors import Permanent
from forestay_sol.vnflcm import VimConnectionInfo

from forestay_lcm.adapters.openstack.transport import Transport, Unauthorized

Json = dict[str, Any]

_EARLY = 60.0
"""Seconds before its end at which a token is renewed, at most a tenth of its life."""


class Password(msgspec.Struct, frozen=True, kw_only=True):
    """A user with a password, and the project to work in."""

    username: str
    password: str
    project: str
    user_domain: str = "Default"
    project_domain: str = "Default"

    def __repr__(self) -> str:
        return f"user {self.username!r} of domain {self.user_domain!r} in project {self.project!r}"

    def auth(self) -> Json:
        """The member ``auth`` of a request for a token."""
        user = {"name": self.username, "domain": {"name": self.user_domain}, "password": self.password}
        project = {"name": self.project, "domain": {"name": self.project_domain}}
        return {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": project},
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

    def __repr__(self) -> str:
        return f"Credential({self.login}, {self.auth_url})"

    @property
    def tls(self) -> ssl.SSLContext | bool:
        """What aiohttp takes as ``ssl``: verification with the system's CAs unless told otherwise."""
        return tls(self.verify, self.verify_hostname, self.ca)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token with its end (:func:`time.monotonic`), its project's name, and the endpoints of its catalog by service type."""

    id: str
    project: str
    renew_at: float
    endpoints: dict[str, str]


_NEEDED: Mapping[str, tuple[str, ...]] = {
    "v3password": ("username", "password", "project"),
    "v3applicationcredential": ("applicationCredentialId", "applicationCredentialSecret"),
}
"""The members of accessInfo that each way to log in needs. The second is ours: SOL003 leaves the members to the VIM's type."""


def credential(connection: VimConnectionInfo) -> Credential:
    """The credential in a VIM connection: that of an application if there is one, else a password.

    :raises Permanent: 422, a member is missing; the message names it.
    """
    interface, access = connection.interface_info or {}, connection.access_info or {}
    way = "v3applicationcredential" if "applicationCredentialId" in access else "v3password"
    needed = {"interfaceInfo": (interface, ("endpoint",)), "accessInfo": (access, _NEEDED[way])}
    if missing := [f"{part}.{key}" for part, (info, keys) in needed.items() for key in keys if not info.get(key)]:
        raise Permanent(
            f"The VIM connection lacks {', '.join(missing)}.", status=422, title="VIM connection is incomplete"
        )
    url = str(interface["endpoint"]).rstrip("/")
    return Credential(
        auth_url=url if url.endswith("/v3") else f"{url}/v3",
        login=_application(access) if way == "v3applicationcredential" else _password(access),
        region=access.get("region"),
        interface=interface.get("interface") or "public",
        verify=not _flag(interface.get("skipCertificateVerification")),
        verify_hostname=not _flag(interface.get("skipCertificateHostnameCheck")),
        ca=interface.get("ssl_ca_cert"),
    )


def _application(access: Mapping[str, Any]) -> ApplicationCredential:
    return ApplicationCredential(id=access["applicationCredentialId"], secret=access["applicationCredentialSecret"])


def _password(access: Mapping[str, Any]) -> Password:
    domain = access.get("domain") or "Default"
    return Password(
        username=access["username"],
        password=access["password"],
        project=access["project"],
        user_domain=access.get("userDomain") or domain,
        project_domain=access.get("projectDomain") or domain,
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


class Keystone:
    """Gives tokens. One for the process, shared by all clouds."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._tokens: dict[Credential, Token] = {}
        self._locks: defaultdict[Credential, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def token(self, credential: Credential, *, refused: Token | None = None) -> Token:
        """A token that is good for a while.

        :param refused: a token that a service has just refused with 401: it is not given again.
        :raises Permanent: 401, Keystone does not accept the credential.
        :raises Retryable: Keystone cannot be reached.
        """
        async with self._locks[credential]:
            token = self._tokens.get(credential)
            if token is None or token == refused or token.renew_at <= time.monotonic():
                token = self._tokens[credential] = await self._authenticate(credential)
            return token

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
        return _token(reply.headers["X-Subject-Token"], reply.body["token"], credential)


def _token(token_id: str, body: dict[str, Any], credential: Credential) -> Token:
    # The life is the server's; when it ends is counted on our own clock, which may differ from the server's.
    life = (datetime.fromisoformat(body["expires_at"]) - datetime.fromisoformat(body["issued_at"])).total_seconds()
    endpoints = {
        service["type"]: endpoint["url"].rstrip("/")
        for service in body.get("catalog", ())
        for endpoint in reversed(service["endpoints"])
        if endpoint["interface"] == credential.interface
        and credential.region in (None, endpoint.get("region_id"), endpoint.get("region"))
    }
    return Token(
        id=token_id,
        project=(body.get("project") or {}).get("name", ""),
        renew_at=time.monotonic() + life - min(_EARLY, life / 10),
        endpoints=endpoints,
    )
