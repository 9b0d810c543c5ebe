"""One commit as the history tells it: who, when, why, by what cause, and what happened. Pure.

Rules: an entry is made of the commit and nothing else, so the timeline and the live events say the same. Events are told as they
stand in the log (docs/streams.md has their members), secrets masked, and without what an instance's state at that version
tells better.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from forestay_events.commit import Commit
from forestay_events.sealing import mask

from forestay_lcm.domain.decide import VNF

Json = dict[str, Any]

_BULK = ("instantiated_vnf_info", "vim_connections", "template", "files")
"""Members that the instance's state at that version tells better, or that a stack is made of."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An entry of a timeline, and the data of a live event.

    :ivar stream: ``LCM``; of the alarms and policies that came of an operation ``MON`` and ``POL``.
    :ivar sequence: place in the stream; the id of the live event.
    :ivar subject: of the aggregate, ``lcm.vnf.<VNF instance id>``.
    :ivar version: of the aggregate, 1 for its first commit.
    :ivar at: when it was decided; with microseconds, so that ``at`` of a query finds this very version.
    :ivar actor: who asked: a user, or ``forestay:<component>``.
    :ivar reason: a sentence that says why.
    :ivar project: the aggregate's owner.
    :ivar vnf_instance_id: the VNF instance that it is about, in stream ``LCM``.
    :ivar vnf_lcm_op_occ_id: the operation occurrence that it is about.
    :ivar causation_id: the commit or alarm that led to it, where that was no request.
    :ivar correlation_id: what everything of one undertaking shares: the id of the operation occurrence.
    :ivar trace_id: W3C trace in which it was decided.
    :ivar events: what happened, as in the log, secrets masked; without what the instance itself tells better.
    """

    stream: str
    sequence: int
    subject: str
    version: int
    at: datetime
    actor: str
    reason: str
    project: str
    vnf_instance_id: str | None = None
    vnf_lcm_op_occ_id: str | None = None
    causation_id: str | None = None
    correlation_id: str | None = None
    trace_id: str | None = None
    events: tuple[Json, ...]


def entry_of(commit: Commit, sequence: int, trace_id: str | None) -> Entry:
    """The entry of a commit of any stream."""
    events = tuple(_told(msgspec.json.decode(raw)) for raw in commit.events)
    about = next((event["op_id"] for event in events if "op_id" in event), None)
    return Entry(
        stream=commit.stream,
        sequence=sequence,
        subject=commit.subject,
        version=commit.version,
        at=commit.at,
        actor=commit.actor,
        reason=commit.reason,
        project=commit.project,
        vnf_instance_id=commit.aggregate_id if (commit.stream, commit.kind) == (VNF.stream, VNF.kind) else None,
        vnf_lcm_op_occ_id=about or commit.correlation_id,
        causation_id=commit.causation_id,
        correlation_id=commit.correlation_id,
        trace_id=trace_id,
        events=events,
    )


def _told(event: Json) -> Json:
    """An event with masked secrets and without bulk; of a plan the names of its steps."""
    told = mask(_small(event | ({"result": _small(event["result"])} if "result" in event else {})))
    if "steps" in told:
        told["steps"] = [step["name"] for step in told["steps"]]
    return told


def _small(members: Json) -> Json:
    return {name: value for name, value in members.items() if name not in _BULK}
