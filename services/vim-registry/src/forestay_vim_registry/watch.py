"""Looks at every VIM again and again, and records when it stops or starts to answer.

One process watches at a time: who holds an advisory lock of PostgreSQL, and with it the connection. Each round spreads its
looks over a part of the period. Two processes that both think they watch do no harm: a status that is known is not recorded.
"""

from __future__ import annotations

import asyncio
import random
import time
from uuid import uuid4

import structlog
from forestay_events.aggregate import Origin
from forestay_events.database import Connection, answering, own_connection
from forestay_events.errors import Conflict, ForestayError, Unavailable
from forestay_events.metrics import METRICS
from forestay_events.platform import Platform
from prometheus_client import Counter

from forestay_vim_registry.domain.commands import ReportStatus
from forestay_vim_registry.domain.login import SECRETS, Login
from forestay_vim_registry.domain.refusals import VimUnauthorized, VimUnreachable
from forestay_vim_registry.domain.state import Vim
from forestay_vim_registry.drivers import Drivers
from forestay_vim_registry.reads import Reads, Vims
from forestay_vim_registry.settings import VimSettings

log = structlog.get_logger(__name__)

CHECKS = Counter("forestay_vim_checks", "Looks at VIMs by what they found", ["status"], registry=METRICS.registry)

_ACTOR = "forestay:vim-watch"
_LOCK = "vim watch"
_PAGE = 500
_SPREAD = 0.5
_LEADER_PATIENCE = 5.0


class Watch:
    """Watches all VIMs of all projects.

    :param drivers: the watch's own, so that VIMs that hang do not hold up a registration.
    """

    def __init__(self, platform: Platform, vims: Vims, reads: Reads, drivers: Drivers, settings: VimSettings) -> None:
        self._platform = platform
        self._vims = vims
        self._reads = reads
        self._drivers = drivers
        self._period = settings.vim_check_period
        self._room = asyncio.Semaphore(settings.vim_check_concurrency)

    async def run(self) -> None:
        """Watch until cancelled, whenever no other process does."""
        while True:
            try:
                with answering():
                    async with own_connection(self._platform.config.database_url) as guard:
                        await self._lead(guard)
            except Unavailable as error:
                log.warning("watch.interrupted", reason=str(error))
            await asyncio.sleep(min(self._period, _LEADER_PATIENCE))

    async def _lead(self, guard: Connection) -> None:
        if not await guard.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", _LOCK):
            return
        while True:
            started = time.monotonic()
            await self.round()
            await asyncio.sleep(max(0.0, self._period - (time.monotonic() - started)))
            await guard.execute("SELECT 1")  # raises when the connection, and so the lock, is gone

    async def round(self) -> None:
        """Look once at each VIM. :raises Unavailable: PostgreSQL does not answer."""
        after = ""
        while page := await self._reads.after(after, _PAGE):
            async with asyncio.TaskGroup() as group:
                for vim in page:
                    group.create_task(self._look_later(vim))
            after = page[-1].id

    async def _look_later(self, vim: Vim) -> None:
        await asyncio.sleep(random.uniform(0, self._period * _SPREAD))  # noqa: S311 - spreads load
        async with self._room:
            try:
                await self._look(vim)
            except ForestayError as error:
                log.warning("watch.look_failed", vim=vim.id, reason=str(error))

    async def _look(self, vim: Vim) -> None:
        """:raises ForestayError: the VIM could not be looked at, or what was found not be recorded."""
        opened = await self._platform.vault.open_members(vim.id, {"auth_cred": vim.auth_cred}, SECRETS)
        login = Login(
            vim_type=vim.vim_type, auth_url=vim.auth_url, auth_cred=opened["auth_cred"], vim_project=vim.vim_project
        )
        try:
            await self._drivers[vim.vim_type].discover(login)
        except (VimUnreachable, VimUnauthorized) as error:
            report = ReportStatus("UNREACHABLE", str(error), vim.changed)
        else:
            report = ReportStatus("ACTIVE", "", vim.changed)
        CHECKS.labels(report.status).inc()
        if report.status != vim.status:
            await self._record(vim, report)

    async def _record(self, vim: Vim, report: ReportStatus) -> None:
        log.info("vim.status_changed", vim=vim.id, status=report.status, reason=report.reason)
        origin = Origin(command_id=str(uuid4()), project=vim.project, actor=_ACTOR)
        try:
            await self._vims.load(vim.id)
            await self._vims.execute(vim.id, report, origin)
        except Conflict:
            log.info("watch.too_late", vim=vim.id)
