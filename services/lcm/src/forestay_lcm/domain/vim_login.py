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
    """``interfaceInfo``; ``endpoint`` is Keystone's, ``interface`` that of the catalog, ``ssl_ca_cert`` is PEM."""

    endpoint: str | None = None
    interface: str | None = None
    ssl_ca_cert: str | None = None
    skip_verification: Any = msgspec.field(default=None, name="skipCertificateVerification")
    skip_hostname_check: Any = msgspec.field(default=None, name="skipCertificateHostnameCheck")


class Access(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``accessInfo``."""

    username: str | None = None
    password: str | None = None
    project: str | None = None
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
    _check_endpoint(login)
    return login


def check_logins(connections: Mapping[str, Any], egress: Egress) -> None:
    """Look at the ``vimConnectionInfo`` of a request, or at a merge patch of it.

    :param egress: where VIMs may be.
    :raises Rejected: as :func:`login_of`; 422, no VIM may be there.
    """
    ours = {key: entry for key, entry in connections.items() if _may_be_openstack(entry)}
    body: _Body = _converted({"vimConnectionInfo": ours}, _Body)
    for key, login in body.vim_connection_info.items():
        if login and login.interface_info and login.interface_info.endpoint is not None:
            where = ("vimConnectionInfo", key)
            _check_endpoint(login, *where)
            egress.check(login.interface_info.endpoint, pointer([*where, *_ENDPOINT]))


_ENDPOINT = ("interfaceInfo", "endpoint")


def _check_endpoint(login: VimLogin, *where: str) -> None:
    endpoint = login.interface_info.endpoint if login.interface_info else None
    if {"?", "#"}.intersection(endpoint or ""):
        detail = "The endpoint of a VIM must have neither query nor fragment."
        raise Rejected(400, detail, pointer=pointer([*where, *_ENDPOINT]))


def _may_be_openstack(entry: Any) -> bool:
    kind = entry.get("vimType") if isinstance(entry, Mapping) else None
    return kind is None or kind in DRIVERS


def _converted(document: Any, type_: Any) -> Any:
    try:
        return msgspec.convert(document, type_)
    except msgspec.ValidationError as error:
        raise rejection(document, type_, str(error)) from None
