"""Lists, filtered lists and last pages of a large population, over HTTP (``./dev test-perf -s`` prints each)."""

from __future__ import annotations

import os
import statistics
import time
from itertools import chain
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from forestay_events.commit import Stored
from forestay_events.database import Connection
from forestay_lcm.projections.instances import TABLES, InstanceProjection
from forestay_standalone.embedded import EmbeddedNats

from tests.lcm.api.client import Client, client
from tests.lcm.engine.running import configuration, running
from tests.lcm.queries.population import Population, life
from tests.lcm.queries.questions import Question, questions

pytestmark = [pytest.mark.perf, pytest.mark.timeout(400)]

INSTANCES, OP_OCCS = 100_000, int(os.environ.get("FORESTAY_TEST_OP_OCCS", "300000"))
ROUNDS, BATCH = 11, 100


async def ask(api: Client, question: Question) -> list[float]:
    """Milliseconds from request to answer: the median of the quicker half, since the machine has other work, and of all."""
    marker = f"&nextpage_opaque_marker={question.after}" if question.after else ""
    path = f"{question.path}?{f'filter={question.filter}' if question.filter else ''}{marker}"
    took: list[float] = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        async with api.session.get(path, headers={"Version": "2.0.0"}) as response:
            assert response.status == 200, await response.text()
            await response.read()
        took.append((time.perf_counter() - begin) * 1000)
    return statistics.quantiles(took)[:2]


async def applied(connection: Connection, schema: str, turn: int) -> float:
    """Commits per second that are applied to the tables of a schema."""
    lives = [life(str(uuid4()), f"edge-{turn}-{number}")[1] for number in range(150)]
    commits = [Stored(seq, msgspec.json.encode(each)) for seq, each in enumerate(chain(*zip(*lives, strict=True)), 1)]
    projection = InstanceProjection(dispatch=False)
    begin = time.perf_counter()
    for at in range(0, len(commits), BATCH):
        async with connection.transaction():
            await projection.apply(connection, schema, commits[at : at + BATCH])
    return len(commits) / (time.perf_counter() - begin)


async def test_what_indexes_cost_those_who_write(database: str) -> None:
    """How many commits are applied, and how many without what lists have their columns and indexes for."""
    connection = await asyncpg.connect(database)
    try:
        for schema, tables in (("lcm", InstanceProjection.tables), ("plain", TABLES)):
            await connection.execute(f"CREATE SCHEMA {schema};{tables.replace('{schema}', schema)}")
        rates = [[await applied(connection, schema, turn) for schema in ("lcm", "plain")] for turn in range(5)]
    finally:
        await connection.close()
    indexed, plain = map(max, zip(*rates, strict=True))
    print(f"\n{indexed:.0f} commits/s, {plain:.0f} without indexes")  # noqa: T201
    assert indexed > plain / 3


async def test_lists(nats_server: EmbeddedNats, database: str, tmp_data_dir: Path) -> None:
    config = configuration(nats_server.url, database, tmp_data_dir)
    population = Population(INSTANCES, OP_OCCS)
    async with running(config) as lcm, client(lcm.url) as api:
        begin = time.monotonic()
        async with lcm.platform.pool.acquire() as connection:
            await population.fill(connection)
        filled = time.monotonic() - begin
        figures = {str(question): await ask(api, question) for question in questions(population)}
    print(f"\n{INSTANCES} instances and {OP_OCCS} operation occurrences in {filled:.0f} s")  # noqa: T201
    for question, (quick, median) in figures.items():
        print(f"{quick:6.2f} {median:6.2f} ms  {question}")  # noqa: T201
    assert {question: each for question, each in figures.items() if each[0] >= 10} == {}
