"""Requests that cannot all win, at several replicas at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from tests.vim_registry.conftest import Json, Serve

Body = Callable[..., Json]


async def test_of_many_defaults_one_is_registered(serve: Serve, vim: Body) -> None:
    async with serve() as one, serve() as other:
        requests = [(one, other)[n % 2].ask("POST", json={"vim": vim(f"n{n}", is_default=True)}) for n in range(8)]
        statuses = Counter([status for status, _ in await asyncio.gather(*requests)])
        assert statuses == {201: 1, 409: 7}
        assert await one.events() == ["VimRegistered"]
        assert await one.data_keys() == 1


async def test_of_many_equal_names_one_is_registered(serve: Serve, vim: Body) -> None:
    async with serve() as one, serve() as other:
        requests = [(one, other)[n % 2].ask("POST", json={"vim": vim("same")}) for n in range(8)]
        answers = await asyncio.gather(*requests)
        assert Counter(status for status, _ in answers) == {201: 1, 409: 7}
        assert {error["type"] for status, error in answers if status == 409} == {"DuplicateEntity"}


async def test_of_many_that_want_to_become_default_one_does(serve: Serve, vim: Body) -> None:
    async with serve() as one, serve() as other:
        status, content = await one.ask("POST", json={"vims": [vim(f"n{n}") for n in range(6)]})
        assert status == 201
        requests = [
            (one, other)[n % 2].ask("PUT", f"/{made['id']}", json={"vim": {"is_default": True}})
            for n, made in enumerate(content["vims"])
        ]
        statuses = Counter([status for status, _ in await asyncio.gather(*requests)])
        assert statuses == {200: 1, 409: 5}
        _, content = await other.ask("GET", "?is_default=true")
        assert len(content["vims"]) == 1


async def test_a_crowd_of_registrations_does_not_starve_the_pool(serve: Serve, vim: Body) -> None:
    async with serve() as server:
        requests = [server.ask("POST", json={"vim": vim(f"n{n}")}) for n in range(60)]
        assert Counter([status for status, _ in await asyncio.gather(*requests)]) == {201: 60}
