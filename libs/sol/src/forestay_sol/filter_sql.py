"""Attribute-based filters as PostgreSQL conditions, with the meaning of :func:`forestay_sol.filters.matches`.

Rules: a comparison becomes one jsonpath on the JSONB document, which a GIN index with ``jsonb_path_ops`` serves; where the
attribute also stands in a column of its own, the column is used, but only if it cannot change the result. Text of the
user is always a bound parameter; inside a jsonpath it is always a quoted JSON string. Needs PostgreSQL 17 or newer and a
UTF-8 database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum

import msgspec

from forestay_sol.filters import Comparison, Filter, Operand, Test
from forestay_sol.types import DATE_TIME


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    """The attribute, which is always a string (or missing: ``NULL``)."""
    MOMENT = "timestamptz"
    """The attribute, which is always a date-time (or missing: ``NULL``)."""


class Column(msgspec.Struct, frozen=True):
    """A column that holds one attribute of the document; ``name`` is SQL of the program, never of a user."""

    name: str
    kind: Kind = Kind.TEXT


Columns = Mapping[tuple[str, ...], Column]


class Condition(msgspec.Struct, frozen=True):
    """SQL for a ``WHERE`` clause and the values of its ``$n``."""

    sql: str
    parameters: tuple[object, ...] = ()


def where(filter_: Filter, *, document: str, columns: Columns | None = None, first: int = 1) -> Condition:
    """Compile a filter.

    :param document: SQL name of the JSONB column.
    :param columns: attributes (by path) that stand in columns of their own.
    :param first: number of the first parameter.
    """
    clauses: list[str] = []
    parameters: list[object] = []
    for comparison in filter_:
        column = None if comparison.of_keys else (columns or {}).get(comparison.path)
        number = first + len(parameters)
        if column is not None and _serves(column, comparison):
            clause, parameter = _on_column(column, comparison, number)
        else:
            clause, parameter = f"{document} @? ${number}::text::jsonpath", jsonpath(comparison)
        clauses.append(clause)
        parameters.append(parameter)
    return Condition(" AND ".join(f"({clause})" for clause in clauses) or "true", tuple(parameters))


def jsonpath(comparison: Comparison) -> str:
    """Write a comparison as a jsonpath that finds something exactly when the comparison matches."""
    path = "$" + "".join(f".{_quoted(name)}" for name in comparison.path)
    if comparison.of_keys:
        path += ' ? (@.type() == "object").keyvalue().key'
    cases = (_case(kind, write, comparison) for kind, write in _WRITERS.items())
    return f"{path} ? ({' || '.join(case for case in cases if case)})"


def _case(kind: str, write: Callable[[Test, Operand], str | None], comparison: Comparison) -> str | None:
    written = [write(comparison.test, operand) for operand in comparison.operands]
    tests = " || ".join(f"({text})" for text in written if text is not None)
    guard = f'@.type() == "{kind}"'
    if not comparison.opposite:
        return f"({guard} && ({tests}))" if tests else None
    return f"({guard} && !({tests}))" if tests else f"({guard})"


def _string(test: Test, operand: Operand) -> str:
    text = _quoted(operand.text)
    if test == "contains":
        return f'@ like_regex {text} flag "q"'
    if operand.moment is None:
        return f"@ {test} {text}"
    moment = f"{text}.datetime()"
    is_moment = f"(@ like_regex {_quoted(DATE_TIME)} && !((@.datetime() == {moment}) is unknown))"
    return f"({is_moment} && @.datetime() {test} {moment}) || (!{is_moment} && @ {test} {text})"


def _number(test: Test, operand: Operand) -> str | None:
    return None if test == "contains" or operand.number is None else f"@ {test} {operand.number:f}"


def _boolean(test: Test, operand: Operand) -> str | None:
    return None if test == "contains" or operand.boolean is None else f"@ {test} {operand.text}"


_WRITERS: Mapping[str, Callable[[Test, Operand], str | None]] = {
    "string": _string,
    "number": _number,
    "boolean": _boolean,
}


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _serves(column: Column, comparison: Comparison) -> bool:
    """Tell whether a column compares as the document would: moments with moments, text with text."""
    moments = [operand.moment is not None for operand in comparison.operands]
    if column.kind is Kind.MOMENT:
        return all(moments) and comparison.test != "contains"
    return comparison.test == "contains" or not any(moments)


_ON_COLUMN: Mapping[Test, str] = {
    "==": "{column} = ANY(${number}::{kind}[])",
    "contains": "(SELECT bool_or(strpos({column}, part) > 0) FROM unnest(${number}::{kind}[]) AS part)",
}
_ORDER_ON_COLUMN = "{column}{collation} {test} (${number}::{kind}[])[1]"


def _on_column(column: Column, comparison: Comparison, number: int) -> tuple[str, object]:
    template = _ON_COLUMN.get(comparison.test, _ORDER_ON_COLUMN)
    collation = ' COLLATE "C"' if column.kind is Kind.TEXT else ""
    sql = template.format(
        column=column.name, number=number, kind=column.kind.value, test=comparison.test, collation=collation
    )
    is_moment = column.kind is Kind.MOMENT
    values = [operand.moment if is_moment else operand.text for operand in comparison.operands]
    return (f"NOT ({sql})" if comparison.opposite else sql), values
