"""The VIM resource as ``/v1.0/vims`` shows it (wire section 19), secrets masked."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from forestay_events.sealing import mask
from msgspec import Meta

from forestay_vim_registry.domain.login import SECRETS
from forestay_vim_registry.domain.state import Vim


class VimResource(msgspec.Struct, frozen=True, kw_only=True):
    """``status_reason`` is an addition to Tacker's: why ``status`` is UNREACHABLE."""

    id: str
    name: str
    description: str
    type: str
    tenant_id: str
    auth_url: str
    auth_cred: dict[str, Any]
    vim_project: dict[str, Any]
    is_default: bool
    placement_attr: dict[str, Any]
    status: str
    status_reason: str
    extra: dict[str, Any]
    created_at: str
    updated_at: str | None


class OneVim(msgspec.Struct, frozen=True, kw_only=True):
    """A VIM by itself."""

    vim: VimResource


Selected = Annotated[dict[str, Any], Meta(description="VimResource, or those of its members that `fields` names.")]


class SelectedVim(msgspec.Struct, frozen=True, kw_only=True):
    """A VIM by itself, as it was asked for."""

    vim: Selected


class ManyVims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of VIMs; the link leads to the next one."""

    vims: tuple[Selected, ...]
    vims_links: tuple[dict[str, str], ...] = ()


class Registered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was registered: as the request had it, one VIM or several."""

    vim: VimResource | None = None
    vims: tuple[VimResource, ...] | None = None


ATTRIBUTES = VimResource.__struct_fields__


def resource(vim: Vim) -> VimResource:
    return VimResource(
        id=vim.id,
        name=vim.name,
        description=vim.description,
        type=vim.vim_type,
        tenant_id=vim.project,
        auth_url=vim.auth_url,
        auth_cred=mask(vim.auth_cred, SECRETS),
        vim_project=mask(vim.vim_project, SECRETS),
        is_default=vim.is_default,
        placement_attr=vim.placement_attr,
        status=vim.status,
        status_reason=vim.status_reason,
        extra=mask(vim.extra, SECRETS),
        created_at=vim.created.isoformat(sep=" "),
        updated_at=vim.changed.isoformat(sep=" ") if vim.changed != vim.created else None,
    )


def document(vim: Vim) -> str:
    return msgspec.json.encode(resource(vim)).decode()
