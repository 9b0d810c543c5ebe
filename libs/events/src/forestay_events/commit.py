"""The commit: one decision, one message, atomic by construction.

A commit holds all events of a decision about one aggregate. Its bytes are written once and never again: the hash of
those bytes is the ``prev_hash`` of the aggregate's next commit, so any gap, fork or change shows (design section 3).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, TypeVar, cast
from uuid import UUID, uuid5

import msgspec

from forestay_events.errors import Permanent, Rejected

E = TypeVar("E")

COMMIT_NAMESPACE = UUID("6b9d6f0e-6c62-5d2f-9a44-6f5df2a0c7b1")
#: What an id may be made of: one token of a NATS subject, without wildcards.
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One decision about one aggregate.

    :ivar id: deterministic UUID of (command, aggregate, version): the same decision, sent again, has the same id.
    :ivar stream: name of the stream, ``LCM``.
    :ivar kind: what the aggregate is, ``vnf``.
    :ivar aggregate_id: its id, one token of a subject.
    :ivar version: 1 for the first commit of the aggregate, then without gaps.
    :ivar at: when it was decided (UTC).
    :ivar project: owner of the aggregate (tenant id).
    :ivar actor: who asked: user id, or ``forestay:<component>``.
    :ivar reason: a sentence that says why.
    :ivar causation_id: id of the command or commit that led to this one.
    :ivar correlation_id: id that everything of one operation shares.
    :ivar prev_hash: SHA-256 (hex) of the bytes of the aggregate's previous commit, empty for the first.
    :ivar events: the events as JSON objects with a ``type`` member.
    """

    id: str
    stream: str
    kind: str
    aggregate_id: str
    version: int
    at: datetime
    project: str
    actor: str
    reason: str
    causation_id: str | None = None
    correlation_id: str | None = None
    prev_hash: str = ""
    events: tuple[msgspec.Raw, ...]

    @property
    def subject(self) -> str:
        return subject(self.stream, self.kind, self.aggregate_id)


class Stored:
    """A commit as it lies in the log: its bytes, its place and, decoded on demand, its content.

    :ivar subject: where it lies; that of the commit itself unless somebody else has written there.
    :ivar pending: how many commits of the stream were behind it when it was followed.
    """

    def __init__(
        self, seq: int, body: bytes, headers: Mapping[str, str] | None = None, *, subject: str = "", pending: int = 0
    ) -> None:
        self.seq = seq
        self.body = body
        self.headers = headers or {}
        self.pending = pending
        self._subject = subject

    @property
    def subject(self) -> str:
        return self._subject or self.commit.subject

    @cached_property
    def commit(self) -> Commit:
        """:raises Permanent: the bytes are no commit."""
        try:
            return _decode_commit(self.body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Permanent(f"message {self.seq} of the log is no commit: {error}") from error

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    def __repr__(self) -> str:
        return f"Stored({self.seq}, {self.subject}, {len(self.body)} bytes)"


_decode_commit = msgspec.json.Decoder(Commit).decode


def encode(commit: Commit) -> bytes:
    return msgspec.json.encode(commit)


def refuse_nul(commit: Commit) -> None:
    """Refuse what a read model could never take: PostgreSQL has no U+0000, neither in text nor in ``jsonb``.

    :raises Rejected: 400, with the name of the member that has it.
    """
    body = encode(commit)
    if b"\\u0000" in body and (found := _nul(msgspec.json.decode(body), "commit")) is not None:
        raise Rejected(400, f"{found[:80]!r} has the character U+0000, which cannot be stored.")


def _nul(value: Any, name: str) -> str | None:
    """The name of the member with U+0000 in its name or its text, ``None`` if there is none."""
    if isinstance(value, str):
        return name if "\0" in value else None
    if isinstance(value, list):
        members = ((name, item) for item in cast("list[Any]", value))
    elif isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
    else:
        return None
    return next((found for key, item in members if (found := _nul(key, key) or _nul(item, key)) is not None), None)


def commit_id(command_id: str, aggregate_id: str, version: int) -> str:
    return str(uuid5(COMMIT_NAMESPACE, f"{command_id}/{aggregate_id}/{version}"))


def subject(stream: str, kind: str, aggregate_id: str) -> str:
    """:raises Rejected: 404, the id cannot be an aggregate's (a wildcard or a dot must never reach NATS)."""
    if not TOKEN.fullmatch(aggregate_id):
        raise Rejected(404, f"{aggregate_id[:80]!r} is no identifier of a {kind}.")
    return f"{stream.lower()}.{kind}.{aggregate_id}"


class EventCodec(Generic[E]):
    """Turns events of one tagged union into JSON and back.

    :param union: union of Structs with ``tag_field="type"``.
    :param upcasters: per old tag a function from the old event's JSON object to the newest form's, so that whatever was
        ever written can be read for ever.
    :ivar union: as above, for those who write down what there is.
    """

    def __init__(self, union: Any, upcasters: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] | None = None):
        self._decoder: msgspec.json.Decoder[E] = msgspec.json.Decoder(union)
        self.union = union
        self._upcasters = dict(upcasters or {})

    def encode(self, events: Iterable[E]) -> tuple[msgspec.Raw, ...]:
        return tuple(msgspec.Raw(msgspec.json.encode(event)) for event in events)

    def decode(self, commit: Commit) -> list[E]:
        """:raises Permanent: an event of an unknown type or shape (written by a newer Forestay)."""
        try:
            return [self._event(raw) for raw in commit.events]
        except msgspec.MsgspecError as error:
            raise Permanent(f"commit {commit.id} of {commit.subject} cannot be read: {error}") from error

    def _event(self, raw: msgspec.Raw) -> E:
        if self._upcasters:
            plain: dict[str, Any] = msgspec.json.decode(raw)
            upcast = self._upcasters.get(plain.get("type", ""))
            if upcast is not None:
                return msgspec.convert(upcast(plain), self.union)
        return self._decoder.decode(raw)
