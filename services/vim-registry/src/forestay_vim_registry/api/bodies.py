"""Request bodies of ``/v1.0/vims`` (wire section 19): one VIM under ``vim``, or several under ``vims``.

Members that a request may not have are refused, as in Tacker: who tries to update ``auth_url`` learns that it did not happen.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from forestay_events.errors import Rejected
from forestay_sol.caller import Caller
from forestay_sol.streams.vim import VimType
from msgspec import Meta

from forestay_vim_registry.domain.refusals import bad_input
from forestay_vim_registry.registry import NewVim, VimChange

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Text = Annotated[str, Meta(max_length=1024)]
Object = dict[str, Any]
Filled = Annotated[dict[str, Any], Meta(min_length=1)]
Credentials = dict[str, str | bool | None]
Flag = bool | Literal["True", "true", "False", "false"]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the bodies."""


class Registration(Body, frozen=True, kw_only=True):
    """What POST takes of a VIM; ``tenant_id`` of another project than the caller's only from an administrator."""

    type: VimType
    name: Name
    auth_url: Annotated[str, Meta(min_length=1, max_length=255)]
    auth_cred: Credentials
    vim_project: Filled
    description: Text = ""
    is_default: Flag = False
    extra: Object = {}
    tenant_id: Name | None = None

    def new_vim(self) -> NewVim:
        return NewVim(
            name=self.name,
            vim_type=self.type,
            auth_url=self.auth_url,
            auth_cred=self.auth_cred,
            vim_project=self.vim_project,
            description=self.description,
            is_default=_truth(self.is_default),
            extra=self.extra,
        )


class Registrations(Body, frozen=True, kw_only=True):
    """Body of POST."""

    vim: Registration | None = None
    vims: Annotated[tuple[Registration, ...], Meta(min_length=1, max_length=20)] | None = None

    def each(self) -> tuple[Registration, ...]:
        """:raises Rejected: 400, there is not exactly one of ``vim`` and ``vims``."""
        if (self.vim is None) == (self.vims is None):
            raise bad_input("The body must have either 'vim' or 'vims'.", "")
        return (self.vim,) if self.vim else self.vims or ()


class Update(Body, frozen=True, kw_only=True):
    """What PUT takes of a VIM."""

    name: Name | None = None
    description: Text | None = None
    is_default: Flag | None = None
    auth_cred: Credentials | None = None
    vim_project: Filled | None = None
    extra: Object | None = None

    def change(self) -> VimChange:
        return VimChange(
            name=self.name,
            description=self.description,
            is_default=None if self.is_default is None else _truth(self.is_default),
            auth_cred=self.auth_cred,
            vim_project=self.vim_project,
            extra=self.extra,
        )


class Updates(Body, frozen=True, kw_only=True):
    """Body of PUT."""

    vim: Update


def owner(caller: Caller, registrations: tuple[Registration, ...]) -> Caller:
    """The caller, acting for the project that the body names. :raises Rejected: 400, 403."""
    projects = {each.tenant_id or caller.project for each in registrations}
    if len(projects) > 1:
        raise bad_input("All VIMs of one request must have the same tenant_id.", "/vims")
    project = projects.pop()
    if project != caller.project and "admin" not in caller.roles:
        raise Rejected(
            403, "Only an administrator may give another tenant_id than their own.", pointer="/vim/tenant_id"
        )
    return msgspec.structs.replace(caller, project=project)


def _truth(flag: bool | str) -> bool:
    return flag if isinstance(flag, bool) else flag.lower() == "true"
