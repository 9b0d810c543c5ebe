"""Quotas: the limits of the settings, looked up when something is about to be made."""

from __future__ import annotations

from forestay_simvim.config import Settings


class Quota:
    """Limits by the services' own resource names; a name without a limit is unlimited, as is -1."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def limit(self, resource: str) -> int:
        """The limit, -1 for none."""
        return self._settings.quota.get(resource, -1)

    def exceeded(self, resource: str, wanted: int) -> bool:
        """Whether *wanted* in all would be too many."""
        limit = self.limit(resource)
        return 0 <= limit < wanted
