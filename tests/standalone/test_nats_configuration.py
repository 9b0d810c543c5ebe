"""The NATS configuration that is shipped for production, read by the server itself."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from subprocess import CompletedProcess, run

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nats" / "nats-server.conf"


def check(**environment: str) -> CompletedProcess[str]:
    """Let nats-server read the file without starting."""
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    command = [str(program), "-t", "-c", str(CONFIGURATION)]
    return run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_the_server_accepts_it() -> None:
    checked = check(FORESTAY_NATS_PASSWORD="secret")
    assert checked.returncode == 0, checked.stderr


def test_there_is_no_default_password() -> None:
    checked = check()
    assert checked.returncode != 0
    assert "FORESTAY_NATS_PASSWORD" in checked.stderr


def test_acknowledged_messages_are_on_the_disk() -> None:
    assert "sync_interval: always" in CONFIGURATION.read_text()
