"""What LCM says over HTTP, compared with ETSI's OpenAPI document of SOL003 (where the project's shared folder is present)."""

from __future__ import annotations

from pathlib import Path

import pytest
from forestay_events.config import BaseConfig

from tests import exchanges
from tests.lcm.api.client import INSTANCES, OP_OCCS, client
from tests.lcm.api.test_instances import INLINE, operation
from tests.lcm.api.test_operations import BODIES, MERGE_PATCH
from tests.lcm.engine.running import running
from tests.lcm.engine.scripted_vim import ScriptedVim


@pytest.mark.skipif(bool(exchanges.MISSING), reason=exchanges.MISSING)
async def test_exchanges(config: BaseConfig, tmp_path: Path) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        vnf_id = await api.create(vnfInstanceName="edge", metadata={"a": "b"})
        path = f"{INSTANCES}/{vnf_id}"
        started = await api.post(f"{path}/instantiate", {"flavourId": "simple", "vimConnectionInfo": INLINE})
        await operation(api, started.op_id, "COMPLETED")
        await api.get(path)
        for listed in (INSTANCES, f"{INSTANCES}?all_fields", OP_OCCS, f"{OP_OCCS}?all_fields"):
            await api.get(listed)
        patched = await api.send("PATCH", path, {"vnfInstanceName": "core"}, **{"Content-Type": MERGE_PATCH})
        await api.get(f"{OP_OCCS}/{patched.op_id}")
        for task, body in BODIES.items():
            if task != "terminate":
                begun = await api.post(f"{path}/{task}", {} if task == "heal" else body)
                await operation(api, begun.op_id, "COMPLETED")
        await api.get(path)
        await api.post(f"{OP_OCCS}/{patched.op_id}/cancel", {"cancelMode": "FORCEFUL"})
        ended = await api.post(f"{path}/terminate", {"terminationType": "FORCEFUL"})
        await operation(api, ended.op_id, "COMPLETED")
        await api.get(path)
        await api.post(f"{OP_OCCS}/{ended.op_id}/retry")
        await api.delete(path)
        await api.get(path)
    assert list(exchanges.deviations(api.exchanges, tmp_path)) == []
