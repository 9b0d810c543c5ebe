"""How PostgreSQL answers lists: what it reads must not grow with the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import asyncpg
import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request
from forestay_events.database import open_pool
from forestay_events.errors import Rejected
from forestay_lcm.api.v2 import VNF_INSTANCES, VNF_LCM_OP_OCCS
from forestay_lcm.projections.instances import OP_OCC_COLUMNS, VNF_COLUMNS
from forestay_sol.caller import NoAuthentication
from forestay_sol.filters import parse
from forestay_sol.web import application

from tests.lcm.queries.population import Population
from tests.lcm.queries.questions import INSTANCES, OP_OCCS, Question, questions
from tests.lcm.samples import PROJECT

Json = dict[str, Any]
LISTS = {INSTANCES: VNF_INSTANCES, OP_OCCS: VNF_LCM_OP_OCCS}
FETCH = 101
#: Of a table's rows, as many may be looked at as a filter that is met by few needs, and far from all.
MOST = 0.5


def nodes(plan: Json) -> Iterator[Json]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


async def explain(connection: asyncpg.Connection, question: Question) -> list[Json]:
    text = unquote(question.filter) or None
    query = LISTS[question.path].query(PROJECT, after=question.after or None, fetch=FETCH, text=text)
    async with connection.transaction(readonly=True):
        await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query.sql}", *query.parameters)
    return list(nodes(msgspec.json.decode(plan)[0]["Plan"]))


def examined(node: Json) -> int:
    """How many rows a node of a plan has looked at."""
    rows = sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
    return (rows + node["Actual Rows"]) * node["Actual Loops"] if "Scan" in node["Node Type"] else 0


async def test_no_filter_by_an_indexed_attribute_reads_the_table(
    tables: asyncpg.Connection, population: Population
) -> None:
    for question in questions(population):
        plan = await explain(tables, question)
        count = population.instances if question.path == INSTANCES else population.op_occs
        assert "Seq Scan" not in {node["Node Type"] for node in plan}, (question, plan)
        assert sum(map(examined, plan)) < MOST * count, (question, plan)


def test_the_questions_ask_for_every_indexed_attribute() -> None:
    asked = {
        (question.path, comparison.path)
        for question in questions(Population(9, 9, vnf_ids=["id"] * 99, op_ids=["id"] * 9999, name="name"))
        for comparison in (parse(unquote(question.filter)) if question.filter else ())
    }
    for path, columns in ((INSTANCES, VNF_COLUMNS), (OP_OCCS, OP_OCC_COLUMNS)):
        assert {attribute for where, attribute in asked if where == path} >= columns.keys()


async def test_what_takes_too_long_is_refused_with_advice(tables: asyncpg.Connection, database: str) -> None:
    """A filter that no index serves, while somebody else holds the table."""
    app = application((), service="test", authenticator=NoAuthentication(PROJECT))
    request = make_mocked_request("GET", f"{OP_OCCS}?filter=(eq,grantId,x)", app=app)
    impatient = msgspec.structs.replace(VNF_LCM_OP_OCCS, patience=0.1)
    async with open_pool(database) as pool:
        async with tables.transaction():
            await tables.execute("LOCK TABLE lcm.op_occ")
            with pytest.raises(Rejected, match=r"longer than 0\.1 seconds\. .* operationState") as refused:
                await impatient.read(pool, PROJECT, request)
        assert refused.value.status == 400
        assert (await VNF_LCM_OP_OCCS.read(pool, PROJECT, request)).documents == []
