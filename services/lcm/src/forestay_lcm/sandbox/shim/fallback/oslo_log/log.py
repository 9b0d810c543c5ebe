"""``getLogger`` and the levels, as ``oslo_log.log`` has them."""

from __future__ import annotations

from logging import CRITICAL, DEBUG, ERROR, INFO, WARNING, Logger, getLogger

__all__ = ["CRITICAL", "DEBUG", "ERROR", "INFO", "WARNING", "Logger", "getLogger"]
