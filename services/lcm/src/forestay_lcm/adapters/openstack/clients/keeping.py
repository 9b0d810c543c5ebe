"""What is good for a while and is then forgotten: who says which VIM there is, says no end of them."""

from __future__ import annotations

import time
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MOST = 1024
"""Values that are kept; beyond them, those that were put first go."""


class Kept(Generic[K, V]):
    """Values by key, each until its time (:func:`time.monotonic`)."""

    def __init__(self) -> None:
        self._kept: dict[K, tuple[V, float]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """The value, ``None`` if there is none that is still good."""
        value, until = self._kept.get(key, (None, 0.0))
        return value if until > time.monotonic() else None

    def put(self, key: K, value: V, until: float) -> None:
        """Keep a value, and forget what is no longer good."""
        now = time.monotonic()
        good = [(known, held) for known, held in self._kept.items() if held[1] > now and known != key]
        self._kept = dict([*good, (key, (value, until))][-MOST:])
