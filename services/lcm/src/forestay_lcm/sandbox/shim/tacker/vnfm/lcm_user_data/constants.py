"""Limits of user data of the first API; what holds for scripts is Forestay's to say."""

from __future__ import annotations

USER_DATA_TIMEOUT = 60
