"""Paging: a client that follows ``Link`` reads every entry once, with the filter it asked for."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from uuid import UUID

import pytest
import pytest_asyncio
from aiohttp import web
from forestay_sol.api import LEGACY, Route
from forestay_sol.filters import matches, parse
from forestay_sol.paging import Paging, sol_link, v1_link
from forestay_sol.web import answer
from yarl import URL

from .serving import Client, serving

RESOURCES = [
    {"id": str(UUID(int=number)), "name": f"{'even' if number % 2 == 0 else 'odd'} & >x"} for number in range(25)
]
PAGINGS = {
    "sol": Paging(size=4),
    "v1": Paging(size=4, link=v1_link, all_records=True),
    "exact": Paging(size=25),
    "off": Paging(size=0),
    "operator": Paging(),
}


async def resources(request: web.Request) -> web.Response:
    page = PAGINGS[request.match_info["paging"]].page(request)
    wanted = parse(request.query.get("filter", "(neq,id,'')"))
    found = [it for it in RESOURCES if it["id"] > (page.after or "") and matches(wanted, it)]
    shown, link = page.close(found[: page.fetch], lambda it: it["id"])
    return answer(shown, link=link)


@pytest_asyncio.fixture
async def client() -> AsyncGenerator[Client]:
    async with serving([Route("GET", "/v1.0/{paging}", resources, LEGACY)], page_size=7) as started:
        yield started


@pytest.mark.parametrize(
    ("paging", "form"),
    [
        ("sol", r'<(http://127\.0\.0\.1:\d+/v1\.0/sol\?[^<>]+)>;rel="next"'),
        ("v1", r'<(/v1\.0/v1\?[^<>]+)>; rel="next"'),
    ],
)
async def test_following_the_links_gives_every_entry_once(client: Client, paging: str, form: str) -> None:
    names: list[str] = []
    url = URL(f"/v1.0/{paging}").with_query({"filter": "(eq,name,'even & >x')", "exclude_default": ""})
    for _ in range(4):
        response = await client.get(url)
        names += [it["id"] for it in await response.json()]
        if "Link" not in response.headers:
            break
        match = re.fullmatch(form, response.headers["Link"])
        assert match is not None, response.headers["Link"]
        # As python-tackerclient does: the query of the link, on the path that was asked for first.
        query = URL(match[1]).query
        assert query["exclude_default"] == ""
        url = url.with_query(query)
    assert names == [it["id"] for it in RESOURCES[::2]]


@pytest.mark.parametrize("path", ["/v1.0/exact", "/v1.0/off", "/v1.0/v1?all_records=yes"])
async def test_no_link_when_nothing_follows(client: Client, path: str) -> None:
    response = await client.get(path)
    assert len(await response.json()) == 25
    assert "Link" not in response.headers


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("/v1.0/operator", 7),
        ("/v1.0/operator?limit=3", 3),
        ("/v1.0/operator?limit=8", 7),
        ("/v1.0/sol?limit=3", 3),
        ("/v1.0/off?limit=3", 3),
        ("/v1.0/v1?all_records=yes&limit=3", 3),
    ],
)
async def test_the_operator_sets_the_size_and_the_client_may_lower_it(client: Client, path: str, count: int) -> None:
    response = await client.get(path)
    assert len(await response.json()) == count
    following = re.fullmatch(r"<([^>]+)>; ?rel=\"next\"", response.headers["Link"])
    assert following is not None
    assert URL(following[1]).query.get("limit") == URL(path).query.get("limit")


@pytest.mark.parametrize("limit", ["", "0", "-1", "1.5", "ten", "٣", "9999999999", " 1"])
async def test_a_limit_that_is_none_is_refused(client: Client, limit: str) -> None:
    response = await client.get("/v1.0/sol", params={"limit": limit})
    assert response.status == 400
    assert "limit must be a whole number" in (await response.json())["TackerError"]["message"]


async def test_all_records_is_a_matter_of_v1(client: Client) -> None:
    assert len(await (await client.get("/v1.0/sol?all_records=yes")).json()) == 4


@pytest.mark.parametrize("marker", ["", "x", "1'; DROP TABLE commits", "00000000-0000-0000-0000-00000000000G"])
async def test_a_marker_of_somebody_else_is_refused(client: Client, marker: str) -> None:
    response = await client.get("/v1.0/sol", params={"nextpage_opaque_marker": marker})
    assert response.status == 400
    assert "Paging marker value is invalid" in (await response.json())["TackerError"]["message"]


def test_the_two_ways_to_write_a_link() -> None:
    url = URL("http://host:9890/vnflcm/v2/x?a=b")
    assert sol_link(url) == '<http://host:9890/vnflcm/v2/x?a=b>;rel="next"'
    assert v1_link(url) == '</vnflcm/v2/x?a=b>; rel="next"'
