"""Identifiers and time stamps in the shapes that OpenStack uses."""

from __future__ import annotations

import base64
import os
import time
import uuid


def new_id() -> str:
    """A random UUID with dashes."""
    return str(uuid.uuid4())


def hex_id() -> str:
    """A random UUID without dashes, as Keystone names things."""
    return uuid.uuid4().hex


def short_id() -> str:
    """Heat's twelve lower-case characters at the end of a physical name."""
    return base64.b32encode(os.urandom(8)).decode("ascii")[:12].lower()


def request_id() -> str:
    """A request identifier as in ``X-OpenStack-Request-Id``."""
    return f"req-{uuid.uuid4()}"


def isotime(seconds: float | None, *, fraction: bool = False) -> str | None:
    """``2026-11-23T10:00:00Z``, or Cinder's and Keystone's ``….000000Z`` with *fraction*; ``None`` stays ``None``."""
    if seconds is None:
        return None
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{int(seconds % 1 * 1e6):06d}Z" if fraction else f"{text}Z"
