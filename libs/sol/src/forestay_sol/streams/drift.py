"""Stream ``LCM``, aggregates ``lcm.drift.<VNF instance id>``: what differs between a VNF instance's VIM and the log.

A finding is told once, and once when it is gone. All that a comparison with a VIM tells about a VNF instance is one commit.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from forestay_events.commit import Commit, EventCodec

KIND = "drift"

Kind = Literal["MISSING", "CHANGED", "ORPHANED"]
Healing = Literal["VNFC", "ALL"]


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A difference.

    :ivar kind: MISSING, the log has it and the VIM does not; CHANGED, they differ; ORPHANED, only the VIM has it.
    :ivar vim: where: the VIM's address, project and region.
    :ivar resource_type: as the VIM calls it, such as ``OS::Nova::Server``.
    :ivar detail: a sentence.
    :ivar vnfc_instance_id: the VNFC whose server it is.
    :ivar healing: the HEAL that mends it: of its VNFC, or of the whole VNF (``all``); ``None``: none does.
    :ivar after: the VNF instance's latest operation: a difference that outlives the next one is found anew.
    """

    kind: Kind
    vim: str
    resource_type: str
    resource_id: str
    detail: str
    vnfc_instance_id: str | None = None
    healing: Healing | None = None
    after: str | None = None


class DriftEventBase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=str):
    """Base; the class name is the tag."""

    finding_id: str


class DriftFound(DriftEventBase, frozen=True, kw_only=True):
    """A comparison found this."""

    finding: Finding


class OrphanRemovalIntended(DriftEventBase, frozen=True, kw_only=True):
    """From now on the orphan may be removed from the VIM."""


class DriftEnded(DriftEventBase, frozen=True, kw_only=True):
    """A later comparison did not find it any more, or finds it anew as it has outlived an operation."""


DriftEvent = DriftFound | OrphanRemovalIntended | DriftEnded

CODEC: EventCodec[DriftEvent] = EventCodec(DriftEvent)


def facts(commit: Commit) -> list[DriftEvent]:
    """The events of a commit of stream LCM about drift; none if it is about something else."""
    return list(CODEC.decode(commit)) if commit.kind == KIND else []
