"""Start of a sandbox: separates it from the host, makes the private root, and waits for its first process to end.

The process that the service starts stays outside of the new PID namespace and does nothing but wait, so that the
service sees it end only when nothing of the sandbox is left.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from forestay_lcm.sandbox.child import kernel, private_root, privileges, supervise

#: Imported before the call, so that the script does not wait for them.
_WARM = (
    "copy", "logging", "pkgutil", "subprocess", "time", "uuid", "yaml", "zipimport",
    "tacker.sol_refactored.common.common_script_utils",
    "tacker.sol_refactored.infra_drivers.openstack.userdata_default",
    "tacker.sol_refactored.infra_drivers.openstack.userdata_standard",
    "tacker.vnfm.lcm_user_data._calling",
)  # fmt: skip


def main(settings: dict[str, Any]) -> None:
    """Run a sandbox to its end.

    :param settings: ``packages`` and ``shim`` (directories), ``tmp_bytes``, ``sources`` (path to take away),
        ``closed_ports``.
    """
    shim = settings["shim"]
    installed = [path for path in sys.path if path != settings["sources"] or "site-packages" in path]
    sys.path[:] = [shim, shim, *installed, f"{shim}/fallback"]  # the first becomes the script's directory
    for name in _WARM:
        importlib.import_module(name)
    lost = privileges.separate()
    user = privileges.script_user(os.getpid())
    is_contained = not lost
    first = os.fork()
    if first:
        _wait(first)
        return
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    packages, has_private_root = settings["packages"], False
    if is_contained:
        try:
            lost = private_root.build(packages, shim, settings["tmp_bytes"])
            has_private_root = True
        except OSError as error:
            lost = [f"scripts see the host's files that their user may read ({error})"]
    lost += privileges.missing_protections()
    is_scoped = False
    if settings["closed_ports"]:
        try:
            kernel.close_ports(settings["closed_ports"])
            is_scoped = is_contained  # else a script could still signal this process
        except OSError as error:
            lost.append(f"scripts can connect to the TCP ports {settings['closed_ports']} ({error})")
    sandbox = supervise.Sandbox(packages, shim, user, is_contained, has_private_root, is_scoped)
    gc.collect()
    gc.freeze()  # scripts share these objects with this process instead of copying them
    try:
        supervise.serve(sandbox, lost)
        return
    except supervise.Become as become:
        program = become.program
    _run_to_the_end(program)


def _run_to_the_end(program: Callable[[], None]) -> NoReturn:
    """End as the interpreter does, but leave the memory to the kernel: tidying it up takes longer than most scripts."""
    code = 0
    try:
        program()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else bool(error.code)
        if error.code and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)  # noqa: T201 - what the interpreter does
    except BaseException as error:  # noqa: BLE001 - the interpreter's end of an uncaught error
        code = 1
        sys.excepthook(type(error), error, error.__traceback__)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # the script may have closed it
            stream.flush()
    os._exit(code & 0xFF)


def _wait(first: int) -> None:
    for descriptor in (0, 1):
        os.close(descriptor)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(first, 0)
    os._exit(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[2]))
