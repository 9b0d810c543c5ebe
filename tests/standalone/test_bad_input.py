"""Bad input to the whole of Forestay, over real HTTP: refused with its status and a sentence, and nothing half-made remains."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from tests.flow.scenario import SAMPLES, create, instantiate_body, onboard, operate
from tests.standalone.site import Json, TestSite, site

pytestmark = pytest.mark.asyncio(loop_scope="module")

VNFS, OPS, PKGS, VIMS = (
    "/vnflcm/v2/vnf_instances",
    "/vnflcm/v2/vnf_lcm_op_occs",
    "/vnfpkgm/v1/vnf_packages",
    "/v1.0/vims",
)
ALARMS, POLICIES = "/vnffm/v1/alarms", "/policy/v1/policies"
NOBODY = "11111111-2222-4333-8444-555555555555"
OPENSTACK = "ETSINFV.OPENSTACK_KEYSTONE.V_3"
FM = {"Version": "1.3.0"}
DEEP = b'{"vnfdId": "x", "metadata": {"a": ' + b"[" * 5000 + b"]" * 5000 + b"}}"


@dataclass
class Ready:
    """A site with a VIM, an onboarded package, and a VNF instance that is not instantiated."""

    site: TestSite
    vnf: str
    package: Json
    vim: str
    op: str

    def fill(self, path: str) -> str:
        return path.format(vnf=self.vnf, pkg=self.package["id"], vim=self.vim, op=self.op)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ready(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ready]:
    async with site() as started:
        api = started.api
        vim = await api.send("POST", VIMS, started.cloud.vim())
        package = await onboard(api, SAMPLES[0], tmp_path_factory.mktemp("csar"))
        vnf = await create(api, package["vnfdId"])
        other = await create(api, package["vnfdId"])
        operation = await operate(api, other, "instantiate", await instantiate_body(started.cloud, SAMPLES[0]))
        yield Ready(started, vnf.rpartition("/")[2], package, vim["vim"]["id"], operation["id"])
        # After all of it, a good request is answered as if nothing had been.
        good = await operate(api, vnf, "instantiate", await instantiate_body(started.cloud, SAMPLES[0]))
        assert good["operationState"] == "COMPLETED", good


@dataclass(frozen=True)
class Case:
    """A request and its refusal: ``words`` stand in the sentence, ``pointer`` in ``invalidParams``."""

    method: str
    path: str
    body: Any
    status: int
    words: tuple[str, ...] = ()
    pointer: str | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        return f"{self.method} {self.path[:60]} {str(self.body)[:60]} {self.headers or ''}"


def body(path: str, content: Any, status: int, *words: str, pointer: str | None = None, **headers: str) -> Case:
    return Case("POST", path, content, status, words, pointer, headers)


def get(path: str, status: int, *words: str, **headers: str) -> Case:
    return Case("GET", path, None, status, words, headers=headers)


def instantiate(status: int, *words: str, pointer: str, **members: Any) -> Case:
    return body(f"{VNFS}/{{vnf}}/instantiate", {"flavourId": "simple"} | members, status, *words, pointer=pointer)


def cp_data(protocol: Any) -> list[Json]:
    cp = {"cpdId": "VDU1_CP1", "cpConfig": {"VDU1_CP1": {"cpProtocolData": [protocol]}}}
    return [{"id": "net", "resourceId": "net", "extCps": [cp]}]


def address(**members: Any) -> list[Json]:
    return cp_data({"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": {"ipAddresses": [members]}})


def connecting(link: str) -> Json:
    cp = {"cpdId": "VDU1_CP1", "cpConfig": {"c": {"createExtLinkPort": True}}}
    return {"id": link, "resourceId": "net", "extCps": [cp]}


def connection(**members: Any) -> Json:
    return {"a/b": {"vimType": OPENSTACK} | members}


_ADDRESS = "/extVirtualLinks/0/extCps/0/cpConfig/VDU1_CP1/cpProtocolData/0"

SYNTAX = [
    *(
        body(path, raw, 400, *words, **headers)
        for path, headers in ((VNFS, {}), (PKGS, {}), (VIMS, {}), (POLICIES, {}))
        for raw, *words in (
            (b"{", "Malformed request body"),
            (b'{"vnfdId": "x",}', "Malformed", "byte"),
            (b"\xff\xfe{}", "Malformed"),
            (b'{"a": "\xff"}', "Malformed", "UTF-8"),
            (b'{"a": NaN}', "Malformed"),
            (b'{"a": "\\ud800"}', "Malformed"),
            (DEEP, "levels deep"),
            (b'{"name": "a\\u0000b"}', "U+0000"),
            (b'{"a\\u0000b": 1}', "U+0000"),
            (b"[]", "expected object"),
            (b"null", "expected object"),
            (b'"text"', "expected object"),
            (b"", "body is missing"),
        )
    ),
    body(VNFS, b'{"vnfdId": "x", "metadata": {"n": 1e400}}', 400, "out of range"),
    body(PKGS, b'{"userDefinedData": {"n": ' + b"9" * 5_000 + b"}}", 400),
    body(PKGS, b'{"userDefinedData": {"n": ' + b"9" * 200_000 + b"}}", 400),
    body(VNFS, {"vnfdId": "x" * (1 << 20)}, 413, "larger"),
    body(VIMS, b'{"vim": "' + b"x" * (3 << 20) + b'"}', 413, "larger"),
    body(POLICIES, b" " * (2 << 20), 413, "larger"),
    body(VNFS, b"<xml/>", 415, "application/json", **{"Content-Type": "text/xml"}),
    Case("PUT", f"{PKGS}/{{pkg}}/package_content", b"{}", 415, ("application/zip",)),
    Case("PATCH", f"{ALARMS}/{NOBODY}", b"<x/>", 415, ("json",), headers=FM | {"Content-Type": "text/xml"}),
]

VERSIONS = [
    get(VNFS, 400, "Version", "missing", "2.0.0", Version=""),
    get(VNFS, 400, "Version", "malformed", "2.0.0", Version="two"),
    get(VNFS, 400, "malformed", Version="2"),
    get(VNFS, 400, "malformed", Version="2.0.0, 1.0.0"),
    get(VNFS, 406, "3.0.0", "2.0.0", Version="3.0.0"),
    get(VNFS, 406, "1.3.0", "2.0.0", Version="1.3.0"),
    get(f"{VNFS}/{{vnf}}", 406, "2.0.0", Version="9.9.9"),
    get(ALARMS, 400, "Version", "1.3.0", Version=""),
    get(ALARMS, 406, "1.3.0", Version="2.0.0"),
    body(VNFS, {"vnfdId": "x"}, 400, "Version", Version=""),
    body(f"{VNFS}/{{vnf}}/instantiate", {"flavourId": "simple"}, 406, "2.0.0", Version="1.0.0"),
    get(VNFS, 406, "application/json", Accept="application/xml"),
]

MEMBERS = [
    body(VNFS, {"vnfdId": NOBODY}, 422, NOBODY, pointer="/vnfdId"),
    body(VNFS, {"vnfdId": ["a"]}, 400, "/vnfdId", "string", pointer="/vnfdId"),
    body(VNFS, {"vnfdId": "x", "metadata": {"k": "v" * 1025}}, 400, pointer="/metadata/k"),
    instantiate(400, "no-such", "simple", pointer="/flavourId", flavourId="no-such"),
    instantiate(400, "string", pointer="/flavourId", flavourId=1),
    instantiate(400, "no-such", pointer="/instantiationLevelId", instantiationLevelId="no-such"),
    instantiate(400, "string", pointer="/instantiationLevelId", instantiationLevelId={}),
    instantiate(400, "array", pointer="/extVirtualLinks", extVirtualLinks={}),
    instantiate(400, "object", pointer="/extVirtualLinks/0", extVirtualLinks=["a"]),
    instantiate(
        400,
        "required",
        pointer="/extVirtualLinks/0/resourceId",
        extVirtualLinks=[{"id": "a", "extCps": [{"cpdId": "c", "cpConfig": {"c": {"linkPortId": "p"}}}]}],
    ),
    instantiate(
        400,
        "object",
        pointer="/extVirtualLinks/0/extCps/0/cpConfig",
        extVirtualLinks=[{"id": "a", "resourceId": "b", "extCps": [{"cpdId": "c", "cpConfig": []}]}],
    ),
    instantiate(
        400,
        "VDU1_CP1",
        "another link",
        pointer="/extVirtualLinks/1/extCps/0/cpdId",
        extVirtualLinks=[connecting("a"), connecting("b")],
    ),
    instantiate(400, "'a'", pointer="/extVirtualLinks/1/id", extVirtualLinks=[connecting("a"), connecting("a")]),
    instantiate(
        400, "IP_OVER_ETHERNET", pointer=f"{_ADDRESS}/layerProtocol", extVirtualLinks=cp_data({"layerProtocol": "IPX"})
    ),
    instantiate(
        400,
        "IPV4",
        pointer=f"{_ADDRESS}/ipOverEthernet/ipAddresses/0/type",
        extVirtualLinks=address(type="IPV5", numDynamicAddresses=1),
    ),
    instantiate(
        400,
        pointer=f"{_ADDRESS}/ipOverEthernet/ipAddresses/0/numDynamicAddresses",
        extVirtualLinks=address(type="IPV4", numDynamicAddresses="1"),
    ),
    instantiate(
        400,
        pointer=f"{_ADDRESS}/ipOverEthernet/ipAddresses/0/numDynamicAddresses",
        extVirtualLinks=address(type="IPV4", numDynamicAddresses=-1),
    ),
    instantiate(
        400,
        "64",
        pointer=f"{_ADDRESS}/ipOverEthernet/ipAddresses/0/numDynamicAddresses",
        extVirtualLinks=address(type="IPV4", numDynamicAddresses=1_000_000_000),
    ),
    instantiate(
        400,
        "array",
        pointer=f"{_ADDRESS}/ipOverEthernet/ipAddresses/0/fixedAddresses",
        extVirtualLinks=address(type="IPV4", fixedAddresses="10.0.0.1"),
    ),
    instantiate(400, "object", pointer="/vimConnectionInfo", vimConnectionInfo=[]),
    instantiate(400, "required", pointer="/vimConnectionInfo/a~1b/vimType", vimConnectionInfo={"a/b": {}}),
    instantiate(
        400,
        "object",
        pointer="/vimConnectionInfo/a~1b/accessInfo",
        vimConnectionInfo=connection(interfaceInfo={}, accessInfo="x"),
    ),
    instantiate(400, "vimId", pointer="/vimConnectionInfo/a~1b", vimConnectionInfo=connection(accessInfo={"a": "b"})),
    instantiate(404, NOBODY, pointer="/vimConnectionInfo/a~1b/vimId", vimConnectionInfo=connection(vimId=NOBODY)),
    instantiate(
        422,
        "ETSINFV.NONE",
        pointer="/vimConnectionInfo",
        vimConnectionInfo={"a": {"vimType": "ETSINFV.NONE", "interfaceInfo": {}, "accessInfo": {}}},
    ),
    instantiate(400, "object", pointer="/additionalParams", additionalParams=["a"]),
    instantiate(400, "object", pointer="/extensions", extensions=3),
    instantiate(400, "object", pointer="/vnfConfigurableProperties", vnfConfigurableProperties="x"),
    body(f"{VNFS}/{{vnf}}/terminate", {}, 400, "required", pointer="/terminationType"),
    body(f"{VNFS}/{{vnf}}/terminate", {"terminationType": "FORCEFUL"}, 409, "not instantiated"),
    body(PKGS, {"userDefinedData": 1}, 400, "object", pointer="/userDefinedData"),
    Case("PATCH", f"{PKGS}/{{pkg}}", {"operationalState": "ON"}, 400, ("ENABLED",), "/operationalState"),
    Case("PATCH", f"{ALARMS}/{NOBODY}", {"ackState": "NO"}, 400, ("ACKNOWLEDGED",), "/ackState", FM),
    body(POLICIES, {"name": "x", "do": "explode"}, 400, "retry", pointer="/do"),
    body(POLICIES, {"name": "x", "do": "retry", "wen": {}}, 400, "wen"),
    body(VIMS, {}, 400, "vim"),
    body(VIMS, {"vim": {"name": "x"}}, 400, "required"),
    body(VIMS, {"vim": 1}, 400, "/vim", "object"),
]

IDS = [
    body(f"{VNFS}/{NOBODY}/instantiate", {"flavourId": "simple"}, 404, "not found"),
    body(f"{VNFS}/{NOBODY}/terminate", {"terminationType": "FORCEFUL"}, 404, "not found"),
    *(body(f"{OPS}/{NOBODY}/{task}", None, 404, "not found") for task in ("retry", "rollback", "fail")),
    *(body(f"{OPS}/{{op}}/{task}", None, 409, "FAILED_TEMP") for task in ("retry", "rollback", "fail")),
    Case("DELETE", f"{VNFS}/{NOBODY}", None, 404, ("not found",)),
    Case("DELETE", f"{PKGS}/{NOBODY}", None, 404, ("not found",)),
    Case("DELETE", f"{PKGS}/{{pkg}}", None, 409),
    Case("DELETE", f"{VIMS}/{NOBODY}", None, 404, (NOBODY,)),
    Case("DELETE", f"{VIMS}/{{vim}}", None, 409, ("in use",)),
    Case("DELETE", f"{POLICIES}/{NOBODY}", None, 404, ("not found",)),
    Case("PUT", f"{VIMS}/{NOBODY}", {"vim": {"name": "x"}}, 404, (NOBODY,)),
    Case("PATCH", f"{ALARMS}/{NOBODY}", {"ackState": "ACKNOWLEDGED"}, 404, ("not found",), headers=FM),
    *(get(f"{path}/{NOBODY}", 404, **headers) for path, headers in ((VNFS, {}), (OPS, {}), (PKGS, {}), (VIMS, {}),
                                                                    (POLICIES, {}), (ALARMS, FM))),
    *(get(path, 404) for path in ("/nothing", "/vnflcm/v2/nothing", "/vnflcm/v3/vnf_instances", "/v1.0/nothing",
                                  "/vnfpkgm/v3/vnf_packages", f"{VNFS}/{{vnf}}/nothing")),
]  # fmt: skip

METHODS = [
    *(Case(method, path, {}, 405, (method,), headers=headers) for method, path, headers in (
        ("PUT", VNFS, {}), ("PATCH", VNFS, {}), ("DELETE", VNFS, {}), ("PUT", f"{VNFS}/{{vnf}}", {}), ("DELETE", OPS, {}),
        ("POST", OPS, {}), ("DELETE", f"{OPS}/{{op}}", {}), ("GET", f"{VNFS}/{{vnf}}/instantiate", {}),
        ("PUT", PKGS, {}), ("POST", f"{PKGS}/{{pkg}}", {}), ("DELETE", f"{PKGS}/{{pkg}}/package_content", {}),
        ("POST", ALARMS, FM), ("DELETE", f"{ALARMS}/{NOBODY}", FM), ("PUT", f"{POLICIES}/{NOBODY}", {}),
        ("PATCH", f"{VIMS}/{{vim}}", {}), ("POST", f"{VIMS}/{{vim}}", {}))),
]  # fmt: skip

QUERIES = [
    get(f"{VNFS}?filter=(eq,id", 400, "filter"),
    get(f"{VNFS}?filter=(boil,id,1)", 400, "filter"),
    get(f"{VNFS}?filter=(eq,id,%00)", 400, "U+0000"),
    get(f"{VNFS}?filter=(eq,id,%ED%A0%80)", 200),
    get(f"{VNFS}?filter={'(eq,id,x);' * 700}(eq,id,x)", 200),
    get(f"{VNFS}?fields=nothing", 400, "nothing"),
    get(f"{VNFS}?nextpage_opaque_marker=*", 400, "marker"),
    get(f"{PKGS}?filter=(eq,nothing,1)", 400, "nothing"),
    get(f"{VIMS}?limit=-1", 400, "limit"),
    get(f"{VIMS}?nothing=1", 400, "nothing"),
    get(f"{VIMS}?marker=%00", 400, "U+0000"),
    get(f"{POLICIES}?filter=x", 400, "filter"),
    get(f"{ALARMS}?filter=x", 400, "filter", **FM),
]


@pytest.mark.parametrize("case", [*SYNTAX, *VERSIONS, *MEMBERS, *IDS, *METHODS, *QUERIES], ids=str)
async def test_a_request_is_refused_and_leaves_nothing(ready: Ready, case: Case) -> None:
    before = await ready.site.stored()
    reply = await ready.site.ask(case.method, ready.fill(case.path), case.body, **case.headers)
    assert reply.status == case.status, reply
    if case.status >= 400:
        for word in case.words:
            assert word in reply.sentence, reply
        if case.pointer is not None:
            assert [param["pointer"] for param in reply.body["invalidParams"]] == [case.pointer], reply
        if case.status == 405:
            assert reply.headers["Allow"]
        assert len(reply.sentence) < 1000, "a sentence, not an echo"
    assert await ready.site.stored() == before


HOSTILE = ["*", ">", "a.b", "a.*", "%2A", "%3E", ".", "..", "%2e", "%2e%2e", "%2e%2e%2fx", "%F0%9F%92%A9", "%C3%A4", "%FF",
           "%ED%A0%80", "%0a", "%20", "a%20b", "%22", "%27%20OR%201=1", "$SYS", "%24JS.API", "%7B%7D", "{0.__class__}", "-",
           "_", "x" * 300, "x" * 5000, "%E2%80%AE", "..%5c..%5c", "%2500"]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: text[:20])
async def test_hostile_ids_name_nothing(ready: Ready, hostile: str) -> None:
    before = await ready.site.stored()
    for method, path, content, headers in (
        ("GET", VNFS, None, {}),
        ("DELETE", VNFS, None, {}),
        ("GET", OPS, None, {}),
        ("GET", PKGS, None, {}),
        ("PATCH", PKGS, {"userDefinedData": {"a": "b"}}, {}),
        ("DELETE", PKGS, None, {}),
        ("GET", VIMS, None, {}),
        ("PUT", VIMS, {"vim": {"name": "x"}}, {}),
        ("DELETE", VIMS, None, {}),
        ("GET", ALARMS, None, FM),
        ("PATCH", ALARMS, {"ackState": "ACKNOWLEDGED"}, FM),
        ("GET", POLICIES, None, {}),
        ("DELETE", POLICIES, None, {}),
    ):
        reply = await ready.site.ask(method, f"{path}/{hostile}", content, **headers)
        assert reply.status in (404, 405), (method, path, reply)
        assert len(reply.sentence) < 1000, (method, path, "a sentence, not an echo")
    for path, content in (
        (f"{VNFS}/{hostile}/instantiate", {"flavourId": "simple"}),
        (f"{VNFS}/{hostile}/terminate", {"terminationType": "FORCEFUL"}),
        (f"{OPS}/{hostile}/retry", None),
        (f"{OPS}/{hostile}/fail", None),
    ):
        reply = await ready.site.ask("POST", path, content)
        assert reply.status in (404, 405), (path, reply)
    reply = await ready.site.ask(
        "PUT", f"{PKGS}/{hostile}/package_content", b"x", **{"Content-Type": "application/zip"}
    )
    assert reply.status in (404, 405), reply
    reply = await ready.site.ask("GET", f"{PKGS}/{ready.package['id']}/artifacts/{hostile}")
    assert reply.status in (404, 405), reply
    assert await ready.site.stored() == before


@pytest.mark.parametrize(
    "hostile", ["", "a b", "*", "ä", "\u202e", "x" * 256, "../../etc/passwd"], ids=lambda text: text[:20]
)
async def test_hostile_ids_in_a_body_name_nothing(ready: Ready, hostile: str) -> None:
    before = await ready.site.stored()
    reply = await ready.site.ask("POST", VNFS, {"vnfdId": hostile})
    assert reply.status in (400, 422), reply
    assert reply.body["invalidParams"][0]["pointer"] == "/vnfdId"
    vims = {"a": {"vimType": OPENSTACK, "vimId": hostile}}
    body = {"flavourId": "simple", "vimConnectionInfo": vims}
    reply = await ready.site.ask("POST", f"{VNFS}/{ready.vnf}/instantiate", body)
    assert reply.status in (400, 404), reply
    assert reply.body["invalidParams"][0]["pointer"] == "/vimConnectionInfo/a/vimId"
    assert await ready.site.stored() == before


async def test_a_vim_with_a_wrong_password_or_without_a_server_is_not_registered(
    ready: Ready, unused_tcp_port: int
) -> None:
    before = await ready.site.stored()
    wrong = ready.site.cloud.vim("other", is_default=False, auth_cred={
        "username": "demo", "password": "let-me-in-4711", "user_domain_name": "Default"})  # fmt: skip
    reply = await ready.site.ask("POST", VIMS, wrong)
    assert (reply.status, reply.body["TackerError"]["type"]) == (401, "VimUnauthorizedException")
    assert "let-me-in-4711" not in str(reply)
    nowhere = f"http://127.0.0.1:{unused_tcp_port}/identity/v3"
    reply = await ready.site.ask("POST", VIMS, ready.site.cloud.vim("other", is_default=False, auth_url=nowhere))
    assert (reply.status, reply.body["TackerError"]["type"]) == (502, "VimConnectionException")
    assert nowhere in reply.sentence
    assert await ready.site.stored() == before


async def test_an_operation_on_a_vim_that_refuses_the_password_says_so_and_can_be_given_up(ready: Ready) -> None:
    api = ready.site.api
    vnf = await create(api, ready.package["vnfdId"], "wrong password")
    cloud = ready.site.cloud.connection
    access = {**(cloud.access_info or {}), "password": "let-me-in-4711"}
    info = {"vimType": OPENSTACK, "interfaceInfo": cloud.interface_info, "accessInfo": access}
    request = await instantiate_body(ready.site.cloud, SAMPLES[0]) | {"vimConnectionInfo": {"vim": info}}
    leftovers = await ready.site.cloud.leftovers()
    operation = await operate(api, vnf, "instantiate", request)
    assert operation["operationState"] == "FAILED_TEMP"
    assert operation["error"]["status"] == 401
    assert "password" in operation["error"]["detail"].lower() or "401" in operation["error"]["detail"]
    assert "let-me-in-4711" not in str(operation)
    reply = await ready.site.ask("POST", f"{OPS}/{operation['id']}/fail")
    assert (reply.status, reply.body["operationState"]) == (200, "FAILED")
    assert (await ready.site.ask("DELETE", vnf)).status == 204
    assert await ready.site.cloud.leftovers() == leftovers


async def test_garbage_instead_of_http_gets_an_answer_and_harms_nobody(ready: Ready) -> None:
    before = await ready.site.stored()
    for request in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET " + b"/x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"x" * 20_000 + b"\r\n\r\n",
        b"POST " + VNFS.encode() + b" HTTP/1.1\r\nHost: x\r\nVersion: 2.0.0\r\nContent-Length: -5\r\n\r\n",
        b"POST "
        + VNFS.encode()
        + b" HTTP/1.1\r\nHost: x\r\nVersion: 2.0.0\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST " + VNFS.encode() + b" HTTP/1.1\r\nHost: x\r\nVersion: 2.0.0\r\nContent-Encoding: gzip\r\n"
        b"Content-Length: 4\r\nConnection: close\r\n\r\nnope",
    ):
        assert await ready.site.raw(request) in (400, 431, 505), request[:60]
    assert await ready.site.stored() == before
    assert (await ready.site.ask("GET", "/health/live")).status == 200
