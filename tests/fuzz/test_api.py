"""schemathesis against all that the process says it serves: whatever comes, no answer is an error of ours or not as described."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import msgspec
import pytest

from tests.flow.scenario import SAMPLES, create, onboard
from tests.standalone.site import Json, TestSite, site

SECONDS = 100
KINDS = {
    "/vnflcm/v2/vnf_instances/": 12,
    "/vnflcm/v2/vnf_lcm_op_occs/": 12,
    "/vnflcm/v2/subscriptions/": 12,
    "/policy/v1/policies/": 6,
}
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)


@pytest.mark.fuzz
@pytest.mark.timeout(SECONDS + 100)
async def test_nothing_that_is_sent_leads_to_an_answer_that_is_not_described(tmp_path: Path) -> None:
    async with site() as ready:
        ids = await populated(ready, tmp_path)
        described = (await ready.ask("GET", "/openapi.json")).body
        schema = tmp_path / "openapi.json"
        schema.write_bytes(msgspec.json.encode(with_ids(described, ids)))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", "run", str(schema), "--url", ready.url, "--max-time", str(SECONDS),
            "--checks", ",".join(CHECKS), "--request-timeout", "20", "--warnings", "off", "--no-color",
            "--suppress-health-check", "filter_too_much",  # of a zip as a body it finds few examples
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
    assert process.returncode == 0, said.decode()


async def populated(ready: TestSite, directory: Path) -> dict[str, list[str]]:
    """Make what a client could talk about; returns the ids by the path that they stand behind."""
    await ready.ask("POST", "/v1.0/vims", ready.cloud.vim())
    package = await onboard(ready.api, SAMPLES[0], directory)
    ids: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for _ in range(KINDS["/vnflcm/v2/vnf_instances/"]):
        vnf = await create(ready.api, package["vnfdId"])
        ids["/vnflcm/v2/vnf_instances/"].append(vnf.rpartition("/")[2])
        modified = await ready.ask(
            "PATCH", vnf, {"vnfInstanceName": "b"}, **{"Content-Type": "application/merge-patch+json"}
        )
        ids["/vnflcm/v2/vnf_lcm_op_occs/"].append(modified.headers["Location"].rpartition("/")[2])
    for number in range(KINDS["/policy/v1/policies/"]):
        made = await ready.ask("POST", "/policy/v1/policies", {"name": f"p{number}", "do": "notify"})
        ids["/policy/v1/policies/"].append(made.body["id"])
    return {kind: found for kind, found in ids.items() if found}


def with_ids(described: Json, ids: dict[str, list[str]]) -> Json:
    """The document with ids that exist (and one that does not) in the places of ids, and without answers that never end."""
    unknown = "11111111-2222-4333-8444-555555555555"
    described["paths"] = {
        path: {
            method: operation
            for method, operation in operations.items()
            if "text/event-stream" not in operation["responses"]["200" if method == "get" else "default"]["content"]
        }
        for path, operations in described["paths"].items()
    }
    for path, operations in described["paths"].items():
        latest = path.replace("/vnflcm/v1/", "/vnflcm/v2/")
        known = next((found for kind, found in ids.items() if re.match(re.escape(kind), latest)), [])
        for parameter in (each for operation in operations.values() for each in operation["parameters"]):
            if known and parameter["in"] == "path":
                parameter["schema"] = {"type": "string", "enum": [*known, unknown]}
    return described
