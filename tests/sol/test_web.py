"""The conventions that every request meets, over real HTTP: negotiation and its order, errors, callers, limits."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientPayloadError, web
from forestay_events.errors import Conflict, Permanent, Rejected, Retryable, Unavailable, UnknownOutcome
from forestay_sol.api import LEGACY, MERGE_PATCH, VNFLCM_V2, VNFLCM_VERSIONS, VNFPKGM_V1, Api, Route, negotiate
from forestay_sol.body import decode, decode_optional
from forestay_sol.caller import Caller, caller
from forestay_sol.types import Sol
from forestay_sol.web import answer, application
from structlog.testing import capture_logs

from .serving import Client, problem, serving

V2 = {"Version": "2.0.0"}
INSTANCES = "/vnflcm/v2/vnf_instances"


class Named(Sol, frozen=True, kw_only=True):
    name: str


async def create(request: web.Request) -> web.Response:
    return answer(await decode(request, Named), status=201, location=f"{INSTANCES}/1")


async def change(request: web.Request) -> web.Response:
    given = await decode_optional(request, Named)
    return answer(status=202, location="/op") if given is None else answer(given)


async def show(request: web.Request) -> web.Response:
    return answer({"id": request.match_info["id"], "owner": caller(request).project, "actor": caller(request).actor})


async def versions(request: web.Request) -> web.Response:
    return answer({"uriPrefix": "/vnflcm/v2"})


async def upload(request: web.Request) -> web.Response:
    size = 0
    async for chunk in request.content.iter_chunked(1 << 16):
        size += len(chunk)
    return answer({"size": size})


FAILURES: dict[str, Exception] = {
    "rejected": Rejected(422, "Scaling is not possible.", pointer="/aspectId", extra={"limit": 3}),
    "legacy": Rejected(404, "VIM x not found.", title="VimNotFoundException"),
    "conflict": Conflict("Another change came first."),
    "retryable": Retryable("Busy.", delay=6.2),
    "unavailable": Unavailable("NATS does not answer."),
    "permanent": Permanent("The log of this instance is damaged.", title="Log Integrity Broken"),
    "unknown": UnknownOutcome("NATS did not confirm the change."),
    "bug": KeyError("the master password is hunter2"),
    "framework": web.HTTPRequestRangeNotSatisfiable(),
}


async def fail(request: web.Request) -> web.Response:
    raise FAILURES[request.match_info["kind"]]


async def break_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"first half")
    raise KeyError("hunter2")


ROUTES = [
    Route("POST", INSTANCES, create, VNFLCM_V2),
    Route("GET", INSTANCES + "/{id}", show, VNFLCM_V2),
    Route("PATCH", INSTANCES + "/{id}", change, VNFLCM_V2, consumes=MERGE_PATCH),
    Route("POST", INSTANCES + "/{id}/retry", change, VNFLCM_V2),
    Route("GET", "/vnflcm/v2/api_versions", versions, VNFLCM_VERSIONS),
    Route("GET", "/vnfpkgm/v1/fail/{kind}", fail, VNFPKGM_V1),
    Route("POST", "/vnfpkgm/v1/vnf_packages", create, VNFPKGM_V1),
    Route("GET", "/vnfpkgm/v1/stream", break_off, VNFPKGM_V1),
    Route("PUT", "/vnfpkgm/v1/content", upload, VNFPKGM_V1, consumes=("application/zip",), streamed=True),
    Route("GET", "/v1.0/vims/{id}", show, LEGACY),
    Route("DELETE", "/v1.0/vims/{id}", show, LEGACY),
    Route("POST", "/v1.0/vims", create, LEGACY),
    Route("GET", "/v1.0/fail/{kind}", fail, LEGACY),
]


@pytest_asyncio.fixture
async def client() -> AsyncGenerator[Client]:
    async with serving(ROUTES, body_limit=2000) as started:
        yield started


@pytest.mark.parametrize(
    ("version", "status", "said"),
    [
        ("2.0.0", 200, ""),
        ("2.0.0-impl:acme.org:7", 200, ""),
        (None, 400, "'Version' HTTP header missing."),
        ("2.0", 400, "malformed"),
        ("02.0.0", 400, "malformed"),
        ("2.0.0-impl:", 400, "malformed"),
        ("two", 400, "malformed"),
        ("1.3.0", 406, "Version 1.3.0 not supported."),
        ("2.0.1-impl:x", 406, "Version 2.0.1 not supported."),
    ],
)
async def test_version_header(client: Client, version: str | None, status: int, said: str) -> None:
    response = await client.get(INSTANCES + "/1", headers={} if version is None else {"Version": version})
    assert response.status == status
    assert (response.headers["Version"], response.headers["Accept-Ranges"]) == ("2.0.0", "none")
    if said:
        assert said in (await problem(response))["detail"]


async def test_version_is_echoed_but_not_asked_for_by_api_versions(client: Client) -> None:
    response = await client.get("/vnflcm/v2/api_versions", headers={"Version": "9.9.9"})
    assert (response.status, response.headers["Version"]) == (200, "2.0.0")


@pytest.mark.parametrize("path", ["/vnfpkgm/v1/vnf_packages", "/v1.0/vims", "/v1.0/vims.json"])
@pytest.mark.parametrize(
    "kind", ["application/json", "application/merge-patch+json", "application/x-www-form-urlencoded"]
)
async def test_v1_and_legacy_ignore_version_accept_and_content_type(client: Client, path: str, kind: str) -> None:
    headers = {"Version": "nonsense", "Accept": "image/png", "Content-Type": kind}
    response = await client.post(path, data=b'{"name": "n"}', headers=headers)
    assert response.status == 201
    assert "Version" not in response.headers
    assert "Accept-Ranges" not in response.headers


async def test_success_headers(client: Client) -> None:
    response = await client.post(INSTANCES, json={"name": "n", "unknown": 1}, headers=V2)
    assert await response.json() == {"name": "n"}
    assert response.status == 201
    assert response.content_type == "application/json"
    assert response.headers["Location"] == INSTANCES + "/1"
    assert response.headers["Accept-Ranges"] == "none"
    assert response.headers["x-openstack-request-id"].startswith("req-")


async def test_an_answer_without_a_body(client: Client) -> None:
    response = await client.post(INSTANCES + "/1/retry", headers=V2)
    assert (response.status, await response.read()) == (202, b"")
    assert "Content-Type" not in response.headers


@pytest.mark.parametrize(
    ("headers", "data", "status", "said"),
    [
        ({"Content-Type": "text/html", "Accept": "text/html"}, b"{", 415, "text/html is not one of application/json"),
        ({"Content-Type": "text/plain", "Accept": "text/html"}, b"{", 400, "Malformed request body"),
        ({"Accept": "text/html"}, b"{}", 406, "application/json"),
        ({"Accept": "text/html, application/json;q=0"}, b"{}", 406, "application/json"),
        ({"Version": "1"}, b"{}", 400, "'Version'"),
        ({"Version": "1.0.0"}, b"{}", 406, "Version 1.0.0"),
        (V2, b"{}", 400, "/name: it is required"),
        (V2, b"", 400, "body is missing"),
        (V2 | {"Content-Type": "image/png"}, b"", 400, "body is missing"),
        (V2, b'{"name": "' + b"x" * 2000 + b'"}', 413, "larger than"),
        (V2 | {"Content-Type": "application/json; charset=utf-8"}, b'{"name": "n"}', 201, ""),
        (V2 | {"Content-Type": "TEXT/plain"}, b'{"name": "n"}', 201, ""),
        (V2 | {"Content-Type": "application/merge-patch+json"}, b'{"name": "n"}', 415, "is not one of"),
        (V2 | {"Accept": "text/plain, application/*;q=0.1"}, b'{"name": "n"}', 201, ""),
    ],
)
async def test_order_of_faults(client: Client, headers: dict[str, str], data: bytes, status: int, said: str) -> None:
    headers = {"Content-Type": "application/json"} | headers
    response = await client.post(INSTANCES, data=data, headers=headers)
    assert response.status == status
    if said:
        assert said in (await problem(response))["detail"]


async def test_a_missing_content_type_is_json(client: Client) -> None:
    response = await client.post(INSTANCES, data=b'{"name": "n"}', headers=V2, skip_auto_headers=["Content-Type"])
    assert response.status == 201


async def test_merge_patch(client: Client) -> None:
    headers = V2 | {"Content-Type": "application/merge-patch+json", "Accept": "application/json"}
    response = await client.patch(INSTANCES + "/1", data=b'{"name": "n"}', headers=headers)
    assert await response.json() == {"name": "n"}


async def test_faults_in_the_body_have_a_pointer(client: Client) -> None:
    members = await problem(await client.post(INSTANCES, json={"name": 1}, headers=V2))
    assert members["invalidParams"] == [{"pointer": "/name", "reason": members["detail"]}]


async def test_unknown_path_and_method(client: Client) -> None:
    missing = await client.get("/vnflcm/v2/nothing")
    assert (await problem(missing))["status"] == 404
    wrong = await client.delete(INSTANCES + "/1")
    assert (await problem(wrong))["detail"] == "Method DELETE is not supported."
    assert (wrong.status, wrong.headers["Allow"]) == (405, "GET, PATCH")
    for path in ("/", "/vnflcm/v2", "/v1.0x"):
        assert (await problem(await client.get(path)))["status"] == 404


async def test_legacy_paths_fail_in_their_own_way(client: Client) -> None:
    for path, status, kind in [
        ("/v1.0/nothing", 404, "NotFound"),
        ("/v1.0", 404, "NotFound"),
        ("/v1.0/vims", 405, "MethodNotAllowed"),
        ("/v1.0/fail/legacy", 404, "VimNotFoundException"),
        ("/v1.0/fail/unavailable.json", 503, "ServiceUnavailable"),
    ]:
        response = await client.get(path)
        error = (await response.json())["TackerError"]
        assert (response.status, response.content_type, error["type"]) == (status, "application/json", kind)
        assert error["message"]
        assert error["detail"] == ""


async def test_the_json_suffix_is_no_part_of_the_id(client: Client) -> None:
    for path in ("/v1.0/vims/v-1", "/v1.0/vims/v-1.json"):
        for method in ("GET", "DELETE"):
            assert (await (await client.request(method, path)).json())["id"] == "v-1"


@pytest.mark.parametrize(
    ("kind", "status", "title", "members"),
    [
        ("rejected", 422, "Unprocessable Entity", {"limit": 3}),
        ("conflict", 409, "Conflict", {"detail": "Another change came first."}),
        ("retryable", 503, "Service Unavailable", {"detail": "Busy."}),
        ("unavailable", 503, "Service Unavailable", {"detail": "NATS does not answer."}),
        ("permanent", 500, "Log Integrity Broken", {"detail": "The log of this instance is damaged."}),
        ("unknown", 504, "Gateway Timeout", {}),
        ("framework", 416, "Requested Range Not Satisfiable", {}),
    ],
)
async def test_errors_of_the_tree(client: Client, kind: str, status: int, title: str, members: dict[str, Any]) -> None:
    response = await client.get(f"/vnfpkgm/v1/fail/{kind}")
    given = await problem(response)
    assert (response.status, given["title"]) == (status, title)
    assert given | members == given


async def test_retry_after(client: Client) -> None:
    assert (await client.get("/vnfpkgm/v1/fail/retryable")).headers["Retry-After"] == "7"
    assert int((await client.get("/vnfpkgm/v1/fail/unavailable")).headers["Retry-After"]) >= 1


@pytest.mark.parametrize("path", ["/vnfpkgm/v1/fail/bug", "/v1.0/fail/bug"])
async def test_a_bug_tells_its_request_id_and_no_secret(client: Client, path: str) -> None:
    response = await client.get(path, headers={"X-Request-ID": "trace-42"})
    text = await response.text()
    assert response.status == 500
    assert "trace-42" in text
    assert "hunter2" not in text
    assert "KeyError" not in text


async def test_a_failure_after_the_header_cuts_the_connection(client: Client) -> None:
    response = await client.get("/vnfpkgm/v1/stream")
    with pytest.raises(ClientPayloadError):
        await response.read()
    assert (await client.get("/v1.0/vims/1")).status == 200


async def test_a_body_that_cannot_be_read_is_the_fault_of_the_client(client: Client) -> None:
    response = await client.post(INSTANCES, data=b"no gzip", headers=V2 | {"Content-Encoding": "gzip"})
    assert "cannot be read" in (await problem(response))["detail"]


async def test_a_client_that_leaves_is_no_bug(client: Client) -> None:
    with capture_logs() as lines:
        _, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(f"POST {INSTANCES} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf".encode())
        await writer.drain()
        writer.close()
        async with asyncio.timeout(60):
            while not lines:
                await asyncio.sleep(0.005)
    assert [(line["event"], line["status"]) for line in lines] == [("http_request", 499)]


async def test_a_small_body_that_unpacks_to_a_large_one_is_too_large(client: Client) -> None:
    headers = V2 | {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    response = await client.post(INSTANCES, data=gzip.compress(b" " * 10_000_000), headers=headers)
    assert (await problem(response))["status"] == 413


async def test_a_streamed_body_has_no_limit_but_a_type(client: Client) -> None:
    headers = {"Content-Type": "application/zip"}
    assert await (await client.put("/vnfpkgm/v1/content", data=b"x" * 300_000, headers=headers)).json() == {
        "size": 300_000
    }
    refused = await client.put("/vnfpkgm/v1/content", data=b"x", headers={"Content-Type": "text/plain"})
    assert (await problem(refused))["status"] == 415


async def test_request_id_is_kept_only_when_it_is_plain(client: Client) -> None:
    kept = await client.get("/v1.0/vims/1", headers={"X-Request-ID": "abc-1"})
    assert kept.headers["x-openstack-request-id"] == "abc-1"
    replaced = await client.get("/v1.0/vims/1", headers={"X-Request-ID": "a b" + "c" * 500})
    assert replaced.headers["x-openstack-request-id"].startswith("req-")


async def test_nul_in_the_uri_is_refused(client: Client) -> None:
    assert (await client.get("/v1.0/vims/a%00b")).status == 400
    assert (await client.get("/v1.0/vims/1?name=%00")).status == 400


async def test_caller(client: Client) -> None:
    members = await (await client.get("/v1.0/vims/1")).json()
    assert (members["owner"], members["actor"]) == ("nfv", "admin")


class TokenAuthentication:
    """An authenticator that knows one token."""

    async def authenticate(self, request: web.Request) -> Caller:
        if request.headers.get("X-Auth-Token") != "good":
            raise Rejected(401, "Send a valid X-Auth-Token.", headers={"WWW-Authenticate": "Keystone"})
        return Caller(project="p", actor="a")


async def test_nobody_gets_in_without_authentication_except_where_the_api_says_so() -> None:
    public = Api(name="public", prefix="/public", authenticated=False)
    routes = [Route("GET", "/v1.0/vims/{id}", show, LEGACY), Route("GET", "/public", versions, public)]
    async with serving(routes, authenticator=TokenAuthentication()) as client:
        refused = await client.get("/v1.0/vims/1")
        assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Keystone")
        assert (await client.get("/v1.0/vims/1", headers={"X-Auth-Token": "good"})).status == 200
        assert (await client.get("/public")).status == 200


async def test_requests_do_not_wait_for_each_other() -> None:
    arrived = asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        await arrived.wait()
        return answer({})

    async def arrive(request: web.Request) -> web.Response:
        arrived.set()
        return answer({})

    async with serving([Route("GET", "/v1.0/wait", wait, LEGACY), Route("GET", "/v1.0/go", arrive, LEGACY)]) as client:
        async with asyncio.timeout(60):
            responses = await asyncio.gather(client.get("/v1.0/wait"), client.get("/v1.0/go"))
        assert [response.status for response in responses] == [200, 200]


def test_two_routes_for_the_same_request_are_refused() -> None:
    with pytest.raises(ValueError, match=r"GET /v1\.0/vims"):
        application([Route("GET", "/v1.0/vims", show, LEGACY)] * 2, service="test", authenticator=TokenAuthentication())


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/zip"),
        ("", "application/zip"),
        ("text/plain", "text/plain"),
        ("text/plain,application/zip", "application/zip"),
        ("text/*;q=0.5, application/zip;q=0.4", "text/plain"),
        ("*/*, application/zip;q=0", "text/plain"),
        ("*/*;q=broken", None),
        ("*/*;q=nan", None),
        ("application/json", None),
    ],
)
def test_negotiation_between_several_types(accept: str | None, chosen: str | None) -> None:
    offers = ("application/zip", "text/plain")
    if chosen is None:
        with pytest.raises(Rejected) as raised:
            negotiate(accept, offers)
        assert raised.value.status == 406
    else:
        assert negotiate(accept, offers) == chosen
