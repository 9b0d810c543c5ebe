"""A worker is killed (-9) at each step of a stack's create, update and delete: another one finishes, and there is one stack.

Everything runs as processes of its own, with the real OpenStack as VIM.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from forestay_standalone.embedded import EmbeddedNats, EmbeddedPostgres
from forestay_standalone.rest import RestApi

from tests.crash.processes import Process, until
from tests.flow.clouds import RealCloud
from tests.flow.life import SCALE_OUT, Life, another, package
from tests.flow.scenario import GROUP, start
from tests.flow.scenarios.access import connection

Json = dict[str, Any]

pytestmark = [pytest.mark.openstack, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

CREATE = (
    "create-stack.before",  # behind the intent
    "create-stack.fenced",  # about to call Heat
    "create-stack.done",  # Heat has acted, nobody knows
    "create-stack.reported",  # confirmed, work not acknowledged
    "await-stack.done",
    "read-back.before",
    "read-back.done",
)
UPDATE = (
    "update-stack.before",
    "update-stack.fenced",
    "update-stack.done",
    "update-stack.reported",
    "await-update.done",
    "read-back.done",
)
DELETE = (
    "delete-stack.before",
    "delete-stack.fenced",
    "delete-stack.done",
    "delete-stack.reported",
    "await-deleted.done",
)


@dataclass
class Workers:
    """Two, of which one runs."""

    runs: Process
    rests: Process

    async def relieved_at(self, failpoint: str, patience: float) -> None:
        """The worker comes to the failpoint and is killed there; the other one takes over."""
        await until(lambda: self.runs.held, f"{failpoint} is reached", patience)
        self.runs.kill()
        self.rests.start()
        self.runs, self.rests = self.rests, self.runs


@dataclass
class Site:
    """The running services.

    :ivar vnfd_id: of a package that is onboarded.
    """

    lcm: RestApi
    workers: Workers
    vnfd_id: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(real: RealCloud) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        name = stack.enter_context(TemporaryDirectory(prefix="forestay-kill-", ignore_cleanup_errors=True))
        directory = Path(name)
        nats = await stack.enter_async_context(EmbeddedNats(directory, durable=False))
        postgres = await stack.enter_async_context(EmbeddedPostgres(directory, durable=False))
        environment = {
            "FORESTAY_NATS_URL": nats.url,
            "FORESTAY_DATABASE_URL": postgres.dsn,
            "FORESTAY_DATA_DIR": name,
        }

        def process(name: str, *command: str) -> Process:
            made = Process(name, command, environment, directory)
            stack.callback(made.kill)
            return made

        async def api(of: Process) -> RestApi:
            of.start()
            await of.ready()
            session = aiohttp.ClientSession(of.url, headers={"Version": "2.0.0"})
            return RestApi(await stack.enter_async_context(session))

        packages, lcm = (
            await api(process("packages", "forestay_package_mgmt")),
            await api(process("lcm", "forestay_lcm")),
        )
        one, other = (process(each, "forestay_lcm", "openstack-worker") for each in ("one", "other"))
        one.start()
        await one.ready()
        yield Site(lcm, Workers(one, other), await package(packages, directory, GROUP))


@pytest.mark.parametrize(
    "instants", list(zip_longest(CREATE, UPDATE, DELETE)), ids=lambda instants: "+".join(filter(None, instants))
)
async def test_another_worker_finishes(site: Site, real: RealCloud, instants: tuple[str | None, ...]) -> None:
    before = await real.leftovers()
    vim = {"vimConnectionInfo": {"vim": connection(real, dict(real.connection.access_info or {}))}}
    life = await another(site.lcm, real, site.vnfd_id, GROUP)
    tasks = (
        ("instantiate", life.request | vim),
        ("scale", SCALE_OUT),
        ("terminate", {"terminationType": "FORCEFUL"}),
    )
    for failpoint, (task, body) in zip(instants, tasks, strict=True):
        if failpoint:
            site.workers.runs.arm(failpoint)
        operation = await start(site.lcm, life.uri, task, body)
        if failpoint:
            await site.workers.relieved_at(failpoint, real.patience)
        await site.lcm.until(operation, "operationState", {"COMPLETED"}, {"FAILED_TEMP"}, patience=real.patience)
        assert len(await stacks_ever(life)) == 1
        if task == "scale":
            assert len(await life.servers()) == 2
    await life.gone()
    assert await real.leftovers() == before


async def stacks_ever(life: Life) -> list[Json]:
    """The stacks of the VNF, those that are deleted among them."""
    query = f"/stacks?name=vnf-{life.uri.rpartition('/')[2]}&show_deleted=True"
    return (await life.cloud.resources(("orchestration", query, "stacks")))[0]
