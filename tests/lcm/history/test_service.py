"""The history as the service itself serves it, with its engine."""

from __future__ import annotations

from forestay_events.config import BaseConfig
from forestay_events.maintenance import rebuild, state_hash
from forestay_events.platform import open_platform
from forestay_lcm.app import projectors

from tests.lcm.api.client import INSTANCES, client
from tests.lcm.engine.running import running
from tests.lcm.engine.scripted_vim import ScriptedVim

TABLES = ("history", "history_related")


async def test_an_operation_is_told_from_the_request_to_its_end(config: BaseConfig) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        vnf_id = await lcm.instantiated()
        entries = (await api.get(f"/history/v1/vnf_instances/{vnf_id}/timeline?order=oldest")).body
        op_id = (await lcm.operation(vnf_id)).id
        assert {entry.get("correlationId") for entry in entries[1:]} == {op_id}
        assert (await api.get(f"/history/v1/vnf_lcm_op_occs/{op_id}/timeline?order=oldest")).body == entries[1:]
        told = [event["type"] for entry in entries for event in entry["events"]]
        assert told[:3] == ["VnfCreated", "OperationStarted", "StepIntended"]
        assert told[-1] == "OperationCompleted"
        now = (await api.get(f"{INSTANCES}/{vnf_id}")).body
        then = (await api.get(f"/history/v1/vnf_instances/{vnf_id}?version={len(entries)}")).body["vnfInstance"]
        assert then == {name: value for name, value in now.items() if name != "_links"}


async def test_a_rebuild_tells_the_same(config: BaseConfig) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        vnf_id = await lcm.instantiated()
        before = (await api.get(f"/history/v1/vnf_instances/{vnf_id}/timeline")).body
    async with open_platform(config, "rebuild") as platform:
        digest = await state_hash(platform.pool, "lcm", TABLES)
        first, *others = projectors(platform, dispatch=False)
        await rebuild(first, *others)
        assert await state_hash(platform.pool, "lcm", TABLES) == digest
    async with running(config) as lcm, client(lcm.url) as api:
        assert (await api.get(f"/history/v1/vnf_instances/{vnf_id}/timeline")).body == before
