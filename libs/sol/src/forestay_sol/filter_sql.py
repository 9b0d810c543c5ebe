"""Attribute-based filters as PostgreSQL conditions, with the meaning of :func:`forestay_sol.filters.matches`.

Rules: a comparison becomes one jsonpath on the JSONB document, which a GIN index with ``jsonb_path_ops`` serves; where the
attribute also stands in a column of its own, the column is used, but only if it cannot change the result. On a column each
operator is written so that an index can serve it: what is not equal is less or greater. Text of the user is always a bound
parameter; inside a jsonpath it is always a quoted JSON string. Needs PostgreSQL 17 or newer and a UTF-8 database.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import msgspec

from forestay_sol.filters import ANY_MEMBER, Comparison, Filter, Operand, Test, matches
from forestay_sol.types import DATE_TIME

_MOST_GAPS = 16
_WILDCARD = re.compile(r"[\\%_]")
_ESCAPED = r"\\\g<0>"


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    """The attribute, which is always a string (or missing: ``NULL``)."""
    MOMENT = "timestamptz"
    """The attribute, which is always a date-time (or missing: ``NULL``)."""
    KEY = "varchar"
    """The id, which is only looked up: its order is the database's."""


class Column(msgspec.Struct, frozen=True):
    """A column that holds one attribute of the document.

    :ivar name: SQL of the program, never of a user.
    :ivar values: all that the attribute can be, if they are few: then every operator asks for some of them.
    :ivar in_parts: whether parts of it are searched for, so that an index for that is worth its cost.
    """

    name: str
    kind: Kind = Kind.TEXT
    values: tuple[str, ...] = ()
    in_parts: bool = False

    @property
    def sql(self) -> str:
        """The column as conditions and indexes name it: text sorts as it does in Python."""
        return f'{self.name} COLLATE "C"' if self.kind is Kind.TEXT else self.name


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
    path = "$" + "".join(".*" if name == ANY_MEMBER else f".{_quoted(name)}" for name in comparison.path)
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
    if column.values:
        return True
    moments = [operand.moment is not None for operand in comparison.operands]
    if column.kind is Kind.KEY:
        return comparison.test == "==" and not comparison.opposite and not any(moments)
    if column.kind is Kind.MOMENT:
        return all(moments) and comparison.test != "contains"
    return comparison.test == "contains" or not any(moments)


def _on_column(column: Column, comparison: Comparison, number: int) -> tuple[str, object]:
    parameter = f"(${number}::{column.kind.value}[])"
    if column.values:
        chosen = [value for value in column.values if matches((comparison,), _document(comparison.path, value))]
        return _equal(column.sql, parameter, len(chosen)), chosen
    if comparison.test == "contains":
        sql = f"{column.sql} LIKE ANY {parameter}"
        return f"NOT ({sql})" if comparison.opposite else sql, [_pattern(each.text) for each in comparison.operands]
    is_moment = column.kind is Kind.MOMENT
    values = sorted({operand.moment if is_moment else operand.text for operand in comparison.operands})  # type: ignore[type-var]
    if comparison.test != "==":
        return f"{column.sql} {comparison.test} {parameter}[1]", values
    write = _unequal if comparison.opposite else _equal
    return write(column.sql, parameter, len(values)), values


def _equal(column: str, values: str, count: int) -> str:
    # One value keeps an index in the order of ids.
    return f"{column} = {values}[1]" if count == 1 else f"{column} = ANY {values}"


def _unequal(column: str, values: str, count: int) -> str:
    """:param values: sorted."""
    if count > _MOST_GAPS:
        return f"NOT ({column} = ANY {values})"
    gaps = (f"{column} > {values}[{at}] AND {column} < {values}[{at + 1}]" for at in range(1, count))
    return " OR ".join((f"{column} < {values}[1]", *gaps, f"{column} > {values}[{count}]"))


def _document(path: tuple[str, ...], value: str) -> Mapping[str, Any]:
    """A document of one attribute."""
    document: Any = value
    for name in reversed(path):
        document = {name: document}
    return document


def _pattern(part: str) -> str:
    return f"%{_WILDCARD.sub(_ESCAPED, part)}%"
