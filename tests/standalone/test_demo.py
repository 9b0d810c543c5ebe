"""``forestay demo`` as a newcomer meets it."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from tests.standalone.command import forestay, servers_of, started

LONG = "shows all of it."  # the one line to copy


async def test_it_tells_what_it_does_and_keeps_its_data(tmp_data_dir: Path) -> None:
    data_dir = tmp_data_dir / "kept"
    runs = [await forestay("demo", "--data-dir", data_dir, environment={"COLUMNS": "80"}) for _ in range(2)]
    for ended in runs:
        assert (ended.status, ended.err) == (0, "")
        for words in (
            "Onboard it",
            "is INSTANTIATED",
            "OperationStarted(INSTANTIATE)",
            "OperationCompleted",
            "Done in",
        ):
            assert words in ended.out
        assert max(len(line.rstrip()) for line in ended.out.splitlines() if LONG not in line) <= 80
    assert servers_of(data_dir) == {}
    vnf = re.findall(r"forestay log show ([0-9a-f-]{36})", runs[-1].out)[-1]
    shown = await forestay("log", "show", vnf, "--data-dir", data_dir)
    assert "VnfDeleted" in shown.out


async def test_ctrl_c_leaves_nothing(tmp_data_dir: Path) -> None:
    async with started("demo", environment={"TMPDIR": str(tmp_data_dir)}) as demo:
        await demo.says("Register the VIM")
        assert len(servers_of(tmp_data_dir)) == 2
        ended = await demo.stop(signal.SIGINT)
    assert (ended.status, ended.err) == (128 + signal.SIGINT, "")
    assert servers_of(tmp_data_dir) == {}
    assert not any(os.scandir(tmp_data_dir))
