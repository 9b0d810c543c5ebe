"""EmbeddedPostgres: data that survives, every way to run it as root, and one clear sentence for each failure."""

from __future__ import annotations

import os
from pathlib import Path

import asyncpg
import pytest
from forestay_standalone.embedded import EmbeddedPostgres, EmbeddedServerFailed, postgres, privileges


async def add_row(dsn: str) -> int:
    """Commit one row; gives how many there are."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (id serial)")
        await connection.execute("INSERT INTO kept DEFAULT VALUES")
        return await connection.fetchval("SELECT count(*) FROM kept")
    finally:
        await connection.close()


async def test_a_second_start_has_the_rows_and_leaves_nothing_outside(tmp_data_dir: Path) -> None:
    async with EmbeddedPostgres(tmp_data_dir) as server:
        assert await add_row(server.dsn) == 1
        sockets = server.dsn.partition("host=")[2]
        assert os.stat(sockets).st_mode & 0o077 == 0
    with pytest.raises(FileNotFoundError):
        os.stat(sockets)
    async with EmbeddedPostgres(tmp_data_dir) as server:
        assert await add_row(server.dsn) == 2


async def test_a_killed_server_comes_back_at_the_same_address_with_its_rows(tmp_data_dir: Path) -> None:
    async with EmbeddedPostgres(tmp_data_dir) as server:
        dsn = server.dsn
        assert await add_row(dsn) == 1
        busy = await asyncpg.connect(dsn)
        await server.kill()
        await server.restart()
        assert server.dsn == dsn
        assert await add_row(dsn) == 2
        busy.terminate()


async def test_a_pid_file_that_names_a_stranger_is_ignored(tmp_data_dir: Path) -> None:
    async with EmbeddedPostgres(tmp_data_dir) as server:
        await server.kill()
        pid_file = server.directory / "cluster" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(os.getpid()), *lines[1:], ""]))
        await server.start()
        assert await add_row(server.dsn) == 1


async def test_the_users_own_postgresql_variables_change_nothing(
    tmp_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "9999")
    monkeypatch.setenv("PGDATA", "/nowhere")
    async with EmbeddedPostgres(tmp_data_dir, durable=False) as server:
        monkeypatch.undo()
        assert await add_row(server.dsn) == 1


async def test_root_without_user_namespaces_runs_it_as_nobody(
    tmp_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has to become somebody else")
    os.chmod(tmp_data_dir, 0o711)  # noqa: S103 - nobody has to get in
    monkeypatch.setattr(postgres, "not_as_root", lambda: privileges.RunAs(privileges.SET_USER, privileges.NOBODY))
    async with EmbeddedPostgres(tmp_data_dir, durable=False) as server:
        assert await add_row(server.dsn) == 1
        assert (server.directory / "cluster").stat().st_uid == privileges.NOBODY
    async with EmbeddedPostgres(tmp_data_dir, durable=False) as server:
        assert await add_row(server.dsn) == 2


async def test_a_half_made_cluster_is_made_again(tmp_data_dir: Path) -> None:
    (tmp_data_dir / "postgres" / "cluster.new" / "base").mkdir(parents=True)
    async with EmbeddedPostgres(tmp_data_dir, durable=False) as server:
        assert await add_row(server.dsn) == 1


async def test_damaged_directories(tmp_data_dir: Path) -> None:
    async with EmbeddedPostgres(tmp_data_dir, durable=False) as server:
        cluster = server.directory / "cluster"
    damaged = r"^PostgreSQL cannot use .*/cluster, it seems damaged \({}.*\): move it away"
    for file, content, sentence in (
        ("global/pg_control", b"\0" * 8192, damaged.format("database files are incompatible with server")),
        ("PG_VERSION", b"16\n", r"^The directory .* was made by PostgreSQL 16, and PostgreSQL 18 cannot read it"),
        ("PG_VERSION", None, damaged.format("the file PG_VERSION is missing")),
    ):
        path = cluster / file
        whole = path.read_bytes()
        path.write_bytes(content) if content is not None else path.unlink()
        with pytest.raises(EmbeddedServerFailed, match=sentence):
            await EmbeddedPostgres(tmp_data_dir).start()
        path.write_bytes(whole)
    async with EmbeddedPostgres(tmp_data_dir, durable=False) as server:
        assert await add_row(server.dsn) == 1
