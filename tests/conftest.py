"""Real servers for the tests: one PostgreSQL for the session of each worker, and a NATS of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from forestay_standalone.embedded import EmbeddedNats, EmbeddedPostgres

from tests import exchanges

_numbers = itertools.count(1)


@pytest.fixture
def tmp_data_dir() -> Iterator[Path]:
    """An empty data directory with a short name, gone after the test."""
    with TemporaryDirectory(prefix="forestay-test-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server() -> AsyncIterator[EmbeddedPostgres]:
    """A running PostgreSQL without fsync. Use ``database`` unless the server itself is the subject."""
    with TemporaryDirectory(prefix="forestay-test-", ignore_cleanup_errors=True) as directory:
        async with EmbeddedPostgres(Path(directory), durable=False) as server:
            yield server


@pytest_asyncio.fixture
async def database(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """DSN of a new, empty database, dropped after the test."""
    name = f"test_{next(_numbers)}"
    admin = await asyncpg.connect(postgres_server.dsn)
    try:
        await admin.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        yield postgres_server.dsn_of(name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@pytest_asyncio.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[EmbeddedNats]:
    """A fresh NATS with JetStream: ``.url``, ``await .kill()``, ``await .restart()`` (same address, same store)."""
    async with EmbeddedNats(tmp_path, durable=False) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def as_etsi_has_it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """At the end, what the tests said over HTTP must be as ETSI's documents have it, but for what is known."""
    yield
    if exchanges.RECORDED and not exchanges.MISSING:
        found = list(exchanges.deviations(exchanges.RECORDED, tmp_path_factory.mktemp("exchanges")))
        assert not found, "\n".join(found)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the tests have measured (fixture ``record_property``), sorted by the values."""
    reports = (report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, []))
    measured = {(value, name) for report in reports if report.when == "call" for name, value in report.user_properties}
    if measured:
        terminalreporter.section("measured")
    for value, name in sorted(measured):
        terminalreporter.write_line(f"{value}: {name}")
