"""What every route of every service refuses before its handler sees it, and in which words: one table, made from the routes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from forestay_sol.api import ANY, Api, Route
from forestay_sol.problem import problem_response
from forestay_sol.web import BODY_LIMIT
from forestay_standalone.all_in_one import BUILDS

from tests.standalone.site import Reply, TestSite, site

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SOME_ID = "11111111-2222-4333-8444-555555555555"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tables() -> AsyncIterator[tuple[TestSite, list[Route]]]:
    async with site() as running:
        services = [await build(running.platform) for build in BUILDS]
        routes = [route for service in services for route in service.routes]
        assert len(routes) > 60
        yield running, routes


def filled(path: str) -> str:
    return re.sub(r"\{\w+(:[^{}]*)?\}", SOME_ID, path)


def refused(reply: Reply, status: int, api: Api) -> str:
    """The sentence of a refusal, checked for its status and for the flavour of its API."""
    assert reply.status == status, reply
    assert ("TackerError" in reply.body) == (api.failure is not problem_response), reply
    return reply.sentence


def version_of(api: Api) -> dict[str, str]:
    return {"Version": max(api.accepted, default="")}


@pytest.mark.asyncio(loop_scope="module")
class TestEverywhere:
    async def test_another_method_is_405_with_those_that_there_are(self, tables: tuple[TestSite, list[Route]]) -> None:
        running, routes = tables
        served: dict[str, dict[str, Api]] = defaultdict(dict)
        for route in routes:
            served[route.path][route.method] = route.api
        for path, methods in served.items():
            for method in set(METHODS) - methods.keys():
                reply = await running.ask(method, filled(path))
                assert method in refused(reply, 405, next(iter(methods.values())))
                assert reply.headers["Allow"] == ", ".join(sorted(methods)), path

    async def test_an_answer_that_there_is_not_is_406(self, tables: tuple[TestSite, list[Route]]) -> None:
        running, routes = tables
        found = [route for route in routes if route.answer_types]
        assert found
        for route in found:
            reply = await running.ask(
                route.method, filled(route.path), **version_of(route.api), Accept="image/png", **{"Content-Type": ""}
            )
            assert route.answer_types[0] in refused(reply, 406, route.api), route.path

    async def test_a_body_of_another_type_is_415(self, tables: tuple[TestSite, list[Route]]) -> None:
        running, routes = tables
        found = [route for route in routes if route.method in ("POST", "PUT", "PATCH") and route.request_types != ANY]
        assert found
        for route in found:
            reply = await running.ask(
                route.method, filled(route.path), b"{}", **version_of(route.api), **{"Content-Type": "image/png"}
            )
            assert route.request_types[0] in refused(reply, 415, route.api), route.path

    async def test_a_body_that_is_too_large_is_413(self, tables: tuple[TestSite, list[Route]]) -> None:
        running, routes = tables
        body = b'"' + b"x" * BODY_LIMIT + b'"'
        found = [route for route in routes if route.method in ("POST", "PUT", "PATCH") and not route.streamed]
        assert found
        for route in found:
            sent = {"Content-Type": route.request_types[0] if route.request_types != ANY else "application/json"}
            reply = await running.ask(route.method, filled(route.path), body, **version_of(route.api), **sent)
            assert "larger" in refused(reply, 413, route.api), route.path

    async def test_a_version_that_there_is_not_is_406_and_none_400(self, tables: tuple[TestSite, list[Route]]) -> None:
        running, routes = tables
        for route in routes:
            if route.api.accepted:
                for given, status in (("9.9.9", 406), ("nine", 400), ("", 400)):
                    refused(await running.ask(route.method, filled(route.path), Version=given), status, route.api)

    async def test_an_unknown_path_is_404_in_the_words_of_its_api(self, tables: tuple[TestSite, list[Route]]) -> None:
        running, routes = tables
        for api in {route.api.prefix: route.api for route in routes if route.api.authenticated}.values():
            refused(await running.ask("GET", f"{api.prefix}/nothing/here/at/all"), 404, api)

    async def test_every_route_is_described(self, tables: tuple[TestSite, list[Route]]) -> None:
        """But for lists of versions, the index of the legacy API, and streams, for which OpenAPI has no words."""
        _, routes = tables
        silent = {route.path for route in routes if not route.summary}
        assert {path for path in silent if not path.endswith(("/", "/api_versions", "/events"))} == set()
