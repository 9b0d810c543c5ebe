"""What LCM says over HTTP, compared with ETSI's OpenAPI document of SOL003 (where the project's shared folder is present)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest
from forestay_events.config import BaseConfig

from tests.lcm.api.client import INSTANCES, OP_OCCS, client
from tests.lcm.api.test_instances import INLINE, operation
from tests.lcm.api.test_operations import BODIES, MERGE_PATCH
from tests.lcm.engine.running import running
from tests.lcm.engine.scripted_vim import ScriptedVim

SHARED = Path(__file__).parents[4] / "shared"
TOOL = SHARED / "tools" / "check_openapi.py"
DOCUMENT = SHARED / "etsi-openapi" / "SOL003" / "VNFLifecycleManagement.json"

#: What the document asks for and nobody can or does give.
EXPECTED = (
    "'changedInfo' is a required property",  # it wants exactly one of two optional members, also where neither applies
    "/vnf_lcm_op_occs -> 200 | response body | # | [",  # it wants the same of the list, and that the list is an object
    "/vnf_lcm_op_occs?all_fields -> 200 | response body | # | [",
    "/instantiatedVnfInfo | 'extCpInfo' is a required property",  # the sample VNF has none; nor has a terminated one (Tacker)
)


@pytest.mark.skipif(not TOOL.exists() or not DOCUMENT.exists(), reason="there is no ../shared with ETSI's documents")
@pytest.mark.skipif(find_spec("jsonschema") is None, reason="check_openapi.py needs jsonschema")
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
    recorded = tmp_path / "exchanges.jsonl"
    recorded.write_bytes(b"".join(msgspec.json.encode(exchange) + b"\n" for exchange in api.exchanges))
    checked = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, TOOL, DOCUMENT, "--exchanges", recorded, "--prefix", "/vnflcm/v2",
         *(word for text in EXPECTED for word in ("--ignore", text))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
