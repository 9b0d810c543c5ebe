"""How Forestay shows who it is to subscribers, and whom it believes."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from forestay_events.errors import Permanent, Rejected
from forestay_notify.authentication import SubscriptionAuthentication, check, thumbprint_of
from forestay_notify.callbacks import Callbacks, NotDelivered, open_callbacks
from forestay_notify.settings import NotifySettings

from tests.notify.receiver import Receiver, free_port, receiver
from tests.vim_registry.certificates import self_signed


def authentication(*kinds: str, **params: Any) -> SubscriptionAuthentication:
    return msgspec.convert({"authType": kinds} | params, SubscriptionAuthentication)


BASIC = authentication("BASIC", paramsBasic={"userName": "nfvo", "password": "pä:ss"})


@asynccontextmanager
async def calling(**settings: Any) -> AsyncGenerator[Callbacks]:
    async with open_callbacks(NotifySettings(notify_timeout=30, **settings), loopback=True) as callbacks:
        yield callbacks


@dataclass
class TokenServer:
    """Gives ``token-1``, ``token-2`` ...; keeps what it was asked."""

    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    uri: str = ""
    expires_in: int = 3600

    async def token(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.asked.append({"authorization": request.headers.get("Authorization", "")} | form)
        return web.json_response({"access_token": f"token-{len(self.asked)}", "expires_in": self.expires_in})


@asynccontextmanager
async def token_server(tls: ssl.SSLContext | None = None) -> AsyncGenerator[TokenServer]:
    made, port = TokenServer(), free_port()
    app = web.Application()
    app.router.add_post("/token", made.token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    made.uri = f"{'https' if tls else 'http'}://127.0.0.1:{port}/token"
    try:
        yield made
    finally:
        await runner.cleanup()


def client_credentials(tokens: TokenServer, secret: str = "pass") -> SubscriptionAuthentication:  # noqa: S107
    params = {"clientId": "forestay", "clientPassword": secret, "tokenEndpoint": tokens.uri}
    return authentication("BASIC", "OAUTH2_CLIENT_CREDENTIALS", paramsOauth2ClientCredentials=params,
                          paramsBasic={"userName": "x", "password": "y"})  # fmt: skip


def authorizations(subscriber: Receiver) -> list[str]:
    return [headers.get("Authorization", "") for headers in subscriber.headers]


async def test_basic(subscriber: Receiver) -> None:
    async with calling() as callbacks:
        await callbacks.test(subscriber.uri(), BASIC, "2.0.0")
        await callbacks.deliver(subscriber.uri(), BASIC, "2.0.0", b'{"id":"1"}')
    expected = "Basic " + b64encode("nfvo:pä:ss".encode()).decode()
    assert authorizations(subscriber) == [expected, expected]
    assert subscriber.asked == [("GET", "/callback"), ("POST", "/callback")]
    sent = subscriber.accepted[0].headers
    assert (sent["Version"], sent["Content-Type"], sent["Accept"]) == ("2.0.0", "application/json", "application/json")


async def test_token_is_kept_and_fetched_anew_when_refused(subscriber: Receiver) -> None:
    valid = {"Bearer token-1"}

    async def answer(request: web.Request, _body: Any) -> int:
        return 204 if request.headers["Authorization"] in valid else 401

    subscriber.answer = answer
    async with token_server() as tokens, calling() as callbacks:
        for _ in range(3):
            await callbacks.deliver(subscriber.uri(), client_credentials(tokens), "2.0.0", b"{}")
        assert len(tokens.asked) == 1
        valid.clear()
        valid.add("Bearer token-2")
        await callbacks.deliver(subscriber.uri(), client_credentials(tokens), "2.0.0", b"{}")
    assert len(subscriber.accepted) == 4
    basic = "Basic " + b64encode(b"forestay:pass").decode()
    assert tokens.asked == [{"authorization": basic, "grant_type": "client_credentials"}] * 2


async def test_token_that_never_helps(subscriber: Receiver) -> None:
    async def answer(*_: Any) -> int:
        return 401

    subscriber.answer = answer
    async with token_server() as tokens, calling() as callbacks:
        with pytest.raises(NotDelivered, match="401") as failed:
            await callbacks.deliver(subscriber.uri(), client_credentials(tokens), "2.0.0", b"{}")
        assert failed.value.down
        assert len(subscriber.asked) == 1


async def test_tokens_are_not_shared_and_end(subscriber: Receiver) -> None:
    async with token_server() as tokens, calling() as callbacks:
        tokens.expires_in = 0
        for secret in ("one", "two", "two"):
            await callbacks.deliver(subscriber.uri(), client_credentials(tokens, secret), "2.0.0", b"{}")
    assert authorizations(subscriber) == ["Bearer token-1", "Bearer token-2", "Bearer token-3"]


@pytest.fixture
def client_certificate(tmp_path: Path) -> Path:
    """A PEM file with key and certificate."""
    directory = tmp_path / "client"
    directory.mkdir()
    self_signed(directory)
    return directory / "server.pem"


def mutual(tmp_path: Path, client_certificate: Path) -> tuple[ssl.SSLContext, Path]:
    """A server that asks for the client's certificate, and the file by which it is believed."""
    context, pem = self_signed(tmp_path)
    context.load_verify_locations(client_certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    trusted = tmp_path / "ca.pem"
    trusted.write_text(pem)
    return context, trusted


async def test_tls_cert(tmp_path: Path, client_certificate: Path) -> None:
    tls, trusted = mutual(tmp_path, client_certificate)
    settings = {"notify_ca_file": trusted, "notify_client_cert_file": client_certificate}
    async with receiver(tls=tls) as subscriber, calling(**settings) as callbacks:
        await callbacks.deliver(subscriber.uri(), authentication("TLS_CERT"), "2.0.0", b"{}")
        with pytest.raises(NotDelivered):
            await callbacks.deliver(subscriber.uri(), None, "2.0.0", b"{}")
        assert len(subscriber.accepted) == 1


async def test_oauth2_client_cert(tmp_path: Path, client_certificate: Path, subscriber: Receiver) -> None:
    tls, trusted = mutual(tmp_path, client_certificate)
    settings = {"notify_ca_file": trusted, "notify_client_cert_file": client_certificate}
    async with token_server(tls) as tokens, calling(**settings) as callbacks:
        reference = {"type": "x5t#S256", "value": thumbprint_of(client_certificate)}
        params = {"clientId": "forestay", "certificateRef": reference, "tokenEndpoint": tokens.uri}
        given = authentication("OAUTH2_CLIENT_CERT", paramsOauth2ClientCert=params)
        check(given, callbacks.thumbprint)
        await callbacks.deliver(subscriber.uri(), given, "2.0.0", b"{}")
        assert tokens.asked == [{"authorization": "", "grant_type": "client_credentials", "client_id": "forestay"}]
        assert authorizations(subscriber) == ["Bearer token-1"]
        with pytest.raises(Rejected, match="not the thumbprint") as refused:
            check(given, "another")
        assert refused.value.status == 400


@pytest.mark.parametrize("verify", [True, False])
async def test_certificates_are_verified(tmp_path: Path, verify: bool) -> None:
    tls, _ = self_signed(tmp_path)
    async with receiver(tls=tls) as subscriber, calling(notify_verify_tls=verify) as callbacks:
        if verify:
            with pytest.raises(NotDelivered, match="certificate"):
                await callbacks.deliver(subscriber.uri(), None, "2.0.0", b"{}")
        else:
            await callbacks.deliver(subscriber.uri(), None, "2.0.0", b"{}")
        assert len(subscriber.accepted) == (0 if verify else 1)


@pytest.mark.parametrize(
    ("kinds", "params", "detail"),
    [
        (["BASIC"], {}, "paramsBasic must be specified."),
        (["OAUTH2_CLIENT_CREDENTIALS"], {}, "paramsOauth2ClientCredentials must be specified."),
        (["BASIC", "OAUTH2_CLIENT_CERT"], {"paramsBasic": {"userName": "a", "password": "b"}}, "paramsOauth2ClientCert must"),
        (["TLS_CERT"], {}, "TLS_CERT is not possible"),
    ],
)  # fmt: skip
def test_what_could_never_work(kinds: list[str], params: dict[str, Any], detail: str) -> None:
    with pytest.raises(Rejected, match=detail) as refused:
        check(authentication(*kinds, **params), None)
    assert refused.value.status == 400


async def test_redirects_lead_nowhere(subscriber: Receiver) -> None:
    async def answer(*_: Any) -> int:
        return 307

    subscriber.answer = answer
    async with calling() as callbacks:
        with pytest.raises(Rejected, match="307") as refused:
            await callbacks.test(subscriber.uri(), None, "2.0.0")
        assert refused.value.status == 422
    assert len(subscriber.asked) == 1


@pytest.mark.parametrize(
    ("settings", "loopback"),
    [({}, False), ({"notify_deny": ["127.0.0.0/8"]}, True), ({"notify_allow": ["10.0.0.0/8"]}, True)],
)
async def test_egress_policy(subscriber: Receiver, settings: dict[str, Any], loopback: bool) -> None:
    async with open_callbacks(NotifySettings(**settings), loopback=loopback) as callbacks:
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(NotDelivered, match="egress policy"):
                await callbacks.deliver(f"http://{host}:{subscriber.port}/", None, "2.0.0", b"{}")
    assert not subscriber.asked


async def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    for name in ("notify_ca_file", "notify_client_cert_file"):
        with pytest.raises(Permanent):
            async with calling(**{name: tmp_path / "missing.pem"}):
                pass
