"""What both embedded servers promise about the process: one owner, and no leftover in the way of the next start."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from forestay_standalone.embedded import EmbeddedNats, EmbeddedPostgres, EmbeddedServer, EmbeddedServerFailed

BOTH = pytest.mark.parametrize("kind", [EmbeddedNats, EmbeddedPostgres])

OWNER = """
import asyncio, pathlib, sys
from forestay_standalone import embedded

async def main():
    async with getattr(embedded, sys.argv[1])(pathlib.Path(sys.argv[2])) as server:
        print(server.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""

Kind = type[EmbeddedNats] | type[EmbeddedPostgres]


async def kill_owner_of(kind: Kind, data_dir: Path, *, freeze: bool = False) -> int:
    """Let another process start the server, and kill that process; gives the server's process id.

    :param freeze: stop the server first (SIGSTOP), so that it cannot notice that its owner dies.
    """
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, kind.__name__, str(data_dir), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    pid = int(await owner.stdout.readline())
    if freeze:
        os.kill(pid, signal.SIGSTOP)
    owner.kill()
    await owner.wait()
    return pid


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
@BOTH
async def test_a_killed_forestay_takes_its_servers_along(kind: Kind, tmp_data_dir: Path) -> None:
    pid = await kill_owner_of(kind, tmp_data_dir)
    deadline = time.monotonic() + 60
    while runs(pid) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert not runs(pid)
    async with kind(tmp_data_dir) as server:
        assert server.pid != pid


@BOTH
async def test_the_next_start_ends_a_server_that_was_left_running(
    kind: Kind, tmp_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = await kill_owner_of(kind, tmp_data_dir, freeze=True)
    assert runs(pid)
    monkeypatch.setattr(EmbeddedServer, "stop_timeout", 0.3)
    async with kind(tmp_data_dir) as server:
        assert server.pid not in (None, pid)
        assert not runs(pid)


@BOTH
async def test_wait_returns_when_the_server_is_killed(kind: Kind, tmp_data_dir: Path) -> None:
    async with kind(tmp_data_dir, durable=False) as server:
        waiting = asyncio.create_task(server.wait())
        await server.kill()
        assert await waiting == -signal.SIGKILL
        assert server.pid is None


@BOTH
async def test_a_directory_has_one_owner_until_it_stops(kind: Kind, tmp_data_dir: Path) -> None:
    async with kind(tmp_data_dir, durable=False) as server:
        await server.kill()
        with pytest.raises(EmbeddedServerFailed, match=rf"is in use by another Forestay \(pid {os.getpid()}\): stop"):
            await kind(tmp_data_dir).start()
    async with kind(tmp_data_dir, durable=False):
        pass


@BOTH
async def test_a_directory_that_cannot_be_written(kind: Kind, tmp_data_dir: Path) -> None:
    (tmp_data_dir / "file").write_text("")
    sentence = rf"^{kind.title} cannot use the directory .*/file/.*: Not a directory \(.*\)\.$"
    with pytest.raises(EmbeddedServerFailed, match=sentence):
        await kind(tmp_data_dir / "file").start()
