"""Errors that scripts of Tacker's first API catch."""

from __future__ import annotations


class TackerException(Exception):
    """Root of these errors."""


class NotAuthorized(TackerException):
    """A log-in was refused."""
