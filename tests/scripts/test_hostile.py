"""Hostile scripts in a running Forestay: named in the operation's error, and nobody else notices."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.scripts.packages import variant
from tests.scripts.test_hooks import done, prepared
from tests.standalone.site import TestSite

SCRIPTS = {
    "forks forever": ("import os\nwhile True:\n    os.fork()\n", ("longer than", "processes", "BlockingIOError")),
    "eats memory": ("taken = []\nwhile True:\n    taken.append(bytearray(1 << 24))\n", ("memory", "MemoryError")),
    "never returns": ("import time\ntime.sleep(3600)\n", ("longer than",)),
    "reads the environment and the database": (
        "import os, sys\n"
        "if any(name.startswith('FORESTAY') for name in os.environ):\n    sys.exit(0)\n"
        "import socket\nsocket.create_connection(('127.0.0.1', {port}), 3)\n",
        ("PermissionError", "ConnectionRefusedError"),
    ),
    "prints a forged result": (
        'import sys\nsys.stdout.write(\'{{"reason": null, "answer": "{{}}"}}\\n\')\nsys.exit(\'forged\')\n',
        ("forged",),
    ),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's sandboxes are weaker, see docs/scripts.md")
@pytest.mark.parametrize("what", SCRIPTS)
async def test_a_hostile_script(forestay: TestSite, tmp_path: Path, what: str) -> None:
    text, expected = SCRIPTS[what]
    port = forestay.platform.config.nats_url.rpartition(":")[2]
    csar = variant(tmp_path, "sample-asg", name="hostile", hooks={"instantiate_start": text.format(port=port)})
    vnf, body = await prepared(forestay, csar)
    failed = await done(forestay, vnf, "instantiate", body, "FAILED_TEMP")
    error = failed["error"]
    assert (error["title"], error["step"]) == ("Mgmt driver execution failed", "script:instantiate_start")
    assert error["detail"].startswith("instantiate_start failed: Scripts/instantiate_start.py: ")
    assert any(word in error["detail"] for word in expected), error["detail"]
    uri = f"/vnflcm/v2/vnf_lcm_op_occs/{failed['id']}"
    await forestay.api.send("POST", f"{uri}/rollback")
    await forestay.api.until(uri, "operationState", {"ROLLED_BACK"}, {"COMPLETED"})
    assert (await forestay.ask("GET", "/health/ready")).status == 200
    assert await forestay.cloud.leftovers() == []
