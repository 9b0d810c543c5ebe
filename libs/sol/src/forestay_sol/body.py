"""Request bodies: JSON syntax first, then the type that the operation asks for.

Rules: a fault names the member by an RFC 6901 pointer and says what is expected, never what was given (it may be a
secret); unknown members are accepted and dropped (SOL013 5.4); U+0000 is refused because PostgreSQL cannot store it.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

import msgspec
from aiohttp import web
from forestay_events.errors import Rejected

T = TypeVar("T")

_DOCUMENT: web.RequestKey[Any] = web.RequestKey("document", object)
_SYNTAX = re.compile(r"(?P<what>.*?)(?: \(byte (?P<byte>\d+)\))?", re.DOTALL)
_PLACE = re.compile(r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`")
_WORDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_WORD = re.compile(r"`(\w+)`")
_UNKNOWN_KEY = "..."

Step = str | int


async def decode(request: web.Request, type_: type[T]) -> T:
    """Give the body as ``type_``.

    :raises Rejected: 400 when there is no body, or a member is missing or of another type.
    """
    if _DOCUMENT not in request:
        raise Rejected(400, "The request body is missing.", pointer="")
    return convert(request[_DOCUMENT], type_)


async def decode_optional(request: web.Request, type_: type[T]) -> T | None:
    """Give the body as ``type_``, ``None`` when there is none; raise as :func:`decode` does."""
    return await decode(request, type_) if _DOCUMENT in request else None


def parse_into(request: web.Request, raw: bytes) -> None:
    """Parse a body for :func:`decode`; ``Rejected(400)`` when it is not JSON."""
    request[_DOCUMENT] = parse(raw)


def parse(raw: bytes) -> Any:
    """Parse JSON.

    :raises Rejected: 400 when it is malformed (with the byte where), nested too deeply, not UTF-8 or has U+0000.
    """
    try:
        document = msgspec.json.decode(raw)
    except RecursionError:
        raise Rejected(400, "Malformed request body: it is nested too deeply.", pointer="") from None
    except UnicodeDecodeError:
        raise Rejected(400, "Malformed request body: it is not UTF-8.", pointer="") from None
    except msgspec.DecodeError as error:
        match = cast("re.Match[str]", _SYNTAX.fullmatch(str(error)))
        place = f" at byte {match['byte']}" if match["byte"] else ""
        what = match["what"].removeprefix("JSON is malformed: ")
        raise Rejected(400, f"Malformed request body: {what}{place}.", pointer="") from None
    if b"\\u0000" in raw:
        _refuse_nul_in(document)
    return document


def convert(document: Any, type_: type[T]) -> T:
    """Give parsed JSON as ``type_``; ``Rejected(400)`` that names the member at fault."""
    try:
        return msgspec.convert(document, type_)
    except msgspec.ValidationError as error:
        raise _rejection(document, type_, str(error)) from None


def pointer(steps: list[Step]) -> str:
    """Write an RFC 6901 pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def refuse_nul(request: web.Request) -> None:
    """Refuse U+0000 in the path and in the query."""
    if "%00" in request.raw_path:
        raise Rejected(400, "The URI must not have the character U+0000.")


def _refuse_nul_in(document: Any) -> None:
    pending: list[tuple[list[Step], Any]] = [([], document)]
    while pending:
        steps, value = pending.pop()
        if isinstance(value, str) and "\0" in value:
            raise Rejected(400, "A string must not have the character U+0000.", pointer=pointer(steps))
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            if any("\0" in key for key in members):
                raise Rejected(400, "A member's name must not have the character U+0000.", pointer=pointer(steps))
            pending += [([*steps, key], item) for key, item in members.items()]
        elif isinstance(value, list):
            pending += [([*steps, index], item) for index, item in enumerate(cast("list[Any]", value))]


def _rejection(document: Any, type_: type[Any], message: str) -> Rejected:
    match = cast("re.Match[str]", _PLACE.fullmatch(message))
    steps: list[Step] = []
    for step in _STEP.finditer(match["path"] or ""):
        if step["index"] == _UNKNOWN_KEY:
            steps.append(_key_at_fault(document, type_, message, steps))
        else:
            steps.append(step["name"] or int(step["index"]))
    what = match["what"]
    if missing := _MISSING.fullmatch(what):
        steps.append(missing["name"])
        what = "it is required"
    elif match["key"]:
        steps.append(_key_at_fault(document, type_, message, steps))
        what = f"as a member's name {what[0].lower()}{what[1:]}"
    else:
        what = what[0].lower() + what[1:]
    place = pointer(steps)
    words = _WORD.sub(lambda word: _WORDS.get(word[1], word[1]), what)
    return Rejected(400, f"Invalid input for field/attribute {place or 'body'}: {words}.", pointer=place)


def _key_at_fault(document: Any, type_: type[Any], message: str, steps: list[Step]) -> str:
    """Find the key that msgspec writes as ``[...]``: halve the mapping while the same message comes back."""
    keys = list(_at(document, steps))
    while len(keys) > 1:
        half = keys[: len(keys) // 2]
        keys = half if _fails(_with_keys(document, steps, half), type_, message) else keys[len(half) :]
    return keys[0]


def _fails(document: Any, type_: type[Any], message: str) -> bool:
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
