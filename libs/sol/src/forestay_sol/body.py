"""Request bodies: JSON syntax first, then the type that the operation asks for.

Rules: a fault names the member, see :mod:`forestay_sol.faults`; unknown members are accepted and dropped (SOL013 8.3);
U+0000 is refused because PostgreSQL cannot store it.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

import msgspec
from aiohttp import web
from forestay_events.errors import Rejected

from forestay_sol.faults import Step, pointer, rejection

T = TypeVar("T")

DEPTH = 100

_DOCUMENT: web.RequestKey[Any] = web.RequestKey("document", object)
_SYNTAX = re.compile(r"(?P<what>.*?)(?: \(byte (?P<byte>\d+)\))?", re.DOTALL)


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


def canonical(request: web.Request) -> bytes:
    """Give the body in one form, whatever the order of its members and the space between them; empty if there is none."""
    return msgspec.json.encode(request[_DOCUMENT], order="deterministic") if _DOCUMENT in request else b""


def parse(raw: bytes) -> Any:
    """Parse JSON.

    :raises Rejected: 400 when it is malformed (with the byte where), nested too deeply, not UTF-8 or has U+0000.
    """
    try:
        document = msgspec.json.decode(raw)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise Rejected(400, "Malformed request body: it is not UTF-8.", pointer="") from None
    except msgspec.DecodeError as error:
        match = cast("re.Match[str]", _SYNTAX.fullmatch(str(error)))
        place = f" at byte {match['byte']}" if match["byte"] else ""
        what = match["what"].removeprefix("JSON is malformed: ").partition(" - at ")[0]
        raise Rejected(400, f"Malformed request body: {what}{place}.", pointer="") from None
    if b"\\u0000" in raw or raw.count(b"[") + raw.count(b"{") > DEPTH:
        _inspect(document)
    return document


def convert(document: Any, type_: type[T]) -> T:
    """Give parsed JSON as ``type_``; ``Rejected(400)`` that names the member at fault."""
    try:
        return msgspec.convert(document, type_)
    except msgspec.ValidationError as error:
        raise rejection(document, type_, str(error)) from None


def refuse_nul(request: web.Request) -> None:
    """Refuse U+0000 in the path and in the query."""
    if "%00" in request.raw_path:
        raise Rejected(400, "The URI must not have the character U+0000.")


def _too_deep() -> Rejected:
    return Rejected(400, f"Malformed request body: it is nested more than {DEPTH} levels deep.", pointer="")


def _inspect(document: Any) -> None:
    """Refuse what JSON allows but the log and PostgreSQL do not carry: deep nesting and U+0000."""
    pending: list[tuple[list[Step], Any]] = [([], document)]
    while pending:
        steps, value = pending.pop()
        if len(steps) >= DEPTH and isinstance(value, dict | list):
            raise _too_deep()
        if isinstance(value, str) and "\0" in value:
            raise Rejected(400, "A string must not have the character U+0000.", pointer=pointer(steps))
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            if any("\0" in key for key in members):
                raise Rejected(400, "A member's name must not have the character U+0000.", pointer=pointer(steps))
            pending += [([*steps, key], item) for key, item in members.items()]
        elif isinstance(value, list):
            pending += [([*steps, index], item) for index, item in enumerate(cast("list[Any]", value))]
