"""What an operator can set about drift: environment variables ``FORESTAY_DRIFT_*``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class DriftSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When VIMs are compared with the log. Times are seconds."""

    drift_interval: Annotated[float, Meta(ge=0, description="seconds between two comparisons, 0: never")] = 300.0
    drift_remove_orphans: Annotated[
        bool,
        Meta(
            description="remove stacks and images that an operation has made that is over, and that no VNF instance has"
        ),
    ] = True
    drift_orphan_age: Annotated[
        float, Meta(ge=0, description="seconds for which an orphan is known before it is removed")
    ] = 300.0
