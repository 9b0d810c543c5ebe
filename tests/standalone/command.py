"""The ``forestay`` command as a real process, and what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from forestay_standalone.embedded.privileges import ends_with_us
from forestay_standalone.rest import RestApi

PROGRAM = (sys.executable, "-m", "forestay_standalone.cli")
# Nothing may depend on the directory in which somebody happens to stand.
ELSEWHERE = "/"
SERVERS = ("nats-server", "initdb", "postgres")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line on standard error of a command that failed as it should."""
        assert self.status == 1, self
        assert len(self.err.splitlines()) == 1, self.err
        assert self.err.startswith("forestay: "), self.err
        return self.err.removeprefix("forestay: ").strip()


async def forestay(
    *arguments: str | Path,
    prefix: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    patience: float = 60.0,
) -> Ended:
    """Run a command to its end."""
    async with started(*arguments, prefix=prefix, environment=environment) as running:
        return await running.ended(patience=patience)


class Running:
    """A ``forestay`` command that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        """Where ``up`` says that it answers."""
        [line] = [line for line in self.lines if "ready at" in line]
        return line.split("ready at ")[1].split()[0]

    async def says(self, text: str, *, patience: float = 60.0) -> str:
        """The first line, from here on, with ``text`` in it."""
        assert self._process.stdout is not None
        async with asyncio.timeout(patience):
            while line := (await self._process.stdout.readline()).decode():
                self.lines.append(line)
                if text in line:
                    return line
        raise AssertionError(f"ended without a word about {text!r}: {(await self.ended()).err}")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self, *, patience: float = 60.0) -> Ended:
        """Wait until it ends. :raises TimeoutError: it does not."""
        async with asyncio.timeout(patience):
            out, err = await self._process.communicate()
        status = self._process.returncode
        assert status is not None
        return Ended(status, "".join(self.lines) + out.decode(), err.decode())

    async def stop(self, number: signal.Signals = signal.SIGTERM, *, patience: float = 60.0) -> Ended:
        self.send(number)
        return await self.ended(patience=patience)


@asynccontextmanager
async def started(
    *arguments: str | Path, prefix: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> AsyncGenerator[Running]:
    """A command that runs while the block runs; it is killed at the end if it has not ended before."""
    process = await asyncio.create_subprocess_exec(
        *prefix, *ends_with_us(signal.SIGKILL), *PROGRAM, *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ELSEWHERE,
        env=os.environ | (environment or {}),
    )  # fmt: skip
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@asynccontextmanager
async def up(data_dir: Path, *arguments: str | Path, prefix: Sequence[str] = ()) -> AsyncGenerator[Running]:
    """``forestay up`` on a free port, ready."""
    async with started("up", "--data-dir", data_dir, "--port", "0", *arguments, prefix=prefix) as running:
        await running.says("Ctrl-C stops it")
        yield running


@asynccontextmanager
async def client(url: str) -> AsyncGenerator[RestApi]:
    async with aiohttp.ClientSession(url, headers={"Version": "2.0.0"}) as session:
        yield RestApi(session)


def servers_of(data_dir: Path) -> dict[str, int]:
    """Process ids of the embedded servers that run on a data directory, by name, as the system's process list has them."""
    found: dict[int, tuple[str, int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        name = Path(words[0]).name
        if name in SERVERS and any(word.startswith(f"{data_dir.resolve()}/") for word in words):
            found[int(process.name)] = (name, parent)
    # A process that PostgreSQL has just made looks like itself until it has given itself a name.
    return {name: pid for pid, (name, parent) in found.items() if parent not in found}


async def until(condition: Callable[[], bool], what: str, patience: float = 60.0) -> None:
    """Look until ``condition`` holds. :raises AssertionError: it does not, within ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience:.0f} s: {what}"
        await asyncio.sleep(0.02)


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
