"""Instants at which a test can hold a process, to kill it, or a server that it needs, exactly there.

Without the environment variable ``FORESTAY_FAILPOINTS`` a failpoint does nothing. With it, naming a directory, a process
that comes to the failpoint *name* and finds a file *name* in there removes the file and stops itself (SIGSTOP). What happens
then, SIGKILL or SIGCONT, is up to whoever made the file; of several processes that share the directory, one is held.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

DIRECTORY = "FORESTAY_FAILPOINTS"
_directory = os.environ.get(DIRECTORY)


def failpoint(name: str) -> None:
    """Stop here if somebody asked for it; ``name`` is ``<what>.<instant>``."""
    if not _directory:
        return
    try:
        (Path(_directory) / name).unlink()
    except FileNotFoundError:
        return
    # To this thread: it must not take one more step, which a signal to the process would let it.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
