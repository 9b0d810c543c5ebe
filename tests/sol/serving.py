"""A real server on a free port, and what all answers of one kind have in common."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from forestay_sol.api import Route
from forestay_sol.caller import Authenticator, NoAuthentication
from forestay_sol.idempotency import KeptAnswers
from forestay_sol.web import application

Client = TestClient[Any, Any]


@asynccontextmanager
async def serving(
    routes: Iterable[Route],
    *,
    authenticator: Authenticator | None = None,
    body_limit: int = 1 << 20,
    page_size: int = 100,
    kept: KeptAnswers | None = None,
) -> AsyncGenerator[Client]:
    """Serve routes over HTTP for as long as the block runs."""
    app = application(
        routes, service="test", authenticator=authenticator or NoAuthentication("nfv"), body_limit=body_limit,
        page_size=page_size, kept=kept,
    )  # fmt: skip
    async with TestClient(TestServer(app)) as client:
        yield client


async def problem(response: ClientResponse) -> dict[str, Any]:
    """Give the ProblemDetails of an answer, checked for what all of them have in common."""
    assert response.content_type == "application/problem+json"
    members: dict[str, Any] = await response.json()
    assert members["status"] == response.status
    assert members["title"]
    assert members["detail"]
    return members
