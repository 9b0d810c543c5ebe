"""Lists, filtered lists and last pages of a large population, over HTTP (``./dev test-perf -s`` prints each)."""

from __future__ import annotations

import os
import statistics
import time

import pytest
from forestay_events.config import BaseConfig

from tests.lcm.api.client import Client, client
from tests.lcm.engine.running import running
from tests.lcm.queries.population import Population
from tests.lcm.queries.questions import Question, questions

pytestmark = [pytest.mark.perf, pytest.mark.timeout(400)]
pytest_plugins = ["tests.lcm.conftest"]

INSTANCES, OP_OCCS = 100_000, int(os.environ.get("FORESTAY_TEST_OP_OCCS", "300000"))
ROUNDS = 11


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


async def test_lists(config: BaseConfig) -> None:
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
