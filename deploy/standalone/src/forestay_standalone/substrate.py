"""The servers that Forestay stands on: embedded ones in a data directory, or those that the operator names.

While it runs, ``DATA_DIR/servers.json`` (0600) tells the other ``forestay`` commands where they are.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal

import msgspec
from forestay_events.config import BaseConfig
from forestay_events.errors import Permanent

from forestay_standalone.embedded import EmbeddedNats, EmbeddedPostgres


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where the servers of a data directory are; ``pid`` is the process that runs them."""

    nats_url: str
    database_url: str
    pid: int


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a command was told. ``nats_url`` and ``database_url`` replace the embedded servers; port 0 is a free one."""

    data_dir: Path
    port: int = 9890
    host: str = "127.0.0.1"
    nats_url: str | None = None
    database_url: str | None = None
    public_endpoint: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"


@asynccontextmanager
async def substrate(options: Options) -> AsyncGenerator[BaseConfig]:
    """Start the servers that are not given and say where all of them are.

    :raises Permanent: one sentence: what is in the way and what to do.
    """
    data_dir = _usable(options.data_dir)
    async with AsyncExitStack() as stack:
        nats_url, database_url = options.nats_url, options.database_url
        if nats_url is None:
            nats_url = (await stack.enter_async_context(EmbeddedNats(data_dir))).url
        if database_url is None:
            database_url = (await stack.enter_async_context(EmbeddedPostgres(data_dir))).dsn
        note = data_dir / "servers.json"
        _write_private(note, Addresses(nats_url=nats_url, database_url=database_url, pid=os.getpid()))
        stack.callback(note.unlink, missing_ok=True)
        yield _config(options, nats_url, database_url)


@asynccontextmanager
async def running_or_started(options: Options) -> AsyncGenerator[BaseConfig]:
    """The servers of a Forestay that runs on the data directory, else servers started for this command."""
    running = _running(options.data_dir)
    if running is not None:
        yield _config(options, running.nats_url, running.database_url)
        return
    if options.nats_url is None and not options.data_dir.exists():
        raise Permanent(f"{options.data_dir} does not exist: no Forestay has run there. Name its --data-dir.")
    async with substrate(options) as config:
        yield config


def _running(data_dir: Path) -> Addresses | None:
    try:
        addresses = msgspec.json.decode((data_dir / "servers.json").read_bytes(), type=Addresses)
        os.kill(addresses.pid, 0)
    except (OSError, msgspec.MsgspecError):
        return None
    return addresses


def _config(options: Options, nats_url: str, database_url: str) -> BaseConfig:
    return BaseConfig(
        nats_url=nats_url,
        database_url=database_url,
        data_dir=options.data_dir,
        listen_host=options.host,
        listen_port=options.port or _free_port(),
        public_endpoint=options.public_endpoint,
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
