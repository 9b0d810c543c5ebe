"""Every request that the simulator received, in order, whatever became of it: the independent witness of the tests.

A handler says with :func:`effect` what it changed; an entry with effects has acted. Secrets are masked before an entry is
kept. What the engine does in the background is not in the journal but in the stacks' events.
"""

from __future__ import annotations

import re
import time
from collections import deque
from contextvars import ContextVar
from typing import Any

import msgspec

_MASK = "***"
_SECRETS = {"password", "secret", "adminPass", "admin_pass", "original_password"}
_current: ContextVar[Entry | None] = ContextVar("journal_entry", default=None)


class Entry(msgspec.Struct, kw_only=True):
    """One request.

    ``status`` is what was answered, 0 when the connection was cut or left hanging; ``acted`` tells whether something changed
    all the same. ``time`` is in Unix seconds at arrival, ``seconds`` how long the answer took; ``fault`` is the injected
    fault's id.
    """

    seq: int
    time: float
    service: str
    method: str
    path: str
    project: str | None = None
    body: msgspec.Raw | None = None
    status: int = 0
    acted: bool = False
    effects: list[str] = []
    fault: str | None = None
    seconds: float = 0.0

    def json(self) -> Any:
        """The masked request body, ``None`` when there was none in JSON."""
        return None if self.body is None else msgspec.json.decode(self.body)


def effect(text: str) -> None:
    """Note in the current request's entry what was changed (``stack created <id>``)."""
    entry = _current.get()
    if entry is not None:
        entry.effects.append(text)
        entry.acted = True


def masked(value: Any, name: str = "") -> Any:
    """The value without passwords and token ids."""
    if isinstance(value, dict):
        if name == "token" and "id" in value:
            return {**value, "id": _MASK}
        return {
            key: _MASK if key in _SECRETS and isinstance(each, str) else masked(each, key)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [masked(each, name) for each in value]
    return value


class Journal:
    """The kept entries, the oldest first."""

    def __init__(self, limit: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._seq = 0

    def __len__(self) -> int:
        return len(self._entries)

    def open(self, service: str, method: str, path: str, body: Any) -> Entry:
        """Note the arrival of a request; effects go to this entry from now on."""
        self._seq += 1
        raw = None if body is None else msgspec.Raw(msgspec.json.encode(masked(body)))
        entry = Entry(seq=self._seq, time=time.time(), service=service, method=method, path=path, body=raw)
        self._entries.append(entry)
        _current.set(entry)
        return entry

    def entries(
        self,
        *,
        service: str | None = None,
        method: str | None = None,
        path: str | None = None,
        acted: bool | None = None,
        after: int = 0,
        project: str | None = None,
    ) -> list[Entry]:
        """The entries with these values, *path* a regular expression searched in it, *after* a sequence number."""  # fmt: skip
        pattern = re.compile(path) if path else None
        return [
            entry
            for entry in self._entries
            if entry.seq > after
            and service in (None, entry.service)
            and method in (None, entry.method)
            and project in (None, entry.project)
            and acted in (None, entry.acted)
            and (pattern is None or pattern.search(entry.path))
        ]

    def effects(self, starting: str = "") -> list[str]:
        """All effects that start with this text, in order."""
        return [text for entry in self._entries for text in entry.effects if text.startswith(starting)]

    def clear(self) -> None:
        """Forget all entries; sequence numbers go on."""
        self._entries.clear()
