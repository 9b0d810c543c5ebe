"""HTTP to subscribers: the callback test, the delivery of one notification, and the tokens for it.

Rules: certificates are verified; redirects are not followed, since they would lead past the callback that was tested; a token
is kept until shortly before it expires and is fetched anew when a subscriber refuses it. Whatever goes wrong is a
:class:`NotDelivered` with a sentence for the delivery log.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import ClientResponse, ClientTimeout, DummyCookieJar, TCPConnector, encode_basic_auth, hdrs
from forestay_events.errors import ForestayError, Permanent, Rejected
from forestay_events.telemetry import inject
from forestay_sol.egress import Egress, EgressResolver, networks

from forestay_notify.authentication import SubscriptionAuthentication, thumbprint_of
from forestay_notify.settings import NotifySettings
from forestay_notify.tokens import NoToken, Token, fetch_token

_CONNECT = 5.0
_EXCERPT = 300
"""Bytes of a subscriber's answer for the delivery log."""
_TOKENS = 10_000
#: Answers that say something about the subscriber rather than about the notification that it was sent.
_NOT_ABOUT_THE_NOTIFICATION = frozenset({401, 403, 407, 408, 425, 429})


class NotDelivered(ForestayError):
    """A try failed.

    :ivar down: the subscriber itself is not in order, so other notifications would fare no better.
    """

    def __init__(self, message: str, *, down: bool) -> None:
        super().__init__(message)
        self.down = down


@dataclass
class Callbacks:
    """The client. Make it with :func:`open_callbacks`.

    :ivar thumbprint: of the client certificate, ``None`` if there is none.
    """

    egress: Egress
    thumbprint: str | None
    _session: aiohttp.ClientSession
    _plain: ssl.SSLContext
    _with_certificate: ssl.SSLContext | None
    _tokens: dict[tuple[str, ...], Token] = field(default_factory=dict[tuple[str, ...], Token])

    async def test(self, uri: str, authentication: SubscriptionAuthentication | None, version: str | None) -> None:
        """Ask a new subscription's callback whether it is one (SOL003 5.4.20): GET must answer 204.

        :raises Rejected: 422, it does not.
        """
        try:
            status, text = await self._request("GET", uri, authentication, _versioned(version))
        except NotDelivered as error:
            raise _no_callback(str(error)) from error
        if status != 204:
            raise _no_callback(f"it answered {status} to GET, not 204{_excerpt(text)}")

    async def deliver(
        self, uri: str, authentication: SubscriptionAuthentication | None, version: str | None, body: bytes
    ) -> None:
        """POST a notification.

        :param version: of the API, for the ``Version`` header; ``None``: without one.
        :raises NotDelivered: it was not accepted with a 2xx, as far as can be known.
        """
        headers = inject(_versioned(version) | {hdrs.CONTENT_TYPE: "application/json"})
        status, text = await self._request("POST", uri, authentication, headers, body)
        if not 200 <= status < 300:
            down = status >= 500 or status in _NOT_ABOUT_THE_NOTIFICATION
            raise NotDelivered(f"it answered {status}{_excerpt(text)}", down=down)

    async def _request(
        self,
        method: str,
        uri: str,
        authentication: SubscriptionAuthentication | None,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> tuple[int, str]:
        try:
            for fresh in (False, True):
                authorization, kept = await self._authorization(authentication, fresh=fresh)
                async with self._session.request(
                    method, self.egress.check(uri, "/callbackUri"), data=body, ssl=self._tls(authentication),
                    headers={hdrs.ACCEPT: "application/json"} | dict(headers) | authorization, allow_redirects=False,
                ) as response:  # fmt: skip
                    text = (await _beginning(response, _EXCERPT)).decode(errors="replace")
                    if response.status != 401 or not kept:
                        return response.status, text
            return 401, text
        except Rejected as error:
            raise NotDelivered(error.detail, down=True) from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise NotDelivered(_reason(error), down=True) from error

    def _tls(self, authentication: SubscriptionAuthentication | None) -> ssl.SSLContext:
        if authentication is None or "TLS_CERT" not in authentication.auth_type:
            return self._plain
        return self._certified()

    def _certified(self) -> ssl.SSLContext:
        if self._with_certificate is None:
            raise NotDelivered("a client certificate is needed (FORESTAY_NOTIFY_CLIENT_CERT_FILE)", down=True)
        return self._with_certificate

    async def _authorization(
        self, given: SubscriptionAuthentication | None, *, fresh: bool
    ) -> tuple[dict[str, str], bool]:
        """The ``Authorization`` header, and whether it is from a token that was kept."""
        kinds = given.auth_type if given else ()
        if given and "OAUTH2_CLIENT_CERT" in kinds and (certificate := given.params_oauth2_client_cert):
            return await self._bearer(certificate.token_endpoint, certificate.client_id, None, fresh=fresh)
        if given and "OAUTH2_CLIENT_CREDENTIALS" in kinds and (client := given.params_oauth2_client_credentials):
            return await self._bearer(client.token_endpoint, client.client_id, client.client_password, fresh=fresh)
        if given and "BASIC" in kinds and (basic := given.params_basic):
            return _basic(basic.user_name, basic.password), False
        return {}, False

    async def _bearer(
        self, endpoint: str, client_id: str, password: str | None, *, fresh: bool
    ) -> tuple[dict[str, str], bool]:
        key = (endpoint, client_id, password or "")
        kept = self._tokens.get(key)
        usable = kept is not None and not fresh and kept.until > time.monotonic()
        token = kept if kept is not None and usable else await self._fetch_token(endpoint, client_id, password)
        if len(self._tokens) >= _TOKENS:
            self._tokens.pop(next(iter(self._tokens)))
        self._tokens[key] = token
        return {hdrs.AUTHORIZATION: f"Bearer {token.value}"}, usable

    async def _fetch_token(self, endpoint: str, client_id: str, password: str | None) -> Token:
        tls = self._plain if password is not None else self._certified()
        try:
            url = self.egress.check(endpoint, "/authentication")
            return await fetch_token(self._session, url, client_id, password, tls=tls)
        except NoToken as error:
            raise NotDelivered(str(error), down=True) from None


@asynccontextmanager
async def open_callbacks(settings: NotifySettings, *, loopback: bool) -> AsyncGenerator[Callbacks]:
    """
    :param loopback: whether callbacks on this machine are allowed, see :mod:`forestay_sol.egress`.
    :raises Permanent: a certificate or a network of the settings cannot be used.
    """
    egress = Egress(allowed=networks(settings.notify_allow), denied=networks(settings.notify_deny), loopback=loopback)
    certificate = settings.notify_client_cert_file
    session = aiohttp.ClientSession(
        connector=TCPConnector(limit=0, resolver=EgressResolver(egress), ttl_dns_cache=10),
        timeout=ClientTimeout(total=settings.notify_timeout, sock_connect=min(_CONNECT, settings.notify_timeout)),
        cookie_jar=DummyCookieJar(),
    )
    try:
        yield Callbacks(
            egress=egress,
            thumbprint=thumbprint_of(certificate) if certificate else None,
            _session=session,
            _plain=_context(settings, certified=False),
            _with_certificate=_context(settings, certified=True) if certificate else None,
        )
    finally:
        await session.close()


def _context(settings: NotifySettings, *, certified: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.notify_ca_file)
        if certified and settings.notify_client_cert_file:
            context.load_cert_chain(settings.notify_client_cert_file, settings.notify_client_key_file)
    except (OSError, ssl.SSLError) as error:
        raise Permanent(f"The certificates for notifications cannot be used: {error}") from error
    if not settings.notify_verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _versioned(version: str | None) -> dict[str, str]:
    return {} if version is None else {"Version": version}


def _no_callback(reason: str) -> Rejected:
    return Rejected(
        422, f"Can't get from notification callback Uri. {reason[:1].upper()}{reason[1:]}", pointer="/callbackUri"
    )


def _basic(user: str, password: str) -> dict[str, str]:
    return {hdrs.AUTHORIZATION: encode_basic_auth(user, password, "utf-8")}


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {error.host} is not accepted: {error.certificate_error}"
        case aiohttp.ClientConnectorError():
            return f"cannot connect to {error.host} port {error.port}: {error.os_error.strerror or error.os_error}"
        case TimeoutError():
            return "it did not answer in time"
        case _:
            return str(error) or type(error).__name__


async def _beginning(response: ClientResponse, limit: int) -> bytes:
    """An answer, however long it is, up to ``limit`` bytes."""
    content = b""
    while len(content) < limit and (more := await response.content.read(limit - len(content))):
        content += more
    return content


def _excerpt(text: str) -> str:
    return f": {' '.join(text.split())}" if text.strip() else ""
