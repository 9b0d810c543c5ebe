"""Stream ``VIM``, aggregates ``vim.vim.<VIM id>``: the VIMs that are registered by Tacker's VIM API."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from forestay_events.commit import EventCodec

VimType = Literal["openstack", "kubernetes"]


class VimEventBase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=str):
    """Base; the class name is the tag."""


class VimRegistered(VimEventBase, frozen=True, kw_only=True):
    """A VIM was registered after its credentials had been tried.

    :ivar auth_cred: as in the VIM API; secrets are sealed for aggregate ``<VIM id>`` with path ``/auth_cred``.
    :ivar placement_attr: ``{"regions": [...]}`` found at registration.
    """

    name: str
    vim_type: VimType
    auth_url: str
    auth_cred: dict[str, Any]
    vim_project: dict[str, Any]
    description: str = ""
    is_default: bool = False
    placement_attr: dict[str, Any] = {}
    extra: dict[str, Any] = {}


class VimUpdated(VimEventBase, frozen=True, kw_only=True):
    """PUT; ``None`` is unchanged, everything else replaces the old value."""

    name: str | None = None
    auth_cred: dict[str, Any] | None = None
    vim_project: dict[str, Any] | None = None
    description: str | None = None
    is_default: bool | None = None
    placement_attr: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None


class VimStatusChanged(VimEventBase, frozen=True, kw_only=True):
    """The watch found that the VIM answers again, or no more."""

    status: Literal["ACTIVE", "UNREACHABLE"]
    reason: str = ""


class VimDeleted(VimEventBase, frozen=True, kw_only=True):
    """The registration was deleted; its data key is destroyed."""


VimEvent = VimRegistered | VimUpdated | VimStatusChanged | VimDeleted

CODEC: EventCodec[VimEvent] = EventCodec(VimEvent)
