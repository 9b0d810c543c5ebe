"""What tests say over HTTP, compared with ETSI's OpenAPI documents at the end of the run (where ../shared is present).

A session that is made with ``trace_configs=[recorder()]`` is recorded; a request that the server refused may be wrong on purpose,
so only its answer counts. What deviates, and why nobody can or should mend it here, stands in ``KNOWN``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec

Json = dict[str, Any]

_SHARED = Path(__file__).parents[2] / "shared"
TOOL, DOCUMENTS = _SHARED / "tools" / "check_openapi.py", _SHARED / "etsi-openapi"
#: Why nothing can be compared; empty if it can.
MISSING = (
    "there is no ../shared with ETSI's documents"
    if not (TOOL.exists() and DOCUMENTS.exists())
    else "check_openapi.py needs jsonschema"
    if find_spec("jsonschema") is None
    else ""
)
RECORDED: list[Json] = []

#: What deviates in every document, as patterns of the tool's lines.
EVERYWHERE = (
    r"-> (304|412|413|415|422) \| status \|",  # SOL013 6.4 and HTTP allow them everywhere; the documents list some
    r"/subscriptions/[^/]+/(deliveries|redeliver)\S* -> ",  # ours
    r" -> 200 \| response body \| # \| \[",  # the documents say that a list is one object
)
KNOWN: dict[tuple[str, str], tuple[str, ...]] = {
    ("SOL003/VNFLifecycleManagement.json", "/vnflcm/v2"): (
        # Of two optional members, only one of which an occurrence can have, it wants exactly one.
        r"'changedInfo' is a required property", r"modificationsTriggeredByVnfPkgChange",
        # It asks of ipOverEthernet itself what SOL003 asks of each of its ipAddresses.
        r"ipOverEthernet \| oneOf: no alternative fits; closest: '(fixedAddresses|addresses)' is a required property",
        r"/instantiatedVnfInfo \| 'extCpInfo' is a required property",  # a terminated VNF has none (Tacker)
        r"^PATCH .* \| request body \| .* \| (None is not of type|'vimType' is a required)",  # it forgets RFC 7396
        # It requires vnfSnapshotInfoId and other members under names that it has not among its properties.
        r"'(vnfSnapshotResId|triggeredAt|vnfInfo|vnfcResourceId)' is a required property",
        r"/\d+/vnfSnapshot \| '(vnfInstance|vnfcSnapshots)' is a required",  # lists leave them out, as its exclude_default says
        r"^GET \S+/vnf_snapshots/\S+ -> 200 \| response body \| # \| .* is not of type 'array'",  # of one, it shows a list
        r"^DELETE \S+/vnf_snapshots/\S+ -> 202 \| status",  # what the VIM takes long for; docs/snapshots.md
        r"vnfInstanceSubscriptionFilter \|",  # it wants a member "vnfdId" that it does not have; its text has others
    ),
    ("SOL003/VNFFaultManagement.json", "/vnffm/v1"): (),
    ("SOL005/VNFPackageManagement.json", "/vnfpkgm/v2"): (
        r"/onboarded_vnf_packages\S* -> \d+ \| path \|",  # SOL003's, see tests/package_mgmt/v2/test_openapi.py
    ),
    ("SOL005/VNFPackageManagement.json", "/vnfpkgm/v1"): (
        # Tacker's clients know these forms: links without a host, only those that lead somewhere, Glance's own words.
        r"is not a 'url'", r"/_links \| 'vnfd' is a required property", r"/containerFormat \|", r"/diskFormat \|",
        r"content type 'application/zip' is not documented",  # SOL005 9.4.5.3.3 says zip
        r"'imagePath' is a required property",  # an image in Glance has no path in the package
        r"'isEncrypted' is a required property",  # came with SOL005 3.3; Tacker speaks 2.6
    ),
}  # fmt: skip


def recorder() -> aiohttp.TraceConfig:
    """Record what a session says, bodies included."""
    config = aiohttp.TraceConfig()

    async def started(_: Any, trace: SimpleNamespace, params: aiohttp.TraceRequestStartParams) -> None:
        trace.sent = b""
        trace.exchange = {
            "method": params.method,
            "path": params.url.raw_path_qs,
            "request_headers": dict(params.headers),
            "request_body": None,
            "response_body": None,
        }

    async def sent(_: Any, trace: SimpleNamespace, params: aiohttp.TraceRequestChunkSentParams) -> None:
        trace.sent += params.chunk

    async def ended(_: Any, trace: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        headers = dict(params.response.headers)
        trace.exchange |= {"status": params.response.status, "response_headers": headers}
        trace.exchange["request_body"] = _shown(trace.sent)
        RECORDED.append(trace.exchange)

    async def received(_: Any, trace: SimpleNamespace, params: aiohttp.TraceResponseChunkReceivedParams) -> None:
        trace.exchange["response_body"] = _shown(params.chunk)

    config.on_request_start.append(started)
    config.on_request_chunk_sent.append(sent)
    config.on_request_end.append(ended)
    config.on_response_chunk_received.append(received)
    return config


def _shown(content: bytes) -> Any:
    if not content:
        return None
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"__binary__": len(content)}


def deviations(exchanges: list[Json], directory: Path) -> Iterator[str]:
    """What of these exchanges is not as the documents have it. ``dry_run`` is ours, so nobody has a word about it."""
    recorded = directory / "exchanges.jsonl"
    told = (msgspec.json.encode(exchange) for exchange in exchanges if "dry_run" not in exchange["path"])
    recorded.write_bytes(b"".join(line + b"\n" for line in dict.fromkeys(told)))
    for (document, prefix), known in KNOWN.items():
        expected = re.compile("|".join((*EVERYWHERE, *known)))
        command = [TOOL, DOCUMENTS / document, "--exchanges", recorded, "--prefix", prefix, "--only-prefix"]
        checked = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)
        assert checked.returncode in (0, 1), checked.stderr
        lines = (line.partition(" ")[2] for line in checked.stdout.splitlines() if " | " in line)
        yield from (line for line in lines if not expected.search(line))
