"""``ETag``, ``If-Match`` and ``If-None-Match`` (RFC 9110 13): a change only of what its sender has seen.

Rules: a tag is the aggregate's version and a digest of the representation, ``"7-1c3e0a92b4d8"``. A change is compared by the
version, where it is appended to the log, so nobody comes in between; a read is compared by the whole tag, because a
representation may also show what other aggregates say.
"""

from __future__ import annotations

import hashlib
import re

from aiohttp import hdrs, web

#: As it is usually written; aiohttp has "Etag".
ETAG = "ETag"
CHANGES = frozenset({hdrs.METH_PATCH, hdrs.METH_PUT, hdrs.METH_DELETE})

_TAG = re.compile(r'(?P<weak>W/)?"(?P<opaque>[^"]*)"')
_VERSION = re.compile(r"(?P<version>\d{1,18})-[0-9a-f]{12}", re.ASCII)


def tag(version: int, representation: bytes) -> str:
    """Write the ``ETag`` of a representation."""
    return f'"{version}-{hashlib.blake2b(representation, digest_size=6).hexdigest()}"'


def expected(request: web.Request) -> frozenset[int] | None:
    """Give the versions that a change is meant for, ``None`` if it is meant for any. A tag that is not ours fits none."""
    given = _header(request, hdrs.IF_MATCH)
    if request.method not in CHANGES or given in ("", "*"):
        return None
    strong = (tag["opaque"] for tag in _TAG.finditer(given) if not tag["weak"])
    return frozenset(int(found["version"]) for opaque in strong if (found := _VERSION.fullmatch(opaque)))


def unless_known(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Give the answer to a read, or 304 if ``If-None-Match`` has its tag."""
    current, given = response.headers.get(ETAG), _header(request, hdrs.IF_NONE_MATCH)
    if request.method != hdrs.METH_GET or response.status != 200 or current is None or not given:
        return response
    if given == "*" or any(f'"{tag["opaque"]}"' == current for tag in _TAG.finditer(given)):
        return web.Response(status=304, headers={ETAG: current})
    return response


def _header(request: web.Request, name: str) -> str:
    return ",".join(request.headers.getall(name, ())).strip()
