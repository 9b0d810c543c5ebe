"""Answers that are streamed, whole or as the one range that a request asks for (RFC 9110 clause 14)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

from aiohttp import hdrs, web
from forestay_events.errors import Rejected

_RANGE = re.compile(r"bytes=(?P<first>\d*)-(?P<last>\d*)", re.ASCII)


def parse_range(header: str, size: int) -> tuple[int, int]:
    """The range that a ``Range`` header asks for, of a content of ``size`` bytes: offset and length.

    :raises Rejected: 400, it is malformed or names several ranges; 416, nothing of it exists.
    """
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or match[0] == "bytes=-":
        raise Rejected(400, "Range must name one range of bytes, such as bytes=0-1023.")
    first, last = match["first"], match["last"]
    if first and last and int(last) < int(first):
        raise Rejected(400, "Range must not end before it begins.")
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= end:
        detail = f"The content has {size} bytes; nothing of {header} is in it."
        raise Rejected(416, detail, headers={hdrs.CONTENT_RANGE: f"bytes */{size}"})
    return start, end - start


async def stream(
    request: web.Request, chunks: Callable[[int, int], AsyncIterator[bytes]], *, size: int, content_type: str
) -> web.StreamResponse:
    """Answer with a content of ``size`` bytes: 200, or 206 with the range that was asked for.

    :param chunks: gives the content from an offset, a length of it.
    """
    asked = request.headers.get(hdrs.RANGE)
    start, length = (0, size) if asked is None else parse_range(asked, size)
    response = web.StreamResponse(status=200 if asked is None else 206)
    response.content_type = content_type
    response.content_length = length
    response.headers[hdrs.ACCEPT_RANGES] = "bytes"
    if asked is not None:
        response.headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{start + length - 1}/{size}"
    await response.prepare(request)
    async for chunk in chunks(start, length):
        await response.write(chunk)
    await response.write_eof()
    return response
