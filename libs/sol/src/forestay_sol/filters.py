"""Attribute-based filters (SOL013 5.2): text to comparisons, and comparisons on JSON objects.

Rules:

* ``(op,attribute[/attribute...],value[,value...])``, several joined with ``;``, which means "and".
* A path runs through arrays, one level at each step; a comparison matches when any value that it reaches does.
* What is missing, ``null`` or an object never matches, whatever the operator.
* A value is read as the type of what it is compared with. What cannot be read so is not equal, not less, not contained.
* ``neq``, ``nin`` and ``ncont`` are the opposites of ``eq``, ``in`` and ``cont`` for each single value.

:mod:`forestay_sol.filter_sql` says the same in SQL.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast

import msgspec
from forestay_events.errors import Rejected

from forestay_sol.types import parse_rfc3339

Test = Literal["==", ">", ">=", "<", "<=", "contains"]

OPERATORS: Mapping[str, tuple[Test, bool]] = {
    "eq": ("==", False),
    "neq": ("==", True),
    "gt": (">", False),
    "gte": (">=", False),
    "lt": ("<", False),
    "lte": ("<=", False),
    "in": ("==", False),
    "nin": ("==", True),
    "cont": ("contains", False),
    "ncont": ("contains", True),
}
"""What each operator tests, and whether the opposite is wanted."""

ANY_MEMBER = "\0"
"""In the path of a comparison, but in no filter's text: whichever member of an object."""

_MULTIPLE = frozenset({"in", "nin", "cont", "ncont"})
_KEY = "@key"
_BOOLEANS = {"true": True, "false": False}
_ESCAPES = {"~1": "/", "~a": ",", "~b": "@", "~0": "~"}

_HEAD = re.compile(r"\((?P<op>[^,()]*),(?P<path>[^,]*),")
_VALUE = re.compile(r"'(?P<quoted>(?:[^']|'')*)'|(?P<plain>[^',)]+)")
_STORABLE = re.compile("[^\\0\ud800-\udfff]*")
_ESCAPE = re.compile(r"~.?", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]{1,50}(\.[0-9]{1,50})?([eE][+-]?[0-9]{1,2})?")


class Operand(msgspec.Struct, frozen=True):
    """A value of a filter in each type that its text can be read as; ``None`` where it cannot."""

    text: str
    number: Decimal | None
    boolean: bool | None
    moment: datetime | None

    @classmethod
    def read(cls, text: str) -> Operand:
        """Read a value."""
        number = Decimal(text) if _NUMBER.fullmatch(text) else None
        return cls(text, number, _BOOLEANS.get(text), _moment(text))


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One parenthesis of a filter: ``test`` (or its opposite) of what ``path`` reaches with any of ``operands``.

    :param path: attribute names, from the resource down.
    :param of_keys: the path ended in ``@key``: the names of the members are compared, not their values.
    """

    test: Test
    opposite: bool
    path: tuple[str, ...]
    of_keys: bool
    operands: tuple[Operand, ...]


Filter = tuple[Comparison, ...]


def parse(text: str) -> Filter:
    """Parse the value of the ``filter`` query parameter; ``Rejected(400)`` says what is wrong and where."""
    if not _STORABLE.fullmatch(text):
        raise _invalid("it has a character that no attribute can have", 0)
    comparisons: list[Comparison] = []
    position = 0
    while True:
        comparison, position = _comparison(text, position)
        comparisons.append(comparison)
        if position == len(text):
            return tuple(comparisons)
        if text[position] != ";":
            raise _invalid("';' or the end is expected", position)
        position += 1


def split_path(text: str) -> tuple[str, ...]:
    """Split an attribute path at ``/`` and undo the escapes ``~1 ~a ~b ~0``; :class:`ValueError` when malformed."""
    return tuple(_unescape(element) for element in text.split("/"))


def matches(filter_: Filter, document: Mapping[str, Any]) -> bool:
    """Tell whether a JSON object matches all comparisons of a filter."""
    return all(_matches(comparison, document) for comparison in filter_)


def _invalid(why: str, position: int) -> Rejected:
    return Rejected(400, f"Attribute filter expression is invalid: {why}, at character {position + 1}.")


def _comparison(text: str, position: int) -> tuple[Comparison, int]:
    head = _HEAD.match(text, position)
    if head is None:
        raise _invalid("'(operator,attribute,value)' is expected", position)
    name = head["op"]
    if name not in OPERATORS:
        raise _invalid(f"the operator must be one of {' '.join(OPERATORS)}", position + 1)
    elements = head["path"].split("/")
    of_keys = elements[-1] == _KEY
    try:
        path = tuple(_unescape(element) for element in (elements[:-1] if of_keys else elements))
    except ValueError as error:
        raise _invalid(str(error), head.start("path")) from None
    values, end = _values(text, head.end())
    if len(values) > 1 and name not in _MULTIPLE:
        raise _invalid(f"{name} takes one value", head.end())
    test, opposite = OPERATORS[name]
    return Comparison(test=test, opposite=opposite, path=path, of_keys=of_keys, operands=tuple(values)), end


def _values(text: str, position: int) -> tuple[list[Operand], int]:
    values: list[Operand] = []
    while True:
        match = _VALUE.match(text, position)
        if match is None:
            raise _invalid("a value is expected (an empty one is '')", position)
        plain: str | None = match["plain"]
        values.append(Operand.read(plain if plain is not None else match["quoted"].replace("''", "'")))
        position = match.end() + 1
        follows = text[match.end() : position]
        if follows == ")":
            return values, position
        if follows != ",":
            raise _invalid("',' or ')' is expected", match.end())


def _unescape(element: str) -> str:
    if not element:
        raise ValueError("an attribute name is empty")
    if "@" in element:
        raise ValueError("'@' in an attribute name is written ~b, and @key can only come last in a filter")

    def meant(match: re.Match[str]) -> str:
        if match[0] not in _ESCAPES:
            raise ValueError(f"the escapes are {' '.join(_ESCAPES)}")
        return _ESCAPES[match[0]]

    return _ESCAPE.sub(meant, element)


def _matches(comparison: Comparison, document: Mapping[str, Any]) -> bool:
    reached = _reach(document, comparison.path)
    values = _keys(reached) if comparison.of_keys else reached
    return any(
        any(_holds(comparison.test, value, operand) for operand in comparison.operands) != comparison.opposite
        for value in _unwrap(values)
        if isinstance(value, str | int | float)
    )


def _reach(document: Any, path: tuple[str, ...]) -> Iterable[Any]:
    values: Iterable[Any] = [document]
    for name in path:
        values = [
            member
            for value in _unwrap(values)
            if isinstance(value, Mapping)
            for key, member in cast("dict[str, Any]", value).items()
            if name in (key, ANY_MEMBER)
        ]
    return values


def _unwrap(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from cast("Iterable[Any]", value)
        else:
            yield value


def _keys(values: Iterable[Any]) -> list[str]:
    return [key for value in _unwrap(values) if isinstance(value, Mapping) for key in cast("dict[str, Any]", value)]


_COMPARE: Mapping[Test, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def _holds(test: Test, value: str | float, operand: Operand) -> bool:
    if test == "contains":
        return isinstance(value, str) and operand.text in value
    left, right = _alike(value, operand)
    return right is not None and _COMPARE[test](left, right)


def _alike(value: str | float, operand: Operand) -> tuple[Any, Any]:
    """Give both sides of a comparison in the type of ``value``; the operand is ``None`` where that is impossible."""
    if isinstance(value, bool):
        return value, operand.boolean
    if isinstance(value, str):
        moment = operand.moment and _moment(value)
        return (value, operand.text) if moment is None else (moment, operand.moment)
    return Decimal(repr(value)), operand.number


def _moment(text: str) -> datetime | None:
    try:
        return parse_rfc3339(text)
    except ValueError:
        return None
