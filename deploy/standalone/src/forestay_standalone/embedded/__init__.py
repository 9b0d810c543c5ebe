"""NATS and PostgreSQL from wheels, run in one data directory for those who bring no servers of their own."""

from __future__ import annotations

from forestay_standalone.embedded.nats import EmbeddedNats
from forestay_standalone.embedded.postgres import EmbeddedPostgres
from forestay_standalone.embedded.server import EmbeddedServer, EmbeddedServerFailed

__all__ = ["EmbeddedNats", "EmbeddedPostgres", "EmbeddedServer", "EmbeddedServerFailed"]
