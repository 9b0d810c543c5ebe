"""A list that OpenStack shows page by page is read to its end, and one without end is not read for ever. Over real sockets."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from aiohttp import web
from forestay_events.errors import Permanent, Retryable
from forestay_lcm.adapters.openstack.clients import paging
from forestay_lcm.adapters.openstack.clients.paging import Asked, items
from forestay_lcm.adapters.openstack.clients.transport import Reply, Transport


class Thing(msgspec.Struct, frozen=True):
    id: str


@asynccontextmanager
async def answering(bodies: dict[str, Any]) -> AsyncGenerator[Asked]:
    """A service that has an answer for each marker."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(bodies[request.query.get("marker", "")])

    app = web.Application()
    app.router.add_get("/things", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/things"
    async with Transport(timeout=30) as transport:

        async def ask(*, query: paging.Query) -> Reply:
            return await transport.request("GET", f"{url}?{urlencode(query)}", headers={})

        yield ask
    await runner.cleanup()


def page(*ids: str, more: bool = True, links: str = "things_links") -> dict[str, Any]:
    said = (
        {"next": "/things"} if links == "next" else {links: [{"rel": "previous"}, {"rel": "next"}][: 2 if more else 1]}
    )
    return {"things": [{"id": item} for item in ids], **(said if more or links != "next" else {})}


@pytest.mark.parametrize("links", ["things_links", "next"])
async def test_a_list_is_read_to_its_end(links: str) -> None:
    bodies = {"": page("a", "b", links=links), "b": page("c", links=links), "c": page("d", more=False, links=links)}
    async with answering(bodies) as ask:
        assert [item.id for item in await items(ask, "things", Thing, {"limit": 2})] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "bodies",
    [
        {"": page("a"), "a": page("a")},
        {"": page("a"), "a": page("b"), "b": page("a")},
        {"": page("a"), "a": page()},
        {"": page()},
    ],
)
async def test_a_list_without_end_is_refused(bodies: dict[str, Any]) -> None:
    async with answering(bodies) as ask:
        with pytest.raises(Permanent, match="the list of things has no end") as refused:
            await items(ask, "things", Thing, {})
    assert refused.value.status == 502


async def test_so_is_one_that_always_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "LONGEST", 3)
    whole = {"": page("a"), "a": page("b"), "b": page("c", more=False)}
    async with answering(whole) as ask:
        assert len(await items(ask, "things", Thing, {})) == 3
    async with answering({"": page("a", "b"), "b": page("c", "d"), "d": page("e", more=False)}) as ask:
        with pytest.raises(Permanent, match="no end"):
            await items(ask, "things", Thing, {})


@pytest.mark.parametrize("body", [{}, [], None, {"things": None}, {"things": [{}]}, {"things": [], "things_links": 1}])
async def test_what_is_no_list_is_asked_for_again(body: Any) -> None:
    async with answering({"": body}) as ask:
        with pytest.raises(Retryable, match="is not the service"):
            await items(ask, "things", Thing, {})
