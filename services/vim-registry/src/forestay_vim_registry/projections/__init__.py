"""The read model of the VIM registry in PostgreSQL, schema ``vim``: how it is written and how it is read."""

from __future__ import annotations

SCHEMA = "vim"
