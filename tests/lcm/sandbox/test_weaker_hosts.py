"""Hosts that give less than root with namespaces: scripts still run, are still contained, and what is lost is said."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from forestay_lcm.sandbox.calls import Limits
from forestay_lcm.sandbox.runner import ScriptRunner

from .conftest import Packages, answer, failure, hook, script_processes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes other users")

_SYSTEM_PYTHON, _USER = "/usr/bin/python3", 12345
_DAEMON = "if os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0: time.sleep(600)\n  os._exit(0)\nos.wait()\n"
# Everything that makes namespaces is refused by a filter that the sandbox inherits.
_NO_NAMESPACES = f"""#!{sys.executable}
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[3] / "services/lcm/src")!r})
from forestay_lcm.sandbox.child import kernel, syscall_filter
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
syscall_filter.install()
os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])
"""
_ORDINARY = f"""#!/bin/sh
exec setpriv --reuid {_USER} --regid {_USER} --clear-groups --bounding-set -all {_SYSTEM_PYTHON} "$@"
"""
# Both: the worst case, where a script has the service's own user.
_ORDINARY_WITHOUT_NAMESPACES = (
    _NO_NAMESPACES.replace(
        "kernel.prctl", f"os.setgroups([]); os.setresgid(*[{_USER}] * 3); os.setresuid(*[{_USER}] * 3)\nkernel.prctl"
    )
    .replace(f"#!{sys.executable}", f"#!{_SYSTEM_PYTHON}")
    .replace(repr(sys.executable), repr(_SYSTEM_PYTHON))
)


def _python(directory: Path, text: str) -> str:
    """A Python for scripts that starts with fewer rights; the directory becomes the ordinary user's."""
    python = directory / "python"
    python.write_text(text)
    python.chmod(0o755)
    directory.chmod(0o711)
    os.chown(directory, _USER, _USER)
    return str(python)


def _mkdtemp(make: Callable[..., str], *arguments: Any, **members: Any) -> str:
    """A directory of the ordinary user, as it would be if the tests ran as that user."""
    path = make(*arguments, **members)
    os.chown(path, _USER, _USER)
    return path


def _secret(directory: Path) -> Path:
    """A file of the service's user alone."""
    path = directory / "secret"
    path.write_text("x")
    path.chmod(0o600)
    return path


async def _contained(runner: ScriptRunner, package: Packages, secret: Path) -> None:
    body = f"""
try: found = open({str(secret)!r}).read()
except OSError as error: found = type(error).__name__
open(arguments["tmp_csar_dir"] + "/new", "w").write("x")
"""
    value = (await runner.run(hook(package(body + answer("found"))))).value
    assert value["vnf_instance"]["value"] in ("PermissionError", "FileNotFoundError")
    assert (await runner.run(hook(package(_DAEMON)))).left >= 1
    assert "It ran longer than 1 s." in await failure(runner, hook(package("while True: pass"), Limits(seconds=1)))
    assert "BlockingIOError" in await failure(runner, hook(package("while True: os.fork()")))
    assert "MemoryError" in await failure(runner, hook(package("bytearray(1 << 30)")))


async def test_root_without_namespaces(
    tmp_data_dir: Path,
    tmp_path: Path,
    package: Packages,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_data_dir))
    async with ScriptRunner(tmp_path / "p", warm=0, python=_python(tmp_data_dir, _NO_NAMESPACES)) as runner:
        await _contained(runner, package, _secret(tmp_path))
    assert script_processes(tmp_path) == []
    assert [name for name in os.listdir(tmp_data_dir) if name.startswith("forestay-script-")] == []
    assert "scripts share the host's view of files and processes" in capsys.readouterr().out


@pytest.mark.skipif(
    subprocess.run([_SYSTEM_PYTHON, "-c", "import yaml"], check=False, capture_output=True).returncode != 0,
    reason="the system's Python has no PyYAML",
)
@pytest.mark.parametrize(
    ("text", "is_weaker"), [(_ORDINARY, False), (_ORDINARY_WITHOUT_NAMESPACES, True)], ids=["namespaces", "none"]
)
async def test_an_ordinary_user(
    tmp_data_dir: Path,
    tmp_path: Path,
    package: Packages,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    is_weaker: bool,
) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", partial(_mkdtemp, tempfile.mkdtemp))
    runner = ScriptRunner(tmp_data_dir / "p", warm=0, python=_python(tmp_data_dir, text))
    async with runner:
        os.chown(tmp_data_dir / "p", _USER, _USER)
        os.chown(tmp_data_dir / "p" / ".root", _USER, _USER)
        await _contained(runner, package, _secret(tmp_path))
    assert ("sandbox.weaker" in capsys.readouterr().out) == is_weaker
