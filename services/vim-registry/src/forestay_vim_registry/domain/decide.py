"""Decides what a command leads to. Pure: state and command in, events out, a sentence that says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from forestay_events.aggregate import Context, Decision, Definition
from forestay_events.errors import Conflict
from forestay_sol.streams.vim import CODEC, VimDeleted, VimEvent, VimStatusChanged

from forestay_vim_registry.domain.commands import DeleteVim, RegisterVim, ReportStatus, UpdateVim, VimCommand
from forestay_vim_registry.domain.refusals import in_use, not_found
from forestay_vim_registry.domain.state import Vim, evolve

Decided = Decision[VimEvent]


def decide(vim: Vim | None, command: VimCommand, ctx: Context) -> Decided:
    """:raises Rejected: the command is not possible now. :raises Conflict: it was made for an older state."""
    return _DECISIONS[type(command)](vim, command, ctx)


def owned(vim: Vim | None, project: str, vim_id: str) -> Vim:
    """The VIM, if the project may know of it. :raises Rejected: 404."""
    if vim is None or vim.deleted or vim.project != project:
        raise not_found(vim_id)
    return vim


def _register(vim: Vim | None, command: RegisterVim, ctx: Context) -> Decided:
    if vim is not None:
        return Decided([])
    new = command.vim
    command.project.admit("", new.name, new.is_default)
    return Decided([new], f"registered; {new.auth_url} accepted the credentials")


def _update(vim: Vim | None, command: UpdateVim, ctx: Context) -> Decided:
    vim = owned(vim, ctx.origin.project, "")
    # VNF instances keep no copy of a VIM: new credentials reach them at once, another project would lose them.
    if command.used_by is not None and command.update.vim_project is not None:
        raise in_use(vim.id, command.used_by)
    if vim.changed != command.basis:
        raise Conflict(f"VIM {vim.id} was changed by another request at the same time; try again.")
    update = command.update
    command.project.admit(vim.id, update.name, update.is_default)
    return Decided([update], "update requested")


def _delete(vim: Vim | None, command: DeleteVim, ctx: Context) -> Decided:
    vim = owned(vim, ctx.origin.project, "")
    if command.used_by is not None:
        raise in_use(vim.id, command.used_by)
    return Decided([VimDeleted()], "deletion requested")


def _report(vim: Vim | None, command: ReportStatus, ctx: Context) -> Decided:
    """A report about an older state, or about nothing new, leads to nothing."""
    if vim is None or vim.deleted or vim.changed != command.basis or vim.status == command.status:
        return Decided([])
    changed = VimStatusChanged(status=command.status, reason=command.reason)
    return Decided([changed], command.reason or "the VIM answers again")


_DECISIONS: Mapping[type[VimCommand], Callable[[Vim | None, Any, Context], Decided]] = {
    RegisterVim: _register,
    UpdateVim: _update,
    DeleteVim: _delete,
    ReportStatus: _report,
}

VIM: Definition[Vim, VimCommand, VimEvent] = Definition("VIM", "vim", CODEC, decide, evolve)
