"""How to log in to an OpenStack, out of a VimConnectionInfo whose secrets are open (wire contract section 3.5).

Rules of this module: pure, but for the TLS contexts, which are kept. Secrets stay out of every message.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from forestay_events.errors import Permanent, Rejected
from forestay_sol.vnflcm import VimConnectionInfo

from forestay_lcm.adapters.openstack.clients.oauth_heat import OAuthHeat
from forestay_lcm.domain.vim_login import Access, Interface, login_of

Json = dict[str, Any]


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
    """How to log in to an OpenStack: interfaceInfo and accessInfo of a VimConnectionInfo."""

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
    interface, access = _members(connection)
    url = (interface.endpoint or "").rstrip("/")
    return Credential(
        auth_url=url if url.endswith("/v3") else f"{url}/v3",
        login=_login(access),
        region=access.region,
        interface=interface.interface or "public",
        verify=not _flag(interface.skip_verification),
        verify_hostname=not _flag(interface.skip_hostname_check),
        ca=interface.ssl_ca_cert,
        heat=_oauth_heat(interface, access),
    )


def _members(connection: VimConnectionInfo) -> tuple[Interface, Access]:
    interface, access = connection.interface_info or {}, connection.access_info or {}
    way = next((member for member in _NEEDED if member in access), "project")
    missing = [] if interface.get("endpoint") else ["interfaceInfo.endpoint"]
    missing += [f"accessInfo.{member}" for member in _NEEDED[way] if not access.get(member)]
    if missing:
        raise _incomplete(f"The VIM connection lacks {', '.join(missing)}.")
    try:
        login = login_of(interface, access)
    except Rejected as error:
        raise _incomplete(f"The VIM connection cannot be used: {error}") from None
    return login.interface_info or Interface(), login.access_info or Access()


def _incomplete(detail: str) -> Permanent:
    return Permanent(detail, status=422, title="VIM connection is incomplete")


def _login(access: Access) -> Password | ApplicationCredential:
    if access.application_credential_id:
        return ApplicationCredential(
            id=access.application_credential_id, secret=access.application_credential_secret or ""
        )
    domain = access.domain or "Default"
    return Password(
        username=access.username or "",
        password=access.password or "",
        project=access.project or "",
        project_id=access.project_id,
        user_domain=access.user_domain or domain,
        project_domain=access.project_domain or domain,
    )


def _oauth_heat(interface: Interface, access: Access) -> OAuthHeat | None:
    if not interface.token_endpoint or not interface.heat_endpoint:
        return None
    endpoint = interface.heat_endpoint.rstrip("/")
    return OAuthHeat(endpoint=endpoint, token_endpoint=interface.token_endpoint, client_id=access.username or "")


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
