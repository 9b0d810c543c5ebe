"""A body that does not have the type it should: msgspec's message turned into a 400 that a client can act on.

Rules: the member is named by an RFC 6901 pointer, also where msgspec leaves a key out (``[...]``); the words are JSON's
(string, object), not Python's; what is expected is said, what was given is not (it may be a secret).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

import msgspec
from forestay_events.errors import Rejected
from msgspec import inspect

Step = str | int

_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")
_UNNAMED = "..."
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`")
_CHOICE = re.compile(r"Invalid (enum )?value .*", re.DOTALL)
_TYPES = re.compile(r"`(\w+(?: \| \w+)*)`")
_WORDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def rejection(document: Any, type_: Any, message: str) -> Rejected:
    """Give the 400 for ``msgspec.convert(document, type_)`` having failed with ``message``."""
    match = cast("re.Match[str]", _MESSAGE.fullmatch(message))
    steps = _steps(document, type_, message, match["path"] or "")
    what = match["what"]
    if missing := _MISSING.fullmatch(what):
        steps, what = [*steps, missing["name"]], "it is required"
    elif match["key"]:
        steps, what = [*steps, _key_at_fault(document, type_, message, steps)], f"the member's name: {what}"
    elif _CHOICE.fullmatch(what):
        choices = sorted({str(choice) for choice in _choices(inspect.type_info(type_), steps)})
        what = f"expected one of {', '.join(choices)}" if choices else "the value is none of the allowed ones"
    place = pointer(steps)
    reason = _TYPES.sub(_in_json_words, what[:1].lower() + what[1:])
    return Rejected(400, f"Invalid input for field/attribute {place or 'body'}: {reason}.", pointer=place)


def pointer(steps: list[Step]) -> str:
    """Write an RFC 6901 pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def _in_json_words(types: re.Match[str]) -> str:
    return " or ".join(_WORDS.get(word, word) for word in types[1].split(" | "))


def _steps(document: Any, type_: Any, message: str, path: str) -> list[Step]:
    steps: list[Step] = []
    for step in _STEP.finditer(path):
        if step["index"] == _UNNAMED:
            steps.append(_key_at_fault(document, type_, message, steps))
        else:
            steps.append(step["name"] or int(step["index"]))
    return steps


def _key_at_fault(document: Any, type_: Any, message: str, steps: list[Step]) -> str:
    """Find the key that msgspec does not name: halve the mapping for as long as the same message comes back."""
    keys = list(_at(document, steps))
    while len(keys) > 1:
        half = len(keys) // 2
        first = _with_keys(document, steps, keys[:half])
        keys = keys[:half] if _fails(first, type_, message) else keys[half:]
    return keys[0]


def _fails(document: Any, type_: Any, message: str) -> bool:
    try:
        msgspec.convert(document, type_)
    except msgspec.ValidationError as error:
        return str(error) == message
    return False


def _at(document: Any, steps: list[Step]) -> Any:
    for step in steps:
        document = document[step]
    return document


def _with_keys(document: Any, steps: list[Step], keys: list[str]) -> Any:
    """Copy a document, with only ``keys`` left in the mapping at ``steps``."""
    if not steps:
        return {key: document[key] for key in keys}
    copy = document.copy()
    copy[steps[0]] = _with_keys(document[steps[0]], steps[1:], keys)
    return copy


def _choices(type_: inspect.Type, steps: list[Step]) -> Iterator[Any]:
    """Give the values that an enumeration below ``type_`` allows."""
    match type_:
        case inspect.Metadata() | inspect.UnionType():
            inner = type_.types if isinstance(type_, inspect.UnionType) else (type_.type,)
            for each in inner:
                yield from _choices(each, steps)
        case inspect.LiteralType() if not steps:
            yield from type_.values
        case inspect.EnumType() if not steps:
            yield from (member.value for member in type_.cls)
        case inspect.StructType() if steps:
            if type_.tag_field == steps[0]:
                yield type_.tag
            for field in type_.fields:
                if field.encode_name == steps[0]:
                    yield from _choices(field.type, steps[1:])
        case inspect.DictType() if steps:
            yield from _choices(type_.value_type, steps[1:])
        case inspect.ListType() | inspect.VarTupleType() if steps:
            yield from _choices(type_.item_type, steps[1:])
        case _:
            return
