"""One server process on one directory: start, stop, kill, and take over what a killed Forestay left behind.

* A lock on the directory says who owns it. It goes with the process that holds it, so it is never stale.
* Whoever holds the lock may end a server that still runs there, if its command line names this directory.
* Every failure is an :class:`EmbeddedServerFailed` whose text is one sentence for the operator.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self

from forestay_events.errors import Permanent

from forestay_standalone.embedded.lock import DirectoryInUse, lock

POLL = 0.005
LOG_LIMIT = 8 * 1024 * 1024


class EmbeddedServerFailed(Permanent):
    """An embedded server cannot be started; the message says why and what to do."""


class _StartRefused(Exception):
    """The server ended while it was starting; the text is what it wrote."""


class EmbeddedServer(ABC):
    """A server that runs as our child, on files in a directory of its own.

    It ends when the context ends, and when this process dies. ``start``, ``stop``, ``kill`` and ``restart`` may be
    called in any order; the address of the server stays the same between a ``kill`` and the next ``start``.

    :param directory: holds all of the server's files; made if it is not there.
    """

    title: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    start_timeout: ClassVar[float] = 60.0
    stop_timeout: ClassVar[float] = 20.0

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.log_file = self.directory / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    @abstractmethod
    async def _prepare(self) -> None:
        """Make the files that the server needs. The lock is held and nothing runs here."""

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line. It names :attr:`_marker` as one of its words."""

    @property
    @abstractmethod
    def _pid_file(self) -> Path:
        """The file in which the server itself writes its process id, on the first line."""

    @property
    @abstractmethod
    def _marker(self) -> Path:
        """The path on the command line that proves a process to be ours."""

    @abstractmethod
    async def _is_ready(self, pid: int) -> bool:
        """Whether the server accepts clients."""

    @abstractmethod
    def _explain(self, output: str) -> str | None:
        """The sentence for what the server wrote before it ended; ``None`` if starting it again is the answer."""

    def _forget(self) -> None:  # noqa: B027 - most servers have nothing outside their directory
        """Remove what lies outside the directory."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the running server."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self) -> None:
        """Start the server and return when it accepts clients.

        :raises EmbeddedServerFailed: the directory is in use, damaged or not writable, a port is taken, a program is
            missing, or the server did not come up.
        """
        if self.pid is not None:
            return
        try:
            self._take_lock()
            await self._end_leftover()
            await self._prepare()
            await self._launch()
        except OSError as error:
            await self._give_up()
            raise EmbeddedServerFailed(
                f"{self.title} cannot use the directory {self.directory}: {error.strerror or error}"
                f"{f' ({error.filename})' if error.filename else ''}."
            ) from error
        except BaseException:
            await self._give_up()
            raise

    async def stop(self) -> None:
        """End the server cleanly and give the directory free. Does nothing if it does not run."""
        await self._end()
        self._forget()
        self._release_lock()

    async def kill(self) -> None:
        """End the server as a power switch would (SIGKILL). The directory stays ours."""
        if self._process is not None:
            self._process.kill()
            await self._ended(self.stop_timeout)

    async def restart(self) -> None:
        """Start the server again at the same address: cleanly if it runs, and also after a :meth:`kill`."""
        await self._end()
        await self.start()

    async def wait(self) -> int:
        """Return the exit status when the server ends by itself or by somebody else's hand; for a supervisor."""
        process = self._process
        if process is None:
            raise EmbeddedServerFailed(f"{self.title} was not started.")
        while not await _until(lambda: process.poll() is not None, within=60.0):
            pass
        return process.returncode

    async def _end(self) -> None:
        if self._process is not None and self.pid is not None:
            self._process.send_signal(self.stop_signal)
            if not await self._ended(self.stop_timeout):
                await self.kill()
        self._process = None

    async def _give_up(self) -> None:
        await self.kill()
        self._process = None
        self._forget()
        self._release_lock()

    async def _ended(self, within: float) -> bool:
        process = self._process
        return process is None or await _until(lambda: process.poll() is not None, within)

    def _take_lock(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._lock is not None:
            return
        try:
            self._lock = lock(self.directory)
        except DirectoryInUse as error:
            raise EmbeddedServerFailed(str(error)) from error

    def _release_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _end_leftover(self) -> None:
        """End the server of a Forestay that was killed, then drop its pid file: the number may be another's by now."""
        try:
            pid = int(self._pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, NotADirectoryError, ValueError):
            pid = 0
        for how in (self.stop_signal, signal.SIGKILL):
            if not self._is_ours(pid):
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
            await _until(lambda: not self._is_ours(pid), self.stop_timeout)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._pid_file.unlink()

    def _is_ours(self, pid: int) -> bool:
        return pid > 0 and str(self._marker) in _command_line(pid)

    async def _launch(self) -> None:
        deadline = time.monotonic() + self.start_timeout
        while True:
            try:
                await self._run_until_ready(deadline)
            except _StartRefused as refusal:
                sentence = self._explain(str(refusal))
                if sentence is not None or time.monotonic() > deadline:
                    last = (str(refusal).strip().splitlines() or ["it wrote nothing"])[-1]
                    raise EmbeddedServerFailed(sentence or f"{self.title} did not start: {last}") from None
                await asyncio.sleep(0.1)
            else:
                return

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in the terminal is for Forestay, which then ends its servers in order.
        return subprocess.Popen(
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            env=_environment(),
        )

    async def _run_until_ready(self, deadline: float) -> None:
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_LIMIT:
            self.log_file.rename(self.log_file.with_suffix(".log.1"))
        with self.log_file.open("ab") as log:
            written = log.tell()
            self._process = process = self._spawn(log)
        while not await self._is_ready(process.pid):
            if process.poll() is not None:
                raise _StartRefused(self.log_file.read_bytes()[written:].decode(errors="replace"))
            if time.monotonic() > deadline:
                raise EmbeddedServerFailed(
                    f"{self.title} was not ready after {self.start_timeout:.0f} seconds; its log is {self.log_file}."
                )
            await asyncio.sleep(POLL)


async def _until(condition: Callable[[], bool], within: float) -> bool:
    """Look until ``condition`` holds or ``within`` seconds are over; seldom when it takes long."""
    begin = now = time.monotonic()
    while not condition():
        if now - begin > within:
            return False
        await asyncio.sleep(min(max(POLL, (now - begin) / 20), 0.1))
        now = time.monotonic()
    return True


def _environment() -> dict[str, str]:
    """Ours without PostgreSQL's variables: a PGPORT of the user must not move our server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _command_line(pid: int) -> list[str]:
    """The words of a process's command line; none if it is gone, or only waits for its parent to look at it."""
    try:
        if Path("/proc/self/cmdline").exists():
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        listing = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False, text=True)
        return listing.stdout.split()
    except OSError:
        return []
