"""An alarm: state, commands, decisions. Pure.

A report tells how a fault stands as a whole. So reports may be repeated and overtake one another: an alarm that is there is not
raised again, one that is cleared stays cleared, and a fault that was over before it was first reported leaves its alarm too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from forestay_events.aggregate import Context, Decision, Definition
from forestay_events.commit import Commit
from forestay_events.errors import Rejected
from forestay_sol.streams.alarm import (
    CODEC,
    AlarmAcknowledged,
    AlarmCleared,
    AlarmEvent,
    AlarmRaised,
    AlarmUnacknowledged,
)
from forestay_sol.vnffm import AckState

Decided = Decision[AlarmEvent]


class Alarm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An alarm as its events add up."""

    id: str
    project: str
    raised: AlarmRaised
    cleared: AlarmCleared | None = None
    acknowledged_at: datetime | None = None

    @property
    def ack_state(self) -> AckState:
        return "ACKNOWLEDGED" if self.acknowledged_at else "UNACKNOWLEDGED"


@dataclass(frozen=True)
class ReportFault:
    """How a fault stands: there, or over when ``cleared`` is given."""

    raised: AlarmRaised
    cleared: AlarmCleared | None = None


@dataclass(frozen=True)
class SetAckState:
    """PATCH alarms/{alarm_id}."""

    alarm_id: str
    ack_state: AckState


AlarmCommand = ReportFault | SetAckState


def decide(alarm: Alarm | None, command: AlarmCommand, ctx: Context) -> Decided:
    """:raises Rejected: 404, 409 (SOL003 7.4.3.3.4)."""
    if isinstance(command, ReportFault):
        return _report(alarm, command)
    return _set_ack_state(alarm, command, ctx)


def _report(alarm: Alarm | None, command: ReportFault) -> Decided:
    raised, cleared = command.raised, command.cleared
    if alarm is None:
        return Decided([raised] if cleared is None else [raised, cleared], sentence(raised))
    if cleared is None or alarm.cleared is not None:
        return Decided([])
    return Decided([cleared], cleared.reason)


def _set_ack_state(alarm: Alarm | None, command: SetAckState, ctx: Context) -> Decided:
    if alarm is None or alarm.project != ctx.origin.project:
        raise not_found(command.alarm_id)
    if alarm.ack_state == command.ack_state:
        raise Rejected(409, "The ackState of alarm cannot specify the same value.", pointer="/ackState")
    event = AlarmAcknowledged() if command.ack_state == "ACKNOWLEDGED" else AlarmUnacknowledged()
    return Decided([event], f"{command.ack_state.lower()} on request")


def not_found(alarm_id: str) -> Rejected:
    return Rejected(404, f"Alarm {alarm_id[:80]} not found.")


def sentence(raised: AlarmRaised) -> str:
    """An alarm in one sentence."""
    details = f" ({', '.join(raised.fault_details)})" if raised.fault_details else ""
    return f"{raised.probable_cause}: {raised.managed_object_kind} {raised.managed_object_id}{details}"[:500]


def evolve(alarm: Alarm | None, event: AlarmEvent, commit: Commit) -> Alarm:
    if isinstance(event, AlarmRaised):
        return Alarm(id=commit.aggregate_id, project=commit.project, raised=event)
    if alarm is None:
        raise ValueError(f"{type(event).__name__} happened to alarm {commit.aggregate_id}, which was never raised")
    return msgspec.structs.replace(alarm, **_CHANGES[type(event)](event, commit))


_CHANGES: Mapping[type[AlarmEvent], Callable[[Any, Commit], dict[str, Any]]] = {
    AlarmCleared: lambda event, _: {"cleared": event},
    AlarmAcknowledged: lambda _, commit: {"acknowledged_at": commit.at},
    AlarmUnacknowledged: lambda _, __: {"acknowledged_at": None},
}

ALARM: Definition[Alarm, AlarmCommand, AlarmEvent] = Definition("MON", "alarm", CODEC, decide, evolve)
