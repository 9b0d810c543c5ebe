"""The state of a registered VIM: what its events add up to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from forestay_events.commit import Commit
from forestay_sol.streams.vim import VimDeleted, VimEvent, VimRegistered, VimStatusChanged, VimType, VimUpdated

VimStatus = Literal["ACTIVE", "UNREACHABLE"]
Members = dict[str, Any]


class Vim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A VIM. Secrets in ``auth_cred``, ``vim_project`` and ``extra`` are sealed for its id.

    :ivar changed: when it was registered or last updated; the watch does not count.
    :ivar status_reason: why it is UNREACHABLE.
    """

    id: str
    project: str
    name: str
    vim_type: VimType
    auth_url: str
    auth_cred: Members
    vim_project: Members
    created: datetime
    changed: datetime
    description: str = ""
    is_default: bool = False
    placement_attr: Members = {}
    extra: Members = {}
    status: VimStatus = "ACTIVE"
    status_reason: str = ""
    deleted: bool = False


def evolve(vim: Vim | None, event: VimEvent, commit: Commit) -> Vim:
    """The state after an event. Impossible events raise: they cannot have been decided."""
    if isinstance(event, VimRegistered):
        members = msgspec.structs.asdict(event)
        return Vim(id=commit.aggregate_id, project=commit.project, created=commit.at, changed=commit.at, **members)
    if vim is None or vim.deleted:
        raise ValueError(f"{type(event).__name__} happened to VIM {commit.aggregate_id}, which does not exist")
    return msgspec.structs.replace(vim, **_CHANGES[type(event)](event, commit))


def _updated(event: VimUpdated, commit: Commit) -> Members:
    given = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not None}
    # New credentials have just been tried.
    active = {"status": "ACTIVE", "status_reason": ""} if event.auth_cred is not None else {}
    return given | active | {"changed": commit.at}


def _status_changed(event: VimStatusChanged, commit: Commit) -> Members:
    return {"status": event.status, "status_reason": event.reason}


def _deleted(event: VimDeleted, commit: Commit) -> Members:
    return {"deleted": True, "is_default": False}


_CHANGES: Mapping[type[VimEvent], Callable[[Any, Commit], Members]] = {
    VimUpdated: _updated,
    VimStatusChanged: _status_changed,
    VimDeleted: _deleted,
}
