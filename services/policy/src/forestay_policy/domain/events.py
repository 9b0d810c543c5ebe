"""What a policy is, and what can happen to it.

Events are facts in the past tense. A tag, once written, is never renamed. The members of a policy are written out in full, so
that a later change of a default changes no policy that exists; what the API does not know is refused, because a misspelt
condition would silently match everything.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from forestay_events.commit import EventCodec
from forestay_sol.streams.alarm import EventType
from forestay_sol.types import Identifier
from msgspec import Meta

Action = Literal["retry", "heal", "notify"]

DAY = 24 * 3600.0


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Part of a policy as the API and the log write it."""


class When(_Part, frozen=True, kw_only=True):
    """Which alarms: those that each given list has; a list that is empty or missing asks for nothing."""

    event_types: tuple[EventType, ...] = ()
    probable_causes: tuple[Annotated[str, Meta(min_length=1, max_length=255)], ...] = ()
    managed_object_ids: tuple[Identifier, ...] = ()


class Rule(_Part, frozen=True, kw_only=True):
    """What somebody wants to be done about alarms.

    :ivar do: ``retry`` the operation that the alarm is about, ``heal`` the VNFCs that it is about, or ``notify``: only write down
        that the alarm was seen.
    :ivar max_attempts: how often one operation is retried, or one VNF instance is healed.
    :ivar delay: seconds between the alarm and what is done about it.
    """

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    enabled: bool = True
    when: When = When()
    do: Action
    max_attempts: Annotated[int, Meta(ge=1, le=100)] = 3
    delay: Annotated[float, Meta(ge=0, le=DAY)] = 0.0


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=str):
    """Base of all events of a policy; the class name is the tag."""


class PolicyCreated(Event, frozen=True, kw_only=True):
    rule: Rule


class PolicyDeleted(Event, frozen=True, kw_only=True):
    """It reacts no more, neither to what comes nor to what it waits with."""


class Reaction(Event, frozen=True, kw_only=True):
    """The policy has decided about an alarm; each alarm once.

    :ivar op_id: the operation that the alarm is about, if it is about one.
    :ivar reason: a sentence that says why.
    """

    alarm_id: str
    managed_object_id: str
    op_id: str | None = None
    reason: str


class PolicyTriggered(Reaction, frozen=True, kw_only=True):
    """``action`` follows in ``delay`` seconds, as the ``attempt``-th for this operation (or managed object)."""

    action: Action
    attempt: int
    delay: float


class PolicySkipped(Reaction, frozen=True, kw_only=True):
    """The alarm matches, but there is nothing more to be done about it."""


PolicyEvent = PolicyCreated | PolicyDeleted | PolicyTriggered | PolicySkipped

CODEC: EventCodec[PolicyEvent] = EventCodec(PolicyEvent)
