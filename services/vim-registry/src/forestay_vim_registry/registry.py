"""Registers, updates and deletes VIMs: what has to happen around a decision, in which order.

A name, and the flag of the default VIM, are unique in a project, which spans aggregates. So a decision about a project's VIMs
is made under a lock on the project: an advisory lock in PostgreSQL, taken in a transaction, thus free again when its holder
dies. Under the lock, what is unique is read from the read model behind the *head* of stream VIM; no other replica appends to
the project's VIMs before the lock is free. Nothing is reserved anywhere, so nothing has to be released after a crash.

The order keeps a refusal without trace: first everything that can be refused (the credentials, tried before the lock because
a VIM may be slow; then uniqueness and use), then the data key and the sealed secrets, then the event. Deletion is the other
way round: first the event, then the data key; :mod:`.shredder` repeats the latter if a crash comes between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import structlog
from forestay_events.database import Connection, answering
from forestay_events.errors import Unavailable
from forestay_events.platform import Platform
from forestay_sol.caller import Caller
from forestay_sol.streams.vim import VimRegistered, VimType, VimUpdated

from forestay_vim_registry.domain.commands import DeleteVim, RegisterVim, UpdateVim, VimCommand
from forestay_vim_registry.domain.login import SECRETS, Json, Login, bounded, checked, endpoint, merged, replaced
from forestay_vim_registry.domain.state import Vim
from forestay_vim_registry.drivers import Drivers
from forestay_vim_registry.reads import Reads, Vims

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class NewVim:
    """What a client gives to register a VIM; secrets in the clear."""

    name: str
    vim_type: VimType
    auth_url: str
    auth_cred: Json
    vim_project: Json
    description: str = ""
    is_default: bool = False
    extra: Json

    def login(self) -> Login:
        """:raises Rejected: 400, the credentials are incomplete or the address cannot be used; 413."""
        bounded(asdict(self))
        return Login(
            vim_type=self.vim_type,
            auth_url=endpoint(self.vim_type, self.auth_url),
            auth_cred=checked(self.vim_type, self.auth_cred),
            vim_project=self.vim_project,
        )


@dataclass(frozen=True, kw_only=True)
class VimChange:
    """What a client gives to update a VIM; ``None`` is unchanged, objects are merged."""

    name: str | None
    description: str | None
    is_default: bool | None
    auth_cred: Json | None
    vim_project: Json | None
    extra: Json | None


class Registry:
    """The registry as the API uses it.

    Every method raises ``Unavailable`` when the log or PostgreSQL does not answer.
    """

    def __init__(self, platform: Platform, vims: Vims, reads: Reads, drivers: Drivers) -> None:
        self._platform = platform
        self._vims = vims
        self._reads = reads
        self._drivers = drivers
        # Waiting here, not at the lock, so that a crowd of requests does not take all connections of the pool.
        self._turn = asyncio.Lock()

    async def register(self, caller: Caller, batch: Sequence[NewVim]) -> list[Vim]:
        """Register VIMs: all or, when one is refused, none.

        :raises Rejected: 400, 401, 409; see :mod:`.domain.refusals`.
        :raises VimUnreachable: a VIM cannot be talked to.
        """
        logins = [new.login() for new in batch]
        regions = await asyncio.gather(*map(self._regions, logins))
        async with self._exclusive(caller.project) as connection:
            project = await self._reads.project(connection, caller.project)
            commands: dict[str, RegisterVim] = {}
            for number, (new, login, found) in enumerate(zip(batch, logins, regions, strict=True)):
                vim_id = caller.new_id(f"vim {number}")
                commands[vim_id] = RegisterVim(_registered(new, login, found), project)
                project = project.admit(vim_id, new.name, new.is_default)
            return [await self._append_new(caller, vim_id, command) for vim_id, command in commands.items()]

    async def update(self, caller: Caller, vim_id: str, change: VimChange) -> Vim:
        """Update a VIM; new credentials, or a new project, are tried first.

        :raises Rejected: as ``register``, 404, and 409 while a VNF instance lives on it.
        :raises VimUnreachable: the VIM cannot be talked to.
        """
        vim = await self._reads.vim(caller.project, vim_id)
        members = bounded(await self._tried(vim, change))
        sealed = await self._platform.vault.seal_members(vim.id, members, SECRETS)
        async with self._exclusive(caller.project) as connection:
            project = await self._reads.project(connection, caller.project)
            used_by = await self._reads.user_of(connection, caller.project, vim_id)
            command = UpdateVim(VimUpdated(**sealed), project, used_by, vim.changed)
            return await self._execute(caller, vim_id, command)

    async def delete(self, caller: Caller, vim_id: str) -> None:
        """Delete a VIM and destroy its secrets. :raises Rejected: 404, and 409 while a VNF instance lives on it."""
        await self._reads.vim(caller.project, vim_id)
        async with self._exclusive(caller.project) as connection:
            used_by = await self._reads.user_of(connection, caller.project, vim_id)
            await self._execute(caller, vim_id, DeleteVim(used_by))
        try:
            await self._platform.vault.shred(vim_id)
        except Unavailable as error:
            log.warning("vim.shredding_postponed", vim=vim_id, reason=str(error))

    @asynccontextmanager
    async def _exclusive(self, project: str) -> AsyncGenerator[Connection]:
        """The only one, of all processes, who decides about a project's VIMs."""
        async with self._turn:
            with answering():
                async with self._platform.pool.acquire() as connection, connection.transaction():
                    await connection.execute(
                        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"vim registry {project}"
                    )
                    yield connection

    async def _regions(self, login: Login) -> list[str]:
        return await self._drivers[login.vim_type].discover(login)

    async def _append_new(self, caller: Caller, vim_id: str, command: RegisterVim) -> Vim:
        sealed = await self._platform.vault.seal_members(vim_id, _open_members(command.vim), SECRETS)
        registered = msgspec.structs.replace(command.vim, **sealed)
        return await self._execute(caller, vim_id, RegisterVim(registered, command.project))

    async def _tried(self, vim: Vim, change: VimChange) -> dict[str, Any]:
        """The members that change, merged and in the clear, once the VIM has accepted those it has to accept."""
        given = {name: value for name, value in asdict(change).items() if value is not None}
        if not given.keys() & {"auth_cred", "vim_project", "extra"}:
            return given
        present = await self._platform.vault.open_members(vim.id, _open_members(vim), SECRETS)
        members = given | {
            name: merged(present[name], given[name]) for name in ("vim_project", "extra") if name in given
        }
        if "auth_cred" in given:
            members["auth_cred"] = replaced(vim.vim_type, present["auth_cred"], given["auth_cred"])
        if given.keys() & {"auth_cred", "vim_project"}:
            tried = present | members
            login = Login(
                vim_type=vim.vim_type,
                auth_url=vim.auth_url,
                auth_cred=tried["auth_cred"],
                vim_project=tried["vim_project"],
            )
            members["placement_attr"] = {"regions": await self._regions(login)}
        return members

    async def _execute(self, caller: Caller, vim_id: str, command: VimCommand) -> Vim:
        # Another replica may have written the VIM since this one last saw it.
        await self._vims.load(vim_id)
        loaded = await self._vims.execute(vim_id, command, caller.origin())
        assert loaded.state is not None, "the command has made it, or found it"  # noqa: S101
        return loaded.state


def _registered(new: NewVim, login: Login, regions: list[str]) -> VimRegistered:
    return VimRegistered(
        name=new.name,
        vim_type=new.vim_type,
        auth_url=login.auth_url,
        auth_cred=new.auth_cred,
        vim_project=new.vim_project,
        description=new.description,
        is_default=new.is_default,
        placement_attr={"regions": regions},
        extra=new.extra,
    )


def _open_members(vim: Vim | VimRegistered) -> dict[str, Json]:
    """The members that users fill freely, thus where secrets are, by the pointers under which they are sealed."""
    return {"auth_cred": vim.auth_cred, "vim_project": vim.vim_project, "extra": vim.extra}
