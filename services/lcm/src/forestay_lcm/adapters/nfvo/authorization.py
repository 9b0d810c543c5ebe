"""How Forestay logs in at an NFVO (SOL013 clause 8.3): not at all, by HTTP Basic, or by OAuth2 client credentials.

Rules of this module: a token serves all calls, is renewed before it ends, and once when the NFVO no longer accepts it; calls
that need a token at the same time wait for one request. Secrets stay in memory and out of every message.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote_plus, urlencode

import msgspec
from forestay_events.errors import Permanent

from forestay_lcm.adapters.nfvo.settings import NfvoSettings
from forestay_lcm.adapters.nfvo.transport import Transport

_EARLY = 30.0
"""Seconds before its end at which a token is renewed, at most a tenth of its life."""

_LIFE = 300.0
"""Seconds that a token lives whose server does not say how long."""

Headers = Mapping[str, str]


class Authorization(Protocol):
    """Gives the headers that log a call in."""

    async def headers(self, *, refused: Headers | None = None) -> Headers:
        """The headers; ``refused`` were answered 401 and are not given again if there can be others."""
        ...


class Fixed:
    """The same headers for ever."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    async def headers(self, *, refused: Headers | None = None) -> Headers:
        return self._headers


class _Token(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 6749 section 5.1."""

    access_token: str
    expires_in: float = _LIFE


class ClientCredentials:
    """OAuth2 client credentials: the client's secret by HTTP Basic, or its certificate (RFC 6749 4.4, RFC 8705 2)."""

    def __init__(self, transport: Transport, settings: NfvoSettings) -> None:
        self._transport = transport
        self._settings = settings
        self._lock = asyncio.Lock()
        self._headers: Headers = {}
        self._renew_at = 0.0

    async def headers(self, *, refused: Headers | None = None) -> Headers:
        """
        :raises Permanent: 401, the token server does not accept the client.
        :raises Retryable: the token server cannot be reached.
        """
        async with self._lock:
            if not self._headers or self._headers == refused or self._renew_at <= time.monotonic():
                token = await self._token()
                self._headers = {"Authorization": f"Bearer {token.access_token}"}
                self._renew_at = time.monotonic() + token.expires_in - min(_EARLY, token.expires_in / 10)
            return self._headers

    async def _token(self) -> _Token:
        of = self._settings
        form = {"grant_type": "client_credentials"} | ({"scope": of.nfvo_scope} if of.nfvo_scope else {})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if of.nfvo_client_secret:
            headers |= basic(quote_plus(of.nfvo_client_id), quote_plus(of.nfvo_client_secret))
        else:
            form["client_id"] = of.nfvo_client_id
        try:
            reply = await self._transport.request(
                "POST", of.nfvo_token_endpoint, headers=headers, body=urlencode(form).encode()
            )
            return msgspec.json.decode(reply.content, type=_Token)
        except msgspec.MsgspecError as error:
            reason = f"its answer is no token: {error}"
        except Permanent as error:
            reason = str(error)
        raise Permanent(
            f"{of.nfvo_token_endpoint} gives client {of.nfvo_client_id!r} no token: {reason}",
            status=401,
            title="NFVO authentication failed",
        )


def basic(user: str, password: str) -> dict[str, str]:
    """HTTP Basic (RFC 7617)."""
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def authorization(transport: Transport, settings: NfvoSettings) -> Authorization:
    """The way that the settings name."""
    if settings.nfvo_auth == "oauth2":
        return ClientCredentials(transport, settings)
    return Fixed(basic(settings.nfvo_username, settings.nfvo_password) if settings.nfvo_auth == "basic" else {})
