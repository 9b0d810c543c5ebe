"""Subscriptions and notifications, compared with ETSI's documents of SOL003 (where the project's shared folder is present)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from forestay_events.config import BaseConfig
from forestay_lcm.executor import Failed

from tests import exchanges
from tests.lcm.engine.scripted_vim import Hitch, ScriptedVim
from tests.lcm.subscriptions.test_api import PATH, subscribe, talking

_DOCUMENT = exchanges.DOCUMENTS / "SOL003" / "VNFLifecycleManagementNotification.json"
pytestmark = pytest.mark.skipif(bool(exchanges.MISSING), reason=exchanges.MISSING)


async def test_exchanges(config: BaseConfig, tmp_path: Path) -> None:
    async with talking(config) as (api, subscriber, _):
        id_ = await subscribe(api, subscriber, filter={"operationTypes": ["SCALE"]}, verbosity="SHORT")
        await subscribe(api, subscriber, filter={"vnfInstanceSubscriptionFilter": {"vnfInstanceNames": ["edge"]}})
        await api.post(PATH, {"callbackUri": "nowhere"})
        await api.get(PATH)
        await api.get(f"{PATH}/{id_}")
        await api.delete(f"{PATH}/{id_}")
        await api.get(f"{PATH}/{id_}")
    assert list(exchanges.deviations(api.exchanges, tmp_path)) == []


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
    document: dict[str, Any] = msgspec.json.decode(_DOCUMENT.read_bytes())
    problems: list[str] = []
    for body in (received.body for received in taken):
        schema = {"$ref": f"#/components/schemas/{body['notificationType']}", "components": document["components"]}
        problems += [
            f"{body['notificationType']}: {error.message[:300]}" for error in Draft4Validator(schema).iter_errors(body)
        ]
    assert problems == []
