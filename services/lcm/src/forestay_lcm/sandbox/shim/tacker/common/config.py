"""Scripts that Tacker runs begin by reading ``tacker.conf``. There is none here: what a script needs is in its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def init(args: Sequence[str], **kwargs: Any) -> None:
    """Take the arguments of Tacker's ``config.init``, and read nothing."""
