"""What is said over API v2, compared with ETSI's OpenAPI documents (where ../shared is present)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from tests.notify.receiver import receiver
from tests.package_mgmt.v2.conftest import ONBOARDED, PACKAGES, V2, Client, Clients
from tests.package_mgmt.v2.origin import origin

SHARED = Path(__file__).parents[4] / "shared"
TOOL, DOCUMENTS = SHARED / "tools" / "check_openapi.py", SHARED / "etsi-openapi"

#: What deviates, and why nobody can or should mend it here.
BOTH = (
    "'imagePath' is a required property",  # an image that the VIM has has no path in the package
    # every operation documents its answer without a content, and lists as an object
    "response body | # | [", "response body must be empty",
)  # fmt: skip
KNOWN = {
    "SOL005/VNFPackageManagement.json": (
        *BOTH,
        "onboarded_vnf_packages",  # SOL003's
        "content type 'application/zip' is not documented",  # SOL005 9.4.5.3.3 says zip
        "/id | ", "/0/id | ",  # the id of a subscription is an Identifier in SOL005 9.5.2.7, the document says Uri
        "/artifact | ",  # SOL005 9.5.2.10 says 1..N, the document says one
    ),
    "SOL003/VNFPackageManagement.json": (
        *BOTH,
        "/checksum | ",  # an object in SOL003 10.5.3.2, the document says string
        "POST /vnfpkgm/v2/subscriptions -> 201 | response body | # | {",  # a subscription, the document says a list of them
        "POST /vnfpkgm/v2/vnf_packages", "PATCH ", "DELETE /vnfpkgm/v2/vnf_packages", "PUT ", "ext_artifacts_access",
        "upload_from_uri",  # SOL005's
    ),
}  # fmt: skip


@pytest.mark.skipif(not TOOL.exists() or not DOCUMENTS.exists(), reason="there is no ../shared with ETSI's documents")
@pytest.mark.skipif(find_spec("jsonschema") is None, reason="check_openapi.py needs jsonschema")
async def test_it_is_said_as_the_documents_ask(clients: Clients, asg: bytes, tmp_path: Path) -> None:
    async with clients.running() as client:
        await _everything(client, asg)
    recorded = tmp_path / "exchanges.jsonl"
    recorded.write_bytes(b"".join(msgspec.json.encode(exchange) + b"\n" for exchange in client.exchanges))
    for document, known in KNOWN.items():
        ignored = [word for text in known for word in ("--ignore", text)]
        command = [TOOL, DOCUMENTS / document, "--exchanges", recorded, "--prefix", V2, "--only-prefix", *ignored]
        checked = await asyncio.to_thread(
            subprocess.run, [sys.executable, *map(str, command)], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


async def _everything(client: Client, asg: bytes) -> None:
    async with origin(asg) as server, receiver() as subscriber:
        await client.get(f"{V2}/api_versions")
        made = await client.ask("POST", f"{V2}/subscriptions", {
            "callbackUri": subscriber.uri(), "filter": {"vnfdId": ["x"]},
        })  # fmt: skip
        await client.get(f"{V2}/subscriptions/{made.body['id']}")
        await client.get(f"{V2}/subscriptions")
        path = await client.create(userDefinedData={"a": "b"})
        artifact = {"artifactUri": "https://a.example/b"}
        await client.ask("PUT", f"{path}/ext_artifacts_access", {"artifact": artifact})
        await client.get(f"{path}/ext_artifacts_access")
        await client.ask("PUT", f"{path}/package_content", b"no zip")
        await client.until(path, "ERROR")
        await client.ask("POST", f"{path}/package_content/upload_from_uri", {"addressInformation": server.url})
        info = await client.until(path, "ONBOARDED")
        for root in (path, f"{ONBOARDED}/{info['vnfdId']}"):
            for below in (
                "",
                "/vnfd",
                "/manifest",
                "/artifacts",
                "/artifacts/BaseHOT/simple/asg.yaml",
                "/package_content",
            ):
                await client.get(root + below)
            await client.get(f"{root}/package_content", Range="bytes=0-9")
        for listed in (PACKAGES, f"{PACKAGES}?all_fields", ONBOARDED, f"{ONBOARDED}?fields=softwareImages"):
            await client.get(listed)
        assert (await client.ask("DELETE", path)).status == 409
        await client.ask("PATCH", path, {"operationalState": "DISABLED"})
        assert (await client.ask("DELETE", path)).status == 204
        await client.ask("DELETE", f"{V2}/subscriptions/{made.body['id']}")
