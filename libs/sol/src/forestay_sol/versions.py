"""The resource "API versions" (SOL013 9.3.3)."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from forestay_sol.api import Api, Route
from forestay_sol.types import Sol
from forestay_sol.web import answer


class ApiVersion(Sol, frozen=True, kw_only=True):
    """A version that is served."""

    version: str
    is_deprecated: bool


class ApiVersionInformation(Sol, frozen=True, kw_only=True):
    """SOL013 9.3.2.2."""

    uri_prefix: str
    api_versions: tuple[ApiVersion, ...]


def versions(api: Api, prefix: str, numbers: Iterable[str]) -> Route:
    """Give the route below ``prefix`` that tells these versions."""
    known = tuple(ApiVersion(version=number, is_deprecated=False) for number in numbers)
    content = ApiVersionInformation(uri_prefix=prefix, api_versions=known)

    async def tell(request: web.Request) -> web.Response:
        return answer(content)

    path = f"{prefix}/api_versions"
    return Route("GET", path, tell, api, summary="Tell which versions there are", gives=ApiVersionInformation)
