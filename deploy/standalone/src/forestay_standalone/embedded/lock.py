"""Who owns a directory: a lock that goes with the process that holds it, so it is never stale."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from forestay_events.errors import Permanent


class DirectoryInUse(Permanent):
    """Another process holds the lock."""


def lock(directory: Path) -> int:
    """Take the lock of a directory; closing the returned descriptor gives it back.

    :raises DirectoryInUse: another Forestay has it.
    :raises OSError: the directory cannot be written.
    """
    taken = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(taken, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(taken)
        raise DirectoryInUse(
            f"The directory {directory} is in use by another Forestay (pid {owner}): "
            "stop it first, or choose another directory."
        ) from error
    os.truncate(taken, 0)
    os.pwrite(taken, f"{os.getpid()}\n".encode(), 0)
    return taken
