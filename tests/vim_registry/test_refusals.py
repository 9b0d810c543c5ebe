"""What is refused, by which name and status, and that nothing of it remains."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from forestay_simvim import CallFault, OpenStackSimulator
from forestay_standalone.embedded import EmbeddedNats

from tests.vim_registry.conftest import Json, Serve, Server

Body = Callable[..., Json]


async def nothing_remains(server: Server) -> None:
    assert await server.events() == []
    assert await server.data_keys() == 0
    assert await server.platform.nats.js.stream_info("KV_KEYS") is not None
    assert (await server.platform.nats.js.stream_info("KV_KEYS")).state.messages == 0


async def test_a_wrong_password_is_named(server: Server, vim: Body) -> None:
    body = vim()
    body["auth_cred"]["password"] = "not-it"
    status, error = await server.ask("POST", json={"vim": body})
    assert (status, error["type"]) == (401, "VimUnauthorizedException")
    assert "user demo for project demo" in error["message"]
    assert "not-it" not in str(error)
    await nothing_remains(server)


async def test_a_vim_that_nobody_answers_for_is_named(server: Server, vim: Body, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/identity"
    status, error = await server.ask("POST", json={"vim": vim(auth_url=url)})
    assert (status, error["type"]) == (502, "VimConnectionException")
    assert url in error["message"]
    await nothing_remains(server)


async def test_something_else_than_keystone_is_named(server: Server, vim: Body) -> None:
    assert await server.refused("POST", json={"vim": vim(auth_url=server.url)}) == (502, "VimConnectionException")
    await nothing_remains(server)


async def test_a_vim_that_hangs_costs_no_more_than_the_patience(
    serve: Serve, openstack: OpenStackSimulator, vim: Body
) -> None:
    openstack.faults.add(CallFault(service="keystone", effect="hang", times=None))
    async with serve(vim_login_patience=1.5) as server:
        started = time.monotonic()
        answers = await asyncio.gather(*(server.refused("POST", json={"vim": vim(f"n{n}")}) for n in range(20)))
        assert set(answers) == {(502, "VimConnectionException")}
        assert time.monotonic() - started < 15, "one after the other it would be 30"
        assert await server.ask("GET") == (200, {"vims": []})
        await nothing_remains(server)


async def test_a_slow_vim_is_registered(server: Server, openstack: OpenStackSimulator, vim: Body) -> None:
    openstack.settings.latency["keystone"] = 0.3
    assert (await server.register(vim()))["status"] == "ACTIVE"


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"type": "vmware"}, "type"),
        ({"auth_url": "ftp://x"}, "auth_url"),
        ({"auth_url": "http://u:p@host/identity"}, "auth_url"),
        ({"auth_url": "http://[::1"}, "auth_url"),
        ({"auth_cred": {"username": "demo"}}, "auth_cred"),
        ({"auth_cred": {"username": "demo", "password": ""}}, "auth_cred"),
        ({"vim_project": {}}, "vim_project"),
        ({"name": "n" * 256}, "name"),
        ({"status": "ACTIVE"}, "status"),
        ({"is_default": "maybe"}, "is_default"),
    ],
)
async def test_bad_bodies_are_named(server: Server, vim: Body, members: Json, pointer: str) -> None:
    status, error = await server.ask("POST", json={"vim": vim(**members)})
    assert status == 400
    assert pointer in error["message"]
    await nothing_remains(server)


async def test_bodies_of_another_form_are_refused(server: Server, vim: Body) -> None:
    for body in ({}, {"vims": []}, {"vim": vim(), "vims": [vim("b")]}, []):
        assert (await server.ask("POST", json=body))[0] == 400
    assert (await server.ask("POST", data=b"{", headers={"Content-Type": "application/json"}))[0] == 400
    assert (await server.ask("PUT", "/x", json={"vim": {"auth_url": "http://other"}}))[0] == 400
    assert await server.refused("PUT", "/no.such*", json={"vim": {"name": "x"}}) == (404, "VimNotFoundException")
    await nothing_remains(server)


async def test_a_vim_is_not_larger_than_the_log_takes(server: Server, vim: Body) -> None:
    assert (await server.ask("POST", json={"vim": vim(extra={"x": "y" * 200_000})}))[0] == 413
    await nothing_remains(server)
    made = await server.register(vim(extra={"a": "y" * 100_000}))
    grown = {"vim": {"extra": {"b": "y" * 100_000}}}
    assert (await server.ask("PUT", f"/{made['id']}", json=grown))[0] == 413


async def test_without_the_log_vims_are_shown_but_not_changed(
    server: Server, nats_server: EmbeddedNats, vim: Body
) -> None:
    made = await server.register(vim())
    path = f"/{made['id']}"
    assert await server.ask("GET", path) == (200, {"vim": made})
    await nats_server.kill()
    assert await server.refused("GET", "/unknown") == (503, "ServiceUnavailable")
    assert await server.ask("GET", path) == (200, {"vim": made})
    assert await server.ask("GET") == (200, {"vims": [made]})
    keys = await server.data_keys()
    for method, where, body in (
        ("POST", "", {"vim": vim("other")}),
        ("PUT", path, {"vim": {"name": "other"}}),
        ("DELETE", path, None),
    ):
        assert await server.refused(method, where, json=body) == (503, "ServiceUnavailable")
    assert await server.data_keys() == keys
    await nats_server.restart()
    async with asyncio.timeout(60):
        while (await server.ask("DELETE", path))[0] != 204:
            await asyncio.sleep(0.1)


async def test_names_and_the_default_are_unique(server: Server, vim: Body) -> None:
    first = await server.register(vim("a", is_default=True))
    second = await server.register(vim("b"))
    events, keys = await server.events(), await server.data_keys()
    assert await server.refused("POST", json={"vim": vim("a")}) == (409, "DuplicateEntity")
    assert await server.refused("POST", json={"vim": vim("c", is_default=True)}) == (
        409,
        "VimDefaultDuplicateException",
    )
    path = f"/{second['id']}"
    assert await server.refused("PUT", path, json={"vim": {"name": "a"}}) == (409, "DuplicateEntity")
    default = {"vim": {"is_default": True}}
    assert await server.refused("PUT", path, json=default) == (409, "VimDefaultDuplicateException")
    assert (await server.events(), await server.data_keys()) == (events, keys)

    for change in ({"is_default": True, "name": "a"}, {"is_default": False}):
        assert (await server.ask("PUT", f"/{first['id']}", json={"vim": change}))[0] == 200
    assert (await server.ask("PUT", path, json=default))[0] == 200


async def test_a_batch_is_registered_whole_or_not_at_all(server: Server, vim: Body) -> None:
    wrong = vim("c")
    wrong["auth_cred"]["password"] = "no"
    for batch, refusal in (
        ([vim("a"), vim("b"), wrong], (401, "VimUnauthorizedException")),
        ([vim("a"), vim("b"), vim("a")], (409, "DuplicateEntity")),
        ([vim("a", is_default=True), vim("b", is_default=True)], (409, "VimDefaultDuplicateException")),
    ):
        assert await server.refused("POST", json={"vims": batch}) == refusal
        await nothing_remains(server)
