"""Tables of LCM with a population in them: large enough that reading all of it costs more than an index."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio
from forestay_events.archive import ARCHIVE_TABLES
from forestay_lcm.projections.instances import InstanceProjection

from tests.lcm.queries.population import Population


@pytest_asyncio.fixture
async def tables(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with LCM's tables, empty."""
    connection = await asyncpg.connect(database)
    try:
        for ddl in (ARCHIVE_TABLES, InstanceProjection.tables):
            await connection.execute(ddl.replace("{schema}", "lcm"))
        yield connection
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def population(tables: asyncpg.Connection) -> Population:
    made = Population(10_000, 30_000)
    await made.fill(tables)
    return made
