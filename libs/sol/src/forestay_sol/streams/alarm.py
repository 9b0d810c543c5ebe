"""Stream ``MON``, aggregates ``mon.alarm.<alarm id>``: the life of an alarm.

An alarm is one episode: what fails again after it was well again raises a new alarm. It is raised once and cleared at most
once, in this order; it may be acknowledged at any time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from forestay_events.commit import EventCodec

from forestay_sol.streams.drift import Healing

EventType = Literal[
    "EQUIPMENT_ALARM", "COMMUNICATIONS_ALARM", "PROCESSING_ERROR_ALARM", "ENVIRONMENTAL_ALARM", "QOS_ALARM"
]
PerceivedSeverity = Literal["CRITICAL", "MAJOR", "MINOR", "WARNING", "INDETERMINATE", "CLEARED"]
ManagedObjectKind = Literal["VNF", "VIM"]
FaultyResourceType = Literal["COMPUTE", "STORAGE", "NETWORK"]


class AlarmEventBase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=str):
    """Base; the class name is the tag."""


class FaultyResource(msgspec.Struct, frozen=True, kw_only=True):
    """A resource in a VIM that a VNF is at fault for; ``vim_level_resource_type`` as the VIM calls it."""

    faulty_resource_type: FaultyResourceType
    vim_level_resource_type: str
    resource_id: str


class AlarmRaised(AlarmEventBase, frozen=True, kw_only=True):
    """Something does not work.

    :ivar cause: the commit that tells of it, as ``<subject>@<version>``: ``lcm.vnf.<id>@7``.
    :ivar managed_object_id: id of the VNF instance, or of the VIM.
    :ivar op_id: the LCM operation occurrence that failed, if the alarm is about one.
    :ivar probable_cause: in few words, the same words for the same cause: policies look for them.
    :ivar raised_at: when it happened, not when it was noticed.
    :ivar vnfc_instance_ids: the VNFCs of the VNF instance that it is about, if it is about single ones.
    :ivar faulty_resource: the resource that is the gravest of those at fault.
    :ivar healing: the HEAL that mends it: of these VNFCs, or of ALL of the VNF; ``None``: none does.
    """

    cause: str
    managed_object_kind: ManagedObjectKind
    managed_object_id: str
    op_id: str | None = None
    event_type: EventType
    perceived_severity: PerceivedSeverity
    probable_cause: str
    fault_type: str
    fault_details: tuple[str, ...] = ()
    raised_at: datetime
    vnfc_instance_ids: tuple[str, ...] = ()
    faulty_resource: FaultyResource | None = None
    healing: Healing | None = None


class AlarmCleared(AlarmEventBase, frozen=True, kw_only=True):
    """It works again, or is not awaited to work any more; ``reason`` says which."""

    cleared_at: datetime
    reason: str


class AlarmAcknowledged(AlarmEventBase, frozen=True, kw_only=True):
    """Somebody has taken notice."""


class AlarmUnacknowledged(AlarmEventBase, frozen=True, kw_only=True):
    """The acknowledgement was taken back."""


AlarmEvent = AlarmRaised | AlarmCleared | AlarmAcknowledged | AlarmUnacknowledged

CODEC: EventCodec[AlarmEvent] = EventCodec(AlarmEvent)
