"""Packages made of scripts, a runner on this host, and a look at what scripts leave behind."""

from __future__ import annotations

import hashlib
import os
import textwrap
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from forestay_lcm.sandbox.calls import Limits, Package, ScriptCall, ScriptFailed
from forestay_lcm.sandbox.runner import ScriptRunner

SCRIPT = "Scripts/hook.py"
HOOK = "import os, pickle, sys, time\narguments = pickle.load(sys.stdin.buffer)\n"
FIRST_SCRIPT_USER = 2_000_000_000
Packages = Callable[..., Package]


def answer(expression: str) -> str:
    """Lines of a hook that give a value back."""
    return (
        f"\nsys.stdout.buffer.write(pickle.dumps({{'vnf_instance': {{'value': {expression}}}}}))\nsys.stdout.flush()\n"
    )


@pytest.fixture
def package(tmp_path: Path) -> Packages:
    """Make a package of files; a text given alone is the hook's body."""

    def make(body: str = "", **files: str) -> Package:
        content = {SCRIPT: HOOK + textwrap.dedent(body)} | {
            name.replace("__", "/"): text for name, text in files.items()
        }
        digest = hashlib.sha256(repr(content).encode()).hexdigest()
        path = tmp_path / f"{digest}.csar"
        with zipfile.ZipFile(path, "w") as csar:
            for name, text in content.items():
                csar.writestr(name, text)
        return Package(digest=digest, csar=path)

    return make


@pytest_asyncio.fixture
async def runner(tmp_path: Path) -> AsyncIterator[ScriptRunner]:
    """A runner; when the test is over no process of a script may be left on the host."""
    async with ScriptRunner(tmp_path / "packages", warm=1) as running:
        yield running
    assert script_processes(tmp_path) == []
    assert not (tmp_path / "packages").exists()


def hook(package: Package, limits: Limits | None = None, **arguments: Any) -> ScriptCall:
    """A call of the package's hook."""
    arguments = {"operation": "instantiate_start"} | arguments
    return ScriptCall(
        package=package, kind="lcm-hook", script=SCRIPT, arguments=arguments, limits=limits or Limits(seconds=10)
    )


async def failure(runner: ScriptRunner, call: ScriptCall) -> str:
    """The text of the error that a call ends with."""
    with pytest.raises(ScriptFailed) as caught:
        await runner.run(call)
    assert caught.value.status == 422
    return str(caught.value)


def script_processes(directory: Path) -> list[int]:
    """The processes of script users that come from sandboxes over a directory, as the host sees them.

    A process that has started no other program still has the command line of its sandbox, which names the directory.
    """
    found: list[int] = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(FileNotFoundError, ProcessLookupError):
            of_script = Path("/proc", name).stat().st_uid >= FIRST_SCRIPT_USER
            if of_script and os.fsencode(directory) in Path("/proc", name, "cmdline").read_bytes():
                found.append(int(name))
    return found
