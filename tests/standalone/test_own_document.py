"""Our OpenAPI document: valid in itself, browsable without a network, and the same as ETSI's but for what is said here."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import pytest_asyncio
from forestay_sol.openapi import document
from forestay_standalone.all_in_one import BUILDS

from tests.standalone.site import Json, TestSite, site

ETSI = Path(__file__).parents[3] / "shared" / "etsi-openapi"
Operation = tuple[str, str]


class Document(NamedTuple):
    """What of one of ETSI's documents is not as ETSI has it, and why.

    :ivar missing: paths that are not served.
    :ivar added: paths that ETSI does not have.
    """

    file: str
    prefix: str
    missing: frozenset[str]
    added: frozenset[str]


#: A log of what was sent to a subscriber, and sending it again, are ours for every kind of subscription.
DELIVERIES = frozenset({"/subscriptions/{}/deliveries", "/subscriptions/{}/redeliver"})
DOCUMENTS = (
    Document(
        "SOL003/VNFLifecycleManagement.json", "/vnflcm/v2",
        frozenset({"/vnf_snapshots/{}/vnf_state_snapshot"}),  # no VNF keeps a state of its own with us
        DELIVERIES,
    ),
    Document(
        "SOL003/VNFFaultManagement.json", "/vnffm/v1", frozenset({"/subscriptions", "/subscriptions/{}"}), DELIVERIES,
    ),
    Document(
        "SOL005/VNFPackageManagement.json", "/vnfpkgm/v2", frozenset(),
        # SOL003 has them.
        DELIVERIES | {
            f"/onboarded_vnf_packages{below}"
            for below in ("", "/{}", "/{}/artifacts", "/{}/artifacts/{}", "/{}/manifest", "/{}/package_content", "/{}/vnfd")
        },
    ),
)  # fmt: skip

#: Members that the documents do not have, by type.
ADDED_MEMBERS = {
    "Alarm": {"vnfcInstanceIds"},  # SOL002
    "HealVnfRequest": {"healScript", "vnfcInstanceId"},  # SOL002
    "OperateVnfRequest": {"vnfcInstanceId"},  # SOL002
    "PkgmSubscriptionRequest": {"verbosity"},  # as that of LCM
    "ProblemDetails": {"invalidParams"},  # says which member of a body is at fault
    "ScaleInfo": {"scaleLevel"},  # its name in SOL003 3.3.1, which is what Tacker speaks
    "SubscriptionAuthentication": {"paramsOauth2ClientCert"},  # SOL003 since 4.3.1
    "UploadVnfPackageFromUriRequest": {
        "paramsBasic",
        "password",
        "userName",
    },  # SOL005 2.6.1, which is what Tacker speaks
    "VnfInfoModificationRequest": {"vnfcInfoModifications", "vnfdId"},  # SOL002; vnfdId is Tacker's
    "VnfSnapshotInfo": {"deletion"},  # how far a deletion is, which takes a while
    "VnfPkgInfo": {"onboardingFindings", "uploadProgress"},  # what ETSI leaves to the server to tell in some way
}
#: Members that we ask for, or always give, where the documents do not.
REQUIRED_MEMBERS = {
    # Of snapshots the document asks for members by names that it does not know.
    "CreateVnfSnapshotRequest": {"vnfSnapshotInfoId"},
    "VnfSnapshot": {"vnfInstance"},
    "ScaleInfo": {"scaleLevel"},
    "VnfExtCpData": {"cpConfig"},  # SOL003's table has it as 1..N
    "VnfLcmOpOcc": {"_links"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[TestSite]:
    async with site() as ready:
        yield ready


@pytest.mark.asyncio(loop_scope="module")
async def test_it_is_a_document_that_browsers_of_documents_read(running: TestSite) -> None:
    ours = (await running.ask("GET", "/openapi.json", Version="")).body
    assert ours["openapi"] == "3.1.0"
    for reference in references(ours):
        assert resolved(ours, {"$ref": reference})
    ids = [operation["operationId"] for operations in ours["paths"].values() for operation in operations.values()]
    assert len(ids) == len(set(ids)) > 60
    page = await running.ask("GET", "/docs", Version="")
    assert page.headers["Content-Type"].startswith("text/html")
    found = re.findall(r'(?:src|href)="([^"]+)"', page.body)
    assert len(found) == 3
    for file in found:
        assert (await running.ask("GET", f"/{file}", Version="")).status == 200
    assert "://" not in page.body


@pytest.mark.asyncio(loop_scope="module")
async def test_it_says_what_every_request_may_have(running: TestSite) -> None:
    paths = (await running.ask("GET", "/openapi.json", Version="")).body["paths"]

    def parameters(path: str, method: str) -> set[str]:
        return {each["name"] for each in paths[path][method]["parameters"]}

    assert {"filter", "fields", "exclude_fields", "nextpage_opaque_marker", "Version"} <= parameters(
        "/vnflcm/v2/vnf_instances", "get"
    )
    assert {"dry_run", "Idempotency-Key", "id"} <= parameters("/vnflcm/v2/vnf_instances/{id}/instantiate", "post")
    assert {"If-Match", "dry_run"} <= parameters("/vnflcm/v2/vnf_instances/{id}", "patch")
    for path, operations in paths.items():
        for method, operation in operations.items():
            assert ("Idempotency-Key" in parameters(path, method)) == (method == "post"), path
            assert "default" in operation["responses"]
            assert ("requestBody" in operation) <= (method in ("post", "put", "patch")), path


@pytest.mark.skipif(not ETSI.exists(), reason="there is no ../shared with ETSI's documents")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("etsi", DOCUMENTS, ids=lambda etsi: etsi.file)
async def test_it_is_as_etsi_has_it(running: TestSite, etsi: Document) -> None:
    services = [await build(running.platform) for build in BUILDS]
    ours = document(route for service in services for route in service.routes)
    theirs = msgspec.json.decode((ETSI / etsi.file).read_bytes())
    mine = dict(operations(ours, etsi.prefix))
    asked = dict(
        operations({"paths": {etsi.prefix + path: found for path, found in theirs["paths"].items()}}, etsi.prefix)
    )
    assert {path for path, _ in asked.keys() - mine.keys()} <= etsi.missing
    assert {path for path, _ in mine.keys() - asked.keys()} <= etsi.added
    for operation in mine.keys() & asked.keys():
        assert mine[operation] & asked[operation], operation
    found = ours["components"]["schemas"]
    for name in sorted(found.keys() & theirs["components"]["schemas"].keys()):
        given, always = members(ours, found[name])
        known, wanted = members(theirs, theirs["components"]["schemas"][name])
        assert given - known <= ADDED_MEMBERS.get(name, set()), name
        assert always - wanted <= REQUIRED_MEMBERS.get(name, set()), name
        assert wanted <= given, name


def operations(of: Json, prefix: str) -> Iterator[tuple[Operation, set[str]]]:
    """Paths below a prefix without the names of their parameters, methods, and how they can succeed."""
    for path, methods in of["paths"].items():
        if path.startswith(f"{prefix}/"):
            for method, operation in ((name, each) for name, each in methods.items() if name != "parameters"):
                successes = {status for status in operation["responses"] if status.startswith("2")}
                if successes:
                    yield (re.sub(r"\{[^}]*\}", "{}", path.removeprefix(prefix)), method), successes


def members(of: Json, schema: Json) -> tuple[set[str], set[str]]:
    """The members that a type may have and those that it must have; what is asked for but not described is a slip of ETSI."""
    schema = resolved(of, schema)
    may, must = set(schema.get("properties", ())), set(schema.get("required", ()))
    for word in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(word, ()):
            more, needed = members(of, part)
            may |= more
            must |= needed if word == "allOf" else set()
    return may, must & may


def resolved(of: Json, schema: Json) -> Json:
    while "$ref" in schema:
        place: Any = of
        for step in schema["$ref"].removeprefix("#/").split("/"):
            place = place[step.replace("~1", "/").replace("~0", "~")]
        schema = place
    return schema


def references(value: Any) -> Iterator[str]:
    """All references below a value."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)
