"""The read model of VNF packages in PostgreSQL, schema ``pkg``: how it is written and how it is read."""

from __future__ import annotations

SCHEMA = "pkg"
