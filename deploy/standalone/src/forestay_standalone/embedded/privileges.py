"""Under which user a server runs, and that it ends with us.

Everything is a prefix of the command line, so that ``ps`` shows what happens:

* ``setpriv --pdeathsig`` lets the kernel end the server when Forestay dies, even by ``kill -9``. It comes last, because
  a change of user clears the setting. The kernel watches the *thread* that started the server: use one that lives on.
* PostgreSQL refuses to run as root. Root therefore maps itself to ``nobody`` in a user namespace; the files stay
  root's. Where namespaces are forbidden (a hardened container), root becomes ``nobody`` and the files are given to it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from functools import cache

# initdb wants a passwd entry for its user, and this is the one number that has it everywhere.
NOBODY = 65534

USER_NAMESPACE = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")
SET_USER = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


@dataclass(frozen=True)
class RunAs:
    """A way to run a program that refuses root.

    :param prefix: what the command line starts with.
    :param uid: the user who must own the files.
    """

    prefix: tuple[str, ...]
    uid: int


@cache
def works(prefix: tuple[str, ...]) -> bool:
    """Whether this system lets us start a program behind ``prefix``."""
    try:
        return subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def ends_with_us(how: signal.Signals) -> tuple[str, ...]:
    """The prefix that makes the kernel send ``how`` to the program when we die; nothing where the system cannot."""
    prefix = ("setpriv", "--pdeathsig", how.name.removeprefix("SIG"))
    return prefix if works(prefix) else ()


def not_as_root() -> RunAs | None:
    """How to run a program that refuses root, or ``None`` if we are root and the system offers no way."""
    if os.geteuid() != 0:
        return RunAs((), os.geteuid())
    if works(USER_NAMESPACE):
        return RunAs(USER_NAMESPACE, 0)
    return RunAs(SET_USER, NOBODY) if works(SET_USER) else None
