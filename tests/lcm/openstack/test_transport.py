"""Every way in which a call can fail, over real sockets, becomes the error that says what is known of the call."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from forestay_events.errors import ForestayError, Permanent, Retryable, UnknownOutcome
from forestay_lcm.adapters.openstack.clients.credentials import tls
from forestay_lcm.adapters.openstack.clients.transport import (
    AlreadyExists,
    NotFound,
    ServerError,
    Transport,
    Unauthorized,
)
from forestay_sol.egress import Egress, networks

HEAT_409 = {
    "explanation": "There was a conflict when trying to complete your request.",
    "code": 409,
    "error": {"message": "The Stack (vnf-1) already exists.", "traceback": None, "type": "StackExists"},
    "title": "Conflict",
}
BUSY_409 = {"error": {"message": "Stack vnf-1 already has an action (CREATE) in progress.", "type": "ActionInProgress"}}


def _heat(kind: str) -> object:
    """What Heat says of an error that is not of its own making."""
    explanation = "The server has either erred or is incapable of performing the requested operation."
    return {"code": 500, "explanation": explanation, "error": {"type": kind, "traceback": None}}


async def _reset(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _slow(_: web.Request) -> web.Response:
    await asyncio.sleep(5)
    return web.Response()


def _status(status: int, body: object = None, **headers: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(
            body, status=status, headers={key.replace("_", "-"): at for key, at in headers.items()}
        )

    return answer


_GLANCE_413 = (
    "<html>\n <head>\n  <title>413 Request Entity Too Large</title>\n </head>\n <body>\n  <h1>413 Request Entity Too Large</h1>\n"
    "  Image tag limit exceeded for image a&amp;b<br /><br />\n\n\n </body>\n</html>"
)


def _page(status: int, text: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text)

    return answer


def nested(depth: int, value: object) -> object:
    for _ in range(depth):
        value = {"a": value}
    return value


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * (1 << 20))


async def _greeting(request: web.Request) -> web.Response:
    """What another server says that speaks first."""
    assert request.transport is not None
    request.transport.write(b'INFO {"server_id":"secret"}\r\n')
    await asyncio.sleep(5)
    return web.Response()


HANDLERS: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
    "reset": _reset,
    "slow": _slow,
    "429": _status(429, {"overLimit": {"message": "slow down"}}, Retry_After="7"),
    "503": _status(503),
    "heat500": _status(500, _heat("RemoteError")),
    "heatkey": _status(500, _heat("InvalidEncryptionKey")),
    "500": _status(500, {"error": {"message": "database is away"}}),
    "502": _status(502),
    "401": _status(401),
    "404": _status(404),
    "400": _status(400, {"NeutronError": {"type": "X", "message": "Invalid input for fixed_ips.", "detail": ""}}),
    "409": _status(409, HEAT_409),
    "409busy": _status(409, BUSY_409),
    "302": _status(302, None, Location="http://127.0.0.1:1/elsewhere"),
    "html": _status(200),
    "outage": _page(200, "\n<!DOCTYPE html><title>We will be back soon</title>"),
    "accepted": _page(202, "<html><title>202 Accepted</title></html>"),
    "deep": _page(200, '{"stack":' + "[" * 100_000),
    "deep400": _page(400, '{"a":' * 100_000),
    "shallow400": _status(400, nested(900, {"message": "deep down"})),
    "u0000": _status(200, {"a": "b\0"}),
    "impatient": _status(429, None, Retry_After="31536000"),
    "internal": _page(403, "internal: the token is abc"),
    "glance": _page(413, _GLANCE_413),
    "nats": _greeting,
    "endless": _endless,
    "webob": _status(413, {"message": "Maximum: 128:<br /><br />\n\n\n", "code": "413", "title": "Too Large"}),
    "long": _status(400, {"error": {"message": "x" * 100_000}}),
}


async def _serve(context: ssl.SSLContext | None = None) -> tuple[web.AppRunner, int]:
    async def dispatch(request: web.Request) -> web.StreamResponse:
        return await HANDLERS[request.path[1:]](request)

    app = web.Application()
    app.router.add_route("*", "/{any}", dispatch)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    server = site._server  # pyright: ignore[reportPrivateUsage]
    assert isinstance(server, asyncio.Server)
    return runner, server.sockets[0].getsockname()[1]


@pytest_asyncio.fixture
async def url() -> AsyncIterator[str]:
    runner, port = await _serve()
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


@pytest_asyncio.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport(timeout=30) as transport:
        yield transport


@pytest.mark.parametrize(
    ("path", "looking", "acting"),
    [
        ("reset", Retryable, UnknownOutcome),
        ("slow", Retryable, UnknownOutcome),
        ("500", Retryable, ServerError),
        ("502", Retryable, UnknownOutcome),
        ("heat500", Retryable, ServerError),
        ("heatkey", Permanent, Permanent),
        ("429", Retryable, Retryable),
        ("503", Retryable, Retryable),
        ("409busy", Retryable, Retryable),
        ("400", Permanent, Permanent),
        ("401", Unauthorized, Unauthorized),
        ("404", NotFound, NotFound),
        ("409", AlreadyExists, AlreadyExists),
        ("302", Permanent, Permanent),
        ("outage", Retryable, UnknownOutcome),
        ("deep400", Permanent, Permanent),
    ],
)
async def test_each_failure_has_its_error(
    url: str, path: str, looking: type[ForestayError], acting: type[ForestayError]
) -> None:
    async with Transport(timeout=0.3 if path == "slow" else 30) as transport:
        with pytest.raises(ForestayError) as seen:
            await transport.request("GET", f"{url}/{path}", headers={})
        assert type(seen.value) is looking
        with pytest.raises(ForestayError) as done:
            await transport.request("POST", f"{url}/{path}", headers={}, body={}, acts=True)
        assert type(done.value) is acting


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("400", 400, "Invalid input for fixed_ips."),
        ("409", 409, r"The Stack \(vnf-1\) already exists"),
        ("302", 502, "302"),
        ("heatkey", 502, r"500: The server has either erred .* operation. \(InvalidEncryptionKey\)$"),
        ("glance", 413, "413: Image tag limit exceeded for image a&b$"),
        ("webob", 413, "413: Maximum: 128:$"),
        ("internal", 403, "403: no reason given$"),
        ("long", 400, "400: x{2000}$"),
        ("deep400", 400, "400: no reason given$"),
        ("shallow400", 400, "400: deep down$"),
    ],
)
async def test_a_refusal_has_the_vims_status_and_words(
    transport: Transport, url: str, path: str, status: int, words: str
) -> None:
    with pytest.raises(Permanent, match=words) as caught:
        await transport.request("GET", f"{url}/{path}", headers={})
    assert caught.value.status == status


@pytest.mark.parametrize("path", ["html", "deep", "u0000", "accepted"])
async def test_an_answer_of_another_shape_is_as_good_as_none(transport: Transport, url: str, path: str) -> None:
    look = await transport.request("GET", f"{url}/{path}", headers={})
    act = await transport.request("POST", f"{url}/{path}", headers={}, body={}, acts=True)
    for member in ("stack", ""):
        with pytest.raises(Retryable, match=f"GET {url}/{path}: what answers is not the service: "):
            look.read(dict[str, int], member)
        with pytest.raises(UnknownOutcome):
            act.read(dict[str, int], member)


async def test_what_is_said_can_be_stored(transport: Transport, url: str) -> None:
    reply = await transport.request("GET", f"{url}/u0000", headers={})
    assert reply.body == reply.read(dict[str, str]) == {"a": "b\ufffd"}


async def test_retry_after_is_obeyed(transport: Transport, url: str) -> None:
    with pytest.raises(Retryable, match="slow down") as caught:
        await transport.request("POST", f"{url}/429", headers={}, acts=True)
    assert caught.value.delay == 7


async def test_no_vim_may_ask_to_be_left_alone_for_a_year(transport: Transport, url: str) -> None:
    with pytest.raises(Retryable) as caught:
        await transport.request("POST", f"{url}/impatient", headers={}, acts=True)
    assert caught.value.delay == 60


async def test_what_does_not_speak_http_is_not_told(transport: Transport, url: str) -> None:
    with pytest.raises(Retryable, match="does not speak HTTP") as caught:
        await transport.request("GET", f"{url}/nats", headers={})
    assert "secret" not in str(caught.value)


async def test_an_answer_without_end_is_not_read_to_the_end(url: str) -> None:
    async with Transport(timeout=30) as transport:
        with pytest.raises(UnknownOutcome, match="more than 16 MiB"):
            await transport.request("POST", f"{url}/endless", headers={}, acts=True)


async def test_a_host_that_hangs_takes_no_connections_from_others(url: str) -> None:
    """And what waits for a connection to it, has not been sent."""
    runner, port = await _serve()
    async with Transport(limit=10, timeout=4) as transport:
        hanging = [
            asyncio.create_task(transport.request("POST", f"{url}/slow", headers={}, acts=True)) for _ in range(30)
        ]
        await asyncio.sleep(0.1)
        assert (await transport.request("GET", f"http://127.0.0.1:{port}/html", headers={})).status == 200
        assert not any(each.done() for each in hanging)
        outcomes = Counter(type(outcome) for outcome in await asyncio.gather(*hanging, return_exceptions=True))
    await runner.cleanup()
    assert outcomes == {UnknownOutcome: 10, Retryable: 20}


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_where_no_vim_may_be_nothing_is_sent(url: str, address: str) -> None:
    """However the address is written or found."""
    elsewhere = Egress(denied=networks(["127.0.0.0/8", "::1/128"]), loopback=True)
    async with Transport(timeout=0.3, egress=elsewhere) as transport:
        with pytest.raises(Permanent, match="denies") as caught:
            await transport.request("GET", f"{url}/html".replace("127.0.0.1", address), headers={})
    assert (caught.value.status, caught.value.title) == (422, "VIM address is denied")


@pytest.mark.parametrize("address", ["127.1", "0", "0x7f000001", "2130706433"])
async def test_an_odd_form_of_an_address_is_final(transport: Transport, url: str, address: str) -> None:
    with pytest.raises(Permanent, match="is no URL of a VIM") as caught:
        await transport.request("GET", f"{url}/html".replace("127.0.0.1", address), headers={})
    assert caught.value.status == 422


async def test_nothing_was_sent_to_a_closed_port(transport: Transport) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        with pytest.raises(Retryable, match="cannot connect"):
            await transport.request("POST", address, headers={}, acts=True)


@pytest.mark.parametrize("address", ["not a url", "ftp://127.0.0.1/x", "http://[::1/x"])
async def test_what_is_no_url_is_permanent(transport: Transport, address: str) -> None:
    with pytest.raises(Permanent) as caught:
        await transport.request("GET", address, headers={})
    assert caught.value.status == 422


async def test_certificates_are_verified_unless_told_otherwise(transport: Transport, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=vim"]
    names = ["-addext", "subjectAltName=DNS:vim.example"]
    done = await asyncio.create_subprocess_exec(
        *make, *names, "-keyout", str(key), "-out", str(certificate), stderr=subprocess.DEVNULL
    )
    assert await done.wait() == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    pem = certificate.read_text()
    runner, port = await _serve(context)
    try:
        address = f"https://127.0.0.1:{port}/html"
        for distrusted in (tls(True, True, None), tls(True, True, pem), tls(True, False, None)):
            with pytest.raises(Permanent, match="certificate") as caught:
                await transport.request("GET", address, headers={}, tls=distrusted)
            assert caught.value.title == "VIM certificate not trusted"
        for trusted in (tls(False, True, None), tls(True, False, pem)):
            assert (await transport.request("GET", address, headers={}, tls=trusted)).status == 200
    finally:
        await runner.cleanup()


def test_a_ca_that_is_none_is_named() -> None:
    with pytest.raises(Permanent, match="ssl_ca_cert"):
        tls(True, True, "no certificate")
