"""What all SOL APIs share: the common data types of SOL003 4.4.1 and SOL013 7.2, and date-times as RFC 3339 text.

Rules: a date-time is UTC and is written with milliseconds and ``Z``, so that its text sorts as its time does.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from forestay_sol.vnflcm.base import FreeKeyValuePairs, Identifier, Key, KeyValuePairs, Link, Sol
from forestay_sol.vnflcm.connectivity import ResourceHandle, VimConnectionInfo

__all__ = [
    "DATE_TIME",
    "FreeKeyValuePairs",
    "Identifier",
    "Key",
    "KeyValuePairs",
    "Link",
    "ResourceHandle",
    "Sol",
    "VimConnectionInfo",
    "parse_rfc3339",
    "rfc3339",
]

DATE_TIME = (
    "^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,6})?"
    "(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$"
)
"""Shape of a date-time, as a pattern that Python and PostgreSQL read alike."""

_date_time = re.compile(DATE_TIME)


def rfc3339(moment: datetime) -> str:
    """Write a moment (aware, else :class:`ValueError`) as SOL013's DateTime."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone is no moment")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> datetime:
    """Read a SOL013 DateTime; :class:`ValueError` when it has another shape or is no real date."""
    if not _date_time.fullmatch(text):
        raise ValueError("expected an RFC 3339 date-time such as 2026-01-31T12:00:00Z")
    return datetime.fromisoformat(text)
