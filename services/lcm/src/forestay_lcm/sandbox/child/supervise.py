"""The first process of a sandbox: takes one call, runs its script under limits, tells how it ended, and ends itself.

Rules:

* It never looks into what a script wrote: the output is bytes, bounded, until the reading process has made JSON of it.
* The line to the service is a file descriptor that no script has. The service's end of standard input going away is
  the order to end at once. With this process every process of the sandbox ends.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

from forestay_lcm.sandbox.child import kernel, private_root, privileges, scripts

_TICK = 0.1  # seconds between looks at memory and orphans
_READ_SECONDS = 10
_STDERR_BYTES = 16 << 10
_CHUNK = 1 << 16
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SLOTS = {"package": ("tmp_csar_dir", "/csar"), "new_package": ("new_csar_dir", "/new-csar")}
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


class Become(BaseException):
    """Unwinds a new process to the top of the program, which then runs ``program`` and ends like any interpreter."""

    def __init__(self, program: Callable[[], None]) -> None:
        super().__init__()
        self.program = program


@dataclass
class Ended:
    """How a process ended: ``limit`` names what it hit, ``status`` is waitpid's, ``left`` counts processes it left."""

    status: int = 0
    limit: str | None = None
    left: int = 0
    output: bytearray = field(default_factory=bytearray)
    errors: bytearray = field(default_factory=bytearray)

    def reason(self) -> str | None:
        """Why it failed, in words; ``None`` for success."""
        if self.limit:
            return self.limit
        if os.WIFSIGNALED(self.status):
            number = os.WTERMSIG(self.status)
            return "It used more CPU time than allowed." if number == signal.SIGXCPU else _killed(number)
        code = os.waitstatus_to_exitcode(self.status)
        return f"It ended with exit status {code}." if code else None


def _killed(number: int) -> str:
    return f"It was ended by {signal.Signals(number).name if number in list(signal.Signals) else f'signal {number}'}."


@dataclass(frozen=True)
class Sandbox:
    """What this process knows about its sandbox.

    ``user`` is that of scripts, ``None`` for ours; ``is_contained``: alone in a PID namespace; ``is_scoped``: its sockets
    and signals stay inside already.
    """

    packages: str
    shim: str
    user: int | None
    is_contained: bool
    has_private_root: bool
    is_scoped: bool


def serve(sandbox: Sandbox, lost: list[str]) -> None:
    """Say that the sandbox is ready, take a call from standard input, answer on standard output."""
    _tell({"lost": lost, "needs_scratch": not sandbox.has_private_root})
    line = sys.stdin.buffer.readline()
    if not line:
        return
    call = json.loads(line)
    scratch = "" if sandbox.has_private_root else call["scratch"]
    packages = {argument: (call[key], f"{scratch}{slot}") for key, (argument, slot) in _SLOTS.items() if call.get(key)}
    if sandbox.has_private_root:
        lost = private_root.take_packages(packages.values())
    else:
        _copy_packages(packages.values(), sandbox, scratch)
        lost = []
    if not call["network"]:
        try:
            kernel.unshare(kernel.CLONE_NEWNET)
        except OSError as error:
            lost = [*lost, f"scripts that need no network have it ({error})"]
    limits = call["limits"] | {"scratch": scratch or "/tmp"}  # noqa: S108
    slots = {argument: slot for argument, (_, slot) in packages.items()}
    ended = _run(scripts.prepared(call, slots), sandbox, limits)
    answer = "null"
    reason = ended.reason()
    if ended.output and not ended.limit:
        quicker = limits | {"seconds": min(_READ_SECONDS, limits["seconds"])}
        reading = _run(scripts.as_json(call["kind"], bytes(ended.output)), sandbox, quicker)
        answer = reading.output.decode(errors="replace") or "null"
        if not reason and (unreadable := reading.reason()):
            reason, ended.errors = f"Its result cannot be read. {unreadable}", reading.errors
            answer = "null"
    _tell({
        "reason": reason,
        "errors": ended.errors.decode(errors="replace"),
        "left": ended.left,
        "answer": answer,
        "lost": lost,
    })  # fmt: skip


def _copy_packages(packages: Iterable[tuple[str, str]], sandbox: Sandbox, scratch: str) -> None:
    """Without a private root: a copy for the script alone, in a directory that the service removes."""
    for name, target in packages:
        shutil.copytree(f"{sandbox.packages}/{name}/files", target, symlinks=True)
    if sandbox.user is not None:
        for directory, _, files in os.walk(scratch):
            for path in (directory, *(f"{directory}/{name}" for name in files)):
                os.chown(path, sandbox.user, -1)


def _tell(report: dict[str, Any]) -> None:
    with open(1, "wb", closefd=False) as out:
        out.write(json.dumps(report).encode() + b"\n")


def _run(program: Callable[[], None], sandbox: Sandbox, limits: dict[str, Any]) -> Ended:
    """Run a program in a process without rights until it ends or hits a limit, and end whatever it started."""
    out, out_of_child = os.pipe()
    err, err_of_child = os.pipe()
    pid = os.fork()
    if pid == 0:
        _enter(program, sandbox, limits, out_of_child, err_of_child)
    for end in (out_of_child, err_of_child):
        os.close(end)
    for end in (out, err):
        os.set_blocking(end, False)
    ended = Ended()
    _watch(pid, out, err, ended, limits, sandbox)
    for end in (out, err):
        os.close(end)
    return ended


def _enter(program: Callable[[], None], sandbox: Sandbox, limits: dict[str, Any], out: int, err: int) -> NoReturn:
    """The script's side of the fork: nothing of the service's is left when the program starts."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.closerange(3, 1 << 16)
    scratch = limits["scratch"]
    os.environ.clear()
    os.environ.update(_ENVIRONMENT | {"HOME": scratch, "TMPDIR": scratch, "PYTHONPATH": sandbox.shim})
    os.chdir(scratch)
    privileges.give_up(limits["resources"], sandbox.user, is_scoped=sandbox.is_scoped)
    raise Become(program)


def _watch(pid: int, out: int, err: int, ended: Ended, limits: dict[str, Any], sandbox: Sandbox) -> None:
    deadline = time.monotonic() + limits["seconds"]
    poll = select.poll()
    process = os.pidfd_open(pid)
    for descriptor in (out, err, process, 0):
        poll.register(descriptor, select.POLLIN)
    while not ended.limit:
        ready = {descriptor for descriptor, _ in poll.poll(_TICK * 1000)}
        for descriptor in ready & {out, err}:
            if not _drain(descriptor, out, ended, limits["output"]):
                poll.unregister(descriptor)
        if 0 in ready:
            _end_everything(sandbox)
            os._exit(1)  # the service is gone or has given up
        if process in ready:
            break
        if time.monotonic() > deadline:
            ended.limit = f"It ran longer than {limits['seconds']:g} s."
        elif sandbox.is_contained and _uses_more_than(limits["memory"]):
            ended.limit = f"It used more than {limits['memory'] >> 20} MiB of memory."
    os.close(process)
    if ended.limit:
        os.kill(pid, signal.SIGKILL)
    # All of its group in one go: one by one, a script that forks for ever would be faster.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    ended.status = os.waitpid(pid, 0)[1]
    ended.left = _end_everything(sandbox)
    for descriptor in (out, err):
        _drain(descriptor, out, ended, limits["output"])


def _drain(descriptor: int, out: int, ended: Ended, most: int) -> bool:
    """Take what is there; of standard error only the end is kept. ``False`` at the end of the stream."""
    while True:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return True
        if not chunk:
            return False
        if descriptor != out:
            ended.errors += chunk
            del ended.errors[:-_STDERR_BYTES]
            if len(chunk) == _CHUNK:
                return True  # a flood: look at the clock in between
        elif len(ended.output) + len(chunk) > most:
            ended.limit = f"It printed more than {most >> 20} MiB."
            return False
        else:
            ended.output += chunk


def _others() -> list[int]:
    """The other processes of the sandbox; none are known where /proc is not there or is that of the host."""
    with suppress(OSError):
        if os.readlink("/proc/self") == str(os.getpid()):
            return [pid for name in os.listdir("/proc") if name.isdigit() and (pid := int(name)) != os.getpid()]
    return []


def _uses_more_than(limit: int) -> bool:
    """Whether all processes of the sandbox but this one use more memory, pages that they share counted once.

    The exact figure takes long; it is asked for only when the quick one, which counts shared pages often, is too big.
    """
    processes = _others()
    return _resident(processes) > limit and sum(map(_proportional, processes)) > limit


def _resident(processes: list[int]) -> int:
    total = 0
    for pid in processes:
        with suppress(OSError, ValueError), open(f"/proc/{pid}/statm") as file:
            _, resident, shared, *_ = map(int, file.read().split())
            total += max(0, resident - shared) * _PAGE
    return total


def _proportional(pid: int) -> int:
    with suppress(OSError, ValueError), open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) << 10 for line in file if line.startswith("Pss_Anon:"))
    return 0


def _end_everything(sandbox: Sandbox) -> int:
    """End all that the script has left and say how many that were."""
    left = 0
    if sandbox.is_contained:
        left = len([pid for pid in _others() if not _is_zombie(pid)])
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
    elif sandbox.user is not None:
        _end_user(sandbox.user)
    while True:
        try:
            done, _ = os.waitpid(-1, 0 if sandbox.is_contained else os.WNOHANG)
        except ChildProcessError:
            return left
        if done == 0 and not _end_children():
            return left
        left += 0 if sandbox.is_contained else 1


def _is_zombie(pid: int) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] == b"Z"
    return True


def _end_user(user: int) -> None:
    """Without namespaces: end all processes of the script's user, which is nobody else's."""
    if (pid := os.fork()) == 0:
        os.setresuid(user, user, user)
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(pid, 0)


def _end_children() -> bool:
    """Without namespaces: orphans have become children of this process (subreaper); end them and wait a moment."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            children = [int(pid) for pid in file.read().split()]
    except OSError:
        return False
    for pid in children:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.002)
    return bool(children)
