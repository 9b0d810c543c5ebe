"""Subscriptions and notifications, compared with ETSI's documents of SOL003 (where the project's shared folder is present)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest
from forestay_events.config import BaseConfig
from forestay_lcm.executor import Failed

from tests.lcm.engine.scripted_vim import Hitch, ScriptedVim
from tests.lcm.subscriptions.test_api import PATH, subscribe, talking

SHARED = Path(__file__).parents[4] / "shared"
TOOL = SHARED / "tools" / "check_openapi.py"
DOCUMENTS = SHARED / "etsi-openapi" / "SOL003"

pytestmark = [
    pytest.mark.skipif(
        not (TOOL.exists() and DOCUMENTS.exists()), reason="there is no ../shared with ETSI's documents"
    ),
    pytest.mark.skipif(find_spec("jsonschema") is None, reason="check_openapi.py needs jsonschema"),
]

#: What the document asks for and nobody can give.
EXPECTED = (
    "vnfInstanceSubscriptionFilter",  # it requires a member "vnfdId" that it does not have, where its text allows other ones
    "/subscriptions -> 200 | response body | # | [",  # it wants that the list is an object
)


async def test_exchanges(config: BaseConfig, tmp_path: Path) -> None:
    async with talking(config) as (api, subscriber, _):
        id_ = await subscribe(api, subscriber, filter={"operationTypes": ["SCALE"]}, verbosity="SHORT")
        await subscribe(api, subscriber, filter={"vnfInstanceSubscriptionFilter": {"vnfInstanceNames": ["edge"]}})
        await api.post(PATH, {"callbackUri": "nowhere"})
        await api.get(PATH)
        await api.get(f"{PATH}/{id_}")
        await api.delete(f"{PATH}/{id_}")
        await api.get(f"{PATH}/{id_}")
    recorded = tmp_path / "exchanges.jsonl"
    recorded.write_bytes(b"".join(msgspec.json.encode(exchange) + b"\n" for exchange in api.exchanges))
    checked = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, TOOL, DOCUMENTS / "VNFLifecycleManagement.json", "--exchanges", recorded, "--prefix", "/vnflcm/v2",
         *(word for text in EXPECTED for word in ("--ignore", text))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


async def test_notifications(config: BaseConfig) -> None:
    from jsonschema import Draft4Validator

    vim = ScriptedVim()
    async with talking(config, vim) as (api, subscriber, lcm):
        await subscribe(api, subscriber)
        await subscribe(api, subscriber, "/short", verbosity="SHORT")
        vim.next("create-stack", Hitch(instead=Failed("no", 500, "no room")))
        vnf_id = await lcm.instantiate()
        await lcm.until(vnf_id, "FAILED_TEMP")
        await lcm.handle(vnf_id, "retry")
        await lcm.until(vnf_id, "COMPLETED")
        await lcm.terminate(vnf_id)
        await lcm.until(vnf_id, "COMPLETED")
        await api.delete(f"/vnflcm/v2/vnf_instances/{vnf_id}")
        taken = await subscriber.until(20)
    document: dict[str, Any] = msgspec.json.decode((DOCUMENTS / "VNFLifecycleManagementNotification.json").read_bytes())
    problems: list[str] = []
    for body in (received.body for received in taken):
        schema = {"$ref": f"#/components/schemas/{body['notificationType']}", "components": document["components"]}
        problems += [
            f"{body['notificationType']}: {error.message[:300]}" for error in Draft4Validator(schema).iter_errors(body)
        ]
    assert problems == []
