"""Runs scripts of packages: a pool of warm sandboxes, one call each, replaced in the background.

Rules:

* A sandbox is a new program, never a fork of the service: it starts with an empty environment and no open file of ours.
* It serves one call and ends; when ``run`` returns, no process of the script is left, and none of its files.
* The service reads JSON of a bounded size from it. What a sandbox says is believed only as the result of its own call.
"""

from __future__ import annotations

import asyncio
import functools
import json
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import structlog
from forestay_events.errors import Unavailable
from forestay_events.sealing import MASK, is_secret_name
from forestay_events.tasks import stop

from forestay_lcm.sandbox.calls import ScriptCall, ScriptFailed, ScriptResult
from forestay_lcm.sandbox.packages import PackageFiles

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_HERE = Path(__file__).parent
_SOURCES = _HERE.parents[1]
_START = (
    "import sys, json; sys.path.insert(0, sys.argv[1]); "
    "from forestay_lcm.sandbox.child.launch import main; main(json.loads(sys.argv[2]))"
)
_GRACE = 15.0  # seconds beyond a call's own limit until the sandbox itself counts as hanging
_START_SECONDS = 30.0
_MAX_REPORT = 128 << 20
_SHORTEST_SECRET = 4


class _Report(msgspec.Struct, frozen=True):
    """What the sandbox's first process says after a call; ``answer`` is the result as JSON text."""

    reason: str | None
    errors: str
    left: int
    answer: str
    lost: tuple[str, ...] = ()


class _Ready(msgspec.Struct, frozen=True):
    """What it says when it has started; ``needs_scratch``: it has no file system of its own."""

    lost: tuple[str, ...] = ()
    needs_scratch: bool = False


class _Sandbox:
    """A started sandbox that waits for its call."""

    def __init__(self, process: asyncio.subprocess.Process, ready: _Ready) -> None:
        self._process = process
        self.ready = ready

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def serve(self, request: bytes, seconds: float) -> bytes:
        """Send the call and wait for the report; empty if there is none."""
        assert self._process.stdin is not None  # noqa: S101 - both are pipes
        assert self._process.stdout is not None  # noqa: S101
        try:
            async with asyncio.timeout(seconds):
                self._process.stdin.write(request)
                await self._process.stdin.drain()
                return await self._process.stdout.readline()
        except (TimeoutError, BrokenPipeError, ConnectionResetError, ValueError):
            return b""

    async def end(self) -> None:
        """End it and everything in it, and wait until it is gone."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._process.wait()
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()


class ScriptRunner:
    """Runs scripts. Use it as ``async with``; ``run`` may be called from many tasks at once.

    :param directory: for the files of packages; this process' alone, made and removed here.
    :param warm: sandboxes kept ready, from the first call on: who has no scripts pays for none.
    :param concurrency: scripts that run at the same time; more wait.
    :param python: the Python for scripts, with PyYAML and what packages import (paramiko); the service's by default.
    :param tmp_bytes: size of a script's /tmp, which is memory.
    :param closed_ports: TCP ports that no script may connect to, on any host: those of NATS, PostgreSQL and our own API.
    """

    def __init__(
        self,
        directory: Path,
        *,
        warm: int = 2,
        concurrency: int = 8,
        python: str = sys.executable,
        tmp_bytes: int = 64 << 20,
        closed_ports: Collection[int] = (),
    ) -> None:
        self._files = PackageFiles(directory)
        self._python = python
        self._tmp_bytes = tmp_bytes
        self._closed_ports = sorted(set(closed_ports))
        self._warm = warm
        self._ready: deque[_Sandbox] = deque()
        self._slots = asyncio.Semaphore(concurrency)
        self._refill = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._said: set[str] = set()

    async def __aenter__(self) -> ScriptRunner:
        await asyncio.to_thread(self._files.prepare)
        self._keeper = asyncio.create_task(self._keep_warm())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeper:
            await stop([self._keeper])
        await asyncio.gather(*self._closing, *(sandbox.end() for sandbox in self._ready))
        self._ready.clear()
        await asyncio.to_thread(self._files.remove)

    async def run(self, call: ScriptCall) -> ScriptResult:
        """Run a script and wait for its result.

        :raises ScriptFailed: 422, it failed, hit a limit or gave no JSON; the text says which.
        :raises Permanent: 422, the package's files cannot be used.
        :raises Unavailable: no sandbox can be started.
        """
        stack = AsyncExitStack()
        try:
            line = await self._serve(call, stack)
        finally:
            # The script's processes are gone when its sandbox reports; the empty sandbox ends by the way.
            closing = asyncio.create_task(stack.aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        if not line:
            await asyncio.shield(closing)
            raise ScriptFailed(call, "Its sandbox ended or did not answer.")
        return self._result(call, msgspec.json.decode(line, type=_Report))

    async def _serve(self, call: ScriptCall, stack: AsyncExitStack) -> bytes:
        """Run the call in a sandbox; what has to be ended and removed afterwards goes on the stack."""
        await stack.enter_async_context(self._slots)
        name = await stack.enter_async_context(self._files.use(call.package))
        new = await stack.enter_async_context(self._files.use(call.new_package)) if call.new_package else None
        sandbox = await self._take()
        scratch = _scratch_directory(stack) if sandbox.ready.needs_scratch else ""
        stack.callback(self._refill.set)  # only then: starting a sandbox takes the processor from this one
        stack.push_async_callback(sandbox.end)
        return await sandbox.serve(_request(call, name, new, scratch), call.limits.seconds * 2 + _GRACE)

    def _result(self, call: ScriptCall, report: _Report) -> ScriptResult:
        self._say_lost(report.lost)
        errors = _masked(report.errors, call.arguments)
        reason, value = report.reason, {}
        try:
            value = msgspec.json.decode(report.answer.encode(errors="replace"), type=dict[str, Any] | None) or {}
        except (msgspec.DecodeError, RecursionError) as error:
            reason = reason or f"Its result is not a JSON object: {error}."
        if report.left:
            _log.warning("sandbox.processes_left", script=call.script, count=report.left)
        if reason:
            raise ScriptFailed(call, reason, errors, value)
        if call.kind == "user-data" and not value:
            raise ScriptFailed(call, "It returned no dictionary.", errors)
        return ScriptResult(value=value, errors=errors, left=report.left)

    async def _take(self) -> _Sandbox:
        while self._ready:
            sandbox = self._ready.popleft()
            if sandbox.is_alive:
                return sandbox
        return await self._start()

    async def _keep_warm(self) -> None:
        delay = 0.1
        while True:
            try:
                await self._refill.wait()
                self._refill.clear()
                while len(self._ready) < self._warm:
                    self._ready.append(await self._start())
                delay = 0.1
            except Unavailable as error:
                _log.warning("sandbox.start_failed", error=str(error))
                self._refill.set()
                await asyncio.sleep(delay)
                delay = min(delay * 2, 30)

    async def _start(self) -> _Sandbox:
        settings = {
            "packages": str(self._files.directory),
            "shim": str(_HERE / "shim"),
            "tmp_bytes": self._tmp_bytes,
            "sources": str(_SOURCES),
            "closed_ports": self._closed_ports,
        }
        process = await asyncio.create_subprocess_exec(
            self._python, "-I", "-B", "-c", _START, str(_SOURCES), json.dumps(settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
            limit=_MAX_REPORT,
        )  # fmt: skip
        line = b""
        try:
            async with asyncio.timeout(_START_SECONDS):
                assert process.stdout is not None  # noqa: S101 - a pipe
                line = await process.stdout.readline()
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            await _Sandbox(process, _Ready()).end()
            raise
        if not line:
            await _Sandbox(process, _Ready()).end()
            assert process.stderr is not None  # noqa: S101 - a pipe
            why = (await process.stderr.read()).decode(errors="replace").strip().rpartition("\n")[2]
            raise Unavailable(f"No sandbox for scripts can be started: {why or 'it does not answer'}")
        sandbox = _Sandbox(process, msgspec.json.decode(line, type=_Ready))
        self._say_lost(sandbox.ready.lost)
        return sandbox

    def _say_lost(self, sentences: tuple[str, ...]) -> None:
        """Say once what this host does not give."""
        for sentence in set(sentences) - self._said:
            self._said.add(sentence)
            _log.warning("sandbox.weaker", meaning=sentence)


def _scratch_directory(stack: AsyncExitStack) -> str:
    """A directory for one call on a host without mount namespaces."""
    path = tempfile.mkdtemp(prefix="forestay-script-")
    stack.callback(functools.partial(shutil.rmtree, path, ignore_errors=True))
    return path


def _request(call: ScriptCall, name: str, new: str | None, scratch: str) -> bytes:
    limits = call.limits
    resources = {
        "AS": limits.memory, "CPU": limits.cpu_seconds, "NPROC": limits.processes, "NOFILE": limits.open_files,
        "FSIZE": limits.memory, "CORE": 0,
    }  # fmt: skip
    bounds = {"seconds": limits.seconds, "memory": limits.memory, "output": limits.output, "resources": resources}
    request = {
        "kind": call.kind, "script": call.script, "class": call.class_name, "method": call.method,
        "arguments": call.arguments, "package": name, "new_package": new, "network": call.has_network,
        "limits": bounds, "scratch": scratch,
    }  # fmt: skip
    return msgspec.json.encode(request) + b"\n"


def _masked(text: str, arguments: dict[str, Any]) -> str:
    """The text without the values that the arguments hold under secret names."""
    for secret in sorted(set(_secrets(arguments)), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _secrets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if isinstance(value, str) and is_secret_name(str(name)) and len(value) >= _SHORTEST_SECRET:
                yield value
            yield from _secrets(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _secrets(value)
