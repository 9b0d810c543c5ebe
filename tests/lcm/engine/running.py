"""LCM as it runs, with a scripted VIM instead of a cloud: real log, real copy, real queue, real engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.blobs import Blob
from forestay_events.commit import Commit, EventCodec
from forestay_events.config import BaseConfig
from forestay_events.platform import Platform, open_platform
from forestay_lcm import app
from forestay_lcm.domain.commands import Handle, Instantiate, VnfCommand
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.plan import SCRIPTS
from forestay_lcm.domain.state import Operation, Vnf
from forestay_lcm.domain.vnf_snapshot import VNF_SNAPSHOT, SnapshotCommand, VnfSnapshot
from forestay_lcm.executor import Executor
from forestay_lcm.reads import Vnfs
from forestay_lcm.vnf_snapshots.reads import VnfSnapshots
from forestay_lcm.worker import StepWorker
from forestay_sol.service import Service, serving
from forestay_sol.streams import package, vim
from forestay_sol.vnfd import Checksum, Vnfd

from tests.lcm.samples import PROJECT, VNFD, create, instantiate, terminate

VIM_ID = "8a8ae2b5-8a4c-4ac5-9ad1-3b0d5d1fd5d9"
CREDENTIALS = {"username": "nfv_user", "password": "devstack", "user_domain_name": "Default"}


ENDED = ("COMPLETED", "FAILED", "ROLLED_BACK")


class Clock:
    """The time of day, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


async def append(platform: Platform, stream: str, kind: str, aggregate_id: str, codec: EventCodec[Any], *events: Any,
                 project: str = PROJECT) -> None:  # fmt: skip
    """Append events of another service as its next commit."""
    history = await platform.store.load(f"{stream.lower()}.{kind}.{aggregate_id}")
    last = history[-1] if history else None
    await platform.store.append(
        Commit(
            id=str(uuid4()), stream=stream, kind=kind, aggregate_id=aggregate_id, version=len(history) + 1,
            at=datetime.now(UTC), project=project, actor="tester", reason="", prev_hash=last.hash if last else "",
            events=codec.encode(events),
        ),
        after=last.seq if last else 0,
    )  # fmt: skip


async def onboard(
    platform: Platform, vnfd: Vnfd = VNFD, *, package_id: str = "", project: str = PROJECT, content: Blob | None = None
) -> str:
    """A package with this VNFD, as package-mgmt tells it; ``content`` is its CSAR, if that matters."""
    package_id = package_id or str(uuid4())
    events: list[package.PackageEvent] = [package.PackageCreated(), package.PackageOnboarded(vnfd=vnfd)]
    if content is not None:
        events[1:1] = [stored(content)]
    await append(platform, "PKG", "package", package_id, package.CODEC, *events, project=project)
    return package_id


def stored(blob: Blob) -> package.PackageContentStored:
    """That a CSAR has been received."""
    checksum = Checksum(algorithm="SHA-256", hash=blob.digest)
    return package.PackageContentStored(digest=blob.digest, size=blob.size, checksum=checksum)


async def register(
    platform: Platform,
    vim_id: str = VIM_ID,
    *,
    default: bool = True,
    project: str = PROJECT,
    kind: vim.VimType = "openstack",
) -> None:
    """A VIM, as vim-registry tells it."""
    sealed = await platform.vault.seal_members(vim_id, CREDENTIALS, path="/auth_cred")
    event = vim.VimRegistered(
        name="vim", vim_type=kind, auth_url="http://keystone.example:5000/v3", auth_cred=sealed,
        vim_project={"name": "nfv", "project_domain_name": "Default"}, is_default=default,
        placement_attr={"regions": ["RegionOne"]},
    )  # fmt: skip
    await append(platform, "VIM", "vim", vim_id, vim.CODEC, event, project=project)


@dataclass
class Lcm:
    """A running LCM, and what a test asks of it."""

    platform: Platform
    url: str
    vnfs: Vnfs

    @property
    def snapshots(self) -> VnfSnapshots:
        return Aggregates(self.platform.store, VNF_SNAPSHOT, self.platform.clock)

    async def create(self) -> str:
        vnf_id = str(uuid4())
        await self.ask(vnf_id, create())
        return vnf_id

    async def instantiate(self) -> str:
        """A new instance that is being instantiated; returns its id."""
        vnf_id = await self.create()
        await self.ask(vnf_id, registered(instantiate()))
        return vnf_id

    async def instantiated(self, *, within: float = 60) -> str:
        vnf_id = await self.instantiate()
        await self.until(vnf_id, "COMPLETED", within=within)
        return vnf_id

    async def terminate(self, vnf_id: str, kind: str = "FORCEFUL", **members: Any) -> None:
        await self.ask(vnf_id, terminate(kind, **members))

    async def ask(self, vnf_id: str, command: VnfCommand) -> Vnf:
        state = (await self.vnfs.execute(vnf_id, command, Origin(str(uuid4()), PROJECT, "tester"))).state
        assert state is not None
        return state

    async def snapshot(self, *commands: SnapshotCommand, snapshot_id: str = "") -> VnfSnapshot:
        """What a VNF snapshot, a new one unless ``snapshot_id`` names it, is behind these commands."""
        snapshot_id = snapshot_id or str(uuid4())
        for command in commands:
            await self.snapshots.execute(snapshot_id, command, Origin(str(uuid4()), PROJECT, "tester"))
        state = (await self.snapshots.load(snapshot_id)).state
        assert state is not None
        return state

    async def handle(self, vnf_id: str, how: Any) -> None:
        await self.ask(vnf_id, Handle((await self.operation(vnf_id)).id, how))

    async def operation(self, vnf_id: str) -> Operation:
        state = (await self.vnfs.load(vnf_id)).state
        assert state is not None
        assert state.operation is not None
        return state.operation

    async def until(self, vnf_id: str, state: str, *, within: float = 60) -> Operation:
        """Wait for a state of the latest operation."""
        end = time.monotonic() + within
        while (operation := await self.operation(vnf_id)).state != state:
            assert operation.state not in ENDED, f"ended {operation.state}: {operation.error}"
            assert time.monotonic() < end, f"still {operation.state} at {operation.current}: {operation.error}"
            await asyncio.sleep(0.01)
        return operation

    async def at(self, vnf_id: str, step: str, status: str = "INTENDED", *, within: float = 60) -> Operation:
        """Wait until a step is the present one."""
        end = time.monotonic() + within
        while True:
            operation = await self.operation(vnf_id)
            run = operation.current
            if run is not None and (run.step.name, run.status) == (step, status):
                return operation
            assert time.monotonic() < end, f"{operation.state} at {run}: {operation.error}"
            await asyncio.sleep(0.01)


def registered(command: Instantiate) -> Instantiate:
    """As it is recorded of a registered VIM: its id, and no secrets."""
    connections = {key: msgspec.structs.replace(info, access_info={}) for key, info in command.vim_connections.items()}
    return replace(command, vim_connections=connections)


def configuration(nats_url: str, dsn: str, data_dir: Path) -> BaseConfig:
    return BaseConfig(
        nats_url=nats_url, database_url=dsn, data_dir=data_dir, listen_port=0, default_project=PROJECT,
        public_endpoint="http://forestay.example:9890",
    )  # fmt: skip


@asynccontextmanager
async def running(
    config: BaseConfig,
    vim: Executor | None = None,
    *,
    workers: int = 1,
    without: Collection[str] = (),
    clock: Clock | None = None,
) -> AsyncGenerator[Lcm]:
    """Run the service ``lcm`` and workers on a VIM while the block runs, as processes with connections of their own would.

    :param vim: does the steps of scripts too.

    :param without: names of background jobs that do not run.
    """
    async with open_platform(config, "lcm") as opened:
        platform = replace(opened, clock=clock or opened.clock)
        service = await app.build(platform)
        background = {name: job for name, job in service.background.items() if name not in without}
        services = [replace(service, background=background)]
        for number in range(workers if vim else 0):
            assert vim is not None
            vnfs = Aggregates(platform.store, VNF, platform.clock)
            for executor in ("openstack", SCRIPTS):
                worker = StepWorker(platform, vnfs, executor, vim)
                services.append(Service(name=f"{executor}-{number}", background={"work": worker.run}))
        async with serving(platform, services, "lcm") as url:
            yield Lcm(platform, url, Aggregates(platform.store, VNF, platform.clock))
