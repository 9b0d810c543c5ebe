"""A seccomp filter without a library: system calls that a script never needs and exploits of the kernel often do.

Denied calls fail with EPERM, as without the right to them; ``clone3`` with ENOSYS, so that the C library uses ``clone``,
whose flags a filter can read. Other calling conventions (32 bit, x32) end the process.
"""

from __future__ import annotations

import ctypes
import platform
import struct

from forestay_lcm.sandbox.child import kernel

#: audit architecture, ``clone``, and the architecture's column below
_MACHINES = {"x86_64": (0xC000003E, 56, 0), "aarch64": (0xC00000B7, 220, 1)}
_DENIED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "mount_setattr": (442, 442),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "open_by_handle_at": (304, 265), "quotactl": (179, 60),
    "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "acct": (163, 89),
    "syslog": (103, 116), "personality": (135, 92),
}  # fmt: skip
_CLONE3 = 435
_X32 = 0x40000000
_NEW_NAMESPACES = 0x7E020000  # all CLONE_NEW* flags of clone(2)
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050000 | 1, 0x00050000 | 38
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_FILTER = 2


def _program(architecture: int, clone: int, column: int) -> list[tuple[int, int, int, int]]:
    """The filter as (operation, jump if true, jump if false, operand) of classic BPF."""
    checks: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ENOSYS),
    ]
    for numbers in _DENIED.values():
        checks += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _EPERM)]
    return [
        *checks,
        (_EQUAL, 0, 3, clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 0, 1, _NEW_NAMESPACES),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


class _SockFprog(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install() -> None:
    """Filter the calls of this process and its descendants from now on; needs ``no_new_privs``.

    :raises OSError: the kernel has no seccomp, or the processor is unknown here.
    """
    if platform.machine() not in _MACHINES:
        raise OSError(f"no system call filter for {platform.machine()}")
    code = _program(*_MACHINES[platform.machine()])
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
    program = _SockFprog(len(code), packed)
    kernel.prctl(kernel.PR_SET_SECCOMP, _FILTER, ctypes.byref(program))
