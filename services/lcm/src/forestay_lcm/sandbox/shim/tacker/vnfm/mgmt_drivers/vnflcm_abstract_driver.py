"""What the LCM hooks of Tacker's first API are methods of."""

from __future__ import annotations


class VnflcmMgmtAbstractDriver:
    """Base class of the drivers that packages ship; a hook that a driver lacks does nothing."""
