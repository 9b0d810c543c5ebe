"""What an operator can set for the VIM registry: environment variables ``FORESTAY_VIM_...``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class VimSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of the watch, and of how much is asked of VIMs at once."""

    vim_check_period: Annotated[float, Meta(gt=0, description="seconds between two looks at a VIM")] = 60.0
    vim_check_concurrency: Annotated[int, Meta(ge=1, le=256, description="VIMs looked at at once")] = 8
    vim_login_threads: Annotated[int, Meta(ge=1, le=256, description="OpenStacks tried at once for requests")] = 8
    vim_login_patience: Annotated[float, Meta(gt=0, le=60, description="seconds in which a VIM must have answered")] = (
        9.0
    )
