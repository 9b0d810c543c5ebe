"""HTTP to a VIM: one session for the process, a deadline on every call, and every failure as one of Forestay's errors.

Rules of this module, by what is known of the call:

* it was not sent (no connection), or was turned away (429, 503): ``Retryable``;
* it was sent and its answer is lost or says nothing (time-out, reset, other 5xx): ``UnknownOutcome`` for a call that
  acts, ``Retryable`` for one that only looks;
* it was answered with what is no answer of the service (a proxy's page, JSON of another shape): as if the answer were lost;
* it was refused (4xx), or failed for a reason that stays (``_HOPELESS``): ``Permanent`` with the VIM's own words.

A body is JSON, or bytes as they are, or :class:`Content` that is sent as it is read and takes as long as that takes.

Where a VIM is, users say. So what it answers is told only if it is said in the way of OpenStack; where it may be, the egress
policy says; and a redirect is not followed: it would carry the token to another host. A host that hangs takes no connections
from others.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar, cast

import aiohttp
import msgspec
from forestay_events.errors import ForestayError, Permanent, Rejected, Retryable, UnknownOutcome
from forestay_events.telemetry import inject
from forestay_sol.egress import Denied, Egress, EgressResolver
from yarl import URL

T = TypeVar("T")

ANYWHERE = Egress(loopback=True)
"""Where a VIM may be, unless an operator says more."""

_LONGEST_WAIT = 60.0
"""Seconds for which a VIM is believed that it wants to be left alone."""
_WORDS = 2000
_LARGEST = 16 << 20
_PAGE = re.compile(rb"<h1>\d{3} [^<]*</h1>\s*(.*?)<br", re.DOTALL)
"""How OpenStack's services say in HTML why they refuse (Glance does for all errors)."""


_END = re.compile(r"(?:<br />|\s)+\Z")
"""What some services have behind their words, in JSON, too."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer below 300.

    :ivar call: what was called, ``acts`` whether that changes something.
    :ivar content: as it came, but without U+0000.
    """

    call: str
    acts: bool
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        """The decoded JSON, whatever it is; ``None`` when there is none."""
        return _decoded(self.content)

    def read(self, kind: type[T], member: str = "") -> T:
        """The body, or a member of it, as this.

        :raises Retryable: it is something else, so who has answered is not the service (now); :class:`UnknownOutcome` if the call
            acts.
        """
        try:
            if not member:
                return msgspec.json.decode(self.content, type=kind)
            return msgspec.json.decode(
                msgspec.json.decode(self.content, type=dict[str, msgspec.Raw])[member], type=kind
            )
        except (KeyError, msgspec.DecodeError, RecursionError) as error:
            raise _lost(self.acts)(f"{self.call}: what answers is not the service: {error}") from error


@dataclass(frozen=True)
class Content:
    """A body of ``size`` bytes; ``chunks`` begins to read it, once for each time it is sent."""

    chunks: Callable[[], AsyncIterator[bytes]]
    size: int


class ServerError(UnknownOutcome):
    """500 to a call that acts: the service itself says that it has failed. Other 5xx are of who stands before it."""


class Unauthorized(Permanent):
    """401: the token or the password is not accepted."""


class Forbidden(Permanent):
    """403: this login may not do that."""


class NotFound(Permanent):
    """404: there is no such resource (any more)."""


class AlreadyExists(Permanent):
    """409: the name is taken."""


class Transport:
    """The connections to all VIMs. Use as an async context manager, or call :meth:`close`.

    :param limit: connections at the same time, to one host.
    :param timeout: seconds for which a call may wait for a connection, and then for its answer.
    :param connect_timeout: seconds to connect.
    :param egress: where VIMs may be.
    """

    def __init__(
        self, *, limit: int = 150, timeout: float = 60, connect_timeout: float = 10, egress: Egress = ANYWHERE
    ) -> None:
        self._limit = limit
        self._egress = egress
        self._timeout = aiohttp.ClientTimeout(
            total=2 * timeout, connect=timeout, sock_connect=connect_timeout, sock_read=timeout
        )
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
        target, sent = self._permitted(url), _sent(body)
        try:
            async with self._opened().request(
                method,
                target,
                headers=inject({"Accept": "application/json", **sent.headers, **headers}),
                data=sent.data,
                timeout=self._endless if isinstance(body, Content) else self._timeout,
                ssl=tls,
                allow_redirects=False,
            ) as response:
                if (content := await _read(response)) is None:
                    raise _lost(acts)(f"{call}: more than {_LARGEST >> 20} MiB are answered")
        except aiohttp.ClientConnectorCertificateError as error:
            raise Permanent(str(error), status=502, title="VIM certificate not trusted") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, Denied):
                raise _denied(f"{call}: {error.os_error}") from error
            raise Retryable(f"{call}: cannot connect: {error}") from error
        except aiohttp.ClientResponseError as error:  # its text would have what was answered
            raise _lost(acts)(f"{call}: what answers does not speak HTTP") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _lost(acts)(f"{call}: no answer: {str(error) or type(error).__name__}") from error
        if response.status < 300:
            if response.status == 200 and content.lstrip().startswith(b"<"):  # Heat's own pages say 202
                raise _lost(acts)(f"{call}: what answers is not the service: a page")
            return Reply(
                call=call, acts=acts, status=response.status, headers=response.headers, content=_harmless(content)
            )
        raise _refusal(response.status, f"{call}: {response.status}: {words(content)}", response.headers, acts, content)

    def _permitted(self, url: str) -> URL:
        """The URL. :raises Permanent: 422, it is none, or no VIM may be there."""
        try:
            return self._egress.check(url, "")
        except Rejected as error:
            if error.status == 422:
                raise _denied(f"{url.partition('?')[0]}: {error}") from None
            raise Permanent(f"{url!r} is no URL of a VIM.", status=422, title="Invalid VIM endpoint") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, limit_per_host=self._limit, resolver=EgressResolver(self._egress)
                ),
                timeout=self._timeout,
                headers={"User-Agent": "forestay", "Content-Type": "application/json"},
            )
        return self._session


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """The answer, ``None`` if it is larger than one of OpenStack's."""
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > _LARGEST:
            return None
    return bytes(content)


class _Sent(NamedTuple):
    headers: Mapping[str, str]
    data: AsyncIterator[bytes] | bytes | None


def _sent(body: Any) -> _Sent:
    if isinstance(body, Content):
        return _Sent({"Content-Type": "application/octet-stream", "Content-Length": str(body.size)}, body.chunks())
    return _Sent({}, body if body is None or isinstance(body, bytes) else msgspec.json.encode(body))


def words(content: bytes) -> str:
    """What an OpenStack error body says: its ``message``, which each service wraps in another way, or the explanation and type
    of Heat's that has none, or its page."""
    body = _decoded(content)
    found = next(_members("message", body), None)
    if found is None and (said := next(_members("explanation", body), None)):
        found = " ".join([said, *(f"({kind})" for kind in _members("type", body))])
    if found is None and (page := _PAGE.search(content[: 4 * _WORDS])):
        found = unescape(page[1].decode(errors="replace")).replace("\0", "\ufffd")
    return _END.sub("", found or "")[:_WORDS] or "no reason given"


def _members(name: str, node: Any) -> Iterator[str]:
    """The texts of this name, at any depth."""
    nodes = [node]
    while nodes:
        if isinstance(node := nodes.pop(), dict):
            members = cast("dict[str, Any]", node)
            if isinstance(text := members.get(name), str) and text:
                yield text
            nodes += reversed(members.values())


def _harmless(content: bytes) -> bytes:
    """What a VIM says goes into the log, and PostgreSQL cannot store U+0000."""
    return content.replace(rb"\u0000", rb"\ufffd")


def _decoded(content: bytes) -> Any:
    try:
        return msgspec.json.decode(_harmless(content)) if content else None
    except (msgspec.DecodeError, RecursionError):
        return None


def _denied(text: str) -> Permanent:
    return Permanent(
        f"{text} FORESTAY_VIM_ALLOW and FORESTAY_VIM_DENY say where VIMs may be.",
        status=422,
        title="VIM address is denied",
    )


def _lost(acts: bool) -> type[Retryable] | type[UnknownOutcome]:
    return UnknownOutcome if acts else Retryable


def _refusal(status: int, text: str, headers: Mapping[str, str], acts: bool, content: bytes) -> ForestayError:
    if status in (429, 503):
        after = headers.get("Retry-After", "")
        return Retryable(text, delay=min(float(after), _LONGEST_WAIT) if after.isdecimal() else None)
    if status >= 500:
        type_ = next(_members("type", _decoded(content)), "")
        if type_ in _HOPELESS:
            return Permanent(text, status=502, title="VIM cannot do what was asked")
        return ServerError(text) if acts and status == 500 else _lost(acts)(text)
    if status == 409 and b"ActionInProgress" in content:
        return Retryable(text)
    kind = _REFUSALS.get(status, Permanent)
    return kind(text, status=status if status >= 400 else 502, title="VIM refused the request")


_REFUSALS: Mapping[int, Callable[..., Permanent]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: AlreadyExists,
}

_HOPELESS = frozenset({"InvalidEncryptionKey", "InvalidGlobalResource"})
"""The types of Heat's 500s that only its operator can change. All others may pass: ``RemoteError`` is a fault of whatever its
engine has called (database, Keystone, message bus), ``MessagingTimeout`` an engine that is down or busy."""
