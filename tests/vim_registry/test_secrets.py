"""Secrets are nowhere in the clear, and gone after a deletion, also when the process dies in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.sealing import Shredded
from forestay_events.store import read
from forestay_events.telemetry import configure_logging
from forestay_vim_registry.domain.commands import DeleteVim
from forestay_vim_registry.domain.decide import VIM

from tests.vim_registry.conftest import SECRET, Json, Serve, Server

Body = Callable[..., Json]
EXTRA_SECRET = "machine-password-4711"


async def everything_stored(server: Server) -> bytes:
    """All bytes of the log, and all rows of all tables."""
    pool = server.platform.pool
    stored = b"".join([it.body async for it in read(server.platform.store, "VIM")])
    tables = await pool.fetch(
        "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    assert len(tables) > 5
    for schema, table in tables:
        for row in await pool.fetch(f'SELECT * FROM "{schema}"."{table}"'):  # noqa: S608
            stored += b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    return stored


def written_files(directory: Path) -> dict[str, bytes]:
    """What NATS has on its disk."""
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


async def test_secrets_are_nowhere_in_the_clear(serve: Serve, vim: Body, tmp_path: Path) -> None:
    lines = StringIO()
    configure_logging("test", "debug", "json", lines)
    helm = {"helm_info": f"{{'masternode_password': '{EXTRA_SECRET}'}}", "nested": {"api_key": EXTRA_SECRET}}
    async with serve(vim_check_period=0.05) as server:
        made = await server.register(vim(extra=helm))
        shown = str(made)
        wrong = {"vim": {"auth_cred": {"password": EXTRA_SECRET}}}
        shown += str(await server.ask("PUT", f"/{made['id']}", json=wrong))
        shown += str(await server.ask("PUT", f"/{made['id']}", json={"vim": {"auth_cred": {"password": SECRET}}}))
        shown += str(await server.ask("GET"))
        await asyncio.sleep(0.3)
        stored = await everything_stored(server)
        assert made["id"].encode() in stored
    for secret in (SECRET, EXTRA_SECRET):
        assert secret not in shown
        assert secret.encode() not in stored
        assert secret not in lines.getvalue()
    files = written_files(tmp_path)
    assert files
    assert not [name for name, content in files.items() if SECRET.encode() in content]


async def test_a_deletion_that_was_cut_is_finished(serve: Serve, vim: Body) -> None:
    async with serve() as server:
        made = await server.register(vim())
        platform = server.platform
        state = (await Aggregates(platform.store, VIM, platform.clock).load(made["id"])).state
        assert state is not None
        token = state.auth_cred["password"]
        assert await platform.vault.open(made["id"], "/auth_cred/password", token) == SECRET

    async with serve() as server:
        # What a process leaves that dies between the event and the key.
        platform = server.platform
        vims = Aggregates(platform.store, VIM, platform.clock)
        await vims.execute(made["id"], DeleteVim(None), Origin(str(uuid4()), "default", "test"))
        async with asyncio.timeout(60):
            while await server.data_keys():
                await asyncio.sleep(0.02)
        with pytest.raises(Shredded):
            await platform.vault.open(made["id"], "/auth_cred/password", token)
        assert await server.refused("GET", f"/{made['id']}") == (404, "VimNotFoundException")


async def test_the_key_is_gone_when_the_deletion_is_answered(server: Server, vim: Body) -> None:
    made = await server.register(vim())
    assert (await server.ask("DELETE", f"/{made['id']}"))[0] == 204
    with pytest.raises(Shredded):
        await server.platform.vault.seal(made["id"], "/auth_cred/password", "again")
