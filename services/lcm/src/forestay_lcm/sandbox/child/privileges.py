"""What a script's process gives up before the script starts, and how the sandbox itself is separated from the host."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from contextlib import suppress

from forestay_lcm.sandbox.child import kernel, syscall_filter

_NAMESPACES = (
    kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP
)
_INNER_ID = 1000
_NOBODY = 65534


def separate() -> list[str]:
    """Move into namespaces of the process' own; the next child is the first process of a new PID namespace.

    Root needs no user namespace: scripts get a user of their own. Others get one when the kernel lets them.

    :return: what was refused, in sentences; empty when the sandbox is whole.
    """
    try:
        try:
            kernel.unshare(_NAMESPACES)
        except PermissionError:
            user, group = os.geteuid(), os.getegid()
            kernel.unshare(_NAMESPACES | kernel.CLONE_NEWUSER)
            for name, text in {
                "setgroups": "deny",
                "uid_map": f"{_INNER_ID} {user} 1",
                "gid_map": f"{_INNER_ID} {group} 1",
            }.items():
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
    except OSError as error:
        return [f"scripts share the host's view of files and processes ({error})"]
    return []


def script_user(number: int) -> int | None:
    """The user for a script when the sandbox runs as root: no two scripts at a time share one. ``None``: keep ours.

    :param number: the launcher's process id, which no other live sandbox of this host has.
    """
    return 2_000_000_000 + number if os.geteuid() == 0 else None


def give_up(limits: Mapping[str, int], user: int | None, *, is_scoped: bool) -> None:
    """Set resource limits (bytes, seconds, numbers), the user, and take away every way to gain a right again.

    :param is_scoped: sockets and signals are scoped already; once more would copy all rules about ports.
    """
    os.setsid()
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # when the host runs out of memory, this goes first
    kernel.bar_capabilities()
    if user is not None:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        try:
            os.setresuid(user, user, user)
        except OSError:  # this host, a container, has no such user id
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    for name, value in limits.items():
        _limit(getattr(resource, f"RLIMIT_{name}"), value)
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # or the script could not open its own /proc/self
    protections = (syscall_filter.install,) if is_scoped else (kernel.scope_sockets_and_signals, syscall_filter.install)
    for protection in protections:
        with suppress(OSError):  # said once, by missing_protections()
            protection()


def missing_protections() -> list[str]:
    """The sentences about what ``give_up`` will not get from this kernel; tried in a process that ends at once."""
    found: list[str] = []
    for protection, meaning in (
        (kernel.scope_sockets_and_signals, "scripts reach abstract UNIX sockets"),
        (syscall_filter.install, "no system call is filtered"),
    ):
        if (pid := os.fork()) == 0:
            try:
                kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
                protection()
            except OSError:
                os._exit(1)
            os._exit(0)
        if os.waitpid(pid, 0)[1]:
            found.append(f"{meaning} (the kernel lacks it)")
    return found


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    # A second more of CPU after the first signal, which can be told from other ends.
    wanted = value + 1 if kind == resource.RLIMIT_CPU else value
    ceiling = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (min(value, ceiling), ceiling))
