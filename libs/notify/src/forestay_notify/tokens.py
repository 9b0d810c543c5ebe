"""Access tokens of OAuth 2.0 by the client credentials grant (RFC 6749 clause 4.4).

The client is known by its password, or by its certificate (RFC 8705 clause 2). A redirect is not followed: it would carry
the password to another host.
"""

from __future__ import annotations

import ssl
import time
from typing import NamedTuple

import aiohttp
import msgspec
from aiohttp import encode_basic_auth, hdrs
from forestay_events.errors import ForestayError
from yarl import URL

_EARLY = 30.0
"""Seconds before its end at which a token is not used any more."""
_LIFETIME = 300.0
"""Seconds for which a token is kept whose server does not say (RFC 6749 5.1: it should)."""
_LONGEST = 64 * 1024


class Token(NamedTuple):
    """A token, and the time (monotonic) until which it may be used."""

    value: str
    until: float


class NoToken(ForestayError):
    """The server gave none.

    :ivar status: of its answer.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float = _LIFETIME


async def fetch_token(
    session: aiohttp.ClientSession,
    endpoint: URL,
    client_id: str,
    password: str | None,
    *,
    tls: ssl.SSLContext | bool = True,
) -> Token:
    """
    :param endpoint: that the session may connect to.
    :param password: ``None``: the client is known by the certificate of ``tls``.
    :raises NoToken: the answer is not 200, or has no token.
    :raises aiohttp.ClientError, OSError, TimeoutError: there is no answer.
    """
    form = {"grant_type": "client_credentials"} | ({"client_id": client_id} if password is None else {})
    headers = {hdrs.ACCEPT: "application/json"}
    if password is not None:
        headers[hdrs.AUTHORIZATION] = encode_basic_auth(client_id, password, "utf-8")
    async with session.post(endpoint, data=form, allow_redirects=False, headers=headers, ssl=tls) as response:
        if response.status != 200:
            raise NoToken(f"the token endpoint answered {response.status}", response.status)
        content = b""
        while len(content) < _LONGEST and (more := await response.content.read(_LONGEST - len(content))):
            content += more
    try:
        answer = msgspec.json.decode(content, type=_Answer, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise NoToken("the token endpoint's answer has no access_token", response.status) from None
    lifetime = answer.expires_in
    return Token(answer.access_token, time.monotonic() + lifetime - min(_EARLY, lifetime / 2))
