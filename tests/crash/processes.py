"""Forestay as real processes that a test can kill, pause and restart one by one.

Every process is a child of the test, found by its own pid and never by its name; the kernel ends it if the test dies. Each
writes a log file, and each has a directory of its own for failpoints (:mod:`forestay_events.failpoints`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp
from forestay_events.failpoints import DIRECTORY
from forestay_standalone.embedded import EmbeddedNats, EmbeddedPostgres
from forestay_standalone.embedded.privileges import ends_with_us

from tests.crash.simulator import Simulator

Victim = Literal["api", "worker", "scripts", "nats", "postgres"]
ALL: tuple[Victim, ...] = ("api", "worker", "nats", "postgres")
_SERVICES: tuple[Victim, ...] = ("api", "worker", "scripts")


async def until(condition: Callable[[], bool], what: str, patience: float = 60.0) -> None:
    """Look until ``condition`` holds. :raises AssertionError: it does not, within ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience:.0f} s: {what}"
        await asyncio.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """One ``python -m MODULE`` that serves HTTP on ``port``.

    :param command: module and arguments.
    :param environment: its ``FORESTAY_*`` variables besides the port and the failpoints.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path) -> None:
        self.name = name
        self.port = free_port()
        self.log_file = directory / f"{name}.log"
        self._failpoints = directory / f"{name}.failpoints"
        self._failpoints.mkdir(exist_ok=True)
        self._command = [*ends_with_us(signal.SIGKILL), sys.executable, "-m", *command]
        own = {"FORESTAY_LISTEN_PORT": str(self.port), DIRECTORY: str(self._failpoints)}
        self._environment = os.environ | environment | own
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def was_started(self) -> bool:
        """Be it alive or dead now."""
        return self._process is not None

    def start(self) -> None:
        assert not self.alive, f"{self.name} runs already"
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )

    async def ready(self, patience: float = 60.0) -> None:
        """Wait until ``/health/ready`` says so."""
        deadline = time.monotonic() + patience
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            while True:
                assert self.alive, f"{self.name} has ended by itself, see its log"
                try:
                    async with session.get(f"{self.url}/health/ready") as response:
                        if response.status == 200:
                            return
                except (aiohttp.ClientError, TimeoutError):
                    pass
                assert time.monotonic() < deadline, f"{self.name} is not ready after {patience:.0f} s"
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, whether it runs or is stopped."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    @property
    def held(self) -> bool:
        """Stopped, by a failpoint or by :meth:`pause`."""
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def arm(self, failpoint: str) -> None:
        """The process will stop itself when it next comes to this failpoint."""
        (self._failpoints / failpoint).touch()

    def disarm(self) -> None:
        for failpoint in self._failpoints.iterdir():
            failpoint.unlink(missing_ok=True)

    def threads_and_memory(self) -> tuple[int, int]:
        """Number of threads, and resident memory in KiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        values = dict(line.split(":", 1) for line in lines)
        return int(values["Threads"]), int(values["VmRSS"].split()[0])


async def first_held(workers: Sequence[Process], failpoint: str, begun: Awaitable[str]) -> tuple[Process, str]:
    """The worker that comes to a failpoint first in an operation that is begun now, and the operation; the others may pass."""
    for worker in workers:
        worker.arm(failpoint)
    op_id = await begun
    await until(lambda: any(worker.held for worker in workers), f"{failpoint} is reached")
    for worker in workers:
        worker.disarm()
    return next(worker for worker in workers if worker.held), op_id


@dataclass
class Site:
    """A whole Forestay with the cloud that it manages."""

    directory: Path
    nats: EmbeddedNats
    postgres: EmbeddedPostgres
    simulator: Simulator
    packages: Process
    api: Process
    worker: Process
    scripts: Process
    """The worker for scripts of packages, which runs from the first test on that is about scripts."""
    rival: Process
    """A second worker, which only those tests start that are about two."""
    scripts_rival: Process
    """A second worker for scripts."""

    @property
    def services(self) -> tuple[Process, ...]:
        return (self.packages, self.api, self.worker, self.scripts, self.rival, self.scripts_rival)

    @property
    def expected(self) -> tuple[Process, ...]:
        """What runs unless a test has just killed it."""
        return (self.packages, self.api, self.worker, *([self.scripts] if self.scripts.was_started else []))

    async def kill(self, *victims: Victim) -> None:
        """``kill -9``, all as close together as can be."""
        for victim in victims:
            if victim in _SERVICES:
                getattr(self, victim).kill()
        await asyncio.gather(*(getattr(self, victim).kill() for victim in victims if victim in ("nats", "postgres")))

    async def restart(self, *victims: Victim) -> None:
        """Start what was killed, the servers first; returns when the servers serve and the processes were started."""
        await asyncio.gather(*(getattr(self, victim).start() for victim in victims if victim in ("nats", "postgres")))
        for victim in victims:
            if victim in _SERVICES:
                getattr(self, victim).start()

    async def healthy(self) -> None:
        """Everything runs that should, with no failpoint armed."""
        for process in self.expected:
            process.disarm()
            await process.ready()

    def log_positions(self) -> dict[Path, int]:
        files = (process.log_file for process in self.services)
        return {file: file.stat().st_size for file in files if file.exists()}


@asynccontextmanager
async def site(directory: Path) -> AsyncGenerator[Site]:
    """Start everything, and end exactly what was started."""
    async with (
        EmbeddedNats(directory, durable=True) as nats,
        EmbeddedPostgres(directory, durable=True) as postgres,
        Simulator.started(directory) as simulator,
    ):
        environment = {
            "FORESTAY_NATS_URL": nats.url,
            "FORESTAY_DATABASE_URL": postgres.dsn,
            "FORESTAY_DATA_DIR": str(directory),
            "FORESTAY_LOG_LEVEL": "info",
            "FORESTAY_LOG_FORMAT": "json",
        }

        def process(name: str, *command: str) -> Process:
            return Process(name, command, environment, directory)

        made = Site(
            directory=directory,
            nats=nats,
            postgres=postgres,
            simulator=simulator,
            packages=process("package-mgmt", "forestay_package_mgmt"),
            api=process("lcm", "forestay_lcm"),
            worker=process("openstack-worker", "forestay_lcm", "openstack-worker"),
            scripts=process("scripts-worker", "forestay_lcm", "scripts-worker"),
            rival=process("rival", "forestay_lcm", "openstack-worker"),
            scripts_rival=process("scripts-rival", "forestay_lcm", "scripts-worker"),
        )
        try:
            made.packages.start()
            made.api.start()
            made.worker.start()
            await made.healthy()
            yield made
        finally:
            for service in made.services:
                service.kill()
