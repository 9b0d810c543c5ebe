"""System calls that Python's ``os`` lacks, by ctypes. Each raises ``OSError`` with the kernel's reason.

Numbers and flags are those of linux/*.h for x86_64 and aarch64 (new calls have one number for both).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Collection

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER = 1, 4, 22, 24, 36
PR_SET_NO_NEW_PRIVS = 38
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4

_IS_X86 = platform.machine() == "x86_64"
_PIVOT_ROOT = 155 if _IS_X86 else 41
_CAPSET = 126 if _IS_X86 else 91
_MOUNT_SETATTR = 442
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_LANDLOCK_NET_PORT, _LANDLOCK_CONNECT_TCP, _LANDLOCK_SCOPES = 2, 2, 3
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _done(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _call(number: int, what: str, *arguments: object) -> int:
    return _done(_libc.syscall(ctypes.c_long(number), *arguments), what)


def unshare(flags: int) -> None:
    _done(_libc.unshare(flags), "unshare")


def prctl(option: int, argument: object = 0, more: object = 0) -> None:
    values = [ctypes.c_ulong(part) if isinstance(part, int) else part for part in (argument, more, 0, 0)]
    _done(_libc.prctl(option, *values), f"prctl {option}")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    names = [text.encode() if text is not None else None for text in (source, target, kind, data)]
    result = _libc.mount(names[0], names[1], names[2], ctypes.c_ulong(flags), names[3])
    _done(result, f"mount {kind or source} at {target}")


def unmount(target: str) -> None:
    """Take a mount out of sight at once; what still uses it keeps it."""
    _done(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def restrict_mount(target: str, *, recursive: bool = True) -> None:
    """Make a mount and those below it read-only, without set-uid programs and device files."""
    flags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    at = _AT_RECURSIVE if recursive else 0
    what = f"mount_setattr {target}"
    _call(_MOUNT_SETATTR, what, _AT_FDCWD, target.encode(), at, attributes, ctypes.sizeof(attributes))


def pivot_root(root: str) -> None:
    """Make a mount point the root directory; the old root is gone."""
    os.chdir(root)
    _call(_PIVOT_ROOT, "pivot_root", b".", b".")
    unmount(".")
    os.chdir("/")


def bar_capabilities() -> None:
    """Make sure that no program that is started later can have a capability."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # no such capability, or none to drop with
            return


def drop_capabilities() -> None:
    """Give up every capability of this process."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _call(_CAPSET, "capset", header, (ctypes.c_uint32 * 6)())


def scope_sockets_and_signals() -> None:
    """Landlock (6.12): no abstract UNIX socket and no process outside of the caller's descendants can be reached."""
    _restrict(_ruleset(0, 0, _LANDLOCK_SCOPES))


def close_ports(ports: Collection[int]) -> None:
    """The same, and no TCP connection to these ports, on any host. Landlock knows only what is allowed: the others."""
    ruleset = _ruleset(0, _LANDLOCK_CONNECT_TCP, _LANDLOCK_SCOPES)
    rule = ctypes.create_string_buffer(16)
    for port in sorted(set(range(1 << 16)).difference(ports)):
        struct.pack_into("=QQ", rule, 0, _LANDLOCK_CONNECT_TCP, port)
        _call(_LANDLOCK_ADD_RULE, "landlock", ruleset, _LANDLOCK_NET_PORT, rule, 0)
    _restrict(ruleset)


def _ruleset(*attributes: int) -> int:
    packed = (ctypes.c_uint64 * len(attributes))(*attributes)
    return _call(_LANDLOCK_CREATE_RULESET, "landlock", packed, ctypes.c_size_t(ctypes.sizeof(packed)), 0)


def _restrict(ruleset: int) -> None:
    _call(_LANDLOCK_RESTRICT_SELF, "landlock", ruleset, 0)
    os.close(ruleset)
