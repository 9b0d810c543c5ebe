"""How one logs in to a VIM: which members ``auth_cred`` needs, and what becomes of them when some are replaced.

Rules:

* A VIM type knows one or several kinds of login (``KINDS``); credentials are of the first kind that they are complete for.
* An update is merged deeply into what is there. If it brings a member that the present kind does not know, it must be
  complete for another kind, and the members of the present kind go (wire section 19).
* A member that an update gives as ``***`` is the masked one of an answer that was sent back: it stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from forestay_events.errors import Rejected
from forestay_events.sealing import MASK, SECRET_KEYS, mask
from forestay_sol.streams.vim import VimType

from forestay_vim_registry.domain.refusals import bad_input

Json = dict[str, Any]

KINDS: Mapping[VimType, tuple[frozenset[str], ...]] = {
    "openstack": (
        frozenset({"application_credential_id", "application_credential_secret"}),
        frozenset({"username", "password"}),
    ),
    "kubernetes": (
        frozenset({"oidc_token_url", "client_id", "username", "password"}),
        frozenset({"bearer_token"}),
        frozenset({"username", "password"}),
    ),
}
"""Members that each kind of login needs."""

_OPTIONAL = frozenset({"client_secret"})
_WAYS = {vim_type: " or ".join("+".join(sorted(kind)) for kind in kinds) for vim_type, kinds in KINDS.items()}

SECRETS = SECRET_KEYS | {"helm_info"}
"""Names of members that are sealed: Tacker's ``helm_info`` holds the password of a machine inside a text."""


LARGEST = 128 << 10


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A VIM's address and credentials in the clear. Its text form masks the secrets."""

    vim_type: VimType
    auth_url: str
    auth_cred: Json
    vim_project: Json

    def __repr__(self) -> str:
        return f"Login({self.vim_type}, {self.auth_url}, {mask(self.auth_cred)})"


def kind_of(vim_type: VimType, auth_cred: Mapping[str, Any]) -> frozenset[str] | None:
    """The kind of login that credentials are complete for, ``None`` if for none."""
    given = {name for name, value in auth_cred.items() if isinstance(value, str) and value}
    return next((kind for kind in KINDS[vim_type] if kind <= given), None)


def checked(vim_type: VimType, auth_cred: Json) -> Json:
    """The credentials, if they are complete. :raises Rejected: 400."""
    if kind_of(vim_type, auth_cred) is None:
        raise bad_input(f"auth_cred of a VIM of type {vim_type} needs {_WAYS[vim_type]}.", "/vim/auth_cred")
    return auth_cred


def replaced(vim_type: VimType, present: Json, update: Json) -> Json:
    """The credentials after an update. :raises Rejected: 400, they are incomplete."""
    update = {name: value for name, value in update.items() if value != MASK}
    kind = kind_of(vim_type, present)
    if kind is not None and not _kind_members(vim_type).intersection(update) <= kind | _OPTIONAL:
        checked(vim_type, update)
        present = {name: value for name, value in present.items() if name not in _kind_members(vim_type)}
    return checked(vim_type, merged(present, update))


def merged(present: Json, update: Json) -> Json:
    """``update`` put into ``present``, objects member by member; what reads ``***`` stays."""
    result = dict(present)
    for name, value in update.items():
        if value == MASK:
            continue
        below: Any = present.get(name)
        both_objects = isinstance(below, dict) and isinstance(value, dict)
        result[name] = merged(below, value) if both_objects else value
    return result


def bounded(members: Json) -> Json:
    """What a user gives to be kept, if the log can take it as one event. :raises Rejected: 413."""
    if len(msgspec.json.encode(members)) > LARGEST:
        raise Rejected(413, f"A VIM can have {LARGEST >> 10} KiB of attributes, extra and auth_cred included.")
    return members


def endpoint(vim_type: VimType, auth_url: str) -> str:
    """The address of a VIM as it is kept: of Keystone, that of its API version 3.

    :raises Rejected: 400, it is no address, or it carries a password, which would be stored in the clear.
    """
    try:
        parts = urlsplit(auth_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        raise bad_input("auth_url is no URL.", "/vim/auth_url") from None
    if not usable or parts.query or parts.fragment:
        raise bad_input("auth_url must be an http or https URL without query.", "/vim/auth_url")
    if "@" in parts.netloc:
        raise bad_input("auth_url must not carry credentials: put them into auth_cred.", "/vim/auth_url")
    plain = auth_url.rstrip("/")
    return plain if vim_type == "kubernetes" or plain.endswith("/v3") else f"{plain}/v3"


def _kind_members(vim_type: VimType) -> frozenset[str]:
    return _OPTIONAL.union(*KINDS[vim_type])
