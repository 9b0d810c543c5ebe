"""Attribute filters: their grammar, their meaning, and that PostgreSQL means the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

import asyncpg
import pytest
from forestay_events.errors import Rejected
from forestay_sol.filter_sql import Column, Columns, Kind, where
from forestay_sol.filters import OPERATORS, matches, parse
from hypothesis import given, settings
from hypothesis import strategies as st

INSTANCE: dict[str, Any] = {
    "id": "b1",
    "name": "O'Brien, (web)",
    "scale": 7,
    "ratio": 0.1,
    "locked": True,
    "nothing": None,
    "created": "2026-05-01T10:00:00.000Z",
    "tags": ["red", "green"],
    "metadata": {"a/b": "slash", "c,d": "comma", "@x": "at", "~": "tilde"},
    "info": {"state": "STARTED", "vnfc": [{"id": "c1", "cp": [{"ip": "10.0.0.1"}]}, {"id": "c2", "n": 3}]},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(eq,id,b1)", True),
        ("(eq,id,b2)", False),
        ("(neq,id,b2)", True),
        ("(eq,name,'O''Brien, (web)')", True),
        ("(cont,name,zzz,'Brien,')", True),
        ("(ncont,name,zzz)", True),
        ("(gt,scale,10)", False),
        ("(gt,scale,6.5)", True),
        ("(lte,scale,7e0)", True),
        ("(eq,scale,seven)", False),
        ("(neq,scale,seven)", True),
        ("(eq,ratio,0.1)", True),
        ("(eq,locked,true)", True),
        ("(eq,locked,yes)", False),
        ("(eq,created,'2026-05-01T12:00:00+02:00')", True),
        ("(lt,created,2026-05-01T10:00:00.001Z)", True),
        ("(eq,tags,green)", True),
        ("(neq,tags,green)", True),
        ("(in,tags,blue,green)", True),
        ("(nin,tags,red,green)", False),
        ("(eq,metadata/a~1b,slash)", True),
        ("(eq,metadata/c~ad,comma)", True),
        ("(eq,metadata/~bx,at)", True),
        ("(eq,metadata/~0,tilde)", True),
        ("(eq,metadata/@key,a/b)", True),
        ("(eq,metadata/@key,slash)", False),
        ("(eq,@key,scale)", True),
        ("(eq,info/state,STARTED);(eq,scale,7)", True),
        ("(eq,info/state,STARTED);(eq,scale,8)", False),
        ("(eq,info/vnfc/id,c2)", True),
        ("(eq,info/vnfc/cp/ip,10.0.0.1)", True),
        ("(eq,info/vnfc/n,3)", True),
        ("(neq,missing,x)", False),
        ("(neq,nothing,x)", False),
        ("(neq,metadata,x)", False),
        ("(eq,id/deeper,x)", False),
    ],
)
def test_meaning(text: str, expected: bool) -> None:
    assert matches(parse(text), INSTANCE) is expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is expected, at character 1"),
        ("id=1", "is expected, at character 1"),
        ("(like,id,1)", "must be one of eq neq"),
        ("(eq,id,1,2)", "takes one value"),
        ("(eq,id,1)(eq,id,2)", "';' or the end is expected, at character 10"),
        ("(eq,id,1);", "at character 11"),
        ("(eq,id,)", "an empty one is ''"),
        ("(eq,id,1", "',' or ')' is expected"),
        ("(eq,id,'1)", "a value is expected"),
        ("(eq,,1)", "name is empty"),
        ("(eq,a//b,1)", "name is empty"),
        ("(eq,a~2b,1)", "the escapes are ~1 ~a ~b ~0"),
        ("(eq,a~,1)", "the escapes are"),
        ("(eq,@key/a,1)", "can only come last"),
        ("(eq,a@b,1)", "is written ~b"),
        ("(eq,a,\0)", "no attribute can have"),
        ("(eq,a,\ud800)", "no attribute can have"),
    ],
)
def test_grammar_faults(text: str, why: str) -> None:
    with pytest.raises(Rejected, match="Attribute filter expression is invalid") as raised:
        parse(text)
    assert raised.value.status == 400
    assert why in raised.value.detail


@given(st.text(alphabet=st.one_of(st.sampled_from("(),;'~@/eqincont1ab \0"), st.characters()), max_size=40))
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    with suppress(Rejected):
        assert matches(parse(text), INSTANCE) in (True, False)


ESCAPED = {"~": "~0", "/": "~1", ",": "~a", "@": "~b"}
names = st.sampled_from(["a", "b", "c/d", "e,~@", '"$.x', "ключ"])
texts = st.one_of(
    st.sampled_from(["", "x", "xy", "5", "-5.50", "5e0", "true", "'", 'a"b\\', "%", "2026-05-01", "😀", "\ufb01\n"]),
    st.sampled_from(["2026-05-01T10:00:00Z", "2026-05-01T12:00:00.5+02:00", "2026-02-30T10:00:00Z", "***=x", "(a.*"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3),
)
scalars = st.one_of(texts, st.booleans(), st.none(), st.sampled_from([5, -5.5, 0, 1e22, 0.1]), st.integers(-9, 9))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)


def _places(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Give every scalar of a document: its path (through arrays) and its text."""
    if isinstance(value, dict):
        for name, member in cast("dict[str, Any]", value).items():
            yield (*path, "@key"), name
            yield from _places(member, (*path, name))
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _places(item, path)
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)


def _escaped(name: str) -> str:
    return name if name == "@key" else re.sub("[~/,@]", lambda found: ESCAPED[found[0]], name)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A document, and a filter about one of its places or about some other place."""
    document = draw(st.dictionaries(names, values, min_size=1, max_size=3))
    anywhere = st.tuples(st.lists(names, min_size=1, max_size=3).map(tuple), texts)
    path, near = draw(st.one_of(st.sampled_from(list(_places(document)) or [(("a",), "")]), anywhere))
    op = draw(st.sampled_from(sorted(OPERATORS)))
    operands = draw(st.lists(st.one_of(st.just(near), texts), min_size=1, max_size=3))
    given_operands = operands if op in ("in", "nin", "cont", "ncont") else operands[:1]
    return f"({op},{'/'.join(map(_escaped, path))},{','.join(map(_quoted, given_operands))})", document


def drawn(count: int) -> list[tuple[str, dict[str, Any]]]:
    """Draw pairs of filter and document, to be compared outside of hypothesis, which knows no event loop."""
    pairs_drawn: list[tuple[str, dict[str, Any]]] = []

    @settings(max_examples=count, database=None, deadline=None)
    @given(pairs())
    def draw(pair: tuple[str, dict[str, Any]]) -> None:
        pairs_drawn.append(pair)

    draw()
    return pairs_drawn


async def test_postgresql_means_the_same(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        agreed = 0
        for text, document in drawn(1000):
            parsed = parse(text)
            condition = where(parsed, document="$1::text::jsonb", first=2)
            found = await connection.fetchval(f"SELECT {condition.sql}", json.dumps(document), *condition.parameters)
            assert found is matches(parsed, document), (text, document, condition)
            agreed += found
        assert 200 < agreed < 800, "the drawn filters nearly always agree or nearly never: nothing is proved"
    finally:
        await connection.close()


COLUMNS: Columns = {("name",): Column("name"), ("at",): Column("at", Kind.MOMENT)}
NAMES = ["a", "ab", "B", "", None, "2026-05-01T10:00:00Z", "é"]
MOMENTS = ["2026-05-01T10:00:00.000Z", "2026-05-01T10:00:01.500Z", None]


async def test_columns_never_change_the_result(database: str) -> None:
    connection = await asyncpg.connect(database)
    rows = [{"name": name, "at": at} for name in NAMES for at in MOMENTS]
    operands = ["a", "B", "''", "2026-05-01T10:00:00Z", "2026-05-01T11:00:00+01:00", "2026", "é"]
    try:
        await connection.execute("CREATE TABLE resource (document jsonb, name text, at timestamptz)")
        await connection.execute(
            "INSERT INTO resource SELECT d, d->>'name', (d->>'at')::timestamptz FROM unnest($1::text[]) t, "
            "LATERAL (SELECT t::jsonb AS d)",
            [json.dumps({name: value for name, value in row.items() if value is not None}) for row in rows],
        )
        for op in OPERATORS:
            for attribute in ("name", "at"):
                for operand in operands:
                    parsed = parse(f"({op},{attribute},{operand})")
                    counts: list[int] = []
                    for columns in (COLUMNS, {}):
                        condition = where(parsed, document="document", columns=columns)
                        sql = f"SELECT count(*) FROM resource WHERE {condition.sql}"  # noqa: S608
                        counts.append(await connection.fetchval(sql, *condition.parameters))
                    assert counts[0] == counts[1] == sum(matches(parsed, row) for row in rows), (op, attribute, operand)
    finally:
        await connection.close()


async def test_an_index_serves_equality(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("CREATE TABLE resource (document jsonb)")
        await connection.execute("CREATE INDEX ON resource USING gin (document jsonb_path_ops)")
        await connection.execute(
            "INSERT INTO resource SELECT jsonb_build_object('a', jsonb_build_array(jsonb_build_object('b', i::text))) "
            "FROM generate_series(1, 5000) i"
        )
        await connection.execute("ANALYZE resource")
        condition = where(parse("(in,a/b,77,4000)"), document="document")
        sql = f"SELECT * FROM resource WHERE {condition.sql}"  # noqa: S608
        plan = await connection.fetch(f"EXPLAIN {sql}", *condition.parameters)
        assert any("Bitmap Index Scan" in row[0] for row in plan)
        assert len(await connection.fetch(sql, *condition.parameters)) == 2
    finally:
        await connection.close()
