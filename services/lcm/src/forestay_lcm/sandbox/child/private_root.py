"""The file system that a script sees: the system's programs and Python read-only, an empty /tmp, and its own package.

Rules: whatever is not named here is not there: no data directory, no sockets of servers, no home, no other package.
The packages' directory stays mounted only until the call has taken its package out of it.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from forestay_lcm.sandbox.child import kernel

PACKAGES, UPPER = "/packages", "/upper"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = ("ca-certificates", "hosts", "ld.so.cache", "localtime", "nsswitch.conf", "pki", "protocols", "resolv.conf",
        "services", "ssl/certs", "ssl/openssl.cnf")  # fmt: skip
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
          "shm": "/tmp"}  # fmt: skip  # noqa: S108
_OVERLAY = "lowerdir={lower},upperdir={upper},workdir={work}"


def build(packages: str, shim: str, tmp_bytes: int) -> list[str]:
    """Make the private root and move into it; give the sentences of what the kernel refused.

    :param packages: directory of the extracted packages; it holds an empty directory ``.root`` to mount on.
    :raises OSError: the root cannot be made; the process still has the old one.
    """
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    root = f"{packages}/.root"
    kernel.mount("root", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=4m")
    # Before what is shown: this Python may itself be installed below /tmp.
    for name, mode, size in (("tmp", 0o1777, tmp_bytes), (UPPER, 0o700, tmp_bytes)):
        target = f"{root}/{name.lstrip('/')}"
        Path(target).mkdir()
        options = f"mode={mode:o},size={size},nr_inodes=10000"
        kernel.mount(name, target, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    for path in (*_SYSTEM, *(f"/etc/{name}" for name in _ETC), *_python(), shim):
        _show(root, path)
    _devices(root)
    lost = _proc(root)
    _write(f"{root}/etc/passwd", f"root:x:0:0::/:/bin/sh\nscript:x:{os.getuid() or 65534}:65534::/tmp:/bin/sh\n")
    _write(f"{root}/etc/group", "root:x:0:\nscript:x:65534:\n")
    _bind(packages, f"{root}{PACKAGES}", is_dir=True, recursive=False)
    for slot in ("csar", "new-csar"):
        Path(root, slot).mkdir()
    kernel.pivot_root(root)
    kernel.restrict_mount("/", recursive=False)
    return lost


def take_packages(slots: Iterable[tuple[str, str]]) -> list[str]:
    """Put packages (name in the packages' directory) into slots (paths), each a private copy; hide all others.

    Nothing is copied: writes go to memory. Where the kernel has no overlay, the view is read-only (said in the result).
    """
    lost: list[str] = []
    for name, slot in slots:
        upper, work = f"{UPPER}{slot}", f"{UPPER}{slot}.work"
        for directory in (upper, work):
            Path(directory).mkdir()
        Path(upper).chmod(0o777)
        source = f"{PACKAGES}/{name}/files"
        try:
            _overlay(_OVERLAY.format(lower=source, upper=upper, work=work), slot)
        except OSError as error:
            _bind(source, slot, is_dir=True)
            lost.append(f"packages are read-only for scripts ({error})")
    kernel.unmount(PACKAGES)
    return lost


def _overlay(options: str, slot: str) -> None:
    try:
        kernel.mount("overlay", slot, "overlay", kernel.MS_NOSUID | kernel.MS_NODEV, f"{options},userxattr")
    except OSError:  # a kernel before 6.6: tmpfs has no such attributes
        kernel.mount("overlay", slot, "overlay", kernel.MS_NOSUID | kernel.MS_NODEV, options)


def _python() -> list[str]:
    """What this Python consists of, with the packages that are installed for it."""
    installed = {sysconfig.get_path(kind) for kind in ("purelib", "platlib", "scripts")}
    return [sys.base_prefix, *sorted(installed), f"{sys.prefix}/pyvenv.cfg"]


def _show(root: str, path: str) -> None:
    """Show a path of the host read-only, unless it is not there or shown already."""
    target = Path(f"{root}{path}")
    if not Path(path).exists() or target.exists() or any(up.is_symlink() for up in target.parents):
        return
    if Path(path).is_symlink() and path in _SYSTEM:
        target.symlink_to(Path(path).readlink())
        return
    _bind(os.path.realpath(path), str(target), is_dir=Path(path).is_dir())


def _bind(source: str, target: str, *, is_dir: bool, recursive: bool = True) -> None:
    place = Path(target)
    if is_dir:
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    kernel.mount(source, target, None, kernel.MS_BIND | (kernel.MS_REC if recursive else 0))
    kernel.restrict_mount(target)


def _devices(root: str) -> None:
    Path(root, "dev").mkdir()
    for name in _DEVICES:
        Path(root, "dev", name).touch()
        kernel.mount(f"/dev/{name}", f"{root}/dev/{name}", None, kernel.MS_BIND)
    for name, aim in _LINKS.items():
        Path(root, "dev", name).symlink_to(aim)


def _proc(root: str) -> list[str]:
    Path(root, "proc").mkdir()
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    try:
        kernel.mount("proc", f"{root}/proc", "proc", flags)
    except OSError as error:
        return [f"scripts have no /proc, and their memory is limited one by one, not together ({error})"]
    return []


def _write(path: str, text: str) -> None:
    Path(path).write_text(text)
