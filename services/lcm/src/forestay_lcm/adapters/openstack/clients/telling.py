"""What is told of a VIM's reasons, in errors that go into the log and out to clients.

Rules of this module: pure. A VIM may give as long reasons as it likes, and one for each of hundreds of resources; who reads the
error needs the first of them, and the log takes no more than its limit.
"""

from __future__ import annotations

from collections.abc import Sequence

MOST = 20
"""Reasons that are told."""

_LONGEST = 500
"""Characters that are told of each."""


def cut(reason: str) -> str:
    """A reason, without what is too much of it."""
    return reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]}..."


def told(reasons: Sequence[str]) -> str:
    """Reasons in one line: the first of them, each cut, and how many more there are."""
    more = [f"and {len(reasons) - MOST} more"] if len(reasons) > MOST else []
    return "; ".join([*map(cut, reasons[:MOST]), *more])
