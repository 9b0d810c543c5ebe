"""Answers that are streamed, whole or as the ranges that a request asks for (RFC 9110 clause 14).

A content never changes under its entity tag, so a client may go on after a cut: ``If-Range`` with another tag gives the whole.
Several ranges come as ``multipart/byteranges``, in the order asked for; a request for more bytes than there are gets the whole.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from aiohttp import hdrs, web
from forestay_events.errors import Rejected

_RANGE = re.compile(r"(?P<first>\d{0,18})-(?P<last>\d{0,18})", re.ASCII)
_RANGES = 50

Chunks = Callable[[int, int], AsyncIterator[bytes]]


class Span(NamedTuple):
    """Bytes of a content: from ``start``, ``length`` of them."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def parse_ranges(header: str, size: int, *, several: bool) -> list[Span]:
    """The ranges that a ``Range`` header asks for, of a content of ``size`` bytes; those that do not exist are left out.

    :raises Rejected: 400, it is malformed, or names several ranges or too many; 416, nothing of it exists.
    """
    unit, _, rest = header.replace(" ", "").partition("=")
    wanted = rest.split(",")
    if unit != "bytes" or len(wanted) > (_RANGES if several else 1):
        what = f"up to {_RANGES} ranges of bytes, such as bytes=0-1023,4096-" if several else "one range of bytes"
        raise Rejected(400, f"Range must name {what}.")
    spans = [span for each in wanted if (span := _span(each, size)) is not None]
    if not spans:
        detail = f"The content has {size} bytes; nothing of {header} is in it."
        raise Rejected(416, detail, headers={hdrs.ACCEPT_RANGES: "bytes", hdrs.CONTENT_RANGE: f"bytes */{size}"})
    return spans


def _span(text: str, size: int) -> Span | None:
    match = _RANGE.fullmatch(text)
    if match is None or match[0] == "-":
        raise Rejected(400, "A range of bytes is written as in bytes=0-1023.")
    first, last = match["first"], match["last"]
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    return Span(start, end - start) if start < end else None


async def stream(
    request: web.Request, chunks: Chunks, *, size: int, content_type: str, tag: str, several: bool = False
) -> web.StreamResponse:
    """Answer with a content of ``size`` bytes: 200, or 206 with what was asked for.

    :param chunks: gives the content from an offset, a length of it.
    :param tag: names the content for ever.
    :param several: whether more than one range may be asked for.
    """
    quoted = f'"{tag}"'
    asked = request.headers.get(hdrs.RANGE) if request.headers.get(hdrs.IF_RANGE, quoted) == quoted else None
    spans = [] if asked is None else parse_ranges(asked, size, several=several)
    if sum(span.length for span in spans) > size:
        spans = []
    response = web.StreamResponse(status=206 if spans else 200)
    response.headers.update({hdrs.ACCEPT_RANGES: "bytes", hdrs.ETAG: quoted})
    if len(spans) > 1:
        await _parts(request, response, chunks, spans, size, content_type)
    else:
        span = spans[0] if spans else Span(0, size)
        response.content_type, response.content_length = content_type, span.length
        if spans:
            response.headers[hdrs.CONTENT_RANGE] = span.content_range(size)
        await response.prepare(request)
        async for chunk in chunks(*span):
            await response.write(chunk)
    await response.write_eof()
    return response


async def _parts(
    request: web.Request, response: web.StreamResponse, chunks: Chunks, spans: list[Span], size: int, content_type: str
) -> None:
    boundary = secrets.token_hex(16)
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {span.content_range(size)}\r\n\r\n".encode()
        for span in spans
    ]
    end = f"\r\n--{boundary}--\r\n".encode()
    response.content_length = sum(map(len, heads)) + sum(span.length for span in spans) + len(end)
    response.headers[hdrs.CONTENT_TYPE] = f"multipart/byteranges; boundary={boundary}"
    await response.prepare(request)
    for head, span in zip(heads, spans, strict=True):
        await response.write(head)
        async for chunk in chunks(*span):
            await response.write(chunk)
    await response.write(end)
