"""The read models of the monitor in PostgreSQL, schema ``mon``: the faults that it sees, and the alarms."""

from __future__ import annotations

SCHEMA = "mon"
