"""Fetches a content over http or https.

Rules: every connection is checked against the egress policy by the addresses that its name resolves to, that of a redirect
and of a token endpoint too; credentials go to the address that they were given for and never along a redirect to another
origin; a connection that is cut is taken up where it was if the server vouches for the same content (``If-Range`` with a strong
ETag), else it is a passing fault. What the server says for good (4xx) is ``Rejected``, what may pass is ``Retryable``; neither
tells secrets.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import ClientResponse, ClientTimeout, DummyCookieJar, TCPConnector, encode_basic_auth, hdrs
from forestay_events.errors import Permanent, Rejected, Retryable
from forestay_notify.authentication import ParamsOauth2ClientCredentials, SubscriptionAuthentication
from forestay_notify.tokens import NoToken, fetch_token
from forestay_sol.egress import Denied, EgressResolver
from yarl import URL

from forestay_package_mgmt.fetching.access import Access, shown
from forestay_package_mgmt.fetching.egress import FetchEgress

_CONNECT = 10.0
_REDIRECTS = 5
_RESUMES = 20
_MOVED = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429})
_BROKEN = (aiohttp.ClientError, OSError, TimeoutError)


class Received:
    """How far a content has come: ``total`` is ``None`` while the server does not say, ``tag`` while it does not vouch."""

    def __init__(self) -> None:
        self.bytes = 0
        self.total: int | None = None
        self.tag: str | None = None


class Fetcher:
    """The client. Make it with :func:`open_fetcher`."""

    def __init__(self, egress: FetchEgress, session: aiohttp.ClientSession) -> None:
        self._egress = egress
        self._session = session

    async def fetch(self, access: Access, progress: Received | None = None) -> AsyncIterator[bytes]:
        """The content, in pieces.

        :param progress: is kept up to date.
        :raises Rejected: the address is denied, or the server refuses for good.
        :raises Retryable: the server does not answer, or breaks off.
        """
        received = progress or Received()
        for _ in range(_RESUMES):
            before = received.bytes
            try:
                async with self._answer(access, received) as response:
                    async for piece in response.content.iter_any():
                        received.bytes += len(piece)
                        yield piece
                    return
            except _BROKEN as error:
                if received.tag is None or received.bytes == before:
                    raise _meaning(access.uri, error) from error
        raise Retryable(f"{access.uri} broke off {_RESUMES} times.")

    @asynccontextmanager
    async def _answer(self, access: Access, received: Received) -> AsyncGenerator[ClientResponse]:
        """The content from where it has come to, behind redirects."""
        origin = url = self._egress.check(access.url, "/addressInformation")
        headers = {hdrs.ACCEPT_ENCODING: "identity"}
        if received.tag is not None:
            headers |= {hdrs.RANGE: f"bytes={received.bytes}-", hdrs.IF_RANGE: received.tag}
        authorization = await self._authorization(access.authentication)
        for _ in range(_REDIRECTS + 1):
            own = authorization if url.origin() == origin.origin() else {}
            async with self._session.get(url, headers=headers | own, allow_redirects=False) as response:
                if response.status not in _MOVED:
                    _judge(url, response, received)
                    yield response
                    return
                target = response.headers.get(hdrs.LOCATION, "")
            url = self._egress.check(_joined(url, target), "/addressInformation")
        raise Rejected(422, f"{access.uri} redirects more than {_REDIRECTS} times.")

    async def _authorization(self, given: SubscriptionAuthentication | None) -> dict[str, str]:
        if given is None:
            return {}
        if basic := given.params_basic:
            return {hdrs.AUTHORIZATION: encode_basic_auth(basic.user_name, basic.password, "utf-8")}
        if client := given.params_oauth2_client_credentials:
            return {hdrs.AUTHORIZATION: f"Bearer {await self._token(client)}"}
        return {}

    async def _token(self, client: ParamsOauth2ClientCredentials) -> str:
        url = self._egress.check(client.token_endpoint, "/paramsOauth2ClientCredentials/tokenEndpoint")
        try:
            return (await fetch_token(self._session, url, client.client_id, client.client_password)).value
        except NoToken as error:
            raise _refusal(f"{shown(url)}: {error}.", error.status) from None


def _joined(url: URL, target: str) -> str:
    """Where a redirect leads. :raises Rejected: nowhere."""
    try:
        return str(url.join(URL(target)))
    except ValueError:
        raise Rejected(422, f"{shown(url)} redirects to what is no URI.") from None


def _judge(url: URL, response: ClientResponse, received: Received) -> None:
    """Take in what an answer says about the content. :raises Rejected, Retryable: it has none."""
    resumed = response.status == 206 and received.tag is not None
    if response.status != 200 and not resumed:
        raise _refused(url, response)
    if resumed and not response.headers.get(hdrs.CONTENT_RANGE, "").startswith(f"bytes {received.bytes}-"):
        raise Retryable(f"{shown(url)} answered with another range than the one that it was asked for.")
    if not resumed:
        if received.bytes:
            raise Retryable(f"The content of {shown(url)} has changed while it was fetched.")
        tag = response.headers.get(hdrs.ETAG, "")
        received.tag = tag if tag.startswith('"') else None
        received.total = response.content_length


def _meaning(uri: str, error: BaseException) -> Rejected | Retryable:
    """What a connection that failed means: an address that is denied or is none stays so."""
    if isinstance(error, aiohttp.InvalidURL):
        return Rejected(422, f"{uri} cannot be fetched: {error}")
    denied = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None
    if isinstance(denied, Denied):
        return Rejected(422, f"{uri}: {denied}. An operator can allow its network (FORESTAY_PACKAGE_FETCH_ALLOW).")
    return Retryable(f"{uri} cannot be fetched: {denied or error or type(error).__name__}")


def _refused(url: URL, response: ClientResponse) -> Rejected | Retryable:
    return _refusal(f"{shown(url)} answered {response.status} {response.reason or ''}".rstrip() + ".", response.status)


def _refusal(text: str, status: int) -> Rejected | Retryable:
    passing = status >= 500 or status in _PASSING
    return Retryable(text) if passing else Rejected(422, text)


@asynccontextmanager
async def open_fetcher(egress: FetchEgress, *, patience: float, ca_file: Path | None) -> AsyncGenerator[Fetcher]:
    """
    :param patience: seconds for which a server may be silent.
    :param ca_file: PEM of the CAs, ``None`` for the system's.
    :raises Permanent: the file cannot be used.
    """
    try:
        context = await asyncio.to_thread(ssl.create_default_context, cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise Permanent(f"The CAs to fetch packages from ({ca_file}) cannot be used: {error}") from error
    session = aiohttp.ClientSession(
        connector=TCPConnector(resolver=EgressResolver(egress), ssl=context, use_dns_cache=False),
        timeout=ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=patience),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        read_bufsize=1 << 20,
    )
    try:
        yield Fetcher(egress, session)
    finally:
        await session.close()
