"""HTTP to a VIM: one session for the process, a deadline on every call, and every failure as one of Forestay's errors.

Rules of this module, by what is known of the call:

* it was not sent (no connection), or was turned away (429, 503): ``Retryable``;
* it was sent and its answer is lost or says nothing (time-out, reset, other 5xx): ``UnknownOutcome`` for a call that
  acts, ``Retryable`` for one that only looks;
* it was refused (4xx): ``Permanent`` with the VIM's status and its own words.

A body is JSON, or :class:`Content` that is sent as it is read and takes as long as that takes.

A redirect is not followed: it would carry the token to another host.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

import aiohttp
import msgspec
from forestay_events.errors import ForestayError, Permanent, Retryable, UnknownOutcome
from forestay_events.telemetry import inject


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer below 300; ``body`` is the decoded JSON, ``None`` when there is none."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Content:
    """A body of ``size`` bytes; ``chunks`` begins to read it, once for each time it is sent."""

    chunks: Callable[[], AsyncIterator[bytes]]
    size: int


class Unauthorized(Permanent):
    """401: the token or the password is not accepted."""


class NotFound(Permanent):
    """404: there is no such resource (any more)."""


class AlreadyExists(Permanent):
    """409: the name is taken."""


class Transport:
    """The connections to all VIMs. Use as an async context manager, or call :meth:`close`.

    :param limit: connections at the same time, to all VIMs together.
    :param timeout: seconds for a whole call, from its start in the connection pool to the end of the answer.
    :param connect_timeout: seconds to connect.
    """

    def __init__(self, *, limit: int = 300, timeout: float = 60, connect_timeout: float = 10) -> None:
        self._limit = limit
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=connect_timeout)
        self._endless = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        tls: ssl.SSLContext | bool = True,
        body: Any = None,
        acts: bool = False,
    ) -> Reply:
        """Make a call and decode its JSON answer.

        :param acts: whether the call changes something, so that its lost answer is an unknown outcome.
        :raises Retryable: not sent, turned away, or the failure of a call that only looks.
        :raises UnknownOutcome: it may or may not have acted.
        :raises Permanent: refused; :class:`Unauthorized`, :class:`NotFound`, :class:`AlreadyExists` where they apply.
        """
        call = f"{method} {url.partition('?')[0]}"
        sent = _sent(body)
        try:
            async with self._opened().request(
                method,
                url,
                headers=inject({"Accept": "application/json", **sent.headers, **headers}),
                data=sent.data,
                timeout=self._endless if isinstance(body, Content) else self._timeout,
                ssl=tls,
                allow_redirects=False,
            ) as response:
                content = await response.read()
        except aiohttp.ClientConnectorCertificateError as error:
            raise Permanent(str(error), status=502, title="VIM certificate not trusted") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Retryable(f"{call}: cannot connect: {error}") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise Permanent(f"{url!r} is no URL of a VIM.", status=422, title="Invalid VIM endpoint") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _lost(acts)(f"{call}: no answer: {str(error) or type(error).__name__}") from error
        if response.status < 300:
            return Reply(status=response.status, headers=response.headers, body=_decoded(content))
        raise _refusal(response.status, f"{call}: {response.status}: {words(content)}", response.headers, acts, content)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._limit),
                timeout=self._timeout,
                headers={"User-Agent": "forestay", "Content-Type": "application/json"},
            )
        return self._session


class _Sent(NamedTuple):
    headers: Mapping[str, str]
    data: AsyncIterator[bytes] | bytes | None


def _sent(body: Any) -> _Sent:
    if isinstance(body, Content):
        return _Sent({"Content-Type": "application/octet-stream", "Content-Length": str(body.size)}, body.chunks())
    return _Sent({}, None if body is None else msgspec.json.encode(body))


def words(content: bytes) -> str:
    """What an OpenStack error body says: its ``message``, which each service wraps in another way."""
    found = next(_messages(_decoded(content)), None)
    return found or content.decode(errors="replace").replace("\0", "\ufffd").strip()[:500] or "no reason given"


def _messages(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        members = cast("dict[str, Any]", node)
        if isinstance(message := members.get("message"), str) and message:
            yield message
        for value in members.values():
            yield from _messages(value)


def _decoded(content: bytes) -> Any:
    # What a VIM says goes into the log, and PostgreSQL cannot store U+0000.
    harmless = content.replace(rb"\u0000", rb"\ufffd")
    try:
        return msgspec.json.decode(harmless) if harmless else None
    except msgspec.DecodeError:
        return None


def _lost(acts: bool) -> type[Retryable] | type[UnknownOutcome]:
    return UnknownOutcome if acts else Retryable


def _refusal(status: int, text: str, headers: Mapping[str, str], acts: bool, content: bytes) -> ForestayError:
    if status in (429, 503):
        after = headers.get("Retry-After", "")
        return Retryable(text, delay=float(after) if after.isdecimal() else None)
    if status >= 500:
        return _lost(acts)(text)
    if status == 409 and b"ActionInProgress" in content:
        return Retryable(text)
    kind = _REFUSALS.get(status, Permanent)
    return kind(text, status=status if status >= 400 else 502, title="VIM refused the request")


_REFUSALS: Mapping[int, Callable[..., Permanent]] = {401: Unauthorized, 404: NotFound, 409: AlreadyExists}
