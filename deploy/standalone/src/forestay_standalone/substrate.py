"""The servers that Forestay stands on: embedded ones in a data directory, or those that the operator names.

Whoever holds the lock of the data directory runs Forestay on it, or works on its log. Meanwhile ``DATA_DIR/servers.json``
(0600) tells the other ``forestay`` commands where the servers are. An embedded server that somebody ends is started again.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
import structlog
from forestay_events.config import BaseConfig, load
from forestay_events.errors import Permanent
from forestay_sol.background import background

from forestay_standalone.embedded import EmbeddedNats, EmbeddedPostgres
from forestay_standalone.embedded.lock import DirectoryInUse, lock
from forestay_standalone.embedded.server import EmbeddedServer, EmbeddedServerFailed

log = structlog.get_logger(__name__)

LogLevel = Literal["debug", "info", "warning", "error"]

#: A server that ends so often within a minute is not started again.
ENDS_PER_MINUTE = 5
_START_PATIENCE = 20.0


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where the servers of a data directory are."""

    nats_url: str
    database_url: str


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a command was told. ``nats_url`` and ``database_url`` replace the embedded servers; port 0 is a free one."""

    data_dir: Path
    nats_url: str | None = None
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 9890
    public_endpoint: str = ""
    allow_unauthenticated: bool = False
    log_level: LogLevel = "warning"


@asynccontextmanager
async def substrate(options: Options) -> AsyncGenerator[BaseConfig]:
    """Start the servers that are not given and say where all of them are.

    :raises DirectoryInUse: another Forestay runs on the data directory.
    :raises Permanent: one sentence: what is in the way and what to do.
    """
    async with AsyncExitStack() as stack:
        data_dir = _usable(options.data_dir)
        stack.callback(os.close, lock(data_dir))
        note = data_dir / "servers.json"
        note.unlink(missing_ok=True)
        nats = None if options.nats_url else EmbeddedNats(data_dir)
        postgres = None if options.database_url else EmbeddedPostgres(data_dir)
        servers: list[EmbeddedServer] = [server for server in (nats, postgres) if server is not None]
        for server in servers:
            await stack.enter_async_context(server)
        addresses = Addresses(
            nats_url=nats.url if nats else options.nats_url or "",
            database_url=postgres.dsn if postgres else options.database_url or "",
        )
        stack.callback(note.unlink, missing_ok=True)
        _write_private(note, addresses)
        await stack.enter_async_context(background({each.title: partial(keep_running, each) for each in servers}))
        yield _config(options, data_dir, addresses)


@asynccontextmanager
async def running_or_started(options: Options) -> AsyncGenerator[BaseConfig]:
    """The servers of a Forestay that runs on the data directory, else servers started for this command."""
    require_existing(options)
    async with AsyncExitStack() as stack:
        try:
            config = await stack.enter_async_context(substrate(options))
        except DirectoryInUse:
            data_dir = options.data_dir.resolve()
            config = _config(options, data_dir, await _noted(data_dir / "servers.json"))
        yield config


def require_existing(options: Options) -> None:
    """:raises Permanent: there is no data directory, so a command would look at a Forestay that never ran."""
    if not options.data_dir.is_dir():
        raise Permanent(f"{options.data_dir} does not exist: no Forestay has run there. Name its --data-dir.")


async def keep_running(server: EmbeddedServer) -> None:
    """Start a server again, at the same address, whenever it ends though nobody here has stopped it.

    :raises EmbeddedServerFailed: it cannot be started again, or does not stay.
    """
    ends: deque[float] = deque(maxlen=ENDS_PER_MINUTE)
    while True:
        status = await server.wait()
        ends.append(time.monotonic())
        if len(ends) == ENDS_PER_MINUTE and ends[-1] - ends[0] < 60:
            raise EmbeddedServerFailed(
                f"{server.title} has ended {ENDS_PER_MINUTE} times within a minute; its log is {server.log_file}."
            )
        log.warning("server.ended", server=server.title, status=status, next="it is started again")
        await server.restart()


async def _noted(note: Path) -> Addresses:
    """What a Forestay that runs, or is just starting, has written."""
    deadline = time.monotonic() + _START_PATIENCE
    while True:
        try:
            return _addresses(note)
        except FileNotFoundError as error:
            if time.monotonic() > deadline:
                raise Permanent("The Forestay on this data directory does not come up; see what it says.") from error
        except OSError as error:
            raise Permanent(
                f"{note} cannot be read: {error.strerror}. Run this as the user who runs Forestay."
            ) from error
        await asyncio.sleep(0.1)


def _addresses(note: Path) -> Addresses:
    return msgspec.json.decode(note.read_bytes(), type=Addresses)


def _config(options: Options, data_dir: Path, addresses: Addresses) -> BaseConfig:
    """What the options say; whose requests these are and how long a page is, the environment does."""
    where = {
        "FORESTAY_NATS_URL": addresses.nats_url,
        "FORESTAY_DATABASE_URL": addresses.database_url,
        "FORESTAY_DATA_DIR": str(data_dir),
    }
    told = load(BaseConfig, {**os.environ, **where})
    return BaseConfig(
        nats_url=addresses.nats_url,
        database_url=addresses.database_url,
        data_dir=data_dir,
        default_project=told.default_project,
        page_size=told.page_size,
        listen_host=options.host,
        listen_port=options.port or _free_port(),
        public_endpoint=options.public_endpoint,
        allow_unauthenticated=options.allow_unauthenticated,
        log_level=options.log_level,
    )


def _free_port() -> int:
    """A port for links to name before anybody listens on it; that it is taken meanwhile is said when it is."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _usable(data_dir: Path) -> Path:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=stat.S_IRWXU)
        probe = data_dir / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise Permanent(
            f"The data directory {data_dir} cannot be used: {error.strerror}. Choose another --data-dir."
        ) from error
    return data_dir.resolve()


def _write_private(path: Path, content: Addresses) -> None:
    temporary = path.with_suffix(".new")
    with open(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(content))
    temporary.replace(path)
