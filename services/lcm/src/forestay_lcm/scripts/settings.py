"""What an operator can set about scripts of packages: environment variables ``FORESTAY_SCRIPT_*``."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
from msgspec import Meta


class ScriptSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one script, and how many there are at a time. Times are seconds, sizes bytes."""

    script_seconds: Annotated[float, Meta(gt=0, le=800, description="seconds that a script may take")] = 300.0
    script_memory: Annotated[int, Meta(ge=64 << 20, description="bytes of memory of a script")] = 512 << 20
    script_concurrency: Annotated[int, Meta(ge=1, description="scripts that run at the same time")] = 8
    script_warm: Annotated[int, Meta(ge=0, description="sandboxes that are kept ready")] = 2
    script_python: Annotated[str, Meta(description="the Python for scripts, with the modules that packages import")] = (
        sys.executable
    )
    script_closed_ports: Annotated[
        tuple[int, ...], Meta(description="TCP ports that scripts cannot reach besides Forestay's own")
    ] = ()
