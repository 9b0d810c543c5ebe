"""What can be asked of a VIM.

Commands are complete: credentials were tried, secrets sealed, and what a decision needs to know of other aggregates (the
project's other VIMs, the VNF instances) was looked up, under the lock that keeps it true (see :mod:`..registry`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from forestay_sol.streams.vim import VimRegistered, VimUpdated

from forestay_vim_registry.domain.refusals import duplicate_default, duplicate_name
from forestay_vim_registry.domain.state import VimStatus


@dataclass(frozen=True)
class Project:
    """What must be unique among the VIMs of a project: each name (with the id of who has it), and the default VIM."""

    names: dict[str, str]
    default: str | None = None

    def admit(self, vim_id: str, name: str | None, is_default: bool | None) -> Project:
        """The project with a VIM that has, or gets, this name and default flag; ``None`` is unchanged.

        :raises Rejected: 409, another VIM has the name, or is the default one.
        """
        if name is not None and self.names.get(name, vim_id) != vim_id:
            raise duplicate_name(name)
        if is_default and self.default not in (None, vim_id):
            raise duplicate_default(self.default or "")
        names = self.names if name is None else self.names | {name: vim_id}
        return replace(self, names=names, default=vim_id if is_default else self.default)


@dataclass(frozen=True)
class RegisterVim:
    """POST vims."""

    vim: VimRegistered
    project: Project


@dataclass(frozen=True)
class UpdateVim:
    """PUT vims/{id}; ``used_by`` is a VNF instance that lives on the VIM.

    :ivar basis: the ``changed`` of the state that the update was made for.
    """

    update: VimUpdated
    project: Project
    used_by: str | None
    basis: datetime


@dataclass(frozen=True)
class DeleteVim:
    """DELETE vims/{id}; ``used_by`` as above."""

    used_by: str | None


@dataclass(frozen=True)
class ReportStatus:
    """The watch looked at the VIM as it was at ``basis``."""

    status: VimStatus
    reason: str
    basis: datetime


VimCommand = RegisterVim | UpdateVim | DeleteVim | ReportStatus
