"""The members of a VimConnectionInfo that say how to log in to an OpenStack (wire contract section 3.5).

Rules: pure. Only what is there is judged, so that a merge patch can be, too; who logs in says what is missing. What other types
of VIM have is none of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from forestay_events.errors import Rejected
from forestay_lcm.domain.plan import DRIVERS
from forestay_sol.egress import Egress
from forestay_sol.faults import pointer, rejection


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    """``interfaceInfo``; ``endpoint`` is Keystone's, ``interface`` that of the catalog, ``ssl_ca_cert`` is PEM; the last two are
    for a Heat that takes tokens of OAuth 2.0."""

    endpoint: str | None = None
    interface: str | None = None
    ssl_ca_cert: str | None = None
    skip_verification: Any = msgspec.field(default=None, name="skipCertificateVerification")
    skip_hostname_check: Any = msgspec.field(default=None, name="skipCertificateHostnameCheck")
    token_endpoint: str | None = msgspec.field(default=None, name="tokenEndpoint")
    heat_endpoint: str | None = msgspec.field(default=None, name="heatEndpoint")


class Access(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``accessInfo``."""

    username: str | None = None
    password: str | None = None
    project: str | None = None
    project_id: str | None = None
    domain: str | None = None
    user_domain: str | None = None
    project_domain: str | None = None
    region: str | None = None
    application_credential_id: str | None = None
    application_credential_secret: str | None = None


class VimLogin(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Both."""

    interface_info: Interface | None = None
    access_info: Access | None = None


class _Body(msgspec.Struct, rename="camel"):
    vim_connection_info: dict[str, VimLogin | None]


def login_of(interface: Any, access: Any) -> VimLogin:
    """How to log in. :raises Rejected: 400, a member is not what it has to be; the pointer names it."""
    login: VimLogin = _converted({"interfaceInfo": interface, "accessInfo": access}, VimLogin)
    _check_endpoints(login)
    return login


def check_logins(connections: Mapping[str, Any], egress: Egress) -> None:
    """Look at the ``vimConnectionInfo`` of a request, or at a merge patch of it.

    :param egress: where VIMs may be.
    :raises Rejected: as :func:`login_of`; 422, no VIM may be there.
    """
    ours = {key: entry for key, entry in connections.items() if _may_be_openstack(entry)}
    body: _Body = _converted({"vimConnectionInfo": ours}, _Body)
    for key, login in body.vim_connection_info.items():
        where = ("vimConnectionInfo", key)
        for url, place in _check_endpoints(login, *where) if login else ():
            egress.check(url, place)


def _check_endpoints(login: VimLogin, *where: str) -> list[tuple[str, str]]:
    """The endpoints that are there, with their pointers. :raises Rejected: 400, one has what no endpoint has."""
    info = login.interface_info or Interface()
    named = {"endpoint": info.endpoint, "tokenEndpoint": info.token_endpoint, "heatEndpoint": info.heat_endpoint}
    found = [(url, pointer([*where, "interfaceInfo", name])) for name, url in named.items() if url is not None]
    for url, place in found:
        if {"?", "#"}.intersection(url):
            raise Rejected(400, "The endpoint of a VIM must have neither query nor fragment.", pointer=place)
    return found


def _may_be_openstack(entry: Any) -> bool:
    kind = entry.get("vimType") if isinstance(entry, Mapping) else None
    return kind is None or kind in DRIVERS


def _converted(document: Any, type_: Any) -> Any:
    try:
        return msgspec.convert(document, type_)
    except msgspec.ValidationError as error:
        raise rejection(document, type_, str(error)) from None
