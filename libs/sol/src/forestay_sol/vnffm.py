"""The structures of VNF fault management: SOL003 clause 7.5."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from forestay_sol.streams.alarm import EventType, FaultyResourceType, PerceivedSeverity
from forestay_sol.types import Identifier, Link, Sol
from forestay_sol.vnflcm import ResourceHandle

AckState = Literal["UNACKNOWLEDGED", "ACKNOWLEDGED"]


class FaultyResourceInfo(Sol, frozen=True, kw_only=True):
    """A virtualised resource that causes a VNF fault (SOL003 7.5.3.2)."""

    faulty_resource: ResourceHandle
    faulty_resource_type: FaultyResourceType


class Alarm(Sol, frozen=True, kw_only=True):
    """The resource "Individual alarm" (SOL003 7.5.2.4); times are RFC 3339."""

    id: Identifier
    managed_object_id: Identifier
    vnfc_instance_ids: tuple[Identifier, ...] = ()
    root_cause_faulty_resource: FaultyResourceInfo | None = None
    alarm_raised_time: str
    alarm_changed_time: str | None = None
    alarm_cleared_time: str | None = None
    alarm_acknowledged_time: str | None = None
    ack_state: AckState
    perceived_severity: PerceivedSeverity
    event_time: str
    event_type: EventType
    fault_type: str | None = None
    probable_cause: str
    is_root_cause: bool
    correlated_alarm_ids: tuple[Identifier, ...] = ()
    fault_details: tuple[str, ...] = ()
    links: dict[str, Link] = field(name="_links")


class AlarmModifications(Sol, frozen=True, kw_only=True):
    """The body of PATCH (SOL003 7.5.2.8)."""

    ack_state: AckState
