"""What was found where a VIM differs from the log, as an aggregate per VNF instance: ``lcm.drift.<VNF instance id>``.

Rules of this module:

* Pure. A comparison leads to an event for each finding that is new, and for each that is not there any more; one that finds
  what is known already leads to none. It speaks for one VIM only: of another it knows nothing.
* Before an orphan is removed, the intent is an event: nothing in a VIM is touched that the log does not have (design 3.5).
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from forestay_events.aggregate import Context, Decision, Definition
from forestay_events.commit import Commit
from forestay_sol.streams.drift import (
    CODEC,
    KIND,
    DriftEnded,
    DriftEvent,
    DriftFound,
    Finding,
    OrphanRemovalIntended,
)


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that has not ended; ``removing``: its removal is intended."""

    id: str
    finding: Finding
    found_at: datetime
    removing: bool = False


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a VNF instance's drift."""

    findings: tuple[Open, ...] = ()


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a comparison with one VIM."""

    vim: str
    findings: tuple[Finding, ...]


class Remove(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody is about to remove an orphan."""

    finding_id: str


Command = Compared | Remove


def decide(drift: Drift | None, command: Command, ctx: Context) -> Decision[DriftEvent]:
    """What a comparison has found, or that an orphan is about to be removed."""
    known = drift.findings if drift else ()
    if isinstance(command, Remove):
        intended = [OrphanRemovalIntended(finding_id=item.id) for item in known if _is_new(item, command)]
        return Decision(intended, "the operation that made it is over, and no VNF instance has it")
    there = {item.finding for item in known}
    gone = [item for item in known if item.finding.vim == command.vim and item.finding not in command.findings]
    found = [finding for finding in command.findings if finding not in there]
    events: list[DriftEvent] = [DriftEnded(finding_id=item.id) for item in gone]
    events += [DriftFound(finding_id=ctx.new_id(_name(finding)), finding=finding) for finding in found]
    return Decision(events, f"comparison with {command.vim}: {len(found)} new, {len(gone)} gone")


def _is_new(item: Open, command: Remove) -> bool:
    return item.id == command.finding_id and not item.removing


def _name(finding: Finding) -> str:
    return f"{finding.vim} {finding.kind} {finding.resource_type} {finding.resource_id}"


def evolve(drift: Drift | None, event: DriftEvent, commit: Commit) -> Drift:
    """The findings that have not ended, behind an event."""
    findings = drift.findings if drift else ()
    match event:
        case DriftFound():
            findings = (*findings, Open(id=event.finding_id, finding=event.finding, found_at=commit.at))
        case OrphanRemovalIntended():
            findings = tuple(
                msgspec.structs.replace(item, removing=True) if item.id == event.finding_id else item
                for item in findings
            )
        case DriftEnded():
            findings = tuple(item for item in findings if item.id != event.finding_id)
    return Drift(findings=findings)


DRIFT: Definition[Drift, Command, DriftEvent] = Definition("LCM", KIND, CODEC, decide, evolve)
