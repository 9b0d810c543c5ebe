"""The read models of the policy service in PostgreSQL, schema ``pol``: the policies, and the alarms that stand."""

from __future__ import annotations

SCHEMA = "pol"
