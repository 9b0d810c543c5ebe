"""HTTP to the NFVO: one session, a deadline on every call, TLS verified, and every failure as one of Forestay's errors.

Rules of this module, by what is known of the call:

* it was not sent (no connection), or was turned away (429, 503): ``Retryable``, with the ``Retry-After`` of the NFVO;
* it was sent and its answer is lost (time-out, reset, 502 or 504 of a proxy): ``UnknownOutcome`` for a call that acts,
  ``Retryable`` for one that only looks, which is so with every 5xx;
* it was refused: ``Permanent`` with the status, the title and the words of the NFVO's ProblemDetails.

A redirect is not followed: it would carry the credentials to another host.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from forestay_events.config import ConfigError
from forestay_events.errors import ForestayError, Permanent, Retryable, UnknownOutcome
from forestay_events.telemetry import inject

from forestay_lcm.adapters.nfvo.settings import NfvoSettings

_LONGEST_WAIT = 600.0
_PROXY = (502, 504)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer below 300."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Unauthorized(Permanent):
    """401: the credentials are not accepted, or not any more."""


class Transport:
    """The connections to the NFVO and its token server; async context manager."""

    def __init__(self, settings: NfvoSettings) -> None:
        """:raises ConfigError: a certificate file cannot be used."""
        self._tls = tls(settings)
        self._timeout = aiohttp.ClientTimeout(total=settings.nfvo_timeout, sock_connect=10)
        self._endless = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=settings.nfvo_timeout)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._session:
            await self._session.close()

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, acts: bool = False
    ) -> Reply:
        """Make a call and read its answer. :raises: as the module's rules say; :class:`Unauthorized` for 401."""
        async with self._call(method, url, headers, body, acts, self._timeout) as response:
            content = await response.read()
        return Reply(status=response.status, headers=response.headers, content=content)

    @asynccontextmanager
    async def stream(self, url: str, *, headers: Mapping[str, str]) -> AsyncGenerator[aiohttp.StreamReader]:
        """GET something big: it may take as long as it likes, if it does not stand still. Errors as of :meth:`request`."""
        async with self._call("GET", url, headers, None, False, self._endless) as response:
            yield response.content

    @asynccontextmanager
    async def _call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        acts: bool,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - not a deadline of this function
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        call = f"{method} {url.partition('?')[0]}"
        try:
            async with self._opened().request(
                method, url, headers=inject(headers), data=body, ssl=self._tls, allow_redirects=False, timeout=timeout
            ) as response:
                if response.status >= 300:
                    raise _refusal(call, response.status, response.headers, await response.read(), acts)
                yield response
        except aiohttp.ClientSSLError as error:
            raise Permanent(f"{call}: {error}", status=502, title="TLS with the NFVO failed") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Retryable(f"{call}: cannot connect: {error}") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise Permanent(f"{url!r} is no URL of an NFVO.", status=502, title="Invalid NFVO endpoint") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            lost = UnknownOutcome if acts else Retryable
            raise lost(f"{call}: no answer: {str(error) or type(error).__name__}") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # A kept connection that the NFVO has closed meanwhile would make a grant request one whose answer is lost.
                connector=aiohttp.TCPConnector(force_close=True),
                headers={"User-Agent": "forestay", "Accept": "application/json"},
            )
        return self._session


def tls(settings: NfvoSettings) -> ssl.SSLContext:
    """The TLS context: verifies unless told otherwise, with a client certificate if there is one.

    :raises ConfigError: a file cannot be read or is no PEM.
    """
    try:
        context = ssl.create_default_context(cafile=settings.nfvo_ca_file)
        if settings.nfvo_client_certificate:
            context.load_cert_chain(settings.nfvo_client_certificate, settings.nfvo_client_key)
    except OSError as error:  # ssl.SSLError is one
        names = ("nfvo_ca_file", "nfvo_client_certificate", "nfvo_client_key")
        files = ", ".join(f"FORESTAY_{name.upper()}" for name in names if getattr(settings, name))
        raise ConfigError(f"The TLS files for the NFVO ({files}) cannot be used: {error}") from error
    if not settings.nfvo_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of ``Retry-After``, which may be a number or a date; ``None`` without one that can be read."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return min(float(text), _LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - datetime.now(UTC)).total_seconds(), 0.0), _LONGEST_WAIT)


def _refusal(call: str, status: int, headers: Mapping[str, str], content: bytes, acts: bool) -> ForestayError:
    problem = _problem(content)
    words = next(
        (str(problem[key]) for key in ("detail", "error_description", "title", "error") if problem.get(key)), ""
    )
    words = words or content.decode(errors="replace").strip()[:500] or "no reason given"
    if status in (429, 503):
        return Retryable(f"{call}: {status}: {words}", delay=retry_after(headers))
    if status >= 500 and not acts:
        return Retryable(f"{call}: {status}: {words}")
    if status in _PROXY:
        return UnknownOutcome(f"{call}: {status}: {words}")
    if status < 400:
        return Permanent(f"{call}: {status}: redirects are not followed.", status=502, title="NFVO redirects")
    kind = Unauthorized if status == 401 else Permanent
    return kind(words, status=status, title=str(problem.get("title") or "NFVO refused the request"))


def _problem(content: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}
